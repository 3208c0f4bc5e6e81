"""ACIQ for what a ReLU gives: from 0 to the mean (not below 0) and W(12 * 4**bits) times the mean distance from it.

What lies below 0 is cut off. Rules and source: refq.quantizers.aciq; the authors' `half_range` with a Laplace prior.
"""
from refq.quantizers.aciq import Clipping, laplace


class Quantizer(Clipping):
    """`bits`, `scheme`: of the grid; `bins`: of the histogram."""

    def find(self):
        mean, apart, _ = self.moments()
        return 0.0, max(min(self.hi, max(mean, 0.0) + laplace(self.bits + 1) * apart), 0.0)
