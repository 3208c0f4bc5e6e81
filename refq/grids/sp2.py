"""Sp2 grid: every code stands for at most two powers of two added up: so a product with it is two shifts and an addition.

    real = unit * (2**-a + 2**-b),  unit * 2**-a  or 0;   a signed code c < 0 stands for minus the real of -c

`sums` lists the exponents of every code from 0 on, in rising order of what they add up to. NINE is what PackQViT's released code
rounds to: 0, 1/16, 1/8, 3/16, 1/4, 3/8, 1/2, 5/8, 1. `added(coarse, fine)` is the general form: each sum of one of 0 and
2**-coarse with one of 0 and 2**-fine; published codes of b bits with a sign take `published(b)`.

A real takes the nearest level; one half way between two, which is decided exactly, goes as `ties` says of their codes
(PackQViT's search for the first nearest is half_down).

source   Chang et al., Mix and Match, HPCA 2021, section III (the general form: 0 and 2**-(2**m - 1) to 2**-1, one part with half
         of the bits, rounded up, the other with the rest); PeiyanFlying/PackQViT Quant.py, Log2_Quantize, scheme sp2 (NINE)
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.grids.levels import Levels, described, single
from refq.ints import rounding
from refq.ints.width import U4, Width

MOST = 20
"""The largest exponent: an end counts at most 2**22 of the smallest power, so that every comparison is exact in float64."""

NINE = ((), (4,), (3,), (4, 3), (2,), (3, 2), (1,), (3, 1), (0,))


def counted(sums):
    """What each of `sums` adds up to, in units of 2**-MOST."""
    return [sum(1 << MOST - e for e in each) for each in sums]


def added(coarse, fine):
    """Every sum of a power of `coarse` or 0 with a power of `fine` or 0, once each, in rising order."""
    every = {(): 0}
    for a in ((), *((e,) for e in coarse)):
        for b in ((), *((e,) for e in fine)):
            total, = counted([a + b])
            if total not in every.values():
                every[a + b] = total
    return tuple(sorted(every, key=every.get))


def published(bits):
    """The sums of a sign and `bits` - 1 bits of magnitude, 3 to 8 bits: half of those, rounded up, choose the one power.

    Codes are places in the order of the sums, so that two choices that add up to the same are one code."""
    if type(bits) is not int or not 3 <= bits <= 8:
        raise IllFormed(f"a grid of kind sp2: sums of {bits!r} bits; with a sign they have 3 to 8")
    first = bits // 2
    return added(range(1, 1 << first), range(1, 1 << bits - 1 - first))


@dataclass(frozen=True, eq=False)
class Sp2(Levels):
    """`width`: of the codes, at most 8 bits, signed or not; `sums`: exponents from 0 to MOST, at most two for each code from 0
    on, (0 has none), rising; `unit`: a float32. Raises IllFormed for other values."""

    width: Width = U4
    sums: tuple = NINE
    unit: float = 1.0
    kind = "sp2"

    def __post_init__(self):
        if not isinstance(self.width, Width) or not 2 <= self.width.bits <= 8:
            raise IllFormed(f"a grid of kind sp2: codes of {self.width}; they have 2 to 8 bits")
        try:
            sums = tuple(tuple(each) for each in self.sums)
        except TypeError:
            sums = ()
        if not all(len(each) <= 2 and all(type(e) is int and 0 <= e <= MOST for e in each) for each in sums):
            raise IllFormed(f"a grid of kind sp2: a code has at most two exponents, whole numbers from 0 to {MOST}")
        counts = counted(sums)
        if counts[:1] != [0] or len(counts) < 2 or any(a >= b for a, b in zip(counts, counts[1:])):
            raise IllFormed("a grid of kind sp2: its sums start with that of no power, and each is larger than the one before")
        if len(sums) - 1 > self.width.hi:
            raise IllFormed(f"a grid of kind sp2: {len(sums)} sums for codes of {self.width}, which count to {self.width.hi}")
        object.__setattr__(self, "sums", sums)
        object.__setattr__(self, "unit", single("unit", self.unit))

    @property
    def lo(self):
        """The lowest code in use."""
        return -self.hi if self.width.signed else 0

    @property
    def hi(self):
        return len(self.sums) - 1

    @cached_property
    def counts(self):
        """The real of every code, from the lowest, in units of 2**-MOST."""
        above = np.array(counted(self.sums))
        return np.concatenate([-above[:0:-1], above]) if self.width.signed else above

    @cached_property
    def levels(self):
        return np.ldexp(self.unit * self.counts, -MOST)

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals: the nearest level, ties between two codes as named and decided exactly; saturated.
        Raises IllFormed for NaN."""
        x = self.reals(x)
        place = np.clip(np.searchsorted(self.levels, x, "right") - 1, 0, len(self.levels) - 2)
        low, high = self.levels[place], self.levels[place + 1]
        x = np.clip(x, low, high)
        half, rest = 2 * x >= low + high, (2 * x != low + high) & (x != low)
        quarters = np.where(x == high, 4 * place + 4, 4 * place + 2 * half + rest)
        codes = rounding.word(ties)(quarters + 4 * self.lo, 2)
        return np.asarray(np.clip(codes, self.lo, self.hi), self.width.dtype)


def covering(bits, most):
    """The grid of `bits` for reals from 0 to `most`: NINE from 4 bits on, as far as they are published; one sum fewer than the
    codes of 3 bits hold."""
    sums = NINE if bits > 3 else NINE[:8]
    return Sp2(Width(bits, False), sums, most / (counted(sums)[-1] / (1 << MOST)))


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    return described(Sp2, text)
