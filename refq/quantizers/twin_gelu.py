"""twin_gelu: the twin uniform grid behind a GELU: its negative side is fixed, the step of the positive one searched.

Negative codes count 0.16997124 / 2**(b-1), so that the lowest is GELU's minimum; the positive step is 2**shift of that, shift
from 0 to 20, by the least squared error of the data. The paper asks for that power of two, so that both sides align by a shift;
the released code searches the positive step among 100 multiples of the largest value, which do not align.

source   Yuan et al., PTQ4ViT, ECCV 2022, section 3.2; hahnyuan/PTQ4ViT quant_layers/linear.py, PostGeluPTQSLQuantLinear
"""
from refq.grids.twin import Twin
from refq.ints.width import Width
from refq.quantizers.searched import Chooser, middles

LEAST = 0.16997124254703522
"""GELU's minimum, less its sign, as the source has it."""


class Quantizer(Chooser):
    """`bits`: of the codes, 3 to 8."""

    def candidates(self):
        for shift in range(21):
            levels = self.made(shift).levels
            yield levels, middles(levels), shift

    def made(self, what):
        return Twin(Width(self.bits), what, LEAST / (1 << self.bits - 1))
