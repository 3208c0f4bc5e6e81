"""Minifloat grid: codes are the bit patterns of a small floating-point format, and each number counts a scale.

`encode` rounds x / scale to the nearest number, ties as named and decided exactly, also of float64 numbers; what is beyond
the largest becomes it, infinities too. A NaN has a code where the format has one. The formats: refq/ints/minifloat.py;
`refq show e4m3fn` shows one.
"""
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from refq.errors import IllFormed
from refq.ints import floats, minifloat
from refq.ints.minifloat import exponent, negative, power
from refq.ints.width import Width


@dataclass(frozen=True, eq=False)
class Minifloat:
    """`format`: a name of refq.ints.minifloat; `scale` > 0: of shape () per tensor, or (slices,) along `axis`."""

    format: str = "e4m3fn"
    scale: np.ndarray = 1.0
    axis: int | None = None
    block, narrow, kind, zero = None, False, "minifloat", 0

    def __post_init__(self):
        minifloat.load(self.format)
        scale = np.array(self.scale, np.float64)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise IllFormed("a minifloat grid: every scale must be finite and greater than 0")
        if scale.ndim != (self.axis is not None):
            raise IllFormed(f"a minifloat grid: scales of shape {scale.shape} and axis {self.axis}; a grid per tensor has one "
                            "scale and no axis, one per slice a list of scales and an axis")
        scale.flags.writeable = False
        object.__setattr__(self, "scale", scale)

    @property
    def known(self):
        return minifloat.load(self.format)

    @property
    def width(self):
        return self.known.width

    @property
    def lo(self):
        return 0

    @property
    def hi(self):
        return self.width.hi

    def over(self, shape):
        """The scale as an array that broadcasts against one of `shape`; raises IllFormed if it cannot."""
        if self.axis is None:
            return self.scale
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] != len(self.scale):
            raise IllFormed(f"a minifloat grid with {len(self.scale)} scales along axis {self.axis}: an array of shape {shape} "
                            "does not fit; give a scale for each slice")
        return self.scale.reshape([-1 if i == self.axis % len(shape) else 1 for i in range(len(shape))])

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals; raises IllFormed for a NaN where the format has none."""
        f, x = self.known, np.asarray(x, np.float64)
        lost = np.isnan(x)
        if f.nan is None and lost.any():
            raise IllFormed(f"a NaN has no code in format {self.format}; clean the data first")
        y = quotient(np.where(lost, 0.0, x), self.over(x.shape), f)
        return np.asarray(np.where(lost, f.nan or 0, coded(y, f, ties)), f.width.dtype)

    def decode(self, q):
        """The reals of an array of codes, in float64: exact where the scale is a float32; raises IllFormed for other numbers."""
        q = np.asarray(q, np.int64)
        if q.size and not (0 <= q.min() and q.max() <= self.hi):
            raise IllFormed(f"a grid of {self.format}: codes from {q.min()} to {q.max()}; it has 0 to {self.hi}")
        return self.known.values[q] * self.over(q.shape)

    def describe(self):
        """The grid as plain data: scales as the text of float.hex."""
        texts = [s.hex() for s in self.scale.ravel().tolist()]
        return {"kind": self.kind, "format": self.format, "scale": texts if self.scale.ndim else texts[0], "axis": self.axis}

    def same(self, other):
        """Equality by content: the same codes stand for the same reals."""
        return self.describe() == other.describe()


def quotient(x, scale, f):
    """x / scale in float64, on the side of every number of the format and of every middle between two on which it really is."""
    with np.errstate(over="ignore", under="ignore"):
        y = x / scale
    # A quotient that float64 rounded onto a middle is moved off it to where it came from; others cannot have crossed one.
    e = np.maximum(exponent(y), f.least)
    halves = np.where(np.isfinite(y), y, 0.0) * power(np.minimum(f.mantissa + 1 - e, 1023))
    near = (np.rint(halves) == halves) & (y != 0) & np.isfinite(y) & (np.abs(y) <= 4 * f.values[f.most])
    x, scale = np.broadcast_arrays(x, scale)
    for i in map(tuple, np.argwhere(near)):
        exact, found = Fraction(float(x[i])), Fraction(float(y[i])) * Fraction(float(scale[i]))
        if exact != found:
            y[i] = np.nextafter(y[i], np.inf if exact > found else -np.inf)
    return np.where((y == 0) & (x != 0), np.copysign(2.0 ** -1022, x), y)


def coded(y, f, ties):
    """The codes of float64 numbers, which are no NaN: rounded, and saturated."""
    endless = np.isinf(y)
    finite = np.where(endless, 0.0, y)
    e = np.maximum(exponent(finite), f.least)
    steps = floats.nearest(ties, Width(f.mantissa + 3))(np.ldexp(finite, f.mantissa - e))
    low = np.abs(steps) + (e - f.least << f.mantissa)
    low = np.where(endless | (low > f.most), f.most, low)
    return low | (negative(y) & ~((f.kind == "fnuz") & (low == 0))) * np.int64(f.sign)


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    try:
        if text["kind"] != Minifloat.kind or set(text) != {"kind", "format", "scale", "axis"}:
            raise ValueError(f"it says {', '.join(sorted(map(str, text)))}")
        scale = [float.fromhex(s) for s in text["scale"]] if isinstance(text["scale"], list) else float.fromhex(text["scale"])
        return Minifloat(text["format"], np.array(scale), text["axis"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, IllFormed):
            raise
        raise IllFormed(f"the description of a minifloat grid is damaged: {error}; write it with describe()") from error
