"""tflite_int4: int4 and int2 tensors of TFLite and LiteRT: as onnx_int4 and onnx_int2, but the bits behind the last code are
ignored.

Writers leave zeros there. Source: TensorFlow lite/kernels/internal/portable_tensor_utils.cc, UnpackPackedIntToInt8, whose
example CHECK holds.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.layouts.dense import Flat
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Flat):
    """`bits`: 4 or 2; codes are signed."""

    bits: int = 4
    PARTS = ("buffer",)
    pads = False

    def __post_init__(self):
        if self.bits not in (2, 4):
            raise IllFormed(f"tflite_int4: codes of {self.bits} bits; it packs 4 or 2")

    @property
    def line(self):
        return Line(Width(self.bits), block=8 // self.bits)


EVERY = (Layout(), Layout(2))
CHECK = ((Layout(), [[2, 1, 4, 3]], {"buffer": np.array([0x12, 0x34], np.uint8)}),)
