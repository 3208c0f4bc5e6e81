"""log2: the Log2 grid whose first level makes the least squared error; its powers end at 2**-30 of that, and the last code is 0.

FQ-ViT and PackQViT take 1 for the first level of attention: `first=1`. RepQ-ViT tries three percentiles for its step.

source   the grid: refq.grids.log2; searched by mean squared error, which is stated here
"""
import numpy as np

from refq.grids.log2 import Log2
from refq.ints.width import Width
from refq.quantizers.searched import Logarithms


class Quantizer(Logarithms):
    """`bits`: of the codes, 3 to 8; `first`: the largest level, or None for a search."""

    @property
    def deepest(self):
        return min((1 << self.bits) - 2, 30)

    def bases(self):
        yield None, 1.0, 2.0 ** -np.arange(self.deepest + 1)

    def made(self, what):
        return Log2(Width(self.bits, False), "zero", self.deepest, first=float(what[1]))
