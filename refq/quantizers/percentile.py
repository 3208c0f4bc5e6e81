"""percentile: the range that holds a share of all values seen; as many are cut off below as above.

A streaming histogram of 2**15 bins: their width is a power of two, and doubles (bins merge in pairs) when a value falls
outside. So the result does not depend on the order of the images, memory does not grow with their number, and an edge is
a dyadic number that a last-bit change of a value does not move. The cut is an edge; it never exceeds the values seen.
"""
from math import frexp, ldexp

import numpy as np

BINS = 1 << 15
LEAST = -126
"""The exponent below which bins do not get finer: no scale is a subnormal float32."""


class Quantizer:
    """`see` any number of arrays, then ask for the `range()` that leaves out the share `outside` of the values."""

    outside = 1e-4

    def __init__(self):
        self.counts, self.exponent = np.zeros(BINS, np.int64), None
        self.lo, self.hi = float("inf"), float("-inf")

    def see(self, values):
        if not values.size:
            return
        self.lo, self.hi = min(self.lo, float(values.min())), max(self.hi, float(values.max()))
        most = max(-self.lo, self.hi)
        reach = max(frexp(most)[1], LEAST) if most else LEAST
        if self.exponent is None:
            self.exponent = reach
        while self.exponent < reach:
            half = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.concatenate([np.zeros(BINS // 4, np.int64), half, np.zeros(BINS // 4, np.int64)])
            self.exponent += 1
        bins = np.floor(values.ravel() / self.width).astype(np.int64) + BINS // 2
        self.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    @property
    def width(self):
        """Of a bin: so that all of them cover -2**exponent to 2**exponent."""
        return ldexp(2 / BINS, self.exponent)

    def range(self):
        total = self.counts.sum()
        cut = total * self.outside / 2
        below, above = np.cumsum(self.counts), np.cumsum(self.counts[::-1])
        first, last = int(np.searchsorted(below, cut, "right")), BINS - int(np.searchsorted(above, cut, "right"))
        return max(self.lo, (first - BINS // 2) * self.width), min(self.hi, (last - BINS // 2) * self.width)
