"""ONNX Runtime with session.x64quantprecision, on the emulated processor where it matters: constant int8 weights that reach
beyond -64..63 become uint8 ones, whose products are exact; but not those of QLinearMatMul."""
from functools import partial

from refq.ints.width import I8, U8
from tools.engines import qlinear_models as models
from tools.engines.onnxruntime_haswell import run as emulated
from tools.engines.onnxruntime_haswell import version  # noqa: F401

run = partial(emulated, session__x64quantprecision="1")
PAIRS = ((U8, I8),)

campaigns = [c for dialect, kind in (("ort_avx2", "QLinearMatMul"), ("ort_x86", "QLinearConv"))
             for c in models.sums(dialect, run, PAIRS, constant=True) if c.operation.startswith(kind)]
campaigns += models.integer_sums("ort_x86", run, PAIRS, constant=True)
