"""MSE: the range whose grid leaves what was seen the least squared error; both ends are searched, each on its own.

Tried are all pairs of ends lo * i / steps and hi * j / steps for i, j = 0 .. steps (an end on the wrong side of 0 is 0), each
as the grid that the scheme makes of it at these bits, so with its zero point, its float32 scale and its saturation. Where a
scheme balances the ends, the widest pair stands for all those of the same grid. Of equal errors the first counts, the wider
end. The errors are those of a histogram whose bins double: each value counts as the middle of its bin, at least `FINE` of
which a code has. They are summed in float64, from left to right.

source   Nagel et al., A White Paper on Neural Network Quantization, 2021, section 3.1 (range setting by MSE); the search over
         both ends is ours: OMSE (`omse`) and PyTorch's HistogramObserver shrink one way
"""
import numpy as np

from refq.errors import IllFormed
from refq.grids import schemes
from refq.machine.histogram import squared_errors
from refq.quantizers.base import balances, whole
from refq.quantizers.histogram import Counting, Signed

FINE = 16


class Searching(Counting):
    """The parent of those that take the best of some ranges. `bins`: of the histogram, 2**15 or 16 for each level unless said."""

    def __init__(self, bits, scheme, bins):
        whole("bits", bits, 2, 16)
        bins = max(1 << 15, FINE << bits) if bins is None else bins
        if type(bins) is int and bins < 1 << bits:
            raise IllFormed(f"calibrator {self.name}: {bins} bins for {1 << bits} levels; give at least as many bins as levels")
        super().__init__(bits, scheme, Signed, bins)

    def find(self):
        lo, hi = self.tried()
        grids = schemes.load(self.scheme).grid(lo, hi, self.bits, axis=0)
        best = int(self.errors(grids.scale, grids.lo - grids.zero, grids.hi - grids.zero).argmin())
        return float(lo[best]), float(hi[best])

    def errors(self, scale, least, most):
        """Sums of squared errors, in units of a bin's width squared."""
        counts, middle = self.histogram.counts, self.histogram.middle
        first, last = np.flatnonzero(counts)[[0, -1]]
        center = np.arange(first, last + 1) - middle + 0.5
        below = np.zeros((center.size + 1, 3))
        held = counts[first:last + 1].astype(np.float64)
        for power in range(3):
            below[1:, power] = held.cumsum()
            held *= center
        errors = np.empty(scale.size)
        squared_errors(below, self.histogram.width, float(first - middle), scale, least, most, errors)
        return errors


class Quantizer(Searching):
    """`steps`: an end is searched in so many steps from 0 (at 16 bits 100 take seconds a tensor); `bins`: see Searching."""

    def __init__(self, bits=8, scheme="asymmetric", steps=100, bins=None):
        super().__init__(bits, scheme, bins)
        whole("steps", steps, 1)
        self.steps = steps

    def tried(self):
        shares = np.arange(self.steps, -1, -1) / self.steps
        lo, hi = min(self.lo, 0.0) * shares, max(self.hi, 0.0) * shares
        if balances(self.scheme, self.lo, self.hi, self.bits):
            under, above = within(-lo * (1 - 2.0 ** (1 - self.bits)), hi), within(hi, -lo)
            lo, hi = (np.concatenate([lo, lo[above], lo, np.zeros_like(lo)]),
                      np.concatenate([hi[under], hi, np.zeros_like(hi), hi]))
        else:
            lo, hi = (part.ravel() for part in np.meshgrid(lo, hi, indexing="ij"))
        some = lo < hi
        return lo[some], hi[some]


def within(reach, ends):
    """For each reach the place of the farthest of `ends` (falling to 0) that is no farther."""
    return np.searchsorted(-ends, -reach)
