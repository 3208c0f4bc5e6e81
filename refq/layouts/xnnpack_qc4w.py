"""xnnpack_qc4w: weights of XNNPACK's 4-bit kernels (m, k): planes of kr codes, nr channels side by side.

A run of 2 * kr codes of a channel takes kr bytes, code t in the low and code t + kr in the high nibble of byte t; the runs of
nr channels lie behind each other, and then their next runs. Unsigned codes (kernel zero point 8) are stored with their top
bit turned over, code - 8 in two's complement; `unsigned` (qc4uw) keeps them. k is filled up with code 8, or 0, to whole runs,
and the channels of the last tile are filled up too. Bias and scales, which XNNPACK puts between the tiles, are not here.
Source: google/XNNPACK src/reference/packing.cc (qs8_qc4w); CHECK is the vector of its packing tests, kr = 4, one channel.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.width import U4
from refq.layouts.dense import Dense
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Dense):
    """`kr`: codes of a plane; `nr`: channels of a tile; `unsigned`: codes are kept as they are."""

    kr: int = 4
    nr: int = 1
    unsigned: bool = False
    PARTS = ("packed",)

    def __post_init__(self):
        if self.kr < 1 or self.nr < 1:
            raise IllFormed(f"xnnpack_qc4w: planes of {self.kr} codes and tiles of {self.nr} channels; both are at least 1")

    @property
    def line(self):
        return Line(U4, "halves", "code" if self.unsigned else "top_bit_flipped", 2 * self.kr, self.kr)

    def lines(self, codes):
        """Rows of whole tiles, of whole runs."""
        return self.filled(codes, codes.shape)

    def filled(self, codes, shape):
        made = np.full(self.extent(shape), 0 if self.unsigned else 8, np.int64)
        made[:shape[0], :shape[1]] = codes
        return made

    def extent(self, shape):
        return -(-shape[0] // self.nr) * self.nr, -(-shape[1] // (2 * self.kr)) * 2 * self.kr

    def codes(self, lines, shape):
        made = np.ascontiguousarray(lines[:shape[0], :shape[1]])
        if (lines != self.filled(made, shape)).any():
            raise Corrupt(f"xnnpack_qc4w: packed has codes behind the {shape[0]} channels of {shape[1]}; it is filled up with "
                          f"{0 if self.unsigned else 8}")
        return made

    def words(self, raw):
        tiles = raw.reshape(len(raw) // self.nr, self.nr, raw.shape[1] // self.kr, self.kr)
        return np.ascontiguousarray(tiles.swapaxes(1, 2)).reshape(-1)

    def raw(self, words, lines):
        if words.size % max(lines * self.kr, 1):
            raise Corrupt(f"xnnpack_qc4w: packed has {words.size} bytes, no whole number of runs of {lines} channels")
        runs = words.size // max(lines * self.kr, 1)
        tiles = words.reshape(lines // self.nr, runs, self.nr, self.kr)
        return np.ascontiguousarray(tiles.swapaxes(1, 2)).reshape(lines, runs * self.kr)


EVERY = (Layout(), Layout(8), Layout(16), Layout(4, 1, True), Layout(4, 8), Layout(8, 8), Layout(16, 8))
CHECK = ((Layout(), [[8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]],
          {"packed": np.array([0x40, 0x51, 0x62, 0x73, 0xC8, 0xD9, 0xEA, 0xFB], np.uint8)}),)
