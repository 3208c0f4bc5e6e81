"""Products of two activations and two weights in one word of 48 bits: the inside of the kernel of matmul_dsp48.

`linear(correction, places, bits)` is the jitted linear(x, w, bias, zx, zw, acc) for x (n r k), w (m k) and acc (n r m); `places`:
the lowest bit of each of the four fields.
"""
from functools import cache

import numpy as np

from refq.ints.jit import jit, word
from refq.machine.packed import beside


@cache
def linear(correction, places, bits):
    _, first, second, third = places
    mask, sign, carries, repairs = (1 << bits) - 1, 1 << bits - 1, correction == "approximate", correction == "full"

    @word
    def field(product, place):
        return (((product >> place) & mask) ^ sign) - sign

    @word
    def repaired(product, place):
        return field(product, place) + (product >> place - 1 & 1)

    read = repaired if repairs else field

    @jit(nogil=True)
    def pack(codes, apart, words):
        for p in range(words.shape[0]):
            for c in range(words.shape[1]):
                above = np.int64(codes[2 * p + 1, c]) if 2 * p + 1 < codes.shape[0] else np.int64(0)
                words[p, c] = np.int64(codes[2 * p, c]) + (above << apart)

    @jit(nogil=True)
    def matmul_dsp48(x, w, bias, zx, zw, acc):
        (count, height, width), k = acc.shape, x.shape[2]
        left, right = np.empty(((height + 1) // 2, k), np.int64), np.empty(((width + 1) // 2, k), np.int64)
        carry = np.zeros((right.shape[0], k), np.int64)
        base, seen = beside(w, bias, zx, zw), np.zeros(height + 1, np.int64)
        pack(w, second, right)
        if carries:
            for p in range(right.shape[0]):
                for c in range(k):
                    if w[2 * p, c] < 0:
                        carry[p, c] += (1 << first) + (1 << second)
                    if 2 * p + 1 < width and w[2 * p + 1, c] < 0:
                        carry[p, c] += 1 << third
        for n in range(count):
            pack(x[n], first, left)
            for r in range(height):
                seen[r] = 0
                for c in range(k):
                    seen[r] += np.int64(x[n, r, c])
            for q in range(left.shape[0]):
                for p in range(right.shape[0]):
                    a = b = e = f = np.int64(0)
                    for c in range(k):
                        product = left[q, c] * right[p, c] + carry[p, c]
                        a += field(product, 0)
                        b += read(product, first)
                        e += read(product, second)
                        f += read(product, third)
                    r, m = 2 * q, 2 * p
                    acc[n, r, m] = a + base[m] - np.int64(zw[m]) * seen[r]
                    if r + 1 < height:
                        acc[n, r + 1, m] = b + base[m] - np.int64(zw[m]) * seen[r + 1]
                    if m + 1 < width:
                        acc[n, r, m + 1] = e + base[m + 1] - np.int64(zw[m + 1]) * seen[r]
                    if r + 1 < height and m + 1 < width:
                        acc[n, r + 1, m + 1] = f + base[m + 1] - np.int64(zw[m + 1]) * seen[r + 1]

    return matmul_dsp48
