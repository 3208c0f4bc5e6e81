"""percentile of magnitudes: the least threshold that a share of all |x| does not exceed, on both sides of 0.

The threshold is an edge of the histogram's bins; the range is what was seen, cut at it on both sides, so that values that are
never negative keep a range that is not.

source   NVIDIA/TensorRT tools/pytorch-quantization calib/histogram.py, method percentile (99.99), which counts in 2,048 bins of
         the first batch; here bins double (refq.quantizers.histogram)
"""
from refq.quantizers.base import decimal
from refq.quantizers.histogram import Counting, Magnitudes

BINS = 1 << 15


class Quantizer(Counting):
    """`percentile`: so many of a hundred magnitudes lie inside, above 0 to 100, as the decimal number that is written; `bins`: of
    the histogram."""

    def __init__(self, bits=8, scheme="asymmetric", percentile=99.99, bins=BINS):
        super().__init__(bits, scheme, Magnitudes, bins)
        self.inside = decimal("percentile", percentile, 0, 100)

    def find(self):
        inside = -int(-self.count * self.inside // 100)
        threshold = (int(self.histogram.counts.cumsum().searchsorted(inside)) + 1) * self.histogram.width
        return max(self.lo, -threshold), min(self.hi, threshold)
