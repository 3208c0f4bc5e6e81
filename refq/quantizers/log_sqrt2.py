"""log_sqrt2: the LogSqrt2 grid whose first level (delta) makes the least squared error; it ends at 2**-16 of that, the last code
is 0.

RepQ-ViT chooses delta among the percentiles 0.999, 0.9999 and 0.99999 by the squared error; here the candidates are an eighth of
an octave apart, from the largest value seen down.

source   the grid: refq.grids.log_sqrt2; zkkli/RepQ-ViT quant/quantizer.py, LogSqrt2Quantizer.init_quantization_scale
"""
from refq.grids.log_sqrt2 import LogSqrt2
from refq.ints.width import Width
from refq.quantizers.searched import Logarithms


class Quantizer(Logarithms):
    """`bits`: of the codes, 3 to 8; `first`: the largest level, or None for a search."""

    def bases(self):
        yield None, 0.5, self.made((None, 1.0)).levels[:-1]

    def made(self, what):
        return LogSqrt2(Width(self.bits, False), "zero", min((1 << self.bits) - 2, 32), first=float(what[1]))
