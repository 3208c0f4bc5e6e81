"""compressed_tensors: weight_packed of pack-quantized checkpoints: int32 words (m, k * bits / 32), each row a line.

Signed codes are kept as offset binary (code + 2**(bits - 1)), the first in the low bits; 32 codes fill as many words as they
have bits, and codes straddle two words where the width asks for it. The last word of a row is filled up with zero bits.
Older versions left the top bits of a word empty where a code did not fit (3, 5, 6 and 7 bits): `apart`.
Zero points are packed alike along the channels (weight_zero_point (m * bits / 32, groups)).
Source: vllm-project/compressed-tensors compressors/pack_quantized/helpers.py; CHECK is what version 0.20.0 writes.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.layouts.dense import Dense
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Dense):
    """`bits`: 2 to 8; `apart`: no code straddles two words."""

    bits: int = 4
    apart: bool = False
    PARTS = ("weight_packed",)
    dtype = np.dtype("<i4")

    def __post_init__(self):
        if not 2 <= self.bits <= 8:
            raise IllFormed(f"compressed_tensors: codes of {self.bits} bits; it packs 2 to 8")

    @property
    def line(self):
        per = 32 // self.bits
        block, unit = (per, 4) if self.apart or not 32 % self.bits else (32, 4 * self.bits)
        return Line(Width(self.bits), "low_first", "top_bit_flipped", block, unit, 4)


EVERY = (*map(Layout, range(2, 9)), *(Layout(bits, True) for bits in (3, 5, 6, 7)))
CHECK = ((Layout(), [[-8, -7, 0, 7, 1], [0, 0, 0, 0, 0]], {"weight_packed": np.array([[0x0009F810], [0x00088888]], "<i4")}),
         (Layout(3), [[1, 0, -1, 3, -4, 2, 1, 0, -3, 2, 1, -2]],
          {"weight_packed": np.array([[0x71970EE5, 5]], "<i4")}))
