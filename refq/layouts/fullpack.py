"""fullpack: FullPack's vectors of 4, 2 and 1 bits: 16 bytes, byte j of which holds codes j, j + 16, j + 32 ..., low bits first.

One load of 16 bytes gives as many vectors as a byte has codes, by a shift each. Codes are signed; of 1 bit 0 and -1. Rows are
filled up to whole vectors with zeros. Source: shkatebi97/FullPack kernels/Int4-Int4.cc; arXiv 2211.06982. (In the single-batch
int4 kernel read there the high nibbles of weights meet the low ones of activations; that is the kernel's, not the layout's.)
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.layouts.dense import Dense
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Dense):
    """`bits`: 4, 2 or 1."""

    bits: int = 4
    PARTS = ("vectors",)

    def __post_init__(self):
        if self.bits not in (1, 2, 4):
            raise IllFormed(f"fullpack: codes of {self.bits} bits; it packs 4, 2 or 1")

    @property
    def line(self):
        return Line(Width(self.bits, self.bits > 1), "halves", "code", 128 // self.bits, 16)


EVERY = (Layout(), Layout(2), Layout(1))
CHECK = ((Layout(), [[*range(-8, 8), *[-1] * 16]], {"vectors": np.array([[0xF0 | j & 15 for j in range(-8, 8)]], np.uint8)}),)
