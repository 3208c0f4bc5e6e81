"""percentile of magnitudes, ONNX Runtime's as it behaves: the edge before the bin in which the share of |x| is reached.

The range is that edge on both sides of 0, cut at what was seen; so it lies up to a bin below the percentile. A float64 sum of
shares decides. This is the default of its PercentileCalibrater (symmetric=True, 99.999, 2,048 bins).

source   onnxruntime 1.31 quantization/calibrate.py, compute_percentile; the histogram: refq.quantizers.ort
"""
import numpy as np

from refq.quantizers.base import decimal
from refq.quantizers.ort import Absolute


class Quantizer(Absolute):
    """`percentile`: above 0 to 100; `bins`: of the first array."""

    def __init__(self, bits=8, scheme="symmetric", percentile=99.999, bins=2048):
        super().__init__(bits, scheme, bins)
        decimal("percentile", percentile, 0, 100)
        self.percentile = percentile

    def find(self):
        shares = np.cumsum(self.counts / self.counts.sum())
        edge = self.edges[np.searchsorted(shares, self.percentile / 100.0)]
        return self.inside(-edge, edge)
