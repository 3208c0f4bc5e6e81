"""PyTorch's fbgemm engine on a processor of 2013, emulated: AVX2 and no VNNI, so that pairs of products saturate at 16 bits."""
from functools import cache

from tools.engines import onnx_models
from tools.engines import torch_models as models

NAME, DIALECT, PROCESSOR = "fbgemm", "fbgemm_avx2", "Haswell"


@cache
def emulated():
    return onnx_models.emulated(PROCESSOR, "tools.engines.torch_models")


def version():
    """Raises ImportError where the wheel or the emulator is missing."""
    emulated()
    return f"{models.version(NAME)}, qemu {PROCESSOR}"


def there(*question):
    return emulated()(*question)


campaigns = [*models.linears(NAME, DIALECT, "rescale_bias", by=there), *models.convs(NAME, DIALECT, "rescale_conv2d", by=there)]
