"""Constants of operations that are made of halvings, and of softmax as TOSA has it, placed where their roundings show.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py.
"""
from refq.ops import gelu_hard, softmax_base2, softmax_streaming, softmax_tosa
from refq.vectors.draw.nonlinear import scale


def of_softmax_tosa(row, made, stream, index, reach):
    """Tables of exponentials; and small entries, in halves of what a sum counts, so that each rounding shows in it."""
    if index % 6 == 1:                  # exponentials below a half of what a sum counts: shares in fractions of a code
        t = stream.integers(0, 2047, made["t"].shape)
        t[0] = (3, 5, 7)[index // 6 % 3] << 12
        return {"t": t}
    if index % 3:
        halves = stream.integers(0, (6, 20, 60)[index // 3 % 3], made["t"].shape)
        t = (halves << 11) + stream.integers(-1, 1, halves.shape) // 2
        t[0] = (3, 7, 17)[index // 3 % 3] << 11
        return {"t": t.clip(0)}
    return softmax_tosa.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6))[index // 2 % 3]), 0)


def of_softmax_streaming(row, made, stream, index, reach):
    """Pure shifts, on whose halves codes lie; and scales of other widths."""
    if index % 3 == 2:
        return softmax_streaming.build(row, scale(stream, index, *((-6, -2), (-8, -6), (1, 4))[index // 3 % 3]), 0)
    if index % 4 == 1:
        return {"mult": (1, 32767, 3)[index // 4 % 3], "shift": (0, 15, 1)[index // 4 % 3]}
    return {"mult": 1 << 14, "shift": 14 + (5, 3, 1, 4, 2, 6)[index // 3 % 6]}


def of_softmax_base2(row, made, stream, index, reach):
    """Scales as they come; and few bits, of which exponents tie."""
    if index % 2:
        return softmax_base2.build(row, scale(stream, index, *((-6, -2), (-8, -5), (-3, 1))[index // 2 % 3]), 0)
    if index % 8 == 6:
        return {"mult": 32767 - stream.integer(0, 99), "shift": (0, 4)[index // 8 % 2]}
    return {"mult": 2 * stream.integer(1, 40) + 1, "shift": (1, 2, 0)[index // 2 % 3]}


def of_gelu_hard(row, made, stream, index, reach):
    """Scales as targets have them; and gates and multipliers of few bits, so that products tie."""
    if index % 2:
        s = scale(stream, index, *((-6, -4), (-5, -3), (-3, 0))[index // 2 % 3])
        return gelu_hard.build(row, s, made["zq"], s * scale(stream, index + 1, -1, 1), made["zo"])
    ends = {"lo": row.out.lo, "hi": row.out.hi}
    if index % 8 == 2:                  # the largest gate and the longest multiplier: x comes back, or leaves every register
        return ends | {"half": (1 << 20) - index // 8, "mult": (1 << 31) - 1, "shift": (51, 4, 50, 20)[index // 8 % 4]}
    if index % 8 == 4:
        return ends | {"half": 1 + index // 8, "mult": 1, "shift": 0}
    half = (64, 20, 5, 31)[index // 8 % 4]
    return ends | {"half": half, "mult": (1, 3)[index // 4 % 2], "shift": (half.bit_length() + 1, 4, 9)[index // 4 % 3]}


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
