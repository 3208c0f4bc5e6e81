"""onnx_int2: INT2 and UINT2 tensors of ONNX: the whole tensor in one line, four codes in a byte, the first in the lowest bits.

The last byte is filled up with zero bits. Source: onnx docs/docsgen/source/technical/int2.md.
"""
from dataclasses import dataclass

import numpy as np

from refq.ints.width import Width
from refq.layouts.dense import Flat
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Flat):
    """`signed`: INT2, -2..1; otherwise UINT2, 0..3."""

    signed: bool = True
    PARTS = ("raw_data",)

    @property
    def line(self):
        return Line(Width(2, self.signed), block=4)


EVERY = (Layout(), Layout(False))
CHECK = ((Layout(False), [[0, 1, 2, 3, 1]], {"raw_data": np.array([0xE4, 0x01], np.uint8)}),
         (Layout(), [[-2, 1, -1, 0]], {"raw_data": np.array([0x36], np.uint8)}))
