"""twin: the twin uniform grid behind a softmax: where the fine region ends, by the least squared error of the data.

The coarse codes reach `first`, which is 1 as in the source, or the largest value seen (None); the fine step is 2**-i of theirs, i
from 0 to 19. The authors judge a candidate by gradients of the network's output; here it is the squared error of the tensor.

source   Yuan et al., PTQ4ViT, ECCV 2022, section 3.2; hahnyuan/PTQ4ViT quant_layers/matmul.py, SoSPTQSLQuantMatMul (split)
"""
import numpy as np

from refq.grids.twin import Twin
from refq.ints.width import Width
from refq.quantizers.searched import Shares, middles

SHIFTS = range(20)


class Quantizer(Shares):
    """`bits`: of the codes, 3 to 8; `first`: the largest level, or None for the largest value seen."""

    STEPS, OCTAVES = 1, 1

    def candidates(self):
        (first,) = self.firsts()
        for shift in SHIFTS:
            levels = np.unique(self.made((shift, first)).levels)
            yield levels, middles(levels), (shift, first)

    def made(self, what):
        shift, first = what
        return Twin(Width(self.bits, False), shift, first / ((1 << self.bits - 1) - 1) * 2.0 ** -shift)
