"""Affine grid: real = scale * (code - zero), per tensor, per slice of one axis, or per block along one axis.

`encode` rounds to the nearest code, ties as named and decided exactly: a float is a dyadic rational, so the question is
one about integers. `decode` is exact where the scale is a float32 and code - zero has at most 29 bits. Zero is always a
code.
"""
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import Width, width

TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Affine:
    """`width`: of the codes; `scale` > 0 and `zero` (a code): arrays of shape () per tensor, (slices,) along `axis`, or
    (..., blocks, ...) where `block` codes along `axis` share one; `narrow`: the lowest code is not used."""

    width: Width
    scale: np.ndarray
    zero: np.ndarray
    axis: int | None = None
    block: int | None = None
    narrow: bool = False
    kind = "affine"

    def __post_init__(self):
        scale = np.array(self.scale, np.float64)
        zero = np.array(self.zero)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise IllFormed("an affine grid: every scale must be finite and greater than 0")
        lo, hi = (self.lo, self.hi) if self.width.bits < 64 else (0, 0)     # code - zero must fit an int64
        if zero.size and not (zero.dtype.kind in "iu" and lo <= zero.min() and zero.max() <= hi):
            raise IllFormed(f"an affine grid: a zero point of {self.width} must be an integer from {lo} to {hi}")
        if zero.shape not in ((), scale.shape):
            raise IllFormed(f"an affine grid: scales of shape {scale.shape} and zero points of shape {zero.shape}; "
                            "give as many, or one zero point for all")
        if self.block is not None and (self.axis is None or self.block < 1 or scale.ndim == 0):
            raise IllFormed(f"an affine grid: blocks of {self.block} along axis {self.axis}: a block has at least one "
                            "code and lies along an axis, and the scales have the axes of the tensor")
        if self.block is None and scale.ndim != (self.axis is not None):
            raise IllFormed(f"an affine grid: scales of shape {scale.shape} and axis {self.axis}; a grid per tensor "
                            "has one scale and no axis, one per slice a list of scales and an axis")
        for name, array in ("scale", scale), ("zero", np.array(np.broadcast_to(zero, scale.shape), np.int64)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def lo(self):
        """The lowest code in use."""
        return self.width.lo + self.narrow

    @property
    def hi(self):
        return self.width.hi

    def over(self, shape):
        """Scale and zero point as arrays that broadcast against an array of `shape`; raises IllFormed if none can."""
        if self.axis is None:
            return self.scale, self.zero
        if not -len(shape) <= self.axis < len(shape):
            raise IllFormed(f"an affine grid along axis {self.axis}: an array of shape {shape} has no such axis")
        axis, size = self.axis % len(shape), shape[self.axis]
        if self.block is None:
            expected = (size,)
        else:
            expected = (*shape[:axis], -(-size // self.block), *shape[axis + 1:])
        if self.scale.shape != expected:
            raise IllFormed(f"an affine grid with scales of shape {self.scale.shape}: an array of shape {shape} needs "
                            f"{expected} along axis {self.axis}")
        if self.block is None:
            fitting = tuple(size if i == axis else 1 for i in range(len(shape)))
            return self.scale.reshape(fitting), self.zero.reshape(fitting)
        return tuple(np.repeat(part, self.block, axis).take(range(size), axis) for part in (self.scale, self.zero))

    def encode(self, x, ties="half_even"):
        """The codes of an array of reals: x / scale rounded (ties decided exactly), plus zero, saturated; the dtype is
        the width's. Infinities saturate; raises IllFormed for NaN."""
        x = np.asarray(x, np.float64)
        if np.isnan(x).any():
            raise IllFormed("a NaN has no code on an affine grid; clean the data first")
        scale, zero = self.over(x.shape)
        lo, hi = self.lo - zero, self.hi - zero
        return np.asarray(steps(x, scale, lo, hi, ties) + zero, self.width.dtype)

    def decode(self, q):
        """The reals of an array of codes, in float64."""
        q = np.asarray(q, np.int64)
        scale, zero = self.over(q.shape)
        return (q - zero) * scale

    def describe(self):
        """The grid as plain data: scales as the text of float.hex, everything else as integers and lists of them."""
        texts = np.array([s.hex() for s in self.scale.ravel().tolist()], object).reshape(self.scale.shape)
        return {"kind": self.kind, "width": str(self.width), "scale": texts.tolist(), "zero": self.zero.tolist(),
                "axis": self.axis, "block": self.block, "narrow": self.narrow}

    def same(self, other):
        """Equality by content: the same codes stand for the same reals."""
        return isinstance(other, Affine) and {**Affine.describe(self), "kind": ""} == {**Affine.describe(other), "kind": ""}


def from_description(text):
    """The grid that `describe` gave; raises IllFormed where something is missing or malformed."""
    try:
        texts = np.array(text["scale"], object)
        scale = np.array([float.fromhex(s) for s in texts.ravel()]).reshape(texts.shape)
        if text["kind"] != Affine.kind:
            raise ValueError(f"its kind is {text['kind']!r}")
        return Affine(width(text["width"]), scale, np.array(text["zero"]), text["axis"], text["block"],
                      bool(text["narrow"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, IllFormed):
            raise
        raise IllFormed(f"the description of an affine grid is damaged: {error}; write it with describe()") from error


def steps(x, scale, lo, hi, ties):
    """x / scale rounded to an integer by the word `ties`, exactly, and saturated; all arrays (float64 and int64)."""
    small = np.size(lo) == 0 or (np.min(lo) > -1 << 26 and np.max(hi) < 1 << 26)
    with np.errstate(over="ignore", under="ignore"):
        single = (scale == scale.astype(np.float32)).all()
    if not (small and single):
        return by_fractions(x, scale, lo, hi, ties)
    # One step beyond the ends is far enough: whatever lies there saturates.
    return np.clip(rounding.word(ties)(quarters(x, scale, lo - 1, hi + 1), 2), lo, hi)


def quarters(x, scale, least, most):
    """x / scale rounded down to an integer with two bits more: the half bit, and whether anything is left below it.

    `x`: float64 without NaN; `scale`: float64 that are float32; `least`, `most`: at most 2**26 in magnitude,
    beyond which the answer is only known to lie beyond them. So every product here is exact in float64.
    """
    with np.errstate(over="ignore", under="ignore"):
        k = np.floor(np.clip(x / scale, least, most))
        k = k - (k * scale > x)         # the quotient was rounded up onto an integer
        middle = (2 * k + 1) * scale
        half = middle <= 2 * x
        rest = (middle != 2 * x) & (k * scale != x)
    return 4 * k.astype(np.int64) + 2 * half + rest


def by_fractions(x, scale, lo, hi, ties):
    """`steps` for any scale and width: fractions decide where the float64 quotient is near an integer or a half."""
    word, most = rounding.word(ties), 2.0 ** 50
    with np.errstate(over="ignore", under="ignore"):
        y = np.clip(x / scale, -most, most)
    near = (np.abs(2 * y - np.rint(2 * y)) <= np.abs(y) / most) | (np.abs(y) == most)
    floor = np.floor(y)
    codes = np.array(np.clip(word(4 * floor.astype(np.int64) + 2 * (y - floor >= 0.5) + 1, 2), lo, hi))
    x, scale, lo, hi = np.broadcast_arrays(x, scale, lo, hi)
    for i in map(tuple, np.argwhere(near)):
        if np.isinf(x[i]):
            codes[i] = hi[i] if x[i] > 0 else lo[i]
            continue
        exact = Fraction(float(x[i])) / Fraction(float(scale[i]))
        k = exact.numerator // exact.denominator
        twice = 2 * (exact - k)
        codes[i] = min(max(word(4 * k + 2 * (twice >= 1) + (twice not in (0, 1)), 2), int(lo[i])), int(hi[i]))
    return codes


def spread(reach, count):
    """The scale of `count` steps over `reach`, as grids store it: a float32, never subnormal; 1 for no reach. Raises
    IllFormed where float32 does not reach so far."""
    with np.errstate(over="ignore", under="ignore"):
        single = (reach / count).astype(np.float32).astype(np.float64)
    if np.isinf(single).any():
        raise IllFormed(f"an affine grid: a range as wide as {np.max(reach)} needs a scale beyond float32; clip "
                        "the data")
    return np.where(reach == 0, 1.0, np.maximum(single, TINY))


def symmetric(width, most, axis=None, block=None, narrow=True):
    """The grid about 0 whose highest code reaches `most` >= 0 (an array as `scale` is), its zero in the middle."""
    most = np.asarray(most, np.float64)
    if not (np.isfinite(most) & (most >= 0)).all():
        raise IllFormed("a symmetric grid: the largest magnitude must be finite and at least 0")
    zero = 0 if width.signed else 1 << (width.bits - 1)
    return Affine(width, spread(most, width.hi - zero), zero, axis, block, narrow)


def asymmetric(width, lo, hi, axis=None, block=None, narrow=False):
    """The grid whose codes reach from `lo` to `hi` (arrays as `scale` is), widened to hold 0, which gets a code."""
    lo, hi = np.minimum(np.asarray(lo, np.float64), 0), np.maximum(np.asarray(hi, np.float64), 0)
    if not (np.isfinite(lo) & np.isfinite(hi)).all():
        raise IllFormed("an asymmetric grid: both ends of the range must be finite")
    least = width.lo + narrow
    with np.errstate(over="ignore"):
        reach = hi - lo
    scale = spread(reach, width.hi - least)
    zero = least + steps(-lo, scale, np.int64(0), np.int64(width.hi - least), "half_even")
    return Affine(width, scale, zero, axis, block, narrow)


def same(a, b):
    """Whether two grids give every code the same meaning; None is no grid, and like none."""
    return a is b or a is not None and b is not None and a.same(b)
