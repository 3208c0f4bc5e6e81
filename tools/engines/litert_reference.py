"""LiteRT's reference kernels (BUILTIN_REF): TFLite's published arithmetic, but for FULLY_CONNECTED."""
from refq.ints.width import I4, I8, I16
from tools.engines import litert_elementwise_models as elementwise
from tools.engines import litert_models as sums
from tools.engines.tflite_models import version  # noqa: F401

KERNELS, OWN, TFLITE = "reference", "litert_reference", "tflite"

campaigns = [
    *(sums.campaign("FULLY_CONNECTED", OWN, KERNELS, sums.connected, I8, w, per) for w in (I8, I4) for per in (False, True)),
    *(sums.campaign("FULLY_CONNECTED", OWN, KERNELS, sums.connected, I16, I8, per) for per in (False, True)),
    *(sums.campaign("CONV_2D", TFLITE, KERNELS, sums.convolved, I8, w, per) for w in (I8, I4) for per in (False, True)),
    *(sums.campaign("DEPTHWISE_CONV_2D", TFLITE, KERNELS, sums.depthwise, I8, w, True) for w in (I8, I4)),
    sums.campaign("CONV_2D", TFLITE, KERNELS, sums.convolved, I16, I8, True),
    sums.campaign("DEPTHWISE_CONV_2D", TFLITE, KERNELS, sums.depthwise, I16, I8, True),
    *(sums.campaign("TRANSPOSE_CONV", TFLITE, KERNELS, sums.transposed, x, I8, True) for x in (I8, I16)),
    *(sums.campaign("BATCH_MATMUL", TFLITE, KERNELS, sums.paired, x) for x in (I8, I16)),
    *elementwise.campaigns(TFLITE, KERNELS)]
