"""cmix_nn: CMix-NN's unsigned codes of 8, 4 and 2 bits: each row of channels in bytes, the first channel in the low bits.

A kernel reads a word of 32 bits and widens it "reordered": fields i and i + n / 2 of its n become the two 16-bit halves of
register i, the same for weights and activations, so that a dot product does not mind. `registers` gives those. Rows are
filled up to whole words with zeros. Source: EEESlab/CMix-NN inc/arm_cmixnn_support.h, read_and_pad_reordered_u4.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.layouts.dense import Dense
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Dense):
    """`bits`: 8, 4 or 2."""

    bits: int = 4
    PARTS = ("words",)

    def __post_init__(self):
        if self.bits not in (2, 4, 8):
            raise IllFormed(f"cmix_nn: codes of {self.bits} bits; it packs 8, 4 or 2")

    @property
    def line(self):
        return Line(Width(self.bits, False), "low_first", "code", 32 // self.bits, 4)

    def registers(self, parts):
        """The pairs (rows words n/2 2) of 16-bit halves that words (rows, 4 * words) are widened to, low half first."""
        raw = self.held(parts)
        n = self.line.block
        fields = self.line.taken(raw).reshape(len(raw), -1, 2, n // 2)
        return np.ascontiguousarray(fields.swapaxes(2, 3), np.int16)


EVERY = (Layout(), Layout(2), Layout(8))
CHECK = ((Layout(), [[0, 1, 2, 3, 4, 5, 6, 7]], {"words": np.array([[0x10, 0x32, 0x54, 0x76]], np.uint8)}),
         (Layout(2), [[0, 1, 2, 3, 3]], {"words": np.array([[0xE4, 0x03, 0, 0]], np.uint8)}))
