"""Words run inside jitted loops, the way kernels use them."""
from functools import cache

import numpy as np

from refq.ints.jit import jit


@cache
def loop1(word):
    @jit()
    def loop(x, out):
        for i in range(x.size):
            out[i] = word(x[i])
    return loop


@cache
def loop2(word):
    @jit()
    def loop(x, y, out):
        for i in range(x.size):
            out[i] = word(x[i], y[i])
    return loop


def compiled(word, *operands):
    """`word` of each element, by a jitted loop: int64 from vectors of one length."""
    out = np.empty(operands[0].size, np.int64)
    (loop1 if len(operands) == 1 else loop2)(word)(*operands, out)
    return out
