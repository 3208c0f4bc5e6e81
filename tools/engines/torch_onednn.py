"""PyTorch's onednn engine, on a processor with VNNI; its weights are symmetric."""
from functools import partial

from refq.ints.width import I8, U8
from tools.engines import torch_codes_models as codes
from tools.engines import torch_models as models

NAME, DIALECT = "onednn", "onednn"

version = partial(models.version, NAME)
campaigns = [*models.linears(NAME, DIALECT, "rescale_bias", (True,)), *models.convs(NAME, DIALECT, "rescale_conv2d", (True,)),
             *codes.dynamics(NAME, DIALECT, False),
             *(c for role in ("add", "mul") for width in (U8, I8) for c in codes.elementwise(NAME, DIALECT, role, width))]
