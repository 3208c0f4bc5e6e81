"""adalog: the AdaLog grid whose base 2**(q / 37) and first level make the least squared error of the data.

q goes from 10 to 109, as its authors search it (their loop never tries the last of their candidates, 110), there by the error of
attention times values and with a first level of 1 (`first=1`). A grid ends above 2**-16 of its first level, so that a product
with its codes fits registers, and its last code is 0.

source   GoatWu/AdaLog quant_layers/matmul.py, PostSoftmaxAsymmetricallyBatchingQuantMatMul; the grid: refq.grids.adalog
"""
from functools import cache

from refq.grids.adalog import reaching
from refq.ints.width import Width
from refq.quantizers.searched import Logarithms

QS = range(10, 110)


@cache
def grid_of(bits, q):
    """The grid of that base, from 1."""
    return reaching(Width(bits, False), 1.0, q, 37, "zero", min((1 << bits) - 2, 16 * 37 // q))


class Quantizer(Logarithms):
    """`bits`: of the codes, 3 to 8; `first`: the largest level, or None for a search."""

    def bases(self):
        for q in QS:
            yield q, q / 37, grid_of(self.bits, q).levels[:-1]

    def made(self, what):
        q, first = what
        return reaching(Width(self.bits, False), float(first), q, 37, "zero", grid_of(self.bits, q).deepest)
