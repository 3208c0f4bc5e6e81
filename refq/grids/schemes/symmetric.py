"""symmetric: zero in the middle, the lowest code left out: -(2**(b-1) - 1) to 2**(b-1) - 1 reach from -m to m, m = max |x|.

source   LiteRT 8-bit quantization specification (weights, -127 to 127); onnxruntime quantization quant_utils.py, symmetric int8
"""
from refq.grids import affine
from refq.grids.schemes.ranges import admitted, farthest


def grid(lo, hi, bits, axis=None, block=None):
    """scale = max(-lo, hi) / (2**(bits - 1) - 1) as a float32."""
    width, lo, hi = admitted(lo, hi, bits)
    return affine.symmetric(width, farthest(lo, hi), axis, block)
