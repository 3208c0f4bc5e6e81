"""Stored codes of sparse weights: the places that hold the zero point are left out, the others are kept in order.

`Stored` is the parent of the sparse layouts: the width of the codes and the code that counts as zero. The functions read what
somebody stored, and raise Corrupt with the row and the entry where it cannot be that.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.accumulate import combined
from refq.ints.width import Width


@dataclass(frozen=True)
class Stored:
    """`bits`, `signed`: of the codes, 1 to 16 bits (15 unsigned); `zero`: the code that stands for 0 and is left out. Places
    that are left out hold that code again when they are read back: no layout here has another one for them."""

    bits: int = 8
    signed: bool = True
    zero: int = 0

    def __post_init__(self):
        if not 1 + self.signed <= self.bits <= 15 + self.signed:
            raise IllFormed(f"{self.name}: codes of {self.bits} bits; signed ones have 2 to 16 bits, unsigned ones 1 to 15")
        if self.zero not in self.width:
            raise IllFormed(f"{self.name}: a zero point of {self.zero}; {self.width} codes reach from {self.lo} to {self.hi}")

    @property
    def name(self):
        return type(self).__module__.rpartition(".")[2]

    @property
    def width(self):
        return Width(self.bits, self.signed)

    @property
    def lo(self):
        return self.width.lo

    @property
    def hi(self):
        return self.width.hi

    def admitted(self, codes):
        """Codes (rows k) in their container; raises IllFormed for other shapes, kinds and ranges."""
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.dtype.kind not in "iub":
            raise IllFormed(f"{self.name}: codes of shape {codes.shape} and type {codes.dtype}; give integers (rows k)")
        if codes.size and not (self.lo <= codes.min() and codes.max() <= self.hi):
            raise IllFormed(f"{self.name}: codes from {codes.min()} to {codes.max()}; {self.width} codes reach from {self.lo} to "
                            f"{self.hi}")
        return codes.astype(self.width.dtype)

    def values(self, parts, shape=None):
        """The stored codes; raises Corrupt where they are not as many, or leave their width."""
        found = part(parts, "values", self.width.dtype, shape, self.name)
        if found.size and not (self.lo <= found.min() and found.max() <= self.hi):
            raise Corrupt(f"{self.name}: values from {found.min()} to {found.max()}, and {self.width} codes reach from {self.lo} "
                          f"to {self.hi}; give the parts as they were stored")
        return found

    def drawn(self, stream, shape):
        """Codes of that shape of a NumPy generator, about half of them zero: what a probe of the layout looks at."""
        return np.where(stream.random(shape) < 0.5, stream.integers(self.lo, self.hi + 1, shape), self.zero)

    def empty(self, shape):
        """Codes of that shape, all zero."""
        return np.full(shape, self.zero, np.int8 if -128 <= self.lo and self.hi < 128 else np.int16)


def part(parts, name, dtype, shape, where):
    """One part, of that type and shape (None: any length); raises Corrupt where it lacks, or is another."""
    if name not in parts:
        raise Corrupt(f"{where}: no part {name!r} among {', '.join(parts) or 'none'}; give all parts as pack made them")
    array, dtype = np.asarray(parts[name]), np.dtype(dtype)
    if array.dtype.kind not in "iu" or array.dtype.itemsize != dtype.itemsize:
        raise Corrupt(f"{where}: {name} holds {array.dtype}, and {dtype} is stored there; give the parts as pack made them")
    if array.ndim != (1 if shape is None else len(shape)) or shape is not None and array.shape != tuple(shape):
        raise Corrupt(f"{where}: {name} has the shape {array.shape}, and {'one axis' if shape is None else tuple(shape)} is "
                      "stored there; it is truncated, or of another tensor")
    return array.view(dtype)


def places(parts, name, shape, where):
    """One part of int32 places, as int64."""
    return part(parts, name, np.int32, shape, where).astype(np.int64)


def runs(starts, end, where, unit="row"):
    """Check `starts` of runs (one more than there are): from 0 to `end`, and falling nowhere."""
    if starts[0] != 0:
        raise Corrupt(f"{where}: {unit} 0 starts at entry {starts[0]}, and the first entry is 0; the starts are damaged")
    falls = np.flatnonzero(np.diff(starts) < 0)
    if falls.size:
        i = falls[0]
        raise Corrupt(f"{where}: {unit} {i} starts at entry {starts[i]} and ends at {starts[i + 1]}, before it; the starts are "
                      "damaged")
    if starts[-1] != end:
        raise Corrupt(f"{where}: the last {unit} ends at entry {starts[-1]}, and {end} are stored; the parts are truncated, or "
                      "not of one tensor")


def rising(columns, starts, width, where, unit="row"):
    """Check columns of entries: each below `width`, and rising within each run."""
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    outside = np.flatnonzero((columns < 0) | (columns >= (width[owner] if np.ndim(width) else width)))
    if outside.size:
        e = outside[0]
        raise Corrupt(f"{where}: entry {e} of {unit} {owner[e]} stands at column {columns[e]}, and there are "
                      f"{width[owner[e]] if np.ndim(width) else width}; the columns are damaged")
    falls = np.flatnonzero((np.diff(columns) <= 0) & (owner[1:] == owner[:-1]))
    if falls.size:
        e = falls[0] + 1
        raise Corrupt(f"{where}: entry {e} of {unit} {owner[e]} stands at column {columns[e]}, behind column {columns[e - 1]}; "
                      "columns of a row rise")
    return owner


def product(x, columns, codes, bias, zx, zw, rule, at):
    """bias + the sum over e of (x[n, columns[m, e]] - zx) * (codes[m, e] - zw[m]), joined as `rule` says, for specs.

    `columns`, `codes`: (m e); what stands at no column of x is no code: the others join without it.
    """
    there = (columns >= 0) & (columns < x.shape[1])
    order = np.argsort(~there, 1, stable=True)
    there, columns, codes = (np.take_along_axis(a, order, 1) for a in (there, np.where(there, columns, 0), codes))
    away = codes - zw[:, None]
    start = np.zeros((len(x), len(codes)), np.int64) + bias
    if not x.shape[1]:
        x = np.zeros((len(x), 1), np.int64)
    return combined(lambda e: (x[:, columns[:, e]] - zx) * (away * there)[:, e],
                    lambda e: x[:, columns[:, e]] * (codes * there)[:, e], columns.shape[1], rule, start, at)


def of_parts(parts, bias, zx, zw, m):
    """`build` of sparse products: the constants of a step, from the parts of a layout; one `zw` serves all channels, and no bias
    is one of zeros."""
    return parts | {"bias": np.zeros(m, np.int64) if bias is None else bias, "zx": zx, "zw": np.broadcast_to(zw, m)}


def bare(row, bias):
    """What a sum of nothing is, (m), where the row's rule shows it as it is; None for others."""
    rule = row.accumulate
    if rule is None or rule.products == "differences" and rule.overflow != "saturate" and not rule.spill:
        return row.acc.wrap(bias.astype(np.int64))
    return None


def dense(x, columns, codes, bias, zx, zw, row):
    """The product with the weights in full, where nothing can be lost on the way; None for other rows."""
    if row.accumulate is not None:
        return None
    return row.acc.wrap((x.astype(np.int64) - zx) @ full(columns, codes, zw, x.shape[1]).T + bias)


def full(columns, codes, zw, k):
    """Codes less their zero points (m k) of what is stored: 0 where nothing is, and the sum where a place is named twice."""
    made = np.zeros((len(codes), k), np.int64)
    row, e = np.nonzero((columns >= 0) & (columns < k))
    np.add.at(made, (row, columns[row, e]), codes[row, e] - zw.astype(np.int64)[row])
    return made
