"""powers: what the logarithmic grids share: code c stands for `unit * mantissas[c] / 2**shifts[c]`, the highest perhaps for 0.

`top` says what the highest code means: the smallest `power`, or `zero`. `deepest` is the largest code that means a power; what
would get a code beyond it becomes 0 where 0 has a code, else that smallest power. So the 17 levels that published 4-bit codes
stand for (2**-0 to 2**-15 and 0: FQ-ViT, PackQViT) take five bits: width u5, top "zero", deepest 15; in four bits either 2**-15
(top "zero") or 0 (top "power") is given up.
"""
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.grids.levels import Levels
from refq.ints.width import Width

TOPS = ("power", "zero")


class Powers(Levels):
    """The parent: a frozen dataclass has `width` (unsigned, at most 8 bits), `top` and `deepest`, and says `unit`, `mantissas`
    and `shifts` of its powers."""

    def settle(self):
        """Check the fields that all have, and fill in `deepest` where it is None."""
        if not isinstance(self.width, Width) or self.width.signed or self.width.bits > 8:
            raise IllFormed(f"a grid of kind {self.kind}: codes of {self.width}; they are unsigned, of at most 8 bits")
        if self.top not in TOPS:
            raise IllFormed(f"a grid of kind {self.kind}: its highest code means {self.top!r}; it can mean {' or '.join(TOPS)}")
        most = self.width.hi - (self.top == "zero")
        deepest = most if self.deepest is None else self.deepest
        if type(deepest) is not int or not 0 <= deepest <= most:
            raise IllFormed(f"a grid of kind {self.kind}: its deepest power has code {deepest!r}; {self.width} holds 0 to {most} "
                            f"where the top code means {self.top}")
        object.__setattr__(self, "deepest", deepest)

    @property
    def lo(self):
        return 0

    @property
    def hi(self):
        """The highest code in use."""
        return self.deepest + (self.top == "zero")

    @cached_property
    def levels(self):
        powers = np.ldexp(np.float64(self.unit) * self.mantissas, -self.shifts)
        return np.append(powers, 0.0) if self.top == "zero" else powers

    def coded(self, x, code):
        """Codes of reals `x`: `code(x)` gives them where x > 0 and finite; below 0 is as 0, infinity as the largest level."""
        x = self.reals(x)
        inside = (x > 0) & np.isfinite(x)
        codes = np.where(x == np.inf, 0, self.hi)
        codes[inside] = np.clip(code(x[inside]), 0, self.hi)
        return np.asarray(codes, self.width.dtype)
