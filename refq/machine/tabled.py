"""Sums of products whose left codes stand for integers by a table: the inside of kernels over logarithmic and twin codes.

    acc[n, m] = sum over k of table[x[n, k] - lo] * (w[m, k] - zw)          joined as an Accumulate says

Where only the sum matters and the table fits 16 bits (2**15 too: the negated table does), it is a dot product of 16-bit factors;
longer factors go through 64-bit rows of the result.
"""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate, adder, holder
from refq.ints.jit import jit
from refq.ints.spans import factor, times
from refq.machine.dot import dot_wide
from refq.machine.linear import accumulators, as_signed, loses_order, offset

MOST = 61
"""Bits of one term."""


def admit(row, where):
    """Refuse a row (fields x, w, acc, accumulate) that cannot be summed."""
    if row.x.bits > 8 or row.w.bits > 16 or not row.acc.signed:
        raise IllFormed(f"{where}: codes of {row.x} by {row.w} into {row.acc}; left codes have at most 8 bits, the other side at "
                        "most 16, and a sum needs a sign")
    if row.accumulate is not None and (row.accumulate.result != row.acc or row.accumulate.products != "differences"):
        raise IllFormed(f"{where}: terms join in {row.accumulate.result} ({row.accumulate.products}) and the accumulator is "
                        f"{row.acc}; let both be the same, of differences")


def narrow(where, bits, w):
    """Refuse factors of so many bits by codes of the width `w`, where a term would not fit."""
    if bits + w.bits > MOST:
        raise IllFormed(f"{where}: factors of {bits} bits by codes of {w}; a term has at most {MOST} bits, so take a grid whose "
                        "levels lie closer together")


def rule_of(row):
    """How terms join: as the row says, or exactly, an overflow refused."""
    return row.accumulate or Accumulate(overflow="refuse" if row.acc.bits < 64 else "wrap", width=row.acc)


def registers(row, sizes, least, most, w, zw):
    """What the accumulator reaches: k terms, of factors from `least` to `most` by codes `w` (ends) less a zero point."""
    lo, hi = times((min(0, least), max(0, most)), factor(w, int(zw)))
    for name, width in accumulators(row):
        yield name, width, sizes["k"] * lo, sizes["k"] * hi


@cache
def tabled(w, rule):
    """The jitted tabled(x, lo, table, w, zw, acc): x codes (n k), table int64, w codes (m k) of the width w."""
    if not loses_order(rule):
        return ordered(rule)
    w_signed, away, hold = as_signed(w), offset(w), holder(rule.overflow, rule.result)

    @jit(nogil=True)
    def tabled(x, lo, table, w, zw, acc):
        (n, k), m = x.shape, w.shape[0]
        ws, zero, short = w_signed(w), zw - away, True
        for entry in table:
            short &= -32767 <= entry <= 32768
        if short:
            factors, sums, total = np.empty((n, k), np.int16), np.zeros(n, np.int64), np.empty((n, m), np.int64)
            for i in range(n):
                for t in range(k):
                    entry = table[np.int64(x[i, t]) - lo]
                    factors[i, t] = -entry
                    sums[i] += entry
            dot_wide(factors, ws, total)
            for i in range(n):
                for j in range(m):
                    acc[i, j] = hold(-total[i, j] - zero * sums[i])
            return
        columns, row = np.empty((k, m), np.int64), np.empty(m, np.int64)
        for t in range(k):
            for j in range(m):
                columns[t, j] = np.int64(ws[j, t]) - zero
        for i in range(n):
            row[:] = 0
            for t in range(k):
                entry = table[np.int64(x[i, t]) - lo]
                if entry:
                    for j in range(m):
                        row[j] += entry * columns[t, j]
            for j in range(m):
                acc[i, j] = hold(row[j])

    return tabled


@cache
def ordered(rule):
    """The same for any rule, term by term."""
    total = adder(rule)

    @jit(nogil=True)
    def tabled(x, lo, table, w, zw, acc):
        n, m = acc.shape
        terms = np.empty(x.shape[1], np.int64)
        for i in range(n):
            for j in range(m):
                for t in range(x.shape[1]):
                    terms[t] = table[np.int64(x[i, t]) - lo] * (np.int64(w[j, t]) - zw)
                acc[i, j] = total(terms, 0)

    return tabled
