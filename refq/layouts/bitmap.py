"""bitmap: one bit for each place, and the codes of the places whose bit is set, in order.

    values (kept)             the kept codes of row 0, then of row 1 ...
    bits   (rows words)       place j of a row is bit j % word of word j / word: low bits first; behind the last place lie zeros
    starts (rows+1)           int32: where each row's values begin, and at the end how many there are

The value of a place is starts[row] plus how many bits of the row are set before it (popcount). As four bits for each quad, in
nibbles from the low end, these are the same bits; with two set in each nibble it is another form of 2:4, of the same size.

source  oneapi-src/oneDNN, RFC of packed sparse weights (pull request 1724): values, offsets and a bitmask. Its order of bits is
        not written down there: that low bits come first is our reading
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.sparse import Stored, part, places, runs


@dataclass(frozen=True)
class Layout(Stored):
    word: int = 8

    PARTS = "values", "bits", "starts"

    def __post_init__(self):
        super().__post_init__()
        if self.word not in (8, 16, 32):
            raise IllFormed(f"{self.name}: words of {self.word} bits; there are 8, 16 and 32")

    def pack(self, codes):
        codes = self.admitted(codes)
        some = codes != self.zero
        starts = np.concatenate([[0], np.cumsum(some.sum(1))]).astype(np.int32)
        return {"values": codes[some], "bits": words_of(some, self.word), "starts": starts}

    def unpack(self, parts, shape):
        rows, k = shape
        bits = part(parts, "bits", f"u{self.word // 8}", (rows, -(-k // self.word)), self.name)
        some = places_of(bits, self.word)
        if (behind := np.argwhere(some[:, k:])).size:
            raise Corrupt(f"{self.name}: row {behind[0][0]} has bits behind its {k} places; that padding must be zeros")
        some = some[:, :k]
        values, starts = self.values(parts), places(parts, "starts", (rows + 1,), self.name)
        runs(starts, len(values), self.name)
        if (wrong := np.flatnonzero(np.diff(starts) != some.sum(1))).size:
            row = wrong[0]
            raise Corrupt(f"{self.name}: row {row} has {some[row].sum()} bits, and entries {starts[row]} to {starts[row + 1]} "
                          "are its values; bits and starts are not of one tensor")
        codes = self.empty((rows, k))
        codes[some] = values
        return codes


def words_of(some, word):
    """Truth values (rows k) as words, low bits first."""
    rows, k = some.shape
    words = -(-k // word)
    filled = np.zeros((rows, words * word), np.int64)
    filled[:, :k] = some
    return (filled.reshape(rows, words, word) << np.arange(word)).sum(-1).astype(f"u{word // 8}")


def places_of(bits, word):
    """The way back: (rows words * word)."""
    return (bits.astype(np.int64)[..., None] >> np.arange(word) & 1).astype(bool).reshape(len(bits), bits.shape[1] * word)


EVERY = (Layout(),)
CHECK = ((Layout(), [[5, 0, 0, 0, 0, 0, 0, 0, 0, 6], [0] * 10, [0, 7, 0, 0, 0, 0, 0, 8, 0, 0]],
          {"values": np.array([5, 6, 7, 8], np.int8), "bits": np.array([[1, 2], [0, 0], [0x82, 0]], np.uint8),
           "starts": np.array([0, 2, 2, 4], np.int32)}),)
