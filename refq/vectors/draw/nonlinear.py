"""Constants of nonlinear operations, as their `build` makes them from a drawn scale: fine and coarse ones, powers of two and
others, so that every entry of a table, both sides of a bend and the ends of the range are seen.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py; `ENTRIES`: operation to
the entries of its table; `ROWS`: those that make a result of a whole row.
"""
import numpy as np

from refq.ints.interpolated import COUNT
from refq.ops import (
    hard_swish,
    logistic_fixed,
    logistic_table16,
    softmax_gemmlowp,
    softmax_table,
    softmax_table16,
    softmax_table_integer,
)
from refq.vectors.draw.scales import order, pair

ROWS = ("softmax_gemmlowp", "softmax_table", "softmax_table16", "softmax_table_integer", "softmax_tosa", "softmax_streaming",
        "softmax_base2", "softmax_ibert", "layernorm_ibert", "shiftgelu_int32", "ilayernorm_int32")
ENTRIES = {"table16": COUNT, "softmax_table": 256, "softmax_table_integer": 256, "softmax_tosa": 256}


def scale(stream, index, least, most):
    """From 2**least to 2**most; a power of two in every other configuration."""
    power = 2.0 ** stream.integer(least, most - 1)
    return power if index % 2 else power * (1 + stream.integer(1, (1 << 23) - 1) / (1 << 23))


def of_logistic_fixed(row, made, stream, index, reach):
    if index % 2:
        return beside_a_step(row, made, stream, index // 2)
    return logistic_fixed.build(row, scale(stream, index, -7, -3), made["zq"], *logistic_fixed.result(row))


def beside_a_step(row, made, stream, index):
    """A multiplier that carries the code 1 (or -1) onto half a step before y changes, or onto a tie of y, where there is one."""
    function, down = logistic_fixed.FUNCTIONS[row.function]
    sign, tied = 1 - 2 * (index % 2), None
    for _ in range(24):
        step = (stream.integer(1, 126) if row.function == "tanh" else 128 + sign * stream.integer(1, 120)) << down
        half = step * (sign if row.function == "tanh" else 1) - (1 << down - 1)
        lo, hi = (0, 1 << 30) if sign > 0 else (-(1 << 30), 0)
        while lo < hi:                              # the least t whose value reaches the tie
            middle = (lo + hi) // 2
            lo, hi = (lo, middle) if function(middle, logistic_fixed.INTEGER) >= half else (middle + 1, hi)
        tied = tied if tied is not None else lo
        if index // 2 % 2 and function(lo, logistic_fixed.INTEGER) == half:
            return {"mult": 2 * abs(lo), "left": 30, "radius": 2}
    return {"mult": abs(2 * tied - 1), "left": 30, "radius": 2}


def of_logistic_table16(row, made, stream, index, reach):
    least = (-13, -12, -14, -11, 0)[index % 5]
    return logistic_table16.build(row, scale(stream, index, least, least + 1), 0, *logistic_table16.result(row))


def of_leaky_relu(row, made, stream, index, reach):
    """Factors that tie, use the range, saturate, or shift left, as those of a rescale; 256ths where the row has such."""
    takes, ratio = row.takes, row.out.hi / (1 << row.q.bits)
    kinds = order(stream, 2, index)
    if row.multiplier == "fraction8":
        mults = [(1, 128, 37, 64, 255, 32767, 0, 300)[(index * 3 + i * 5) % 8] for i in range(2)]
        pairs = [(m, 8) for m in mults]
    else:
        pairs = [pair(kind, ratio, takes["mp"], takes["sp"], 0, stream) for kind in kinds]
    return {"mp": pairs[0][0], "sp": pairs[0][1], "mn": pairs[1][0], "sn": pairs[1][1]}


def of_hard_swish(row, made, stream, index, reach):
    """Scales as targets have them; and products in whole units of y, by multipliers of few bits, so that every rounding shows."""
    s = scale(stream, index, *((-6, -3), (-7, -6), (-3, 0), (2, 4))[index % 4])
    fit = hard_swish.build(row, s, made["zq"], s * scale(stream, index + index // 2, -1, 2), made["zo"])
    coarse = {"down": index // 3 % 2, "mo": stream.integer(2, 6) * 64 + index % 4 // 3}
    if index % 3 == 1:
        return fit | coarse | {"er": -stream.integer(1, 3), "mr": stream.integer(1, 127) << 8}
    return fit | coarse if index % 3 == 2 else fit


def of_softmax_gemmlowp(row, made, stream, index, reach):
    return softmax_gemmlowp.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6), (4, 6))[index % 4]), 0)


def of_softmax_table16(row, made, stream, index, reach):
    return softmax_table16.build(row, scale(stream, index, *((-13, -9), (-16, -13), (-9, -5))[index % 3]), 0)


def of_softmax_table(row, made, stream, index, reach):
    fine = 2.0 ** -20 if index % 4 == 3 else 2.0 ** -8
    if index % 11 in (2, 8):        # rows of 3 and of 4 codes (sizes.LONG): small numbers often sum to a power of two, and tie
        t = np.array([(5, 3, 1, 1, 2, 7, 1, 9)[i * (1 + index // 4) % 8] for i in range(256)], np.float32)
        return {"t": t, "unit": 0.25 if row.normalized == "reciprocal" else 4.0}
    return softmax_table.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6))[index % 3]), 1 << 10, fine, made["zp"])


def of_softmax_table_integer(row, made, stream, index, reach):
    return softmax_table_integer.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6))[index % 3]), 1 << 10)


def of_table16(row, made, stream, index, reach):
    """Entries that jump, rise and fall."""
    t = made["t"].astype(np.int64)
    if index % 2 == 0:
        return {"t": stream.integers(-32768, 32767, t.shape)}
    return {"t": np.sort(t)[::1 - 2 * (index // 2 % 2)]}


def halfway(stream, declared, shape, index):
    """16-bit codes in the middle between two entries of a table, and anywhere."""
    made = stream.integers(declared.lo, declared.hi, shape)
    middle = np.where(stream.integers(0, 1, shape) == 1, made & ~127 | 64, made)
    return np.ascontiguousarray(middle, declared.width.dtype)


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
