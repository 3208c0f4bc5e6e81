"""OMSE: both ends shrink by one factor; of 1, 0.99 .. 0.11 the one whose grid leaves what was seen the least squared error.

The grid is the one that the scheme makes of the range; of equal errors the larger factor counts. The authors' observer
measures on the last batch alone, and its zero point is not held inside the range; here it is all that was seen (a histogram,
see refq.quantizers.mse). A range that is far from balanced is cut on both sides or on none: `mse` searches each end.

source   Choukroun et al., Low-bit Quantization of Neural Networks for Efficient Inference, 2019;
         megvii-research/FQ-ViT models/ptq/observer/omse.py
"""
import numpy as np

from refq.quantizers.mse import Searching


class Quantizer(Searching):
    """`bits`, `scheme`: of the grid; `bins`: of the histogram (refq.quantizers.mse)."""

    def __init__(self, bits=8, scheme="asymmetric", bins=None):
        super().__init__(bits, scheme, bins)

    def tried(self):
        factors = 1.0 - np.arange(90) * 0.01
        return self.lo * factors, self.hi * factors
