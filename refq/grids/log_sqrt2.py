"""Log-sqrt2 grid: code c stands for first * 2**-(c/2), with a stated fraction for the square root of 2.

Even codes are powers of two. An odd code c is 2**-((c + 1)/2) times the square root of 2, which is taken as the nearest integer
to it in `fraction` bits below the point: 181/128 at 7. So a code is a shift and one of two constants, and its real is exact. The
square root is 1.4142; 181/128 lies 0.011 % below. A real takes the code nearest to -2 * log2 (of the true root).

source   zkkli/RepQ-ViT quant/quantizer.py, LogSqrt2Quantizer (which keeps the root in float)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isqrt

import numpy as np

from refq.errors import IllFormed
from refq.grids.levels import counted, described, halvings, single
from refq.grids.powers import Powers
from refq.ints.width import U4, Width


@dataclass(frozen=True, eq=False)
class LogSqrt2(Powers):
    """`width`: of the codes; `top`, `deepest`: see refq.grids.powers; `fraction`: bits of the root below the point, 1 to 14;
    `first`: the real of code 0, a float32."""

    width: Width = U4
    top: str = "power"
    deepest: int | None = None
    fraction: int = 7
    first: float = 1.0
    kind = "log_sqrt2"

    def __post_init__(self):
        self.settle()
        if type(self.fraction) is not int or not 1 <= self.fraction <= 14:
            raise IllFormed(f"a grid of kind log_sqrt2: a root with {self.fraction!r} bits below the point; it has 1 to 14")
        object.__setattr__(self, "first", single("first level", self.first))

    @property
    def root(self):
        """The square root of 2 in units of 2**-fraction, rounded to the nearest."""
        return (isqrt(8 << 2 * self.fraction) + 1) // 2

    @property
    def unit(self):
        return self.first * 2.0 ** -self.fraction

    @cached_property
    def mantissas(self):
        return np.where(np.arange(self.deepest + 1) % 2, self.root, 1 << self.fraction)

    @cached_property
    def shifts(self):
        return (np.arange(self.deepest + 1) + 1) // 2

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals, decided exactly (no tie is left to `ties`): below 0 as 0, and 0 where no code means
        it as the smallest power. Raises IllFormed for NaN."""
        first = Fraction(self.first)

        def codes(x):
            def passes(place, n):
                return (Fraction(float(x[place])) / first) ** 4 < Fraction(2) ** (1 - 2 * n)
            return counted(2 * halvings(x, self.first) + 0.5, passes)

        return self.coded(x, codes)


def covering(bits, most):
    """The grid of `bits` for reals from 0, which has a code, to `most`; it ends at 2**-16 of that."""
    return LogSqrt2(Width(bits, False), "zero", min((1 << bits) - 2, 32), first=most)


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    return described(LogSqrt2, text)
