"""Constants of I-BERT's operations: built ones, and ones at which exponents tie, sums divide 2**32, and registers move; and
rows beside them.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py; `PLACED`: operation to
a function of (row, shape, stream, constants) that gives its codes, as in rows.py, or None.
"""
import numpy as np

from refq.ints.fold import MOST
from refq.ints.width import I8, I16
from refq.ops import gelu_ibert, layernorm_ibert, softmax_ibert
from refq.vectors.draw.nonlinear import scale

WIDTHS = ({"q": I8}, {"q": I8}, {"q": I16})
"""Of LayerNorm's codes: only wide ones fill the registers of its sums."""
LONG = ({"rows": 9, "c": 33}, {"rows": 1, "c": 47}, {"rows": 9, "c": 3}, {"rows": 3, "c": 21}, {"rows": 5, "c": 7},
        {"rows": 3, "c": 160}, {"rows": 9, "c": 39}, {"rows": 2, "c": 1}, {"rows": 3, "c": 4}, {"rows": 1, "c": 267})


def of_softmax_ibert(row, made, stream, index, reach):
    """Scales of every size; or a multiplier of a power of two, under which the 16-bit exponents tie; one of which the largest
    exponent is 2**14, or 1, and makes a share of 1 out of a row of one code; and the largest, whose exponents saturate."""
    built = softmax_ibert.build(row, scale(stream, index, *((-6, -1), (-12, -11), (-4, -1), (-9, -3), (-14, -12))[index % 5]), 0)
    if index % 8 in (1, 5):
        return built | {"mult": 1 << 30, "shift": min(30 + stream.integer(0, 3) + max(built["c"].bit_length() - 15, 0), 46)}
    if index % 8 in (3, 7):         # sizes.LONG has a row of one code at 7
        least = 30 if index % 16 < 8 else 44
        return built | {"c": 1 << 14, "b": stream.integer(1 << 8, 1 << 12), "mult": 1 << 30, "shift": least}
    if index % 8 == 2:
        return built | {"shift": built["shift"] - 1}
    if index % 8 == 6:
        return built | {"c": stream.integer(1 << 18, 1 << 29) | 1, "mult": stream.integer(1 << 30, 1 << 31) | 1, "shift": 16}
    return built


def of_gelu_ibert(row, made, stream, index, reach):
    """A scale for each channel: as accumulators have them, finer and coarser ones, which are moved; and results that are
    lowered by a few bits only, which saturate."""
    spans = ((-18, -12), (-21, -10), (-30, -21), (-10, 2), (-21, -16), (-24, -21))
    scales = [scale(stream.under(str(i)), index + i, *spans[(index + i) % 6 if index % 3 else index // 3 % 2 * 2])
              for i in range(len(made["b"]))]
    built = gelu_ibert.build(row, scales, made["zp"], len(scales))
    return built | {"fall": [f * (index % 2) for f in built["fall"]]} if index % 4 > 1 else built


def of_layernorm_ibert(row, made, stream, index, reach):
    """Shifts from the least on that these rows may need; and one that leaves so little of differences that y saturates."""
    sign = np.where(stream.integers(0, 1, made["sign"].shape) == 1, 1, -1)
    if index % 5 == 3:
        ends = np.where(stream.integers(0, 1, made["beta"].shape) == 1, MOST + 1, -MOST)
        return {"sh": row.q.bits - 2 + index % 2, "down": made["down"] * 0, "beta": ends, "sign": sign}
    least = layernorm_ibert.halvings(row.q, len(sign))
    return {"sh": least + (0, 1, 0, 2, 3, stream.integer(0, 5))[index % 6]} | ({"sign": sign} if index % 2 else {})


def before_layernorm_ibert(row, shape, stream, constants):
    """Where differences lose most bits: rows whose root is 1, with a number that offsets take beyond 32 bits;
    and rows of small numbers, some of whose means tie."""
    sh, count = constants["sh"], shape[-1]
    if sh < row.q.bits - 2 or count < 4:
        return None
    d = np.array([5 << sh - 2, -5 << sh - 3, -5 << sh - 3] + [0] * (count - 3)) - (5 << sh - 4)
    made = [stream.integers(-9, 9, d.shape) if i % 3 == 2 else stream.shuffled(d)
            for i in range(int(np.prod(shape[:-1], dtype=int)))]
    return np.array(made).reshape(shape)


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
PLACED = {name.removeprefix("before_"): f for name, f in list(globals().items()) if name.startswith("before_")}
