"""Sums along an axis whose places join as an Accumulate says: the inside of kernels of means and reductions."""
from functools import cache

import numpy as np

from refq.ints.accumulate import summing
from refq.ints.jit import jit


@cache
def along_axis(rule):
    """The jitted total(q, zero, acc): acc (n c) = the sum over r of q (n r c) less `zero`, joined as `rule` says."""
    sum_of = summing(rule)

    @jit(nogil=True)
    def total(q, zero, acc):
        column = np.empty(q.shape[1], np.int64)
        for n in range(q.shape[0]):
            for c in range(q.shape[2]):
                for r in range(q.shape[1]):
                    column[r] = np.int64(q[n, r, c]) - zero
                acc[n, c] = sum_of(column)

    return total
