"""Intervals: the spec of an operation run on ranges instead of codes, so that each register shows what it can reach.

An Interval takes the place of an array: `lo` and `hi` are Python integers (or float32), ends in. What a spec does to
arrays widens it, never too little. Facts that ends alone do not know travel with it (`known`): which array it is the
largest of, so that x - max(x) is at most 0; that k is floor(t / d), so that t - k*d is a remainder of d; that F is
floor(H / s), and s a sum with e in it, so that e*F is at most H.
"""
import operator
from itertools import product
from math import isqrt

import numpy as np

from refq.ints import rounding
from refq.ints.sites import Sites

LONGEST = 4096
"""The longest axis that a result is made of, in the declared domain of vectors."""


class Interval:
    """`lo` to `hi`, of one number or of every element of an array."""

    __array_priority__ = 1000
    shape = (1, LONGEST, 1, 1)

    def __init__(self, lo, hi, **known):
        self.lo, self.hi, self.known = lo, hi, known

    def __repr__(self):
        return f"{self.lo}..{self.hi}"

    def inside(self, width):
        return width.lo <= self.lo and self.hi <= width.hi

    def corners(self, other, f):
        other = of(other)
        found = [f(a, b) for a, b in product((self.lo, self.hi), (other.lo, other.hi))]
        return Interval(min(found), max(found))

    def __add__(self, other):
        result = self.corners(other, operator.add)
        if (shifted := getattr(other, "known", {}).get("shifted")) and shifted[0] is self:
            result.known["grown"] = self, shifted[1]
        if self.lo >= 0 and of(other).lo >= 0:
            result.known["sum_of"] = (self, other)
        return result

    __radd__ = __add__

    def __sub__(self, other):
        if isinstance(other, Root):
            return other
        if isinstance(other, Interval) and other.lo == other.hi == 0:
            return self
        result, known = self.corners(other, operator.sub), getattr(other, "known", {})
        if "grown" in self.known and known.get("shifted", (None,))[0] is self.known["grown"][0]:
            x, less, more = *self.known["grown"], known["shifted"][1]               # x + (x >> 1) - (x >> 4) never falls
            return Interval(*(v + (v >> less) - (v >> more) for v in (x.lo, x.hi)))
        if known.get("largest_of") is self:                                         # x - max(x)
            return Interval(result.lo, 0)
        if "multiple" in known and known["multiple"][0] is self:                    # t - floor(t / d) * d, d negative
            d = of(known["multiple"][1])
            least = d.lo + 1 if self.hi > 0 else max(d.lo + 1, self.lo)
            return Interval(least, 0, rest_of=known["multiple"][1])
        if "times" in known and known["times"][1] == 2 and self.known.get("rest_of") is known["times"][0]:
            result.lo = max(result.lo, 1 - of(known["times"][0]).hi)                # r - 2*d, r above d
        return result

    def __rsub__(self, other):
        return of(other) - self

    def __neg__(self):
        return Interval(-self.hi, -self.lo)

    def __mul__(self, other):
        result = self.corners(other, lambda a, b: np.float32(a) * np.float32(b) if isinstance(a, np.floating) else a * b)
        if other is self:
            result.lo = max(result.lo, 0)
        if isinstance(other, int):
            result.known["times"] = (self, other)
        known = getattr(other, "known", {})
        if "floor_of" in self.known and self.known["floor_of"][1] is other:
            result.known["multiple"] = self.known["floor_of"]
        if "quotient" in known and any(part is self for part in known["quotient"][1].known.get("sum_of", ())):
            most, total = known["quotient"]                                         # e * floor(most / sum with e)
            result = Interval(max(result.lo, 0), min(result.hi, max(most, self.hi if total.known.get("clipped") else 0)))
        return result

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self.corners(other, lambda a, b: np.float32(a) / np.float32(b))

    def __floordiv__(self, other):
        if isinstance(other, Root):
            return other
        result = self.corners(other, operator.floordiv)
        if "between" in self.known and self.known["between"][0] is other:
            _, top, low = self.known["between"]                                     # top*d <= t <= low*d, d negative
            result = Interval(max(result.lo, low), min(result.hi, top))
        result.known["floor_of"] = (self, other)
        return result

    def __lshift__(self, other):
        return self.corners(other, lambda a, b: a << max(int(b), 0))

    def __rshift__(self, other):
        result = self.corners(other, lambda a, b: a >> max(int(b), 0))
        result.known["shifted"] = self, other
        return result

    def __and__(self, other):
        return Root(self)

    def __getitem__(self, index):
        return self

    def __len__(self):
        return 1

    def __array__(self, *kind, **how):
        raise TypeError("an interval is no array")

    def __iter__(self):
        raise TypeError("an interval has no elements")

    def astype(self, kind, **how):
        if np.dtype(kind).kind == "f":
            return Interval(np.dtype(kind).type(self.lo), np.dtype(kind).type(self.hi))
        return Interval(int(self.lo), int(self.hi)) if isinstance(self.lo, np.floating) else self

    def max(self, **how):
        return Interval(self.lo, self.hi, largest_of=self)

    def sum(self, **how):
        known = {"sum_of": (self,)} if self.lo >= 0 else {}
        return Interval(min(self.lo, self.lo * LONGEST), max(self.hi, self.hi * LONGEST), **known)

    def __array_ufunc__(self, ufunc, method, *inputs, **how):
        f = {np.maximum: max, np.minimum: min, np.add: operator.add, np.multiply: operator.mul, np.subtract: operator.sub,
             np.left_shift: operator.lshift}.get(ufunc)
        if f is None:
            raise TypeError(f"{ufunc} of intervals")
        a, b = (of(i) for i in inputs)
        if f is min and a.hi <= b.lo:
            return a
        known = {"sum_of": a.known["sum_of"]} if f is max and "sum_of" in a.known else {}      # no less than the sum
        return Interval(f(a.lo, b.lo), f(a.hi, b.hi), **known) if f in (max, min) else f(a, b)

    def __array_function__(self, function, kinds, inputs, how):
        if function is not np.clip:
            raise TypeError(f"{function} of intervals")
        x, lo, hi = (of(i) for i in inputs[:3])
        times = [i.known.get("times") for i in (lo, hi)]
        known = {"between": (times[0][0], times[0][1], times[1][1])} if all(times) else {}
        return Interval(min(max(x.lo, lo.lo), hi.lo), min(max(x.hi, lo.hi), hi.hi), **known)


class Root:
    """What the words of ints/roots.py begin with, `v & 0`, and all that they make of it: in the end a root of v.

    newton10: each step from 2**16 halves what is beyond sqrt(v), which is v / 2**17 or 2**16 at most, and adds at most 1."""

    def __init__(self, v):
        self.v = v

    def same(self, *others):
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __rshift__ = __floordiv__ = __ge__ = __le__ = same

    def __array_ufunc__(self, ufunc, method, *inputs, **how):
        if ufunc is not np.maximum:
            raise TypeError(f"{ufunc} of a root")
        return Interval(1, 66 + isqrt(self.v.hi) + (self.v.hi >> 26))


def of(value):
    """An Interval of a number, of an array's ends, or itself."""
    if isinstance(value, Interval):
        return value
    array = np.asarray(value)
    convert = array.dtype.type if array.dtype.kind == "f" else int
    return Interval(convert(array.min()), convert(array.max())) if array.size else Interval(0, 0)


class Reached(Sites):
    """Runs a spec on intervals and keeps, of every site in order, (name, method, word, input, by what, width, output).

    `proved`: site to (the least it holds, the width that it never leaves, None: its own), which is known otherwise;
    `forced`: site to the Interval that it is taken to hold instead."""

    def __init__(self, proved, forced=None):
        self.proved, self.forced, self.seen = proved, forced or {}, []

    def note(self, name, method, word, x, by, width, out):
        if name in self.proved:
            least, held = self.proved[name]
            held = held or width
            kept = Interval(max(out.lo, least, held.lo), min(out.hi, held.hi), **out.known | {"clipped": False})
            x, out = (kept, kept) if method in ("clip", "wrap", "register") else (x, kept)
        out = self.forced.get(name, out)
        self.seen.append((name, method, word, x, by, width, out))
        return out

    def __call__(self, name, value, width):
        return self.note(name, "register", "", of(value), None, width, of(value))

    def shift(self, name, word, x, s, width):
        x, s = of(x), of(s)
        f = rounding.word(word)
        return self.note(name, "shift", word, x, s, width, x.corners(s, lambda a, b: f(a, max(int(b), 0))))

    def divide(self, name, word, x, d, width):
        x, d = of(x), of(d)
        f = rounding.divide(word)
        least = 1 if d.lo == LONGEST and x.known.get("clipped") else d.lo      # the mean of what a short row fills as well
        out = x.corners(Interval(max(least, 1), max(d.hi, 1)), f)
        if word == "floor" and x.lo == x.hi >= 0:
            out.known["quotient"] = x.hi, d
        return self.note(name, "divide", word, x, d, width, out)

    def nearest(self, name, word, x, width):
        x = of(x)
        def whole(v):
            return int(min(max(float(v), width.lo), width.hi))
        return self.note(name, "nearest", word, x, None, width, Interval(whole(x.lo) - 1, whole(x.hi) + 1))

    def clip(self, name, x, width):
        x = of(x)
        out = Interval(width.clip(int(x.lo)), width.clip(int(x.hi)), **x.known | {"clipped": not x.inside(width)})
        return self.note(name, "clip", "", x, None, width, out)

    def wrap(self, name, x, width):
        x = of(x)
        out = x if x.inside(width) else Interval(width.lo, width.hi, clipped=True)
        return self.note(name, "wrap", "", x, None, width, out)
