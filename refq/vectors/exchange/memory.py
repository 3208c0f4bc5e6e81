"""Memory text: bus words as lines of digits, as $readmemh and $readmemb read them and simulators write them.

Reading takes what Verilog takes: comments, white space, `_` within numbers, `@address` (in hex), and x and z, which make
the codes they touch unknown; so do words that no address names.
"""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.width import width as width_of
from refq.vectors.exchange.words import Words, bits_of

DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
COMMENT = re.compile(rb"//[^\n]*|/\*.*?\*/", re.DOTALL)
BAD, UNKNOWN = 255, 254
VALUES = np.full(256, BAD, np.uint8)
VALUES[DIGITS] = range(16)
VALUES[np.frombuffer(b"ABCDEF", np.uint8)] = range(10, 16)
VALUES[np.frombuffer(b"xXzZ?", np.uint8)] = UNKNOWN


@dataclass(frozen=True)
class Text:
    """`digit`: bits of a digit, 4 or 1; `word`, `first`: as in Words; `endian`: "big" or "little"."""

    digit: int
    word: int
    first: str
    endian: str

    def __post_init__(self):
        if self.endian not in ("little", "big"):
            raise IllFormed(f"--endian {self.endian}: little or big")
        if self.endian == "little" and self.word % 8:
            raise IllFormed(f"--endian little: words of {self.word} bits have no whole bytes; take a multiple of 8")
        Words(self.word, self.first)

    @property
    def words(self):
        return Words(self.word, self.first)

    @property
    def digits(self):
        """Digits of a word."""
        return -(-self.word // self.digit)

    def turned(self, digits):
        """Digits of words (words, digits), highest first, as the file has them, and back."""
        if self.endian == "big":
            return digits
        each = 8 // self.digit
        return digits.reshape(len(digits), -1, each)[:, ::-1].reshape(digits.shape)

    def lines(self, words):
        """The lines of words given by their bits (words, W)."""
        full = np.zeros((len(words), self.digits * self.digit), np.uint8)
        full[:, :self.word] = words
        values = full.reshape(len(words), self.digits, self.digit) @ (1 << np.arange(self.digit, dtype=np.uint8))
        text = np.full((len(words), self.digits + 1), ord("\n"), np.uint8)
        text[:, :-1] = DIGITS[self.turned(values[:, ::-1])]
        return text.tobytes()

    def encode(self, codes, width):
        said = self.stated(codes, width)
        head = (f"// {codes.size} codes of {width}, two's complement at {bits_of(width)} bits, last axis fastest\n"
                f"// {said['words']} words of {self.word} bits, {said['lanes']} codes a word, first code {self.first}, "
                f"{said['words_per_code']} words a code, {self.endian}-endian\n// padding: {said['padding']}\n")
        return head.encode() + self.lines(self.words.pack(codes, width))

    def stated(self, codes, width):
        return self.words.stated(codes.size, bits_of(width)) | {"bytes": f"{self.endian}-endian"}

    def parsed(self, data, count, where):
        """(bits, unknown bits) of the `count` words in a file's bytes; raises Corrupt."""
        tokens = COMMENT.sub(b" ", data).split()
        values, place = np.full((count, self.digits), UNKNOWN, np.uint8), 0
        if len(tokens) == count and set(map(len, tokens)) == {self.digits}:         # as refq writes them: all at once
            found = VALUES[np.frombuffer(b"".join(tokens), np.uint8)].reshape(count, self.digits)
            if ((found < 1 << self.digit) | (found == UNKNOWN)).all():
                values, tokens = found, []
        for token in tokens:
            if token.startswith(b"@"):
                try:
                    place = int(token[1:], 16)
                except ValueError:
                    raise Corrupt(f"{where}: {token.decode(errors='replace')[:40]!r} is no address") from None
                continue
            found = VALUES[np.frombuffer(token.replace(b"_", b""), np.uint8)]
            if not len(found) or (found == BAD).any() or ((found >= 1 << self.digit) & (found != UNKNOWN)).any():
                raise Corrupt(f"{where}: {token.decode(errors='replace')[:40]!r} is no word of "
                              f"{'hex' if self.digit == 4 else 'binary'} digits")
            if len(found) > self.digits:
                raise Corrupt(f"{where}: a word of {len(found)} digits; a word of {self.word} bits has {self.digits}")
            if place >= count:
                raise Corrupt(f"{where}: holds a word at {place:#x}; {count} words were expected")
            values[place] = UNKNOWN if found[0] == UNKNOWN else 0       # as Verilog extends a short number
            values[place, self.digits - len(found):] = found
            place += 1
        values = self.turned(values)[:, ::-1]
        lost = np.repeat(values == UNKNOWN, self.digit, axis=1)[:, :self.word].astype(np.uint8)
        values = np.where(values == UNKNOWN, 0, values)
        bits = (values[:, :, None] >> np.arange(self.digit, dtype=np.uint8)) & 1
        return np.ascontiguousarray(bits.reshape(count, -1)[:, :self.word]), lost

    def read(self, path, entry):
        """(codes, unknown) of an entry of an index out of a file."""
        return self.decode(path.read_bytes(), path, entry)

    def decode(self, data, path, entry):
        width, shape = width_of(entry["width"]), tuple(entry["shape"])
        size = int(np.prod(shape))
        bits, lost = self.parsed(data, self.words.count(size, width.bits), path)
        codes, unknown = self.words.unpack(bits, size, width, lost)
        return codes.reshape(shape), None if unknown is None else unknown.reshape(shape)
