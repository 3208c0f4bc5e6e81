"""minifloat: a scale that takes the largest magnitude seen to the largest number of a small floating-point format.

source   PyTorch and TensorRT float8 recipes: amax / 448
"""
import numpy as np

from refq.errors import IllFormed
from refq.grids.minifloat import Minifloat
from refq.ints import minifloat
from refq.quantizers.base import numbers


class Quantizer:
    """`format`: a name of refq.ints.minifloat."""

    def __init__(self, format="e4m3fn"):
        self.format, self.most = minifloat.load(format).name, None

    def see(self, values):
        values = numbers(values)
        if not np.isfinite(values).all():
            raise IllFormed("calibrator minifloat: values that are not finite have no scale; clean the data first")
        if values.size:
            self.most = max(self.most or 0.0, float(np.abs(values).max()))

    def merge(self, other):
        if other.most is not None:
            self.most = max(self.most or 0.0, other.most)

    def range(self):
        if self.most is None:
            raise IllFormed("calibrator minifloat: no value was seen; let it see at least one array that is not empty")
        return -self.most, self.most

    def grid(self):
        f, most = minifloat.load(self.format), self.range()[1]
        scale = float(np.float32(most / f.values[f.most])) if most else 1.0
        return Minifloat(self.format, np.array(max(scale, float(np.finfo(np.float32).tiny))))
