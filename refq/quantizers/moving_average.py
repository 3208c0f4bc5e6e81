"""moving average: each end moves by a constant share of its distance to that of the next array; the first array sets both.

    lo = lo + c * (lo of the array - lo), and so for hi

in float32, each operation rounded, as PyTorch's observer does it (FQ-ViT's ema has the same formula; of float64 arrays the
ends are rounded to float32 first). What an array is matters, and so does the order: two that saw different arrays cannot
become one that saw both, so a merge is refused. ONNX Runtime's CalibMovingAverage is another thing: the mean of the ends of
all arrays of one collection; its constant moves them from one collection to the next (CalibMaxIntermediateOutputs), of which
there is one unless said.

source   torch/ao/quantization/observer.py, MovingAverageMinMaxObserver (c = 0.01); Jacob et al. 2018, section 3.1
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.quantizers.base import Calibrator, decimal


class Quantizer(Calibrator):
    """`constant`: the share c of a new array, above 0 to 1."""

    def __init__(self, bits=8, scheme="asymmetric", constant=0.01):
        super().__init__(bits, scheme)
        decimal("constant", constant, 0, 1)
        self.constant, self.ends = float(constant), None

    def take(self, x, lo, hi):
        with np.errstate(over="ignore"):
            new = np.array([lo, hi]).astype(np.float32)
        if not np.isfinite(new).all():
            raise IllFormed(f"calibrator moving_average: an array from {lo} to {hi} leaves float32, in which it averages; clip "
                            "the data")
        if self.ends is not None:
            with np.errstate(over="ignore"):
                moved = self.ends + np.float32(self.constant) * (new - self.ends)
            new = moved if np.isfinite(moved).all() else new
        self.ends = new

    def merge(self, other):
        """Refused."""
        raise Unsupported("calibrator moving_average: what it gives depends on the order of the arrays, so two cannot be merged; "
                          "let one see all, or use minmax")

    def range(self):
        """(lo, hi), the averages; raises IllFormed where nothing was seen."""
        super().range()
        return self.find()

    def find(self):
        return float(self.ends[0]), float(self.ends[1])
