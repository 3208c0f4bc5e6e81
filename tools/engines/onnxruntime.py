"""ONNX Runtime with all of its optimizations, on this processor (with VNNI: without, see onnxruntime_haswell.py)."""
from refq.ints.width import I8, I16, U8, U16
from tools.engines import codes_models as codes
from tools.engines import qdq_models as qdq
from tools.engines import qlinear_models as models
from tools.engines.onnx_models import run, version  # noqa: F401

DIALECT = "ort_x86"

FAR = ("4-bit codes of quotients beyond 2**31, infinities and NaN: the heads and tails of MLAS's loops convert to int32, which "
       "gives the lowest int32, and so the other end; x = 2.2e9, scale 1, zero point 0 is int4 7 per tensor and -8 per channel")

campaigns = [
    *codes.quantizing(DIALECT, run), *codes.quantizing(DIALECT, run, (models.I4, models.U4), (models.I4, models.U4), codes.NEAR),
    *codes.dequantizing(DIALECT, run),
    *codes.quantizing(DIALECT, run, (models.I4, models.U4), (), kind=", far", explained=FAR, apart=15, share=0.02),
    *codes.dynamics(DIALECT, run), *codes.dynamic_products(DIALECT, run),
    *codes.alone(DIALECT, run),
    *codes.carrying(DIALECT, run),
    *codes.surrounded(DIALECT, run, ("add", "mul"), (U8, I8)),
    *codes.surrounded(DIALECT, run, ("add_wide", "mul_wide"), (I16, U16)),
    *codes.surrounded(DIALECT, run, ("sub",), (U8, I8, I16)),
    *qdq.surrounded_sums(DIALECT, run), *models.sums(DIALECT, run), *models.integer_sums(DIALECT, run),
    *models.conv_integer_sums(DIALECT, run, ((U8, U8), (U8, I8))), *models.contributed(DIALECT, run)]
