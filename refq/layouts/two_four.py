"""two_four: of every four codes along k two are kept, with the places of both in four bits.

    values (rows k/2)       the two codes of each quad, in order of their places
    meta   (rows words)     a nibble first | second << 2 for each quad, the first quad in the low bits of a word

A word of 32 bits goes with 8-bit codes (8 quads), one of 16 with 16-bit codes (4 quads). Words that a row does not fill hold
zeros behind its last quad. Nibbles whose two places are the same (0, 5, 10, 15) and 1, 2, 3, 6, 7, 11, whose places fall, are
illegal: they are refused.

A quad with fewer than two codes that are not zero keeps a zero beside them, and there are two ways of choosing it: `fill` is
"near" ({0} keeps places 0 and 2, {1} keeps 1 and 2) or "last" ({0} keeps 0 and 3, {1} keeps 1 and 3); none, {2} and {3} keep 2
and 3. A quad with more than two has no 2:4 form. `more` is "refuse", or "truncate": what tools do that do not look. By
position, and not by magnitude, "near" drops {0,1,2} to 01, {0,1,3} to 01, {0,2,3} to 03, {1,2,3} to 13 and all to 01; "last" to
02, 01, 02, 12 and 02.

check   zeros, and a code alone in place 0, under "near": nibbles 14 and 8
source  PyTorch torch/sparse/_semi_structured_conversions.py: fill "near" as torch 2.13 has it, "last" as torch 2.1 had it;
        NVIDIA PTX ISA, mma.sp (legal selectors)
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.sparse import Stored, part

LEGAL = (4, 8, 9, 12, 13, 14)


@dataclass(frozen=True)
class Layout(Stored):
    word: int = 32
    fill: str = "near"
    more: str = "refuse"

    PARTS = "values", "meta"

    def __post_init__(self):
        super().__post_init__()
        for name, known in (("word", (32, 16)), ("fill", ("near", "last")), ("more", ("refuse", "truncate"))):
            if getattr(self, name) not in known:
                raise IllFormed(f"{self.name}: {name} is {getattr(self, name)!r}; it can be {' or '.join(map(repr, known))}")

    @property
    def quads(self):
        """Quads in a word of metadata."""
        return self.word // 4

    def pack(self, codes):
        codes = self.admitted(codes)
        rows, k = codes.shape
        if k % 4:
            raise IllFormed(f"{self.name}: rows of {k} codes; quads need a multiple of 4, so pad the tensor with its zero point")
        quads = codes.reshape(rows, k // 4, 4)
        some = quads != self.zero
        if self.more == "refuse" and (full := np.argwhere(some.sum(-1) > 2)).size:
            row, quad = map(int, full[0])
            raise IllFormed(f"{self.name}: row {row} keeps {some[row, quad].sum()} codes in columns {4 * quad} to {4 * quad + 3}"
                            ", and two have room; prune it to 2:4")
        first, second = chosen(some, self.fill)
        kept = np.take_along_axis(quads, np.stack([first, second], -1), -1)
        return {"values": kept.reshape(rows, k // 2), "meta": worded(first | second << 2, self.quads)}

    def unpack(self, parts, shape):
        rows, k = shape
        if k % 4:
            raise Corrupt(f"{self.name}: rows of {k} codes cannot have been stored in quads; give the shape of the tensor")
        values = self.values(parts, (rows, k // 2)).reshape(rows, k // 4, 2)
        meta = part(parts, "meta", f"u{self.word // 8}", (rows, -(-k // 4 // self.quads)), self.name)
        nibbles = nibbles_of(meta, self.quads)
        if (behind := np.argwhere(nibbles[:, k // 4:])).size:
            raise Corrupt(f"{self.name}: row {behind[0][0]} has metadata behind its {k // 4} quads; that padding must be zeros")
        nibbles = nibbles[:, :k // 4]
        if (wrong := np.argwhere(~np.isin(nibbles, LEGAL))).size:
            row, quad = map(int, wrong[0])
            raise Corrupt(f"{self.name}: quad {quad} of row {row} has the metadata {nibbles[row, quad]:04b}; its two places must "
                          f"rise, as in {', '.join(f'{n:04b}' for n in LEGAL)}")
        codes = self.empty((rows, k // 4, 4))
        np.put_along_axis(codes, np.stack([nibbles & 3, nibbles >> 2], -1), values.astype(codes.dtype), -1)
        return codes.reshape(rows, k)

    def drawn(self, stream, shape):
        """Codes of which at most two of a quad are not zero."""
        codes = stream.integers(self.lo, self.hi + 1, shape).reshape(-1, 4)
        order = stream.random(codes.shape).argsort(1)
        return np.where(order < stream.integers(0, 3, (len(codes), 1)), codes, self.zero).reshape(shape)


def chosen(some, fill):
    """(first, second): the places that quads `some` (... 4), true where a code is not zero, keep."""
    m0, m1, m2, m3 = (some[..., i] for i in range(4))
    first = np.where(m0, 0, np.where(m1, 1, 2))
    if fill == "near":
        second = np.where(m0 & m1, 1, np.where(m3 | ~m0 & ~m1, 3, 2))
    else:
        second = np.where(m2 & (m0 | m1), 2, np.where(m0 & m1, 1, 3))
    return first, second


def worded(nibbles, quads):
    """Nibbles (rows quads) as words of so many, the first in the low bits; the last word is filled with zeros."""
    rows, count = nibbles.shape
    words = -(-count // quads)
    filled = np.zeros((rows, words * quads), np.int64)
    filled[:, :count] = nibbles
    shifted = filled.reshape(rows, words, quads) << 4 * np.arange(quads)
    return shifted.sum(-1).astype(f"u{quads // 2}")


def nibbles_of(meta, quads):
    """The way back: (rows words * quads)."""
    return (meta.astype(np.int64)[..., None] >> 4 * np.arange(quads) & 15).reshape(len(meta), meta.shape[1] * quads)


EVERY = (Layout(), Layout(bits=16, word=16), Layout(fill="last"))
CHECK = (
    # the table in torch's source, one pattern a quad: none, {3}, {2}, {1}, {0}, and the six pairs
    (Layout(bits=16, word=16), [[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 5, 0, 0]],
     {"values": np.array([[0, 0, 0, 3, 2, 0, 5, 0]], np.int16), "meta": np.array([[0x9EEE]], np.uint16)}),
    (Layout(), [[7, 0, 0, 0, 1, 2, 0, 0, 1, 0, 2, 0, 0, 1, 2, 0, 1, 0, 0, 2, 0, 1, 0, 2, 0, 0, 1, 2, 0, 0, 0, 0]],
     {"values": np.array([[7, 0, *6 * [1, 2], 0, 0]], np.int8), "meta": np.array([[0xEEDC9848]], np.uint32)}),
    (Layout(fill="last"), [[7, 0, 0, 0, 0, 7, 0, 0]],
     {"values": np.array([[7, 0, 7, 0]], np.int8), "meta": np.array([[0xDC]], np.uint32)}),
)
