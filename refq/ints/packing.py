"""packing: what operations on packed words share: the ends of their accumulators, and the mistakes of their kernels.

Products of the codes as they are come out of the words; zero points and bias join afterwards. So a mistake in a word is the
right result and the difference that it makes to the sum of products alone.
"""
from dataclasses import dataclass

import numpy as np

from refq.ints.lanes import Lanes
from refq.ints.slips import named
from refq.ints.spans import factor


def registers(row, ends, sizes, constants, astray=0):
    """What the accumulator of constant weights (m k) and a bias reaches (refq.ints.spans); `astray`: by how much the row's own
    errors take each product up or down."""
    w, bias = constants["w"].astype(np.int64), constants["bias"].astype(np.int64)
    lo, hi = factor(ends["x"], int(constants["zx"]))
    w = w - constants["zw"].astype(np.int64)[:, None]
    up, down = np.maximum(w, 0).sum(1), np.minimum(w, 0).sum(1)
    least, most = up * lo + down * hi - astray * w.shape[1], up * hi + down * lo + astray * w.shape[1]
    yield "acc", row.acc, np.minimum(least, least + bias), np.maximum(most, most + bias)


def reach(operands, row, places, index):
    """What one element of acc is made of where words hold several rows: `places`: axis to (its place among the axes of acc, how
    many of its places share a word). As an operation's `reach` gives it (refq/ops)."""
    cut = {axis: slice(index[at] // each * each, index[at] // each * each + each) for axis, (at, each) in places.items()}
    part = {}
    for name, declared in row.takes.items():
        taken = tuple(cut.get(axis, slice(None)) for axis in declared.names)
        part[name] = np.ascontiguousarray(operands[name][taken]) if taken else operands[name]
    within = {at: index[at] % each for at, each in places.values()}
    return part, row, tuple(within.get(at, i) for at, i in enumerate(index))


def slip(products, name, text, change):
    """A slip in the words: `products(x, w, row)`: the right sums; `change(products, x, w, row)`: the wrong ones."""
    def slipped(run, operands, row):
        x, w = operands["x"].astype(np.int64), operands["w"].astype(np.int64)
        made = run(operands)["acc"]
        wrong = made.astype(np.int64) + change(products, x, w, row) - products(x, w, row)
        return {"acc": row.gives["acc"].width.wrap(wrong).astype(made.dtype)}
    slipped.__doc__ = text
    return named(slipped, name)


def turned(codes, axis, among):
    """Codes whose places along an axis are taken from last to first in every `among`; what an incomplete last one lacks is 0."""
    size = codes.shape[axis]
    padded = np.pad(codes, [(0, -size % among if a == axis else 0) for a in range(codes.ndim)])
    place = np.arange(padded.shape[axis])
    return padded.take(place // among * among + among - 1 - place % among, axis).take(range(size), axis)


def halves_swapped(products, fields):
    """The weights of a word are packed from the last row to the first."""
    return slip(products, "halves_swapped", halves_swapped.__doc__,
                lambda right, x, w, row: right(x, turned(w, 0, fields(row)), row))


def nibbles_swapped(products):
    """Of two weights in a byte the high one is taken for the one before."""
    return slip(products, "nibbles_swapped", nibbles_swapped.__doc__, lambda right, x, w, row: right(x, turned(w, 1, 2), row))


@dataclass(frozen=True)
class Unrepaired(Lanes):
    """Fields that never get back what the one below borrowed."""

    def fields_of(self, word):
        return [self.held.wrap(word >> i * self.field) for i in range(self.fields)]


def forgetful(lanes):
    """The same Lanes, whose sign repair is left out."""
    return Unrepaired(lanes.word, lanes.fields, lanes.field, lanes.sign, lanes.code, lanes.shared)
