"""ONNX's own reference evaluator, onnx.reference, on NumPy."""
from functools import partial
from importlib.metadata import version as installed

import numpy as np

from refq.ints.width import I8, I16, U8, U16
from tools.engines import codes_models as codes
from tools.engines import onnx_models
from tools.engines import qlinear_models as models


def version():
    """Raises ImportError where onnx is not installed."""
    return installed("onnx")


def evaluate(model, feeds, optimized, entries):
    from onnx import load_model_from_string
    from onnx.reference import ReferenceEvaluator
    with np.errstate(all="ignore"):         # its conversions to int32 are part of what is compared
        return ReferenceEvaluator(load_model_from_string(model)).run(None, feeds)


DIALECT = "onnx_reference"
run = partial(onnx_models.run, by=evaluate)

campaigns = [
    *codes.quantizing(DIALECT, run, (I8, U8, I16, U16, models.I4, models.U4), (I8, U8, models.I4, models.U4)),
    *codes.dequantizing(DIALECT, run), *codes.dynamics(DIALECT, run), *codes.carrying(DIALECT, run),
    *codes.surrounded(DIALECT, run, ("add", "sub", "mul"), (U8, I8)), *codes.surrounded(DIALECT, run, ("add_wide",), (I16,)),
    *models.sums(DIALECT, run), *models.integer_sums(DIALECT, run), *models.conv_integer_sums(DIALECT, run, models.PAIRS)]
