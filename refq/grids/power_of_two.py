"""Power-of-two grid: an affine grid per tensor or per slice whose scale is 2**exponent, and says the exponent."""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints.width import Width, width


@dataclass(frozen=True, eq=False, init=False)
class PowerOfTwo(Affine):
    """`width`: of the codes; `exponent`: an integer from -126 to 127, or a list of them along `axis`; `zero`: the zero point, or
    a list; `narrow`: the lowest code is not used. As an Affine grid it has `scale`, and codes and reals are the same."""

    kind = "power_of_two"

    def __init__(self, width: Width, exponent, zero=0, axis=None, narrow=False):
        exponent = np.array(exponent)
        if exponent.dtype.kind not in "iu" or exponent.size and not (-126 <= exponent.min() and exponent.max() <= 127):
            raise IllFormed("a power-of-two grid: every exponent must be an integer from -126 to 127")
        super().__init__(width, np.ldexp(1.0, exponent), np.array(zero), axis, None, narrow)

    @property
    def exponent(self):
        return np.frexp(self.scale)[1] - 1

    def describe(self):
        """The grid as plain data: integers, and lists of them."""
        return {"kind": self.kind, "width": str(self.width), "exponent": self.exponent.tolist(), "zero": self.zero.tolist(),
                "axis": self.axis, "narrow": self.narrow}


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    try:
        return PowerOfTwo(width(text["width"]), np.array(text["exponent"]), np.array(text["zero"]), text["axis"],
                          bool(text["narrow"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, IllFormed):
            raise
        raise IllFormed(f"the description of a power-of-two grid is damaged: {error}; write it with describe()") from error
