"""ggml_mxfp4: an e8m0 scale for every 32 numbers, elements e2m1fn, of two as near the smaller.

The elements that its C code gives come of the scale before it is stored: refq.ops.quantize_blocks, row mxfp4_ggml.

source   ggml-org/ggml src/ggml-quants.c, quantize_row_mxfp4_ref
"""
from refq.quantizers.blocked import Blocked


class Quantizer(Blocked):
    """It has no parameters."""

    def __init__(self):
        super().__init__("floor", "e2m1fn")
