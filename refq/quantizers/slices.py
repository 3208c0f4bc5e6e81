"""slices: one quantizer for each slice along an axis, or for each block of codes along it, and the one grid of them all."""
from importlib import import_module
from math import isfinite

import numpy as np

from refq import quantizers
from refq.errors import IllFormed, Unsupported
from refq.grids import schemes
from refq.machine.histogram import ends
from refq.quantizers.base import Calibrator, numbers, reals

MOST = 1 << 32
"""So many bytes of histograms are kept at most."""


class Slices:
    """`name`, `options`: of the quantizer; `axis`: of the arrays that it sees, all of one size along it (of one shape, where
    there are blocks); `block`: so many values along the axis share a grid, and divide its size, or it raises IllFormed."""

    def __init__(self, name, axis, block=None, **options):
        one = quantizers.load(name, **options)
        if not isinstance(one, Calibrator):
            raise Unsupported(f"quantizer {name} for slices along axis {axis}: it chooses no range for a scheme; use it for a "
                              "whole tensor")
        if type(axis) is not int or block is not None and (type(block) is not int or block < 1):
            raise IllFormed(f"slices along axis {axis!r} in blocks of {block!r}; an axis is a whole number, a block 1 or more")
        self.name, self.axis, self.block, self.options = name, axis, block, options
        self.bits, self.scheme = one.bits, one.scheme
        self.shape, self.rows = None, None

    def see(self, values):
        """Take an array into account; each slice sees its part of it."""
        values = numbers(values)
        shape, rows = self.split(values.shape)
        if self.rows is None:
            self.shape, self.rows = shape, self.fresh(rows)
        elif shape != self.shape:
            raise IllFormed(f"quantizer {self.name} along axis {self.axis}: an array of shape {values.shape} gives slices "
                            f"{shape}, those before {self.shape}; all must be alike")
        if self.block is None:
            values = np.moveaxis(values, self.axis, 0)
        else:
            axis = self.axis % values.ndim
            values = values.reshape(*values.shape[:axis], -1, self.block, *values.shape[axis + 1:])
            values = np.moveaxis(values, axis + 1, -1)
        values = reals(values).reshape(rows, values.size // rows if rows else 0)
        if values.size and not all(map(isfinite, ends(values.reshape(-1)))):        # before any slice has seen its part
            one, place = np.argwhere(~np.isfinite(values))[0].tolist()
            raise IllFormed(f"slice {one}: calibrator {self.name}: value {place} of {values.shape[1]} is {values[one, place]}; a "
                            "range is found for finite values, clean the data first")
        self.rows.see(values)

    def fresh(self, rows):
        """So many quantizers that saw nothing: the file's `Rows`, which are faster, or a list."""
        kind = getattr(import_module(f"{quantizers.__name__}.{self.name}"), "Rows", None)
        return kind(rows, **self.options) if kind else List(rows, self.name, self.options)

    def split(self, shape):
        """(the shape of the scales, how many there are) for an array of `shape`."""
        if not -len(shape) <= self.axis < len(shape):
            raise IllFormed(f"quantizer {self.name} along axis {self.axis}: an array of shape {shape} has no such axis")
        axis = self.axis % len(shape)
        if self.block is None:
            return (shape[axis],), shape[axis]
        if shape[axis] % self.block:
            raise IllFormed(f"quantizer {self.name}: blocks of {self.block} do not divide the {shape[axis]} values along axis "
                            f"{axis} of an array of shape {shape}; give a divisor")
        blocks = (*shape[:axis], shape[axis] // self.block, *shape[axis + 1:])
        return blocks, int(np.prod(blocks))

    def merge(self, other):
        """Take into account what another one of the same options saw."""
        mine, theirs = ((s.name, s.axis, s.block, s.options) if isinstance(s, Slices) else s for s in (self, other))
        if mine != theirs or None not in (self.shape, other.shape) and self.shape != other.shape:
            raise IllFormed(f"quantizer {self.name} along axis {self.axis}: what it cannot take in has other options or other "
                            "slices; merge two of the same")
        if other.rows is not None:
            if self.rows is None:
                self.shape, self.rows = other.shape, self.fresh(int(np.prod(other.shape)))
            self.rows.merge(other.rows)

    def range(self):
        """(lo, hi): arrays with the shape of the scales."""
        if self.rows is None:
            raise IllFormed(f"calibrator {self.name}: no value was seen; let it see at least one array")
        return tuple(part.reshape(self.shape) for part in self.rows.ranges())

    def grid(self):
        """The grid of the scheme with a scale for each slice or block."""
        return schemes.load(self.scheme).grid(*self.range(), self.bits, self.axis, self.block)


class List:
    """A quantizer for each row, where a file has no faster `Rows`."""

    def __init__(self, rows, name, options):
        counts = getattr(getattr(quantizers.load(name, **options), "histogram", None), "counts", np.empty(0))
        if rows * counts.nbytes > MOST:
            raise Unsupported(f"quantizer {name} for {rows} slices: their histograms of {counts.size} bins take "
                              f"{rows * counts.nbytes / 1e9:.0f} GB, more than 4; give fewer bins, larger blocks, or minmax")
        self.each = [quantizers.load(name, **options) for _ in range(rows)]

    def see(self, values):
        for i, (one, row) in enumerate(zip(self.each, values, strict=True)):
            try:
                one.see(row)
            except IllFormed as e:
                raise IllFormed(f"slice {i}: {e}") from None

    def merge(self, other):
        for one, another in zip(self.each, other.each, strict=True):
            one.merge(another)

    def ranges(self):
        lo, hi = zip(*(one.range() for one in self.each), strict=True) if self.each else ((), ())
        return np.array(lo, np.float64), np.array(hi, np.float64)
