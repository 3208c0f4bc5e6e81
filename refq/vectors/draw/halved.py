"""Constants of operations that are made of halvings, and of softmax as TOSA has it, and rows of theirs, placed where roundings
and registers show.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py; `PLACED`: operation to
a function of (row, shape, stream, constants) that gives its codes, as in rows.py, or None.
"""
import numpy as np

from refq.ops import gelu_hard, softmax_base2, softmax_streaming, softmax_tosa
from refq.vectors.draw.nonlinear import scale

TIED, MORE, SUM = 7 << 28, 523741 << 12, 15658735
"""Exponentials of softmax_tosa and their sum, 25 times `TIED`, seven times `MORE` and what is left: the reciprocal of that sum
ties with `TIED` at bit 30, and the tie is one of y as well. No other sum below 2**24 was found."""


def of_softmax_tosa(row, made, stream, index, reach):
    """Tables of exponentials; small entries, in halves of what a sum counts, so that each rounding shows in it; and `TIED`."""
    if index % 44 == 22:                # rows of 33 codes
        t = made["t"] * 0
        t[:3] = MORE, TIED, SUM - 25 * (TIED >> 12) - 7 * (MORE >> 12) << 12
        return {"t": t}
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


def of_shiftgelu_int32(row, made, stream, index, reach):
    """The coarsest scale, and codes far below the zero point: then k leaves 8 bits, and its low ones shift less than 32 bits."""
    return {"x0": -1, "zp": row.q.hi} if index % 8 == 5 else {}


def before_shiftgelu_int32(row, shape, stream, constants):
    if (constants["x0"], constants["zp"]) != (-1, row.q.hi):
        return None
    top = row.q.hi - stream.integers(178, 184, (*shape[:-1], 1))
    return top - stream.integers(0, 40, shape) * stream.integers(0, 1, shape)


def before_softmax_streaming(row, shape, stream, constants):
    """Long rows of codes alike, whose last tile has a larger one: by as much as halves what was summed one to four times."""
    if shape[-1] < 300:
        return None
    tall = -(-(1 << constants["shift"]) // max(constants["mult"], 1))
    made = np.full((int(np.prod(shape[:-1], dtype=int)), shape[-1]), row.q.hi)
    for i, codes in enumerate(made):
        codes[:-1] -= min((i + 1) * tall + stream.integer(0, 1), row.q.hi - row.q.lo)
    return made.reshape(shape)


def before_softmax_tosa(row, shape, stream, constants):
    """Rows whose sum is `SUM`, where the table has `TIED`."""
    if constants["t"][1] != TIED or shape[-1] != 33:
        return None
    flat = np.repeat((0, 1, 2), (7, 25, 1))
    made = [row.q.hi - stream.shuffled(flat) for _ in range(int(np.prod(shape[:-1], dtype=int)))]
    return np.array(made).reshape(shape)


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
PLACED = {name.removeprefix("before_"): f for name, f in list(globals().items()) if name.startswith("before_")}
