"""Constants of nonlinear operations, as their `build` makes them from a drawn scale: fine and coarse ones, powers of two and
others, so that every entry of a table, both sides of a bend and the ends of the range are seen.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py; `ENTRIES`: operation to
the entries of its table; `ROWS`: those that make a result of a whole row.
"""
import numpy as np

from refq.ints.interpolated import COUNT
from refq.ops import (
    hard_swish,
    leaky_relu,
    logistic_fixed,
    logistic_table16,
    softmax_gemmlowp,
    softmax_table,
    softmax_table16,
    softmax_table_integer,
)

ROWS = ("softmax_gemmlowp", "softmax_table", "softmax_table16", "softmax_table_integer")
ENTRIES = {"table16": COUNT, "softmax_table": 256, "softmax_table_integer": 256}


def scale(stream, index, least, most):
    """From 2**least to 2**most; a power of two in every other configuration."""
    power = 2.0 ** stream.integer(least, most - 1)
    return power if index % 2 else power * (1 + stream.integer(1, (1 << 23) - 1) / (1 << 23))


def of_logistic_fixed(row, made, stream, index, reach):
    return logistic_fixed.build(row, scale(stream, index, -7, -3), made["zq"], *logistic_fixed.result(row))


def of_logistic_table16(row, made, stream, index, reach):
    least = (-12, -14, -11, -13)[index % 4]
    return logistic_table16.build(row, scale(stream, index, least, least + 1), 0, *logistic_table16.result(row))


def of_leaky_relu(row, made, stream, index, reach):
    factors = (0.25, 0.1, 1.5, 0.0, 0.5, 0.01)
    unit = scale(stream, index, *((-2, 2) if row.q.bits <= row.out.bits else (3, 8)))
    alpha = factors[index % len(factors)]
    return leaky_relu.build(row, alpha, 1.0, made["zq"], unit, made["zo"])


def of_hard_swish(row, made, stream, index, reach):
    s = scale(stream, index, *((-6, -3), (-7, -6), (-3, 0), (2, 4))[index % 4])
    return hard_swish.build(row, s, made["zq"], s * scale(stream, index + index // 2, -1, 2), made["zo"])


def of_softmax_gemmlowp(row, made, stream, index, reach):
    return softmax_gemmlowp.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6))[index % 3]), 0)


def of_softmax_table16(row, made, stream, index, reach):
    return softmax_table16.build(row, scale(stream, index, *((-13, -9), (-16, -13), (-9, -5))[index % 3]), 0)


def of_softmax_table(row, made, stream, index, reach):
    unit = 2.0 ** -8 if index % 3 else scale(stream, index + 1, -9, -6)
    return softmax_table.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6))[index % 3]), 1 << 10, unit, made["zp"])


def of_softmax_table_integer(row, made, stream, index, reach):
    return softmax_table_integer.build(row, scale(stream, index, *((-6, -2), (-2, 0), (-8, -6))[index % 3]), 1 << 10)


def of_table16(row, made, stream, index, reach):
    """Entries that rise, fall and jump."""
    t = made["t"].astype(np.int64)
    return {"t": np.sort(t)[::1 - 2 * (index // 2 % 2)] if index % 2 else t}


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
