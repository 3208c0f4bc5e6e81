"""ONNX Runtime with nothing optimized: what stands between DequantizeLinear and QuantizeLinear is computed in float32."""
from functools import partial

from refq.ints.width import I8, I16, U8, U16
from tools.engines import codes_models as codes
from tools.engines import onnx_models
from tools.engines import qlinear_models as models
from tools.engines.onnx_models import version  # noqa: F401

DIALECT = "ort_x86"
run = partial(onnx_models.run, optimized=False)

campaigns = [
    *codes.quantizing(DIALECT, run, blocks=()), *codes.dequantizing(DIALECT, run, blocks=()), *codes.dynamics(DIALECT, run),
    *codes.carrying(DIALECT, run),
    *codes.alone(DIALECT, run), *codes.surrounded(DIALECT, run, ("add_wide", "mul_wide"), (U8, I8, I16, U16)),
    *codes.surrounded(DIALECT, run, ("sub",), (U8, I8)),
    *models.sums(DIALECT, run), *models.integer_sums(DIALECT, run), *models.contributed(DIALECT, run)]
