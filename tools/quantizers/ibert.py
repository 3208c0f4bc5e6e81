"""transformers' I-BERT: SymmetricQuantFunction, which gives codes as floats; its grid has no lowest code."""
import numpy as np

from refq.grids.affine import Affine
from refq.ints.width import I4, I8
from tools.quantizers.pytorch import tensor
from tools.quantizers.subject import Subject, single


def version():
    import transformers
    return transformers.__version__


def quantize(x, grid):
    import torch
    from transformers.models.ibert.quant_modules import SymmetricQuantFunction
    made = SymmetricQuantFunction.apply(tensor(np.asarray(x)), grid.width.bits, False, torch.tensor(float(grid.scale)))
    return made.numpy().astype(np.int64) if not torch.isnan(made).any() else refused()


def refused():
    raise ValueError("a NaN stays a NaN among the codes, which are floats")


def dequantize(codes, grid):
    return (np.asarray(codes) * np.float32(grid.scale)).astype(np.float32)


def subjects():
    grids = tuple(Affine(width, scale, 0, narrow=True) for width in (I8, I4) for scale in (single(0.1), 0.25))
    return (Subject("transformers I-BERT SymmetricQuantFunction", quantize, dequantize, grids, ("is_symmetric",)),)
