"""histogram: the counts that calibrators keep, in bins that double.

The width of a bin is a power of two, and an edge a multiple of it. A value that falls outside doubles the width, and bins
merge in pairs. So the counts are those of one pass over all values at the last width: they do not depend on the order of the
arrays, two histograms add up, memory does not grow, and an edge is a dyadic number that a last-bit change of a value does not
move.
"""
from math import frexp, inf, ldexp

import numpy as np

from refq.errors import IllFormed
from refq.machine import histogram
from refq.quantizers.base import Calibrator

LEAST = -126
"""The exponent below which bins do not get finer: no scale is a subnormal float32."""


class Histogram:
    """The parent. `bins`: how many, a power of two, at least 8; `exponent`: all values lie below 2**exponent."""

    def __init__(self, bins):
        if type(bins) is not int or bins < 8 or bins & (bins - 1):
            raise IllFormed(f"a histogram of {bins!r} bins; their number is a power of two, at least 8")
        self.counts, self.exponent = np.zeros(bins, np.int64), None

    def sweep(self, x):
        """(smallest, largest, counted) of `x`, which is counted if all of it lies within the bins."""
        if self.exponent is None:
            return *histogram.ends(x), False
        reach = ldexp(1.0, self.exponent) if self.exponent < 1024 else inf
        return histogram.swept(x, reach, self.inverse, self.counts, self.within)

    def see(self, x, lo, hi):
        """`x`: float32 or float64 (n), n > 0, finite, from `lo` to `hi`."""
        most = max(-lo, hi)
        self.reach(max(frexp(most)[1], LEAST) if most else LEAST)
        self.count(x, self.inverse, self.counts)

    @property
    def inverse(self):
        """Bins in 1."""
        return ldexp(self.counts.size / self.span, -self.exponent)

    def reach(self, exponent):
        """Double the bins until they cover 2**exponent."""
        if self.exponent is None:
            self.exponent = exponent
        while self.exponent < exponent:
            self.counts = self.placed(self.counts.reshape(-1, 2).sum(1))
            self.exponent += 1

    def merge(self, other):
        """Add the counts of another one of as many bins, which stays as it is."""
        if other.exponent is None:
            return
        wider = type(other)(other.counts.size)
        wider.counts, wider.exponent = other.counts, other.exponent
        self.reach(other.exponent)
        wider.reach(self.exponent)
        self.counts += wider.counts

    @property
    def width(self):
        """Of a bin."""
        return ldexp(self.span / self.counts.size, self.exponent)

    def window(self, least):
        """(counts, first, width) of as few bins as can be, at least `least`, that hold all that was counted and the bin that
        starts at 0; bin i starts at (first + i) * width. Where even the finest are fewer it is those."""
        places = np.flatnonzero(self.counts) - self.middle
        first, last, halvings = min(int(places[0]), 0), max(int(places[-1]), 0), 0
        while (last >> halvings + 1) - (first >> halvings + 1) + 1 >= least:
            halvings += 1
        start = first >> halvings
        counts = np.zeros((last >> halvings) - start + 1, np.int64)
        np.add.at(counts, (places >> halvings) - start, self.counts[places + self.middle])
        return counts, start, self.width * 2 ** halvings


class Signed(Histogram):
    """Bins from -2**exponent to 2**exponent; bin i holds (i - bins/2) * width and what lies above it, up to the next edge."""

    span = 2
    count, within = staticmethod(histogram.signed), staticmethod(histogram.signed_within)

    @property
    def middle(self):
        """The bin that starts at 0."""
        return self.counts.size // 2

    def placed(self, half):
        rest = np.zeros(half.size // 2, np.int64)
        return np.concatenate([rest, half, rest])


class Magnitudes(Histogram):
    """Bins of the magnitudes, from 0 to 2**exponent."""

    span = 1
    count, within = staticmethod(histogram.magnitudes), staticmethod(histogram.magnitudes_within)
    middle = 0

    def placed(self, half):
        return np.concatenate([half, np.zeros_like(half)])


class Counting(Calibrator):
    """The parent of calibrators that look at a histogram of all values; `count_of`: Signed or Magnitudes, `bins`: of it."""

    def __init__(self, bits, scheme, count_of, bins):
        super().__init__(bits, scheme)
        self.histogram, self.resolution = count_of(bins), bins

    def sweep(self, x):
        return self.histogram.sweep(x)

    def take(self, x, lo, hi):
        self.histogram.see(x, lo, hi)

    def join(self, other):
        self.histogram.merge(other.histogram)
