"""gptq_zeros: qzeros of GPTQ checkpoints: int32 words (groups, m * bits / 32), the zero points of neighbouring channels.

Written as in gptq, along the output channels. The first format stores each zero point less 1; format v2 stores it as it is.
Readers of the first disagree about the highest field: most add 1 behind the mask, so that it means 2**bits, and some before
it, so that it means 0 (`wraps`). A zero point of 0 has no field of its own in the former, and packers that write it all the
same borrow from every channel above it in the word: refused here.
Source: AutoGPTQ auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py (wraps, of 2, 4 and 8 bits) and qlinear_cuda.py (does not);
GPTQModel, FORMAT.GPTQ_V2.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.layouts.dense import Across
from refq.layouts.gptq import BLOCKS, admit
from refq.layouts.lines import Line


@dataclass(frozen=True)
class Layout(Across):
    """`bits`: 2, 3, 4 or 8; `less`: 1, or 0 in format v2; `wraps`: the highest field means 0."""

    bits: int = 4
    less: int = 1
    wraps: bool = False
    PARTS = ("qzeros",)

    def __post_init__(self):
        admit(self.bits, "gptq_zeros")
        if self.less not in (0, 1) or self.wraps and not self.less:
            raise IllFormed(f"gptq_zeros: zero points are stored less {self.less}; it is 1, which may wrap, or 0 in format v2")

    @property
    def line(self):
        stored = ("minus_one_wrapped" if self.wraps else "minus_one") if self.less else "code"
        return Line(Width(self.bits, False), "low_first", stored, *BLOCKS[self.bits])


EVERY = tuple(Layout(bits, less, wraps) for bits in BLOCKS for less, wraps in ((1, False), (1, True), (0, False)))
CHECK = ((Layout(), [[8], [1], [2], [3], [4], [5], [6], [7]], {"qzeros": np.array([[0x65432107]], np.uint32).view("<i4")}),
         (Layout(4, 0), [[8], [1], [2], [3], [4], [5], [6], [7]],
          {"qzeros": np.array([[0x76543218]], np.uint32).view("<i4")}))
