"""ACIQ for a Laplace distribution: W(3 * 4**bits) times the mean distance from the mean, on both sides of the mean.

The range is what was seen (all of it, where it lies in one bin), cut there; the authors cut the lower end so, and let the
upper one lie twice that distance above it. Rules and source: refq.quantizers.aciq.
"""
from refq.quantizers.aciq import Clipping, laplace


class Quantizer(Clipping):
    """`bits`, `scheme`: of the grid; `bins`: of the histogram."""

    def find(self):
        mean, apart, _ = self.moments()
        if not apart:
            return self.lo, self.hi
        reach = laplace(self.bits) * apart
        return max(self.lo, mean - reach), min(self.hi, mean + reach)
