"""PyTorch's x86 engine: linear by FBGEMM, conv by oneDNN (symmetric weights, AVX512-VNNI) or FBGEMM."""
from functools import partial

from refq.ints.width import I8, U8
from tools.engines import torch_codes_models as codes
from tools.engines import torch_models as models

NAME, DIALECT = "x86", "torch_x86"

version = partial(models.version, NAME)
campaigns = [*models.linears(NAME, DIALECT, "rescale_bias"), *models.convs(NAME, DIALECT, "rescale_conv2d", (True,)),
             *models.convs(NAME, "fbgemm", "rescale_conv2d", (False,)), *codes.dynamics(NAME, DIALECT),
             *(c for role in ("add", "mul") for width in (U8, I8) for c in codes.elementwise(NAME, DIALECT, role, width))]
