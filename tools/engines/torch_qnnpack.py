"""PyTorch's qnnpack engine."""
from functools import partial

from refq.ints.width import I8, U8
from tools.engines import torch_codes_models as codes
from tools.engines import torch_models as models

NAME, DIALECT = "qnnpack", "torch_qnnpack"

version = partial(models.version, NAME)
campaigns = [*models.linears(NAME, DIALECT, "rescale"), *models.convs(NAME, DIALECT, "rescale"),
             *codes.dynamics(NAME, DIALECT, reduces=False),
             *(c for role, width in (("add", U8), ("add_i8", I8), ("mul", U8), ("mul", I8))
               for c in codes.elementwise(NAME, DIALECT, role, width))]
