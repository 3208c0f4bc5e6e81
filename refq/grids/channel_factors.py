"""Channel factors: an affine grid whose unit each channel of the last axis multiplies by a power of two of its own.

    real = unit * 2**exponents[c] * (code - zero)

One unit and one zero point serve all channels, so that integers which count the unit are (code - zero) << exponents[c]. The zero
point is not scaled: a channel of a larger factor reaches as many times farther on both sides.

source   Lin et al. 2022 (FQ-ViT), section 3.2, powers-of-two factor; megvii-research/FQ-ViT models/ptq/observer/ptf.py
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints.width import Width, width

MOST = 15
"""The largest exponent."""


@dataclass(frozen=True, eq=False)
class ChannelFactors:
    """`width` of the codes; `unit`: a real > 0; `exponents` (c): integers from 0 to MOST; `zero`: a code, for all channels.

    Raises IllFormed for other values."""

    width: Width
    unit: float
    exponents: tuple
    zero: int = 0
    kind = "channel_factors"
    axis, block, narrow = -1, None, False

    def __post_init__(self):
        exponents = np.asarray(self.exponents)
        if exponents.ndim != 1 or exponents.dtype.kind not in "iu" or exponents.size and not (
                0 <= exponents.min() and exponents.max() <= MOST):
            raise IllFormed(f"a grid of channel factors: its exponents are whole numbers from 0 to {MOST}, one for each channel")
        object.__setattr__(self, "exponents", tuple(exponents.tolist()))
        object.__setattr__(self, "unit", float(self.unit))
        object.__setattr__(self, "zero", Affine(self.width, self.unit, np.asarray(self.zero)).zero[()])

    @property
    def affine(self):
        """The same grid as an affine one, with a scale for each channel."""
        return Affine(self.width, self.scale, self.zero, -1)

    @property
    def scale(self):
        """Of each channel: (c) float64."""
        return np.ldexp(self.unit, np.array(self.exponents, np.int64))

    @property
    def lo(self):
        """The lowest code in use."""
        return self.width.lo

    @property
    def hi(self):
        return self.width.hi

    def encode(self, x, ties="half_even"):
        """The codes of reals (... c), rounded as an affine grid does, and saturated; raises IllFormed for NaN and where the last
        axis is not of as many channels."""
        return self.affine.encode(x, ties)

    def decode(self, q):
        """The reals of codes (... c), in float64."""
        return self.affine.decode(q)

    def describe(self):
        """The grid as plain data: the unit as the text of float.hex."""
        return {"kind": self.kind, "width": str(self.width), "unit": self.unit.hex(), "exponents": list(self.exponents),
                "zero": int(self.zero)}

    def same(self, other):
        """Equality by content: the same codes stand for the same reals."""
        return isinstance(other, ChannelFactors) and self.describe() == other.describe()


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    try:
        return ChannelFactors(width(text["width"]), float.fromhex(text["unit"]), tuple(text["exponents"]), text["zero"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, IllFormed):
            raise
        raise IllFormed(f"the description of a grid of channel factors is damaged: {error}; write it with describe()") from error
