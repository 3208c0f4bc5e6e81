"""ggml_q8_0: a float16 scale for every 32 numbers that takes the largest magnitude to 127, codes -127 to 127.

The elements that its C code gives come of the scale before it is stored: refq.ops.quantize_blocks, row q8_0.

source   ggml-org/ggml src/ggml-quants.c, quantize_row_q8_0_ref
"""
from refq.quantizers.blocked import Blocked


class Quantizer(Blocked):
    """It has no parameters."""

    def __init__(self):
        super().__init__("q8_0", "int8")
