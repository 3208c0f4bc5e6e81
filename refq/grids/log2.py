"""Log2 grid: code c stands for first * 2**-c; the highest code for the smallest power, or for 0.

`switch` says where a real takes the next code: at the `geometric` middle, first * 2**-(c + 1/2) (code = the nearest integer to
-log2, FQ-ViT's and PackQViT's float quantizer), or where its inverse reaches 1.5 * 2**c, so at first * 2**-c / 1.5 (`inverse`:
FQ-ViT's integer softmax: the leading bit of the inverse, rounded up by the bit below it). Between 1/1.5 and 1/1.414 of a power
the two differ. The inverse switch itself belongs to the next code; the geometric one is no rational number.

source   megvii-research/FQ-ViT models/ptq/quantizer/log2.py and models/ptq/layers.py, QIntSoftmax, commit 5daf591;
         PeiyanFlying/PackQViT Quant.py, Log2_Quantize
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.grids.levels import counted, described, halvings, single
from refq.grids.powers import Powers
from refq.ints.width import U4, Width

SWITCHES = ("geometric", "inverse")


@dataclass(frozen=True, eq=False)
class Log2(Powers):
    """`width`: of the codes; `top`, `deepest`: see refq.grids.powers; `switch`: geometric or inverse; `first`: the real of code
    0, a float32."""

    width: Width = U4
    top: str = "power"
    deepest: int | None = None
    switch: str = "geometric"
    first: float = 1.0
    kind = "log2"

    def __post_init__(self):
        self.settle()
        if self.switch not in SWITCHES:
            raise IllFormed(f"a grid of kind log2: it switches at {self.switch!r}; it can be {' or '.join(SWITCHES)}")
        object.__setattr__(self, "first", single("first level", self.first))

    @property
    def unit(self):
        return self.first

    @cached_property
    def mantissas(self):
        return np.ones(self.deepest + 1, np.int64)

    @cached_property
    def shifts(self):
        return np.arange(self.deepest + 1)

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals, decided exactly (no tie is left to `ties`): below 0 as 0, and 0 where no code means
        it as the smallest power. Raises IllFormed for NaN."""
        first, inverse = Fraction(self.first), self.switch == "inverse"

        def codes(x):
            def passes(place, n):
                """Whether x lies beyond the switch between codes n - 1 and n."""
                ratio = Fraction(float(x[place])) / first
                return 3 * ratio <= 2 * Fraction(2) ** (1 - n) if inverse else ratio ** 2 < Fraction(2) ** (1 - 2 * n)
            return counted(halvings(x, self.first) + (1 - np.log2(1.5) if inverse else 0.5), passes)

        return self.coded(x, codes)


def covering(bits, most):
    """The grid of `bits` for shares up to 1, with a code for 0: its powers start at 1 whatever `most` is, and end at 2**-30."""
    return Log2(Width(bits, False), "zero", min((1 << bits) - 2, 30))


DEEPEST = {4: 14, 5: 15, 8: 30}
"""The last code of a share that means a power, by bits: 5 are the 17 levels that were released."""


def of_shares(width, switch):
    """The grid of shares from 1 to a power of DEEPEST, and 0; raises IllFormed for codes of other widths."""
    if width.signed or width.bits not in DEEPEST:
        raise IllFormed(f"a grid of kind log2: shares in codes of {width}; they are unsigned, of 4, 5 or 8 bits")
    return Log2(width, "zero", DEEPEST[width.bits], switch)


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    return described(Log2, text)
