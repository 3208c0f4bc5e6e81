"""lines: how a line of small codes lies in bytes: units of `block` codes in `unit` bytes, one unit behind the other.

    stored    what is kept of a code: the code; the code with its top bit turned over (offset binary of signed codes, two's
              complement of unsigned ones); one less; or one less in so many bits, where 0 becomes the highest
    order     where code i of a unit of n stands, counted in fields of `bits` bits from bit 0 of the unit's first byte up:
              low_first i; high_first n - 1 - i; interleaved i / 2, the odd ones behind all even ones; halves, which fills
              each byte with p codes that are n / p apart
    tail      a last unit that is not full is filled up with zero bits, up to its end or to a whole number of `grain` bytes, and
              so are the bits of a unit that no field has

Words of 16, 32 and 64 bits are little-endian: their bytes are those of the unit in order, so that a word has no meaning of
its own here. Sources are with the layouts.
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.width import Width

orders = ("low_first", "high_first", "interleaved", "halves")
stores = ("code", "top_bit_flipped", "minus_one", "minus_one_wrapped")


@dataclass(frozen=True)
class Line:
    """`width`: bits of a field, and whether a code has a sign; `order`, `stored`, `block`, `unit`, `grain` (0: a unit): above."""

    width: Width
    order: str = "low_first"
    stored: str = "code"
    block: int = 2
    unit: int = 1
    grain: int = 0

    def __post_init__(self):
        bits = self.width.bits
        if bits > 8 or self.block < 1 or self.unit < 1 or self.block * bits > 8 * self.unit:
            raise IllFormed(f"a layout: {self.block} codes of {self.width} in {self.unit} bytes; codes have at most 8 bits, and "
                            "a unit holds all of its own")
        if self.order == "interleaved" and self.block % 2:
            raise IllFormed(f"a layout: {self.block} codes that are interleaved; their number is even")
        if self.order == "halves" and (8 % bits or self.block * bits != 8 * self.unit):
            raise IllFormed(f"a layout: {self.block} codes of {bits} bits in {self.unit} bytes by halves; bytes are full of "
                            "whole codes there")
        if self.stored.startswith("minus_one") and self.width.signed:
            raise IllFormed(f"a layout: codes of {self.width} stored less 1; zero points that are stored so are unsigned")

    @property
    def lo(self):
        """The lowest code."""
        return self.width.lo + (self.stored == "minus_one")

    @property
    def hi(self):
        return self.width.hi + (self.stored == "minus_one")

    @property
    def codes(self):
        """The width that codes have: one bit more where they reach from 1."""
        return Width(self.width.bits + 1, False) if self.stored == "minus_one" else self.width

    @property
    def places(self):
        """Field of each code of a unit."""
        i, n = np.arange(self.block), self.block
        if self.order == "halves":
            per = 8 // self.width.bits
            return i % (n // per) * per + i // (n // per)
        return {"low_first": i, "high_first": n - 1 - i, "interleaved": i // 2 + i % 2 * (n // 2)}[self.order]

    @cached_property
    def bits(self):
        """Bit of the unit that each bit of each code takes (block bits)."""
        return self.places[:, None] * self.width.bits + np.arange(self.width.bits)

    @property
    def idle(self):
        """Bits of a unit that no code has."""
        return np.setdiff1d(np.arange(8 * self.unit), self.bits)

    def length(self, count):
        """Bytes of a line of `count` codes."""
        whole, rest = divmod(count, self.block)
        grain = self.grain or self.unit
        return whole * self.unit + -(-rest * self.width.bits // (8 * grain)) * grain if rest else whole * self.unit

    def kept(self, codes):
        """What is stored of codes (int64), as an integer of which the low bits count."""
        if self.stored == "code":
            return codes
        return codes ^ (1 << self.width.bits - 1) if self.stored == "top_bit_flipped" else codes - 1

    def meant(self, fields):
        """The code that each field (int64, 0 to 2**bits - 1) means."""
        if self.stored == "minus_one":
            return fields + 1
        if self.stored == "minus_one_wrapped":
            return fields + 1 & (1 << self.width.bits) - 1
        turned = fields ^ (1 << self.width.bits - 1) if self.stored == "top_bit_flipped" else fields
        return self.width.wrap(turned)

    def placed(self, fields):
        """Bytes (n j), int64, of fields (n k); bits that a field has above its own lie over those above it in its last byte."""
        n, k = fields.shape
        units = -(-k // self.block)
        full = np.zeros((n, units * self.block), np.int64)
        full[:, :k] = fields
        cut = full.reshape(n, units, self.block)
        made = np.zeros((n, units, self.unit), np.int64)
        for i, bit in enumerate(self.bits[:, 0]):
            for b in range(bit // 8, (bit + self.width.bits - 1) // 8 + 1):
                at = bit - 8 * b
                made[:, :, b] |= (cut[:, :, i] << max(at, 0) >> max(-at, 0)) & 255
        return made.reshape(n, units * self.unit)[:, :self.length(k)]

    def taken(self, raw):
        """Fields (n k) of bytes (n j), those behind the last code as well."""
        cut = self.cut(raw)
        return (cut[:, :, self.bits] << np.arange(self.width.bits)).sum(3).reshape(len(raw), cut.shape[1] * self.block)

    def cut(self, raw):
        """The bits (n units bits) of bytes (n j), a last unit filled up."""
        n, j = raw.shape
        units = -(-j // self.unit)
        full = np.zeros((n, units * self.unit), np.int64)
        full[:, :j] = raw
        return (full[:, :, None] >> np.arange(8) & 1).reshape(n, units, 8 * self.unit)

    def admit(self, codes, where):
        """Codes (n k) as an array; raises IllFormed for what is no integer or no code."""
        codes = np.asarray(codes)
        if codes.dtype.kind not in "iu" or codes.ndim != 2:
            raise IllFormed(f"{where}: codes of dtype {codes.dtype} and shape {codes.shape}; give integers (rows, k)")
        if codes.size and not self.lo <= codes.min() <= codes.max() <= self.hi:
            raise IllFormed(f"{where}: codes from {codes.min()} to {codes.max()}; it holds {self.lo} to {self.hi}")
        return codes

    def checked(self, raw, count, where):
        """Bytes (n j) of lines of `count` codes; raises Corrupt for too few or too many, and for bits in the padding."""
        if raw.ndim != 2 or raw.shape[1] != self.length(count):
            raise Corrupt(f"{where}: lines of {raw.shape[-1]} bytes; {count} codes of {self.width.bits} bits take "
                          f"{self.length(count)}")
        if self.idle.size or count % self.block:
            left, rest = self.cut(raw), count % self.block
            if left[:, :, self.idle].any() or rest and left[:, -1, self.bits[rest:].reshape(-1)].any():
                raise Corrupt(f"{where}: the padding behind the last code has bits in it; it is written as zeros")
        return raw
