"""ggml_q4_0: a float16 scale for every 32 numbers that takes the first of the largest to -8, codes 0 to 15 offset by 8.

The elements that its C code gives come of the scale before it is stored: refq.ops.quantize_blocks, row q4_0.

source   ggml-org/ggml src/ggml-quants.c, quantize_row_q4_0_ref
"""
from refq.quantizers.blocked import Blocked


class Quantizer(Blocked):
    """It has no parameters."""

    def __init__(self):
        super().__init__("q4_0", "int4")
