"""base: what the calibrators share: doors, the ends of what was seen, and the grid that a scheme makes of the range.

A calibrator sees arrays once, one after another, and keeps what does not grow with their number. Its file has a class
`Quantizer`, which says `take` (a checked array into its state), `join` (another one's state into its own) and `find` (the
range); where one value is all there was, that value is the range.
"""
from fractions import Fraction
from math import isfinite

import numpy as np

from refq.errors import IllFormed
from refq.grids import schemes
from refq.machine.histogram import ends

STATE = ("lo", "hi", "count")
"""What a calibrator has of its own that is no option."""


class Calibrator:
    """The parent. `bits`: of the codes, 2 to 16; `scheme`: a name of refq.grids.schemes."""

    def __init__(self, bits=8, scheme="asymmetric"):
        whole("bits", bits, 2, 16)
        if scheme not in schemes.names():
            raise IllFormed(f"a calibrator for a scheme named {scheme!r}; there are {', '.join(schemes.names())}")
        self.bits, self.scheme = bits, scheme
        self.lo, self.hi, self.count = float("inf"), float("-inf"), 0

    @property
    def name(self):
        return type(self).__module__.rpartition(".")[2]

    def see(self, values):
        """Take an array of reals of any shape (empty: nothing) into account; raises IllFormed for NaN and infinities, and then
        leaves what was seen as it was."""
        x = reals(values)
        if not x.size:
            return
        lo, hi, taken = self.sweep(x)
        if not (isfinite(lo) and isfinite(hi)):
            place = int(np.argmin(np.isfinite(x)))
            raise IllFormed(f"calibrator {self.name}: value {place} of {x.size} is {x[place]}; a range is found for finite "
                            "values, clean the data first")
        lo, hi = lo + 0.0, hi + 0.0         # a negative zero is a zero
        if not taken:
            self.take(x, lo, hi)
        self.lo, self.hi, self.count = min(self.lo, lo), max(self.hi, hi), self.count + x.size

    def merge(self, other):
        """Take into account what another calibrator of the same options saw; raises IllFormed for one of others."""
        if type(other) is not type(self) or other.options() != self.options():
            raise IllFormed(f"calibrator {self.name} with {words(self.options())} cannot take in {getattr(other, 'name', other)}"
                            f"{' with ' + words(other.options()) if isinstance(other, Calibrator) else ''}; merge two alike")
        if other.count:
            self.join(other)
            self.lo, self.hi, self.count = min(self.lo, other.lo), max(self.hi, other.hi), self.count + other.count

    def options(self):
        """The parameters that two calibrators have to share for a merge: all that are numbers or words."""
        return {k: v for k, v in vars(self).items() if k not in STATE and isinstance(v, (int, float, str, Fraction))}

    def range(self):
        """(lo, hi) as floats; raises IllFormed where nothing was seen."""
        if not self.count:
            raise IllFormed(f"calibrator {self.name}: no value was seen; let it see at least one array that is not empty")
        return (self.lo, self.hi) if self.lo == self.hi else self.find()

    def grid(self):
        """The grid of the scheme, over the range."""
        return schemes.load(self.scheme).grid(*self.range(), self.bits)

    def sweep(self, x):
        """(smallest, largest, taken) of `x`: the ends, one not finite if any value is not, and whether `take` is done already."""
        return *ends(x), False

    def take(self, x, lo, hi):
        """`x`: float32 or float64 (n), contiguous, from `lo` to `hi`; `self.lo` and `self.hi` do not know it yet."""

    def join(self, other):
        """`other`: of the same class and options."""


def reals(values):
    """values as float32 or float64 (n), contiguous; raises IllFormed for what holds no reals."""
    x = numbers(values)
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float64)
    return np.ascontiguousarray(x).reshape(-1)


def numbers(values):
    """values as an array; raises IllFormed for what holds no reals."""
    x = np.asarray(values)
    if x.dtype.kind not in "fiub" or x.dtype.itemsize > 8:
        raise IllFormed(f"a calibrator sees values of dtype {x.dtype}; it takes real numbers of at most 64 bits")
    return x


def words(options):
    return ", ".join(f"{k} {v}" for k, v in options.items())


def whole(name, value, least, most=None):
    """Refuse what is no whole number from `least` to `most`."""
    if type(value) is not int or value < least or most is not None and value > most:
        raise IllFormed(f"a calibrator with {name} {value!r}; it is a whole number, {least} "
                        f"{'or more' if most is None else f'to {most}'}")


def decimal(name, value, least, most):
    """A number above `least` and at most `most` as the fraction that its decimal text means; refuse any other."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least < value <= most:
        raise IllFormed(f"a calibrator with {name} {value!r}; it is a number above {least} and at most {most}")
    return Fraction(str(value))


def balances(scheme, lo, hi, bits):
    """Whether the scheme gives every range the grid of that about 0 with its larger end; `lo`, `hi` say on which sides of 0."""
    made, most = schemes.load(scheme).grid, max(-lo, hi)
    near = most / 4                             # a quarter: where the ends are equally far anything is balanced
    tried = ((-most, near), (-near, most)) if lo < 0 < hi else ((lo, hi),)
    return all(made(*ends, bits).same(made(-most, most, bits)) for ends in tried)
