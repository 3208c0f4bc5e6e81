"""ort: the histograms of ONNX Runtime's calibrators, as they behave.

The first array fixes the bins, a later one that leaves them adds more of the same width; arithmetic is in float32, bins are
those of NumPy's histogram. So what comes out depends on the order of the arrays and on where one ends, and two cannot be
merged. Arrays of float64 are rounded to float32 first: ONNX Runtime refuses them.

source   onnxruntime 1.31 quantization/calibrate.py, HistogramCollector
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.grids import schemes
from refq.quantizers.base import Calibrator, whole

MOST = 1 << 22
"""So many bins are kept at most."""


class Collecting(Calibrator):
    """The parent. `bins`: of the first array's histogram; `counts`, `edges`: int64 (n) and float32 (n + 1)."""

    def __init__(self, bits, scheme, bins):
        super().__init__(bits, scheme)
        whole("bins", bins, 1)
        self.bins, self.counts, self.edges, self.least, self.most = bins, None, None, None, None

    def merge(self, other):
        """Refused."""
        raise Unsupported(f"calibrator {self.name}: its bins are those of the first array, so two cannot be merged; let one see "
                          "all, or use one whose bins double")

    def take(self, x, lo, hi):
        with np.errstate(over="ignore"):
            x, lo, hi = (np.asarray(v).astype(np.float32) for v in (x, lo, hi))
        if not (np.isfinite(lo) and np.isfinite(hi)):
            raise IllFormed(f"calibrator {self.name}: values beyond float32, in which it counts; clip the data")
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                self.collect(x, lo, hi)
        except ValueError:          # of NumPy's histogram
            raise Unsupported(f"calibrator {self.name}: values from {lo:.3g} to {hi:.3g} have no {self.bins} bins in float32 "
                              "(ONNX Runtime stops there too); scale the data, or use a calibrator whose bins double") from None
        self.least, self.most = (lo, hi) if self.least is None else (min(self.least, lo), max(self.most, hi))

    def grown(self, more):
        """Refuse bins that a later array would add without end, where the first one was far smaller."""
        if self.counts.size + more > MOST:
            raise Unsupported(f"calibrator {self.name}: an array reaches so far beyond the first that the histogram grows by "
                              f"{float(more):.3g} bins (ONNX Runtime makes them, or runs out of memory); let it see a typical "
                              "array first")

    def range(self):
        """(lo, hi), both of float32; raises IllFormed where nothing was seen."""
        super().range()
        return self.find()

    def grid(self):
        """The grid of the scheme, over the range widened to hold 0: of all-equal values the upper end may lie below the lower."""
        lo, hi = self.range()
        return schemes.load(self.scheme).grid(min(lo, 0.0), max(hi, 0.0), self.bits)

    def inside(self, lo, hi):
        """The range, cut at what was seen."""
        return float(max(lo, self.least)), float(min(hi, self.most))


class Values(Collecting):
    """Bins from -threshold to threshold, the largest magnitude of the first array; they grow on both sides alike."""

    threshold = None

    def collect(self, x, lo, hi):
        reach = np.array(max(abs(lo), abs(hi)), np.float32)
        if self.counts is None:
            self.counts, self.edges = np.histogram(x, self.bins, range=(-reach, reach))
            self.threshold = reach
        elif reach <= self.threshold:
            self.counts = np.histogram(x, self.counts.size, range=(-self.threshold, self.threshold))[0] + self.counts
        elif self.threshold == 0:
            old, self.threshold = self.counts, reach
            self.counts, self.edges = np.histogram(x, old.size, range=(-reach, reach))
            self.counts += old
        else:
            old, step = self.counts, 2 * self.threshold / self.counts.size
            more = (reach - self.threshold) // step + 1
            self.grown(2 * more)
            more = int(more)
            self.threshold = more * step + self.threshold
            self.counts, self.edges = np.histogram(x, old.size + 2 * more, range=(-self.threshold, self.threshold))
            self.counts[more:more + old.size] += old


class Absolute(Collecting):
    """Bins of |x| from the first array's smallest to its largest; they grow upward. A later |x| below the first bin is not
    counted, by ONNX Runtime neither."""

    def collect(self, x, lo, hi):
        x = np.absolute(x)
        if self.counts is None:
            self.counts, edges = np.histogram(x, bins=self.bins)
        else:
            edges, most = self.edges, x.max()
            if most > edges[-1]:
                width = edges[1] - edges[0]
                self.grown((most - edges[-1]) / width)
                edges = np.hstack((edges, np.arange(edges[-1] + width, most + width, width)))
            old = self.counts
            self.counts, edges = np.histogram(x, bins=edges)
            self.counts[:old.size] += old
        self.edges = edges.astype(np.float32)
