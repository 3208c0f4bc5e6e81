"""gptq: qweight of GPTQ checkpoints: int32 words (k * bits / 32, m), each column a line of the codes of one output channel.

The first code is in the low bits. With 3 bits 32 codes fill three words, and codes 10 and 21 straddle two: the line is one
string of bits, low bits first, in every width. Codes are unsigned, and their zero points are elsewhere (gptq_zeros).
Source: AutoGPTQ auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py, pack. What version 0.7.1 writes is recorded in tests/layouts.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.layouts.dense import Columns
from refq.layouts.lines import Line

BLOCKS = {2: (16, 4), 3: (32, 12), 4: (8, 4), 8: (4, 4)}
"""Bits to the codes of a unit and its bytes."""


@dataclass(frozen=True)
class Layout(Columns):
    """`bits`: 2, 3, 4 or 8."""

    bits: int = 4
    PARTS = ("qweight",)

    def __post_init__(self):
        admit(self.bits, "gptq")

    @property
    def line(self):
        return Line(Width(self.bits, False), "low_first", "code", *BLOCKS[self.bits])


def admit(bits, where):
    if bits not in BLOCKS:
        raise IllFormed(f"{where}: codes of {bits} bits; it packs {', '.join(map(str, BLOCKS))}")


EVERY = tuple(map(Layout, BLOCKS))
CHECK = ((Layout(), [[1, 2, 3, 4, 5, 6, 7, 8], [15, 0, 0, 0, 0, 0, 0, 9]],
          {"qweight": np.array([[0x87654321, 0x9000000F]], np.uint32).view("<i4")}),
         (Layout(3), [[0] * 10 + [5] + [0] * 10 + [6] + [0] * 10],
          {"qweight": np.array([[0x40000000], [0x00000001], [0x00000003]], np.uint32).view("<i4")}))
