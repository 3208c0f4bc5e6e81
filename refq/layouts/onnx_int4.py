"""onnx_int4: INT4 and UINT4 tensors of ONNX: the whole tensor in one line, two codes in a byte, the first in the low bits.

An odd last code shares its byte with four zero bits. Source: onnx docs/docsgen/source/technical/int4.md.
"""
from dataclasses import dataclass

import numpy as np

from refq.ints.width import Width
from refq.layouts.dense import Flat
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Flat):
    """`signed`: INT4, -8..7; otherwise UINT4, 0..15."""

    signed: bool = True
    PARTS = ("raw_data",)

    @property
    def line(self):
        return Line(Width(4, self.signed))


EVERY = (Layout(), Layout(False))
CHECK = ((Layout(False), [[1, 2, 3]], {"raw_data": np.array([0x21, 0x03], np.uint8)}),
         (Layout(), [[-1, -8, 7, 0]], {"raw_data": np.array([0x8F, 0x07], np.uint8)}))
