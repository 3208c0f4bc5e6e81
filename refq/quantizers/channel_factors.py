"""channel factors: the range is what was seen, and each channel then takes the power of two at which it is coded best.

FQ-ViT's powers-of-two factor: the affine grid of the whole tensor is the coarsest, its unit over 2**(the largest exponent) the
finest, and each channel takes the exponent whose grid leaves it the least mean squared error.
Two passes: `Quantizer` for the range, `Factors` for the exponents.

PackQViT's choice for outlier channels is the same search: exponents 0 to 3, the least squared error of the channel, the first of
equal ones, one zero point from the coarsest scale. The two differ in what they look at and in the codes: FQ-ViT at its last
batch, in unsigned codes of 8 bits; PackQViT at its first training batch, in codes of any bits that have a sign where a value
lies below -1e-5 (`signed_by`), and training moves its scales off the powers of two. Both add the zero point before they round,
which at a tie takes the other of two codes that err as much. Here the data are all that was seen.

source   Lin et al. 2022 (FQ-ViT), section 3.2; megvii-research/FQ-ViT models/ptq/observer/ptf.py; PeiyanFlying/PackQViT Quant.py,
         LayerNormActQ; Agile-Quant's ptf.py (exponents 0 to 20, and subsets of them)
"""
import numpy as np

from refq.errors import IllFormed
from refq.grids.channel_factors import ChannelFactors
from refq.quantizers import minmax

Quantizer = minmax.Quantizer


def signed_by(lo):
    """Whether PackQViT's codes have a sign, by the lowest value of the tensor."""
    return lo < -1e-5


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

    def merge(self, other):
        """Take into account what another one for the same grid saw. The errors are float64 sums: those of shards differ from
        those of one pass in the last bits, and a channel's choice where two exponents err alike up to these."""
        if (self.width, self.zero, self.unit, self.exponents) != (other.width, other.zero, other.unit, other.exponents):
            raise IllFormed("channel factors of one grid cannot take in what was seen for another; merge two of the same")
        if other.errors is not None:
            if self.errors is not None and self.errors.shape != other.errors.shape:
                raise IllFormed(f"channel factors of {self.errors.shape[1]} channels cannot take in {other.errors.shape[1]}")
            self.errors = other.errors.copy() if self.errors is None else self.errors + other.errors

    def grid(self):
        """The grid of the least errors; raises IllFormed where nothing was seen."""
        if self.errors is None:
            raise IllFormed("channel factors: no value was seen; let them see at least one array")
        return ChannelFactors(self.width, self.unit, tuple(self.exponents[i] for i in self.errors.argmin(axis=0)), self.zero)
