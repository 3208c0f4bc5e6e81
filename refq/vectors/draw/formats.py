"""Number formats: sizes, constants and codes of configurations of their operations.

SIZES: operation to its sizes; FITTED: to what fits its constants (constants.py); PLACED: to what places its codes (rows.py).
"""
import numpy as np

from refq.ints import blocks, minifloat
from refq.vectors.draw import reals, values


def before_minifloat(operand, row, shape, stream, index, constants):
    """Numbers of the format, the middles between them, what is beside both, subnormal, beyond, infinite, or no number; each
    column in units of its scale."""
    f = minifloat.load(row.format)
    rows, columns = int(np.prod(shape[:-1], dtype=int)), shape[-1]
    known = np.unique(f.values[np.isfinite(f.values)])
    step, small = known[-1] - known[-2], known[known > 0][0]
    beyond = known[-1] + step * np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 4, 1e4])
    tiny = small * np.array([2.0 ** -9, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3.5])
    made = np.empty((rows, columns), np.float32)
    for c in range(columns):
        at = stream.integers(0, len(known) - 2, (max(rows, 8),))
        low = stream.integers(0, min(4 << f.mantissa, len(known) // 2 - 1), (max(rows, 8),)) + len(known) // 2
        middles = np.concatenate([(known[i] + known[np.minimum(i + 1, len(known) - 1)]) / 2 for i in (at, low)])
        with np.errstate(over="ignore", under="ignore"):
            scale = np.float64(constants["scale"][c])
            some = (np.concatenate([middles, middles, known[at], -middles]) * scale).astype(np.float32)
            ends = (np.concatenate([beyond, -beyond, tiny, -tiny]) * scale).astype(np.float32)
            beside = [np.nextafter(np.concatenate([some, ends]), np.float32(end)) for end in (-np.inf, np.inf)]
        none = [np.nan, -np.nan] if row.nan != "refused" else []
        odd = np.array([np.inf, -np.inf, -0.0, 0.0, 3e38, -3e38, *none], np.float32)
        mixed = stream.shuffled(np.concatenate([some, ends, *beside]))
        kind = (c + 1 + index // 6) % 3                 # sizes come again every 6
        ordered = np.concatenate([odd, ends, mixed] if kind == 2 else [ends, mixed] if kind else
                                 [mixed[:rows // 2], odd, ends, mixed[rows // 2:]])
        made[:, c] = stream.shuffled(ordered[:rows])
    return made.reshape(shape)


def patterns(operand, row, shape, stream, index, constants):
    """Each code in turn, in an order of its own; then those at the two ends of the numbers, and the topmost."""
    f, declared = minifloat.load(row.format), row.takes[operand]
    count = int(np.prod(shape))
    normal = 1 << f.mantissa
    ends = np.array([0, 1, 2, normal - 1, normal, f.most - 1, f.most, f.sign - 1, f.infinity or 0, f.nan or 0])
    ends = np.concatenate([ends & f.sign - 1, ends | f.sign])
    codes = values.rising(stream, declared, (count,)) if index % 2 == 0 else stream.integers(declared.lo, declared.hi, (count,))
    codes = np.where(stream.integers(0, 2, (count,)) == 0, ends[stream.integers(0, len(ends) - 1, (count,))], codes)
    return stream.shuffled(codes).reshape(shape)


BLOCKED = ({"rows": 5, "b": 3}, {"rows": 3, "b": 1}, {"rows": 11, "b": 1}, {"rows": 1, "b": 7}, {"rows": 5, "b": 1},
           {"rows": 3, "b": 3}, {"rows": 1, "b": 9})
ENDS = (1.0, 1.5, 1.75, 1.25, 1.0625, 1.9375, 1.96875, 1.125, 1.9921875, 1.99609375, 1.984375, 1.8125, 1.875,
        1.90625)
"""Mantissas of the largest of a block, beside the largest element's own."""


def of_tensor(row, made, stream, index, reach):
    """The scale of a tensor: a power of two, or any."""
    odd = np.float32(1 + stream.integer(0, 1 << 23) / 2.0 ** 23)
    return {"g": np.float32(2.0 ** -stream.integer(2, 9)) * (odd if index % 2 else 1) if row.rule == "tensor" else np.float32(1)}


def halves(row):
    """Every magnitude of an element and the middles between them, up to the largest; and the largest: in units of a scale."""
    if row.element in ("int8", "int4"):
        last, unit = 8 if row.element == "int4" else 127, 64 if row.rule in blocks.POWERS else 1
        return np.arange(0, 2 * last + 1) / (2 * unit), last / unit
    known = np.unique(np.abs(minifloat.load(row.element).values))
    known = known[np.isfinite(known)]
    return np.unique(np.concatenate([known, (known[1:] + known[:-1]) / 2])), known[-1]


def block_numbers(operand, row, shape, stream, index, constants):
    """Blocks whose largest number is at and around what decides the scale, of elements and ties between them; of zeros, of
    numbers next to nothing and beyond all; with an infinity or a NaN where the rule has a scale for it."""
    values, last = halves(row)
    wide, at_all = row.rule in blocks.POWERS, row.shared
    made = np.empty((int(np.prod(shape)) // at_all, at_all), np.float32)
    for i, block in enumerate(made):
        kind, k = (i + 5 * index) % 17, stream.integer(-9, 9)
        if kind in (11, 12):
            k = stream.integer(-149, -118) if kind == 11 else stream.integer(100, 127)
        unit = 2.0 ** k
        if row.rule in ("q4_0", "q8_0") and kind % 3:
            unit *= 1 + (stream.integer(0, 1 << 11) | kind % 2) / 2048      # odd ones lie between two float16 numbers
        if row.rule == "tensor":
            known, c = minifloat.load("e4m3fn").values, stream.integer(0, 125) if kind % 4 else stream.integer(0, 9)
            unit = float(known[c] + known[c + kind % 3 % 2]) / 2 * float(constants["g"])
        some = values[stream.integers(0, len(values) - 1, (at_all,))] * unit
        top = last * (1 + stream.integer(-8, 8) / 64) if kind % 4 == 2 and row.rule != "tensor" else last
        most = last if kind % 2 else 2.0 ** stream.integer(-2, 2) * stream.pick(ENDS) if wide else top
        some = np.minimum(some, most * unit) if kind % 5 else some / 4
        where = stream.integer(0, at_all - 1)
        some[where] = most * unit
        with np.errstate(over="ignore", under="ignore"):
            block[:] = np.clip(some * (1 - 2 * stream.integers(0, 1, (at_all,))), -3.4e38, 3.4e38)
        beside = stream.integers(0, 7, (at_all,))
        beside[where] = stream.integer(0, 3) if wide or kind % 3 != 1 else 0
        for way, end in ((1, np.inf), (2, -np.inf)):
            block[beside == way] = np.nextafter(block[beside == way], np.float32(end))
        block[beside == 5] *= np.float32(2.0 ** -stream.integer(1, 14))
        other = (where + stream.integer(1, at_all - 1)) % at_all if at_all > 1 else where
        if kind % 3 == 0:
            block[other] = -block[where]                # as large, of the other sign
        if kind == 13:
            block[:] = np.float32(0) * block
        elif kind in (14, 15) and wide:
            block[other] = (np.nan, np.inf, -np.inf)[(i + index) % 3]
        elif kind == 16:
            block[:] = np.float32(-0.0 if i % 2 else 0.0)
            block[other] = block[other] if i % 3 else np.float32(2.0 ** -149)
    return np.clip(made, row.takes["x"].lo, row.takes["x"].hi).reshape(shape)


def block_codes(operand, row, shape, stream, index, constants):
    """Elements: each in turn; scales: at their ends, in the middle, none, anything."""
    declared, count = row.takes[operand], int(np.prod(shape))
    if operand == "q":
        codes = values.rising(stream, declared, (count,))
        ends = np.array([declared.lo, declared.hi, declared.lo + 1, max(0, declared.lo), declared.hi // 2, declared.hi // 2 + 1])
        return np.where(stream.integers(0, 3, (count,)) == 0, ends[stream.integers(0, len(ends) - 1, (count,))],
                        stream.shuffled(codes)).reshape(shape)
    middle, top = {16: 0x3C00, 8: 56 if row.rule == "tensor" else 127}[declared.width.bits], declared.hi
    special = np.array([0, 1, top, top - 1, middle, middle + 1, top // 2, top // 2 + 1, middle - 9])
    special = np.append(special, (0x7C00, 0xFC00, 0x7BFF, 0x8001, 0x3FF) if declared.width.bits == 16 else (2, 250, 5))
    near = np.clip(middle + stream.integers(-30, 30, (count,)), declared.lo, declared.hi)
    chosen = stream.integers(0, 3, (count,))
    chosen[:len(special)] = 0                       # each of them somewhere
    codes = np.where(chosen == 0, special[(np.arange(count) + 3 * index) % len(special)],
                     np.where(chosen == 1, stream.integers(declared.lo, declared.hi, (count,)), near))
    return codes.reshape(shape)


SIZES = dict.fromkeys(("block_scales", "quantize_blocks", "dequantize_blocks"), BLOCKED)
FITTED = dict.fromkeys(("quantize_minifloat", "dequantize_minifloat"), reals.of_channels) | dict.fromkeys(SIZES, of_tensor)
PLACED = {"quantize_minifloat": before_minifloat, "dequantize_minifloat": patterns, "block_scales": block_numbers,
          "quantize_blocks": block_numbers, "dequantize_blocks": block_codes}
