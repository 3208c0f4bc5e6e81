"""halvings: powers of two of codes by shifts, and the logarithm of a share by leading zeros; for softmax to the base two.

    power(t, k, n, mask)            2**(k+n) * 2**-(t / 2**k) for 0 <= t < n * 2**k: with u whole and f the low k bits of t,
                                    ((2**(k+1) - f) << (n - 1 - u)), where 2**-f on [0, 1) is the chord 1 - f/2; a mask of 0
                                    drops f, one of 2**k - 1 keeps it. Never 0, and it falls with t
    logarithm(total, e, mult, down) the least c >= 0 with total < edge * 2**c * e, edge = mult / 2**down in 1 .. 2: the code of
                                    -log2(e / total), whose next code begins at edge (EDGES)

Words: Python integers, NumPy int64 arrays and kernels from one text. logarithm: 1 <= e, total < 2**47, mult < 2**16.

error    power: 1 <= power / 2**(k+n) * 2**t <= 1.0615 (chord), 2 (f dropped)
"""
from refq.ints.bits import length
from refq.ints.jit import word

EDGES = {"inverse": (3, 1), "geometric": (46341, 15)}
"""3/2, in the middle of two powers; sqrt(2), in the middle of their exponents, to 15 bits."""


@word
def power(t, k, n, mask):
    return ((2 << k) - (t & mask)) << (n - 1 - (t >> k))


@word
def logarithm(total, e, mult, down):
    c = length(total) - length(e)
    c = c * (c > 0)
    c = c - (((e << c) > total) & (c > 0))
    return c + ((total << down) >= mult * (e << c))
