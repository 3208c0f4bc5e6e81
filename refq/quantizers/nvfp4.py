"""nvfp4: an e4m3fn scale for every 16 numbers, a float32 scale of the tensor, elements e2m1fn.

source   NVIDIA/Model-Optimizer modelopt/torch/quantization/qtensor/nvfp4_tensor.py
"""
from refq.quantizers.blocked import Blocked


class Quantizer(Blocked):
    """`tensor`: the scale of the tensor; None: the largest magnitude seen over 6 * 448."""

    def __init__(self, tensor=None):
        super().__init__("tensor", "e2m1fn", 16, tensor)
