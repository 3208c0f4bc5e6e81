"""LiteRT's fast kernels without a delegate (BUILTIN_WITHOUT_DEFAULT_DELEGATES), whose matrix products are ruy's."""
from functools import partial

from refq.ints.width import I4, I8, I16
from tools.engines import litert_elementwise_models as elementwise
from tools.engines import litert_models as sums
from tools.engines.tflite_models import version  # noqa: F401

KERNELS, OWN = "ruy", "tflite_ruy"

campaigns = [
    *(sums.campaign("FULLY_CONNECTED", OWN, KERNELS, sums.connected, I8, w, per) for w in (I8, I4) for per in (False, True)),
    *(sums.campaign("FULLY_CONNECTED", OWN, KERNELS, sums.connected, I16, I8, per) for per in (False, True)),
    *(sums.campaign("FULLY_CONNECTED without bias", OWN, KERNELS, sums.unbiased, I16, I8, per) for per in (False, True)),
    *(sums.campaign("CONV_2D", OWN, KERNELS, sums.convolved, I8, w, per) for w in (I8, I4) for per in (False, True)),
    *(sums.campaign("DEPTHWISE_CONV_2D", OWN, KERNELS, partial(sums.depthwise, tail=8), I8, w, True) for w in (I8, I4)),
    sums.campaign("CONV_2D", OWN, KERNELS, sums.convolved, I16, I8, True),
    sums.campaign("DEPTHWISE_CONV_2D", OWN, KERNELS, sums.depthwise, I16, I8, True),
    sums.campaign("TRANSPOSE_CONV", OWN, KERNELS, partial(sums.transposed, tail=8), I8, I8, True),
    sums.campaign("TRANSPOSE_CONV", OWN, KERNELS, sums.transposed, I16, I8, True),
    *(sums.campaign("BATCH_MATMUL", OWN, KERNELS, sums.paired, x) for x in (I8, I16)),
    *elementwise.campaigns(OWN, KERNELS, tail=16)]
