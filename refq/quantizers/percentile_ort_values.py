"""percentile of values, ONNX Runtime's as it behaves: at each end the edge before the bin in which the share is reached.

With symmetric=False as much is to be cut off below as above, but the edge before a bin is taken on both sides: so the range
lies up to a bin below the percentile at its upper end, and as much below it at its lower end. Cut at what was seen. A float64
sum of shares decides.

source   onnxruntime 1.31 quantization/calibrate.py, compute_percentile; the histogram: refq.quantizers.ort
"""
import numpy as np

from refq.quantizers.base import decimal
from refq.quantizers.ort import Values


class Quantizer(Values):
    """`percentile`: above 0 to 100; `bins`: of the first array."""

    def __init__(self, bits=8, scheme="asymmetric", percentile=99.999, bins=2048):
        super().__init__(bits, scheme, bins)
        decimal("percentile", percentile, 0, 100)
        self.percentile = percentile

    def find(self):
        shares, cut = np.cumsum(self.counts / self.counts.sum()), (100.0 - self.percentile) / 200.0
        return self.inside(self.edges[np.searchsorted(shares, cut)], self.edges[np.searchsorted(shares, 1.0 - cut)])
