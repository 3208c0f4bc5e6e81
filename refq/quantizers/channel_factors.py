"""channel factors: the range is what was seen, and each channel then takes the power of two at which it is coded best.

FQ-ViT's powers-of-two factor: the affine grid of the whole tensor is the coarsest, its unit over 2**(the largest exponent) the
finest, and each channel takes the exponent whose grid leaves it the least mean squared error.
Two passes: `Quantizer` for the range, `Factors` for the exponents.

source   Lin et al. 2022 (FQ-ViT), section 3.2; megvii-research/FQ-ViT models/ptq/observer/ptf.py, which looks at the last batch
"""
import numpy as np

from refq.grids.channel_factors import ChannelFactors
from refq.quantizers import minmax

Quantizer = minmax.Quantizer


class Factors:
    """`see` any number of arrays (... c) of a tensor that an affine grid (per tensor) of `width`, `scale` and `zero` covers, then
    ask for the `grid()` whose channels take one of `exponents`; a channel of which all leave the same error takes the first."""

    def __init__(self, width, scale, zero, exponents):
        self.width, self.zero, self.exponents = width, int(zero), tuple(exponents)
        self.unit = float(scale) / 2 ** max(exponents)
        self.errors = None

    def see(self, values):
        x = np.asarray(values, np.float64).reshape(-1, np.shape(values)[-1]) / self.unit
        if self.errors is None:
            self.errors = np.zeros((len(self.exponents), x.shape[1]))
        for i, k in enumerate(self.exponents):
            codes = np.clip(np.rint(x / 2 ** k), self.width.lo - self.zero, self.width.hi - self.zero)
            self.errors[i] += ((codes * 2 ** k - x) ** 2).sum(axis=0)

    def grid(self):
        """The grid of the least errors."""
        return ChannelFactors(self.width, self.unit, tuple(self.exponents[i] for i in self.errors.argmin(axis=0)), self.zero)
