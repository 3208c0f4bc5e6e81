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
    axis %= codes.ndim
    size = codes.shape[axis]
    padded = np.pad(codes, [(0, -size % among if a == axis else 0) for a in range(codes.ndim)])
    place = np.arange(padded.shape[axis])
    return padded.take(place // among * among + among - 1 - place % among, axis).take(range(size), axis)


def orders(products, fields):
    """Weights in the wrong order; `fields(row)`: how many rows share a word."""
    return (slip(products, "halves_swapped", "The weights of a word are packed from the last row to the first.",
                 lambda right, x, w, row: right(x, turned(w, 0, fields(row)), row)),
            slip(products, "nibbles_swapped", "Of two weights in a byte the high one is taken for the one before.",
                 lambda right, x, w, row: right(x, turned(w, 1, 2), row)),
            turned_in("w", 0, fields, "rows_turned", "Weights that share a word are read from the last to the first."),
            turned_in("acc", -1, fields, "results_turned", "Rows that share a word are written from the last to the first."))


def turned_in(name, axis, fields, called, text):
    """An operand, or the result, read or written in another order along an axis, in every `fields(row)`."""
    def slipped(run, operands, row):
        if name in operands:
            return run({**operands, name: np.ascontiguousarray(turned(operands[name], axis, fields(row)))})
        made = run(operands)
        return made | {name: turned(made[name], axis, fields(row))}
    slipped.__doc__ = text
    return named(slipped, called)


def odd_last_reads_on(products):
    """What lies behind a row of odd length, the next row, makes its last pair whole."""
    def longer(codes):
        return np.concatenate([codes, np.roll(codes, -1, 0)[:, :1]], 1) if codes.shape[1] % 2 else codes

    return slip(products, "odd_last_reads_on", odd_last_reads_on.__doc__,
                lambda right, x, w, row: right(longer(x), longer(w), row))


def drains(products, fits, together=lambda row: row.drain):
    """Words that are emptied at the wrong times: `fits(row)`: after how many products a field is full; `together(row)`: how many
    codes along k one full word has seen. `products` takes `drain` and `kept`."""
    def whole(x, row):
        return x.shape[1] // together(row) * together(row)

    return (slip(products, "drained_too_late", "The word is emptied one product later than its fields hold.",
                 lambda right, x, w, row: right(x, w, row, drain=fits(row) + 1)),
            slip(products, "drained_half_as_often", "The word is emptied after twice as many products.",
                 lambda right, x, w, row: right(x, w, row, drain=2 * row.drain)),
            slip(products, "word_goes_on", "The word is emptied, and goes on with what it held.",
                 lambda right, x, w, row: right(x, w, row, kept=True)),
            slip(products, "last_drain_lost", "What is left in the word at the end is not taken out.",
                 lambda right, x, w, row: right(x[:, :whole(x, row)], w[:, :whole(x, row)], row)))


@dataclass(frozen=True)
class Unrepaired(Lanes):
    """Fields that never get back what the one below borrowed."""

    def fields_of(self, word):
        return [self.held.wrap(word >> i * self.field) for i in range(self.fields)]


def forgetful(lanes):
    """The same Lanes, whose sign repair is left out."""
    return Unrepaired(lanes.word, lanes.fields, lanes.field, lanes.sign, lanes.code, lanes.shared)
