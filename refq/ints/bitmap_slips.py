"""Slips of bitmaps: bits that are read in another order or from another row, and values that are counted out wrongly."""
import numpy as np

from refq.ints.slips import named
from refq.ints.sparse_slips import relocated


def reread(name, text, change):
    """A slip that makes `change(bits, row)`, int64 words, of the bits; `text`: what it does."""
    def slip(run, operands, row):
        bits = change(operands["bits"].astype(np.int64), row) & row.bits.hi
        return run({**operands, "bits": np.ascontiguousarray(bits, row.bits.dtype)})
    slip.__doc__ = text
    return named(slip, name)


def reversed_bits(bits, row):
    return sum((bits >> i & 1) << row.bits.bits - 1 - i for i in range(row.bits.bits))


def counted_through(run, operands, row):
    """A bit counts itself: each place takes the value behind its own."""
    return run({**operands, "values": np.roll(operands["values"], -1)})


def counted_from_the_word(places):
    """Bits are counted from the start of their word, and not of their row."""
    def change(columns, codes, operands, row):
        words, values = columns.reshape(len(columns), columns.shape[1] // row.bits.bits, row.bits.bits), operands["values"]
        some = words >= 0
        at = operands["starts"].astype(np.int64)[:len(words), None, None] + np.cumsum(some, 2) - some
        inside = some & (at >= 0) & (at < len(values))
        taken = np.append(values.astype(np.int64), 0)[np.where(inside, at, len(values))]
        return np.where(inside, words, -1).reshape(columns.shape), taken.reshape(columns.shape)
    return relocated(places, "counted_from_the_word", change)


def empty_takes_the_next(bits, row):
    """Bits of which a row without any has those of the row behind it; the last stays."""
    return np.where(bits.any(1, keepdims=True), bits, np.append(bits[1:], bits[-1:], 0))


def partial_word_lost(columns, codes, operands, row):
    """The last word of a row is left out where the row ends inside of it."""
    return np.where(columns < operands["x"].shape[1] // row.bits.bits * row.bits.bits, columns, -1), codes


def of(places):
    """All of them. `places` as in sparse_slips."""
    return (counted_through, counted_from_the_word(places), relocated(places, "partial_word_lost", partial_word_lost),
            reread("high_bit_first", "Bits of a word are read from the high end.", reversed_bits),
            reread("bits_of_next_row", "Each row is read with the bits of the next.", lambda bits, row: np.roll(bits, -1, 0)),
            reread("empty_takes_the_next", "A row without bits is read with those of the next.", empty_takes_the_next),
            reread("bits_turned_over", "A bit says that a place is not stored.", lambda bits, row: ~bits),
            reread("nibbles_swapped", "The nibbles of each byte of bits are swapped.",
                   lambda bits, row: bits << 4 & 0xF0F0F0F0 | bits >> 4 & 0x0F0F0F0F))
