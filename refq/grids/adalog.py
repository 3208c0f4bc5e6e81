"""AdaLog grid: code c stands for first * 2**-(c*q/r), as a shift and an entry of a small table.

    real = unit * T[c] * 2**-floor(c*q / r),   T[c] = round(2**-((c*q mod r) / r) * (2**(b+1) - 2)),   b the bits of a code

The base of the logarithm, 2**(q/r), is searched by its authors over q with r fixed to 37. `unit` is first / (2**(b+1) - 2); it is
the float32 that the grid holds, so that every level is exact. A real takes the code nearest to -log2(x / first) * r / q.

source   GoatWu/AdaLog quantizers/adaptive_log.py (ECCV 2024)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.grids.levels import counted, described, halvings, single
from refq.grids.powers import Powers
from refq.ints.width import U4, Width


@dataclass(frozen=True, eq=False)
class AdaLog(Powers):
    """`width`: of the codes; `top`, `deepest`: see refq.grids.powers; `q`, `r`: the base is 2**(q/r), each from 1 to 255;
    `unit`: a float32, what T counts (see `reaching`)."""

    width: Width = U4
    top: str = "power"
    deepest: int | None = None
    q: int = 37
    r: int = 37
    unit: float = 1 / 30
    kind = "adalog"

    def __post_init__(self):
        self.settle()
        for name, value in (("q", self.q), ("r", self.r)):
            if type(value) is not int or not 1 <= value <= 255:
                raise IllFormed(f"a grid of kind adalog: {name} is {value!r}; the base is 2**(q/r), each from 1 to 255")
        object.__setattr__(self, "unit", single("unit", self.unit))

    @property
    def one(self):
        """What T says of a whole power of two."""
        return (2 << self.width.bits) - 2

    @property
    def first(self):
        """The real of code 0."""
        return self.unit * self.one

    @cached_property
    def mantissas(self):
        return np.array([self.entry(c * self.q % self.r) for c in range(self.deepest + 1)])

    @cached_property
    def shifts(self):
        return np.arange(self.deepest + 1) * self.q // self.r

    def entry(self, rest):
        """one * 2**-(rest / r) to the nearest integer; decided by whole powers, and never a tie."""
        entry = round(self.one * 2.0 ** -(rest / self.r))
        most = self.one ** self.r << self.r
        while (2 * entry - 1) ** self.r << rest > most:
            entry -= 1
        while (2 * entry + 1) ** self.r << rest < most:
            entry += 1
        return entry

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals, decided exactly, half to even: below 0 as 0, and 0 where no code means it as the
        smallest power. Raises IllFormed for NaN."""
        first = Fraction(self.first)

        def codes(x):
            def passes(place, n):
                power, switch = (Fraction(float(x[place])) / first) ** (2 * self.r), Fraction(2) ** ((1 - 2 * n) * self.q)
                return power < switch or power == switch and n % 2 == 0
            return counted(halvings(x, self.first) * self.r / self.q + 0.5, passes)

        return self.coded(x, codes)


def reaching(width, first, q, r=37, top="power", deepest=None):
    """The AdaLog grid whose code 0 stands for `first`, as near as a float32 unit comes to it."""
    return AdaLog(width, top, deepest, q, r, first / ((2 << width.bits) - 2))


def covering(bits, most, q=20):
    """The grid of `bits` for reals from 0, which has a code, to `most`, with the base 2**(q/37); it ends above 2**-16 of that."""
    return reaching(Width(bits, False), most, q, 37, "zero", min((1 << bits) - 2, 16 * 37 // q))


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    return described(AdaLog, text)
