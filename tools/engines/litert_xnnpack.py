"""LiteRT with its default delegate, XNNPACK, for the operations and widths that it takes."""
from functools import partial

from refq.ints.width import I4, I8, Width
from tools.engines import litert_elementwise_models as elementwise
from tools.engines import litert_models as sums
from tools.engines.tflite_models import version  # noqa: F401

KERNELS, OWN = "xnnpack", "tflite_xnnpack"

campaigns = [
    *(sums.campaign("FULLY_CONNECTED", OWN, KERNELS, sums.connected, I8, I8, per) for per in (False, True)),
    *(sums.campaign("FULLY_CONNECTED", OWN, KERNELS, partial(sums.connected, even=True, held=Width(28)), I8, I4, per)
      for per in (False, True)),
    *(sums.campaign("CONV_2D", OWN, KERNELS, sums.convolved, I8, I8, per) for per in (False, True)),
    sums.campaign("DEPTHWISE_CONV_2D", OWN, KERNELS, sums.depthwise, I8, I8, True),
    sums.campaign("TRANSPOSE_CONV", OWN, KERNELS, sums.transposed, I8, I8, True),
    sums.campaign("BATCH_MATMUL", OWN, KERNELS, partial(sums.paired, zeros=True), I8),
    sums.campaign("BATCH_MATMUL with a second zero point", OWN, KERNELS, partial(sums.paired, zeros=False), I8),
    *elementwise.campaigns(OWN, KERNELS)]
