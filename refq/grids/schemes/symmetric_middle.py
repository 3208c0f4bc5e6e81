"""symmetric_middle: zero in the middle, m = max |x| half a step beyond the highest code: the ends saturate by half a step.

source   hahnyuan/PTQ4ViT quant_layers/linear.py, m / (2**(b-1) - 0.5), 127.5 at 8 bits; megvii-research/FQ-ViT
         models/ptq/observer/ minmax.py (weights); torch.ao.quantization MinMaxObserver, per_tensor_symmetric, of qint8, where
         they are all the same
"""
from refq.grids.affine import Affine, spread
from refq.grids.schemes.ranges import admitted, farthest


def grid(lo, hi, bits, axis=None, block=None):
    """scale = max(-lo, hi) / (2**(bits - 1) - 0.5) as a float32."""
    width, lo, hi = admitted(lo, hi, bits)
    return Affine(width, spread(farthest(lo, hi), width.hi + 0.5), 0, axis, block)
