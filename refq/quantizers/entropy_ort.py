"""entropy, ONNX Runtime's as it behaves: windows about the middle of a signed histogram, the one of the least divergence.

For i from levels // 2 to half of the bins the window is the bins from the middle - i to the middle + i, both in it where there
are so many. P is the window, what lies outside added to its end bins; Q shares it into `levels` runs of equal length (the rest
of the counts goes to the last run) and spreads each run evenly over those of its bins where P is not 0, as an integer, cut
off; bins beyond the last run stay 0. Zeros become 1e-4, as much is taken off the others; D(P || Q) in nats, in float32, the
first least. The range is the window's edges, cut at what was seen.

With the defaults (128 bins, 128 levels: all that `quantize_static` can ask for) one window is tried, and it is all bins but
for growth: the range is what was seen, cut at the edges. With 2,048 bins it clips. Where that takes 1 or more off ONNX Runtime
stops at an assertion: too few bins hold something. Here it is refused by a sentence.

source   onnxruntime 1.31 quantization/calibrate.py, get_entropy_threshold, and quant_utils.py, smooth_distribution; the
         histogram: refq.quantizers.ort
"""
import numpy as np

from refq.errors import IllFormed
from refq.quantizers.base import whole
from refq.quantizers.ort import Values

EMPTY = 1e-4
F = np.float32


class Quantizer(Values):
    """`bins`: of the first array; `levels`: at most as many."""

    def __init__(self, bits=8, scheme="asymmetric", bins=128, levels=128):
        super().__init__(bits, scheme, bins)
        whole("levels", levels, 1)
        if bins < levels:
            raise IllFormed(f"calibrator {self.name}: {bins} bins for {levels} levels; give at least as many bins as levels")
        self.levels = levels

    def find(self):
        middle, edges = self.counts.size // 2, []
        found = np.zeros(middle - self.levels // 2 + 1)
        for i in range(self.levels // 2, middle + 1):
            start, stop = middle - i, min(middle + i + 1, self.counts.size)
            edges.append((self.edges[start], self.edges[stop]))
            found[i - self.levels // 2] = self.divergence(start, stop)
        return self.inside(*edges[int(np.argmin(found))])

    def divergence(self, start, stop):
        held = self.counts[start:stop]
        p = held.copy()
        p[0] += self.counts[:start].sum()
        p[-1] += self.counts[stop:].sum()
        run, all_ = held.size // self.levels, held.size // self.levels * self.levels
        sums = held[:all_].reshape(-1, run).sum(axis=1)
        sums[-1] += held[all_:].sum()
        some = (p[:all_] != 0).reshape(-1, run).sum(axis=1)
        q = np.zeros(p.size, np.int64)
        q[:all_] = np.repeat((np.where(some > 0, sums, 0) / np.maximum(some, 1)).astype(np.int64), run)
        p, q = self.smooth(p), self.smooth(q)
        return np.inf if p is None or q is None else relative(p, q)

    def smooth(self, p):
        """None where all is 0."""
        empty, full = (p == 0).astype(F), (p != 0).astype(F)
        zeros = empty.sum()
        if not p.size - zeros:
            return None
        off = EMPTY * float(zeros) / float(p.size - zeros)
        if off >= 1:
            raise IllFormed(f"calibrator {self.name}: {int(p.size - zeros)} of {p.size} bins hold something, too few to "
                            "smooth; give fewer bins or more values")
        return p.astype(F) + (EMPTY * empty + -off * full)


def relative(p, q):
    """D(P || Q) in float32; infinite where either is not above 0."""
    p, q = 1.0 * p / np.sum(p, keepdims=True), 1.0 * q / np.sum(q, keepdims=True)
    with np.errstate(all="ignore"):
        terms = np.where((p > 0) & (q > 0), p * np.log(p / q), F(np.inf))
    return F(np.sum(terms))
