"""levels: what grids share that list the real of every code, and how a logarithm becomes a code.

A level is `unit * factor * 2**power`: a float32, an integer of at most 28 bits and a small exponent, so that float64 holds it
exactly. Codes run from `lo` to `hi`; those above `hi` stand for nothing.
"""
from dataclasses import fields
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width, width

NEAR = 1e-6
"""So close to a switch, float64 logarithms do not decide; they err by less than 1e-9."""


class Levels:
    """The parent of grids of few codes: `levels` is a float64 array, entry i the real of code `lo + i`. Per tensor only."""

    axis, block, narrow = None, None, False

    @cached_property
    def levels(self):
        raise NotImplementedError

    def decode(self, q):
        """The reals of an array of codes, in float64; raises IllFormed for codes that stand for nothing."""
        q = np.asarray(q, np.int64)
        if q.size and not (self.lo <= q.min() and q.max() <= self.hi):
            raise IllFormed(f"a grid of kind {self.kind}: codes from {q.min()} to {q.max()}; it has {self.lo} to {self.hi}")
        return self.levels[q - self.lo]

    def reals(self, x):
        """An array of reals as float64; raises IllFormed for NaN, which has no code."""
        x = np.asarray(x, np.float64)
        if np.isnan(x).any():
            raise IllFormed(f"a NaN has no code on a grid of kind {self.kind}; clean the data first")
        return x

    def describe(self):
        """The grid as plain data: reals as the text of float.hex, a width by its name, everything else as it is."""
        said = {"kind": self.kind}
        for f in fields(self):
            value = getattr(self, f.name)
            said[f.name] = str(value) if isinstance(value, Width) else value.hex() if isinstance(value, float) else value
        return said

    def same(self, other):
        """Equality by content: the same codes stand for the same reals, and reals take the same codes."""
        return self.describe() == other.describe()


def described(kind, text):
    """The grid of class `kind` that `describe` gave; raises IllFormed where something is missing or malformed."""
    try:
        held = {f.name: text[f.name] for f in fields(kind)}
        if text["kind"] != kind.kind or set(text) != {"kind", *held}:
            raise ValueError(f"it says {', '.join(sorted(map(str, text)))}")
        real = [f.name for f in fields(kind) if f.type is float]
        return kind(**held | {"width": width(held["width"])} | {name: float.fromhex(held[name]) for name in real})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, IllFormed):
            raise
        raise IllFormed(f"the description of a grid of kind {kind.kind} is damaged: {error}; write it with describe()") from error


def single(name, value):
    """A real > 0 of a grid as the float32 that it is; raises IllFormed otherwise."""
    if not (isinstance(value, (float, int, np.floating)) and np.isfinite(value) and value > 0):
        raise IllFormed(f"a grid: its {name} is {value!r}; it is a finite number greater than 0")
    with np.errstate(over="ignore", under="ignore"):
        held = float(np.float32(value))
    if not np.finfo(np.float32).tiny <= held <= np.finfo(np.float32).max:
        raise IllFormed(f"a grid: its {name} is {value!r}, beyond the normal numbers of float32; rescale the data")
    return held


def counted(guess, passes):
    """The whole numbers n <= guess, where `passes(place, n)` decides exactly whether n is reached near one."""
    codes = np.floor(guess).astype(np.int64)
    for place in map(tuple, np.argwhere(np.abs(guess - np.rint(guess)) < NEAR)):
        n = int(np.rint(guess[place]))
        codes[place] = n if passes(place, n) else n - 1
    return codes


def halvings(x, first):
    """-log2(x / first) in float64, of reals x > 0."""
    return np.log2(np.float64(first)) - np.log2(x)
