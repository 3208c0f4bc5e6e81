"""percentile: the range that holds a share of all values seen; as many are cut off below as above.

One histogram of all values, no mean over batches: the cut is an edge of its bins, and never exceeds the values seen.

source   ONNX Runtime PercentileCalibrater with symmetric=False, and FQ-ViT's observer, both of which count otherwise: the one in
         bins of the first batch (`percentile_ort`), the other a moving average of the percentiles of batches
"""
from refq.quantizers.base import decimal
from refq.quantizers.histogram import Counting, Signed

BINS = 1 << 15


class Quantizer(Counting):
    """`percentile`: so many of a hundred values lie inside, above 0 to 100, as the decimal number that is written; `bins`: of the
    histogram."""

    def __init__(self, bits=8, scheme="asymmetric", percentile=99.99, bins=BINS):
        super().__init__(bits, scheme, Signed, bins)
        self.inside = decimal("percentile", percentile, 0, 100)

    def find(self):
        counts, width = self.histogram.counts, self.histogram.width
        cut = int(self.count * (100 - self.inside) / 200)
        below, above = counts.cumsum(), counts[::-1].cumsum()
        first, last = int(below.searchsorted(cut, "right")), counts.size - int(above.searchsorted(cut, "right"))
        return max(self.lo, (first - counts.size // 2) * width), min(self.hi, (last - counts.size // 2) * width)
