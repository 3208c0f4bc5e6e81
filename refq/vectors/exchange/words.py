"""Words: codes as the words of a bus, each code at its true width in two's complement, and back.

    lanes     a word of W bits holds W // B codes of B bits side by side, from bit 0 up; bits left over at the top are 0
    spans     a code wider than the word takes as many words as it needs; bits above the code are 0
    first     "low": the first code lies in the lowest lane (or its low word comes first); "high": the other way round
    padding   the last word is filled up with the code 0

Words are matrices of bits (words, W), uint8, bit 0 first. `unknown` is a matrix of the same shape that is 1 where a
simulator showed x or z; a code with an unknown bit is unknown as a whole.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width


def bits_of(width):
    """The true bits of a width; a float32 has its 32."""
    return getattr(width, "bits", 32)


@dataclass(frozen=True)
class Words:
    """`word`: bits of a word, 1 to 4096; `first`: "low" or "high"."""

    word: int = 32
    first: str = "low"

    def __post_init__(self):
        if not 1 <= self.word <= 4096:
            raise IllFormed(f"--word {self.word}: a bus word has 1 to 4096 bits")
        if self.first not in ("low", "high"):
            raise IllFormed(f"--first {self.first}: the first code lies low or high in its word")

    def lanes(self, bits):
        """Codes of so many bits in one word."""
        return max(1, self.word // bits)

    def span(self, bits):
        """Words that one code of so many bits takes."""
        return -(-bits // self.word)

    def count(self, codes, bits):
        """Words that so many codes take."""
        return -(-codes // self.lanes(bits)) * self.span(bits)

    def mask(self, codes, bits):
        """One bit for each bit of a word that holds `codes` codes: 1 where a code lies."""
        if self.span(bits) > 1:
            raise IllFormed(f"--word {self.word}: codes of {bits} bits need a wider word here")
        return self.pack(np.full(codes, -1), Width(bits, bits == 64))[0]

    def pack(self, codes, width):
        """The bits of the words (words, W) that hold `codes`, an array of any shape, last axis fastest."""
        bits, flat = bits_of(width), np.ascontiguousarray(codes).reshape(-1)
        flat = flat.view(np.int32) if flat.dtype.kind == "f" else flat
        raw = flat.astype("<i8").view(np.uint8).reshape(len(flat), 8)
        lanes, span = self.lanes(bits), self.span(bits)
        groups = -(-len(flat) // lanes)
        cut = np.zeros((groups * lanes, bits), np.uint8)
        cut[:len(flat)] = np.unpackbits(raw, axis=1, bitorder="little")[:, :bits]
        cut = cut.reshape(groups, lanes, bits)
        full = np.zeros((groups, span * self.word), np.uint8)
        full[:, :lanes * bits] = self.turned(cut).reshape(groups, lanes * bits)
        return self.turned(full.reshape(groups, span, self.word)).reshape(-1, self.word)

    def unpack(self, words, count, width, unknown=None):
        """(codes, unknown): `count` codes of a width, of its dtype, out of the bits of their words, and which of them
        are unknown (None where none is). Bits of padding are not looked at. Raises IllFormed for a wrong number of
        words."""
        bits = bits_of(width)
        if len(words) != self.count(count, bits):
            raise IllFormed(f"{len(words)} words of {self.word} bits; {count} codes of {bits} bits take "
                            f"{self.count(count, bits)}")
        raw = np.zeros((count, 64), np.uint8)
        raw[:, :bits] = self.cut(words, count, bits)
        codes = width.wrap(np.packbits(raw, axis=1, bitorder="little").view("<i8").reshape(-1).astype(np.int64))
        lost = None if unknown is None else self.cut(unknown, count, bits).any(axis=1)
        return codes.astype(width.dtype), lost if lost is not None and lost.any() else None

    def cut(self, words, count, bits):
        lanes, span = self.lanes(bits), self.span(bits)
        full = self.turned(words.reshape(-1, span, self.word)).reshape(-1, span * self.word)[:, :lanes * bits]
        return self.turned(full.reshape(-1, lanes, bits)).reshape(-1, bits)[:count]

    def turned(self, parts):
        return parts[:, ::-1] if self.first == "high" else parts

    def stated(self, codes, bits):
        """What an index says of a file of so many codes."""
        lanes, words = self.lanes(bits), self.count(codes, bits)
        return {"word": self.word, "lanes": lanes, "words_per_code": self.span(bits), "first": self.first, "words": words,
                "padding": f"{words // self.span(bits) * lanes - codes} codes of 0 at the end"}
