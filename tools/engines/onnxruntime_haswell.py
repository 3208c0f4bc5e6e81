"""ONNX Runtime on a processor of 2013, emulated: AVX2 and no VNNI, so that pairs of unsigned by signed products saturate."""
from functools import partial

from refq.ints.width import I8, U8
from tools.engines import codes_models as codes
from tools.engines import onnx_models
from tools.engines import qdq_models as qdq
from tools.engines import qlinear_models as models

DIALECT, PROCESSOR = "ort_avx2", "Haswell"


def version():
    """Raises ImportError where the wheel or the emulator is missing."""
    onnx_models.emulated(PROCESSOR)
    return f"{onnx_models.version()}, qemu {PROCESSOR}"


def there(*question):
    return onnx_models.emulated(PROCESSOR)(*question)


run = partial(onnx_models.run, by=there)

campaigns = [
    *qdq.surrounded_sums(DIALECT, run),
    *models.sums(DIALECT, run), *models.integer_sums(DIALECT, run),
    *models.conv_integer_sums("ort_x86", run, ((U8, U8), (U8, I8))), *models.contributed(DIALECT, run),
    *codes.quantizing(DIALECT, run, (I8, U8), (), codes.EDGES), *codes.dynamics(DIALECT, run),
    *codes.dynamic_products(DIALECT, run), *codes.alone(DIALECT, run)]
