"""Products of words that hold two codes of k each: the inside of kernels whose middle field is a dot product of two.

`linear(word, into, apart, drain, block, masked)` is the jitted linear(x, w, bias, zx, zw, acc), for codes without a sign. Words
of weights lie with their rows side by side, so that all rows go through one vector instruction and drain together.
"""
from functools import cache

import numpy as np

from refq.ints.jit import jit
from refq.machine.packed import container, joined


@cache
def adding(word, into):
    """add(left, right, apart, drain, block, masked, total): words (k n) and (k m) of two codes; total (n m), an int64 array, is
    overwritten by the sums of their middle fields."""
    narrow, wide, bits = container(word).type, container(into).type, word.bits

    @jit(nogil=True)
    def add(left, right, apart, drain, block, masked, total):
        (n, m), k = total.shape, left.shape[0]
        mask, last = narrow((1 << (apart if masked else bits - apart)) - 1), wide(apart if masked else 0)
        added, held, down = np.empty(m, narrow), np.empty(m, wide), narrow(apart)
        for i in range(n):
            total[i] = 0
            for start in range(0, k, block // 2):
                held[:] = 0
                end = min(start + block // 2, k)
                for first in range(start, end, drain):
                    added[:] = 0
                    for c in range(first, min(first + drain, end)):
                        shared = left[c, i]
                        for j in range(m):
                            added[j] = narrow(added[j] + narrow(shared * right[c, j]))
                    for j in range(m):
                        field = narrow(narrow(added[j] >> down) & mask)
                        held[j] = wide(held[j] + wide(wide(field) << last))
                for j in range(m):
                    total[i, j] += np.int64(held[j] >> last)

    return add


@jit(nogil=True)
def pack(x, first, apart, words):
    """words (k n): x[:, 2k + first] in the low field, and the other of the pair above it; what is missing is 0."""
    for c in range(words.shape[0]):
        for i in range(words.shape[1]):
            made = np.int64(0)
            for place in range(2):
                if 2 * c + place < x.shape[1]:
                    made += np.int64(x[i, 2 * c + place]) << apart * (place ^ first)
            words[c, i] = made


@cache
def linear(word, into, apart, drain, block, masked):
    narrow, add = container(word).type, adding(word, into)

    @jit(nogil=True)
    def matmul_ulppack(x, w, bias, zx, zw, acc):
        (n, m), k = acc.shape, (x.shape[1] + 1) // 2
        left, right = np.empty((k, n), narrow), np.empty((k, m), narrow)
        pack(x, 0, apart, left)
        pack(w, 1, apart, right)
        total = np.empty((n, m), np.int64)
        add(left, right, apart, drain, block, masked, total)
        joined(total, x, w, bias, zx, zw, acc)

    return matmul_ulppack
