"""PyTorch's fbgemm engine."""
from functools import partial

from refq.ints.width import I8, U8
from tools.engines import torch_codes_models as codes
from tools.engines import torch_models as models

NAME, DIALECT = "fbgemm", "fbgemm"

version = partial(models.version, NAME)
campaigns = [*models.linears(NAME, DIALECT, "rescale_bias"), *models.convs(NAME, DIALECT, "rescale_conv2d"),
             *codes.dynamics(NAME, DIALECT),
             *(c for role in ("add", "add_scalar", "mul", "mul_scalar") for width in (U8, I8)
               for c in codes.elementwise(NAME, DIALECT, role, width)),
             *codes.listed(NAME, DIALECT)]
