"""Twin uniform grid: one bit of a code says by which of two steps the rest counts, a fine one or 2**shift times it.

    unsigned codes   the top bit set: the low bits count `fine * 2**shift`; clear: they count `fine` (behind a softmax)
    signed codes     c >= 0 counts `fine * 2**shift`, c < 0 counts `fine` (behind a GELU, whose negative side is short)

A real takes the nearest level (half to even within a region); where both regions are as near, the fine one; of a signed code the
sign is the region. The authors' quantizer adds what both regions make of a clamped value instead; this is the map that its
codes state.

source   Yuan et al., PTQ4ViT, ECCV 2022, section 3.2; hahnyuan/PTQ4ViT quant_layers/matmul.py and linear.py
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.grids.affine import steps
from refq.grids.levels import Levels, described, single
from refq.ints.width import U8, Width


@dataclass(frozen=True, eq=False)
class Twin(Levels):
    """`width`: of the codes, 3 to 8 bits; `shift`: the steps differ by 2**shift, 0 to 20; `fine`: the smaller step, a float32."""

    width: Width = U8
    shift: int = 4
    fine: float = 2.0 ** -11
    kind = "twin"

    def __post_init__(self):
        if not isinstance(self.width, Width) or not 3 <= self.width.bits <= 8:
            raise IllFormed(f"a grid of kind twin: codes of {self.width}; they have 3 to 8 bits")
        if type(self.shift) is not int or not 0 <= self.shift <= 20:
            raise IllFormed(f"a grid of kind twin: steps that differ by 2**{self.shift!r}; a shift from 0 to 20 is supported")
        object.__setattr__(self, "fine", single("fine step", self.fine))

    @property
    def lo(self):
        return self.width.lo

    @property
    def hi(self):
        return self.width.hi

    @property
    def half(self):
        """So many codes has a region."""
        return 1 << self.width.bits - 1

    @cached_property
    def counts(self):
        """The real of every code, from the lowest, in fine steps."""
        codes = np.arange(self.lo, self.hi + 1)
        if self.width.signed:
            return np.where(codes < 0, codes, codes << self.shift)
        return np.where(codes < self.half, codes, codes - self.half << self.shift)

    @cached_property
    def levels(self):
        return self.fine * self.counts

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals, ties as named and decided exactly; saturated. Raises IllFormed for NaN."""
        x = self.reals(x)
        coarse = np.ldexp(self.fine, self.shift)
        most, end = np.int64(self.half - 1), np.int64(-self.half if self.width.signed else 0)
        high = steps(x, np.float64(coarse), np.int64(0), most, ties)
        if self.width.signed:
            low = steps(x, np.float64(self.fine), end, np.int64(0), ties)
            return np.asarray(np.where(x < 0, low, high), self.width.dtype)
        low = steps(x, np.float64(self.fine), end, most, ties)
        # Twice the middle of the two levels counts fine steps in 28 bits, so float64 compares with it exactly.
        up = high << self.shift
        below, above = 2 * x <= self.fine * (low + up), 2 * x >= self.fine * (low + up)
        near = np.where(low <= up, below | (low == up), above)
        return np.asarray(np.where(near, low, high + self.half), self.width.dtype)


def covering(bits, most, shift=4):
    """The grid of `bits` for reals from 0 to `most`, whose fine step is 2**-shift of the coarse one."""
    return Twin(Width(bits, False), shift, most / ((1 << bits - 1) - 1) * 2.0 ** -shift)


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    return described(Twin, text)
