"""entropy, Glow's: a window with two ends shrinks over a histogram; the range is the one that `levels` resemble most.

A window starts as all bins. P is what it holds, all that lies outside added to its end bins; Q shares the window into `levels`
runs of equal length, the rest to the last, and spreads what each holds evenly over those of its bins that P has something in,
divided by how many hold something of their own. In both, bins of 0 become 1e-4, taken evenly off the others (not where that
would take 1 or more). D(P || Q) in nats, the least, of equal ones the widest window. It then loses a bin on each side, or two
on the left, or two on the right, whichever holds least, the earlier of equals; under a scheme that balances its ends a bin on
each side, and the range is balanced again at the end.

Glow computes in float32, here it is float64 (of 40 drawn histograms its compiled code took the same window of 37, and of three
one whose divergence is less than 0.1 % above); its histogram is rescaled as the range grows, here bins double, and from `bins`
to twice as many cover the range (which holds 0). By default Glow has 10 bins, so that nothing is cut; Quantune took 1,000.

source   pytorch/glow lib/Quantization/Base/Calibration.cpp, optimizeKL, with 255 levels; Lee et al., Quantune, 2022
"""
import numpy as np

from refq.errors import IllFormed
from refq.quantizers.base import balances, whole
from refq.quantizers.histogram import Counting, Signed

EMPTY = 1e-4


class Quantizer(Counting):
    """`levels`: 255 unless said, as Glow has them for 16 bits too, and 2**bits - 1 for fewer than 8; `bins`: at least so many
    over the range."""

    def __init__(self, bits=8, scheme="asymmetric", levels=None, bins=1000):
        whole("bits", bits, 2, 16)
        self.levels = min((1 << bits) - 1, 255) if levels is None else levels
        whole("levels", self.levels, 2)
        whole("bins", bins, 4)
        self.bins = bins
        if self.bins < self.levels:
            raise IllFormed(f"calibrator {self.name}: {self.bins} bins for {self.levels} levels; give at least as many bins as "
                            "levels")
        super().__init__(bits, scheme, Signed, max(1 << 15, 1 << (4 * self.bins - 1).bit_length()))

    def find(self):
        counts, first, width = self.histogram.window(self.bins)
        balanced = balances(self.scheme, self.lo, self.hi, self.bits)
        if balanced:
            reach = max(-first, first + counts.size)
            counts, first = np.pad(counts, (first + reach, reach - first - counts.size)), -reach
        start, stop = window(counts, self.levels, balanced)
        lo, hi = (first + start) * width, (first + stop) * width
        if balanced:
            lo, hi = min(lo, -hi), max(hi, -lo)
        return max(self.lo, lo), min(self.hi, hi)


def window(counts, levels, balanced):
    """[start, stop) of the window of the least divergence: counts int64 (bins)."""
    least, best = np.inf, (0, counts.size)
    start, stop, before = 0, counts.size, np.concatenate([[0], counts.cumsum()])
    while stop - start >= levels:
        held = counts[start:stop]
        p = held.astype(np.float64)
        p[0] += before[start]
        p[-1] += before[-1] - before[stop]
        found = divergence(conditioned(p), conditioned(shared(held, p, levels)))
        if found < least:
            least, best = found, (start, stop)
        loss = counts[start] + counts[stop - 1], counts[start] + counts[start + 1], counts[stop - 1] + counts[stop - 2]
        side = 0 if balanced else loss.index(min(loss))
        start, stop = start + (1, 2, 0)[side], stop - (1, 0, 2)[side]
    return best


def shared(held, p, levels):
    """Q before it is conditioned."""
    run = held.size // levels
    starts = np.arange(levels) * run
    lengths = np.diff(np.append(starts, held.size))
    share = np.add.reduceat(held, starts) / np.maximum(np.add.reduceat((held > 0).astype(np.int64), starts), 1)
    return np.where(p > 0, np.repeat(share, lengths), 0)


def conditioned(p):
    """Zeros as EMPTY, and as much off the rest."""
    empty = p == 0
    many = int(empty.sum())
    off = EMPTY * many / (p.size - many) if many < p.size else 1.0
    return p if off >= 1 else np.where(empty, EMPTY, p - off)


def divergence(p, q):
    """D(P || Q) of what is above 0 in both, each by its own sum; 0 where one is all 0."""
    if not (p.sum() and q.sum()):
        return 0.0
    p, q = p / p.sum(), q / q.sum()
    both = (p > 0) & (q > 0)
    return float((p[both] * np.log(p[both] / q[both])).sum())
