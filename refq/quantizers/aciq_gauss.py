"""ACIQ for a normal distribution: so many standard deviations on both sides of the mean as leave 2**bits levels the least
error.

The range is what was seen (all of it, where it lies in one bin), cut there. Rules and source: refq.quantizers.aciq.
"""
from refq.quantizers.aciq import Clipping, gauss


class Quantizer(Clipping):
    """`bits`, `scheme`: of the grid; `bins`: of the histogram."""

    def find(self):
        mean, _, deviation = self.moments()
        if not deviation:
            return self.lo, self.hi
        reach = gauss(self.bits) * deviation
        return max(self.lo, mean - reach), min(self.hi, mean + reach)
