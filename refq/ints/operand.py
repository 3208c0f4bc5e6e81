"""Operand: what an operation takes or gives: a width, axes, and a range.

`I8("n [c]", -127, 127)` is an array of axes n and c, of which c is read whole (one output element needs all of it).
`I8()` is a single integer. An operand whose first axis is `n` joins all its leading axes into it, so that (b t c)
arrives as (n c); the results get them back. Everything else must have exactly the declared axes. A float32 scale of a
target that computes in float is declared by the width `F32`.
"""
from dataclasses import dataclass, field

import numpy as np

from refq.errors import IllFormed


@dataclass(frozen=True)
class Float32:
    """The one width that is not an integer: a float32 constant of a row that says that the target computes in it."""

    dtype = np.dtype(np.float32)
    lo, hi = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)

    def __call__(self, axes="", lo=None, hi=None):
        return Operand(self, axes, lo, hi)

    def __str__(self):
        return "f32"

    __repr__ = __str__


F32 = Float32()


@dataclass(frozen=True)
class Operand:
    """`width` of each element; `axes` as text, the ones read whole in brackets; `lo`, `hi`: the range, both ends in; `nan`:
    whether a real number may be none."""

    width: object
    axes: str = ""
    lo: object = None
    hi: object = None
    nan: bool = False
    names: tuple = field(init=False, repr=False, compare=False)
    whole: frozenset = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        words = self.axes.split()
        fill = object.__setattr__
        fill(self, "names", tuple(w.strip("[]") for w in words))
        fill(self, "whole", frozenset(w.strip("[]") for w in words if w.startswith("[")))
        fill(self, "lo", self.width.lo if self.lo is None else self.lo)
        fill(self, "hi", self.width.hi if self.hi is None else self.hi)

    @property
    def joins(self):
        return self.names[:1] == ("n",)

    def view(self, array):
        """`array` with its leading axes joined, as the operation sees it."""
        extra = array.ndim - len(self.names)
        if not self.joins or extra < 0:
            return array
        return array.reshape((-1 if array.size else int(np.prod(array.shape[:extra + 1])),) + array.shape[extra + 1:])


def sizes(takes, operands, where):
    """The size of every axis, from operands as the operation sees them; raises IllFormed where they disagree."""
    found = {}
    for name, declared in takes.items():
        array = operands[name]
        if array.ndim != len(declared.names):
            raise IllFormed(f"{where}: {name} has {array.ndim} axes {array.shape}, and ({declared.axes}) was declared")
        for axis, size in zip(declared.names, array.shape):
            if found.setdefault(axis, size) != size:
                raise IllFormed(f"{where}: axis {axis} is {found[axis]} elsewhere and {size} in {name} {array.shape}")
    return found


def never_empty(axis, found, where):
    """For a row's `sizes`: refuses an axis without elements, and adds no axis to those found."""
    if found[axis] == 0:
        raise IllFormed(f"{where}: axis {axis} is empty, and what is made of all of it is undefined; give it a size")
    return {}


def check(takes, operands, where):
    """Dtype and range of every operand against its declaration; raises IllFormed that names the operand."""
    for name, declared in takes.items():
        array = operands[name]
        if array.dtype != declared.width.dtype:
            raise IllFormed(f"{where}: {name} is {array.dtype}; {declared.width} codes come as {declared.width.dtype}")
        array = array[array == array] if declared.nan else array
        if array.size and not (declared.lo <= array.min() and array.max() <= declared.hi):
            raise IllFormed(f"{where}: {name} reaches from {array.min()} to {array.max()}; "
                            f"allowed is {declared.lo} to {declared.hi}")
