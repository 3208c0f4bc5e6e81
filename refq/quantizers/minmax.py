"""min-max: the range is what was seen, from the smallest value to the largest.

source   ONNX Runtime MinMaxCalibrater, PyTorch MinMaxObserver: the default of both
"""
import numpy as np

from refq.errors import IllFormed
from refq.quantizers.base import Calibrator


class Quantizer(Calibrator):
    """`bits`, `scheme`: of the grid."""

    def find(self):
        return self.lo, self.hi


class Rows:
    """One such range for each row of the arrays (rows n) that it sees; the same as a Quantizer for each."""

    def __init__(self, rows, **options):
        Quantizer(**options)
        self.lo, self.hi = np.full(rows, np.inf), np.full(rows, -np.inf)

    def see(self, values):
        if values.shape[1]:
            lo, hi = values.min(axis=1), values.max(axis=1)
            if bad := np.flatnonzero(~np.isfinite(lo) | ~np.isfinite(hi)).tolist():
                raise IllFormed(f"calibrator minmax: slice {bad[0]} holds values that are not finite; clean the data first")
            self.lo, self.hi = np.minimum(self.lo, lo), np.maximum(self.hi, hi)

    def merge(self, other):
        self.lo, self.hi = np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi)

    def ranges(self):
        if (self.lo > self.hi).any():
            raise IllFormed("calibrator minmax: no value was seen; let it see at least one array that is not empty")
        return self.lo.astype(np.float64), self.hi.astype(np.float64)
