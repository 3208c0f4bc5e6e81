"""Constants and inputs of operations between reals and codes: scales per channel, and reals at ties of their grids.

`FITTED` as in scales.py; `PLACED`: operation to a function of (row, shape, stream, constants) that gives its main operand.
"""
import numpy as np

from refq.vectors.draw.scales import order, single

KINDS = (("dense", "dense"), ("whole", "whole"), ("odd", "dense"), ("whole", "odd"), ("carry", "whole"), ("dense", "whole"),
         ("unit", "dense"), ("huge", "huge"), ("whole", "carry"))


def of_channels(row, made, stream, index, reach):
    """A scale of another kind for each channel."""
    kinds = order(stream, len(made["scale"]), index)
    return {"scale": [single(kind, 2.0 ** -3, stream) for kind in kinds]}


def of_sums(row, made, stream, index, reach):
    """A scale of the tensor, one and a bias for each channel, of which some come near to the sums."""
    one, two = KINDS[index % len(KINDS)]
    second = [single(kind, 2.0 ** -3, stream) for kind in (two, *order(stream, len(made["second"]) - 1, index))]
    bias = [single("whole", 1, stream) * np.float32(2.0 ** stream.integer(-4, 12)) * (-1) ** c for c in range(len(second))]
    return {"first": single("unit" if index % 2 else one, 1, stream), "second": second, "bias": bias}


def of_add_ratio(row, made, stream, index, reach):
    """Two ratios, and the constant that zero points make of them."""
    kinds = KINDS[index % len(KINDS)]
    ra, rb = (np.float32(single(kind, 2.0 ** -3, stream) * np.float32(2) ** stream.integer(-1, 2)) for kind in kinds)
    za, zb, zo = (stream.integer(w.lo, w.hi) if index else 0 for w in (row.a, row.b, row.out))
    rest = np.float32(zo) - np.float32(za) * ra - np.float32(zb) * rb
    return {"ra": ra, "rb": rb, "c": rest + np.float32(0.5 if index % 3 == 2 else 0)}


def of_requantize(row, made, stream, index, reach):
    """Scales of channels, some of them halves of a unit that has no exact reciprocal."""
    unit = single(("dense", "odd", "whole", "carry")[index % 4], 2.0 ** -3, stream)
    less = max(row.acc.bits - 8, 0)
    kinds = order(stream, len(made["scale"]), index)
    found = [unit / np.float32(2 << i % 3 + less) if i % 2 else single(kind, 2.0 ** -3, stream) * np.float32(2.0 ** -less)
             for i, kind in enumerate(kinds)]
    return {"scale": np.clip(found, row.takes["scale"].lo, row.takes["scale"].hi), "unit": unit}


def before_quantize(row, shape, stream, constants):
    """Ties of each channel's grid, float32 numbers beside them, the ends of its codes, what is far, infinite, or no number."""
    rows, columns = int(np.prod(shape[:-1], dtype=int)), shape[-1]
    made = np.empty((rows, columns), np.float32)
    for c in range(columns):
        scale, zero = np.float64(constants["scale"][c]), int(constants["zp"][c])
        lo, hi = row.out.lo - zero, row.out.hi - zero
        near = np.array([*np.arange(-3.5, 4, 0.5), *np.arange(lo - 2, lo + 2, 0.5), *np.arange(hi - 2, hi + 2.5, 0.5)])
        halves = np.concatenate([near, stream.integers(2 * lo - 9, 2 * hi + 9, (rows,)) / 2])
        with np.errstate(over="ignore"):
            ties = (halves * scale).astype(np.float32)
            far = (np.array([2.0 ** 31, -(2.0 ** 31), 2.2e9, -2.2e9, 2.0 ** 33, 1e-30, -1e-30, 0]) * scale).astype(np.float32)
        beside = [np.nextafter(ties, np.float32(end)) for end in (-np.inf, np.inf)]
        ends = np.array([np.inf, -np.inf, *([np.nan] if row.nan != "refused" else [])], np.float32)
        some = stream.shuffled(np.concatenate([ties, ties, *beside]))
        ordered = np.concatenate([ends, far, some] if c % 2 else [some[:rows // 2], ends, far, some[rows // 2:]])
        made[:, c] = stream.shuffled(ordered[:rows])
    return made.reshape(shape)


def before_island(row, shape, stream, constants):
    """Multiples of an eighth, small and less small, of both signs."""
    made = stream.integers(-64, 64, shape) * np.float64(0.125)
    return np.ascontiguousarray(made * (1 + 7 * stream.integers(0, 1, shape)), np.float32)


FITTED = {"quantize": of_channels, "dequantize": of_channels, "dequantize_bias": of_sums, "add_ratio_float32": of_add_ratio,
          "requantize_float32": of_requantize}
PLACED = {"quantize": before_quantize, "island": before_island}
