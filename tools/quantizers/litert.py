"""LiteRT's QUANTIZE and DEQUANTIZE, per tensor, by its reference, its fast kernels and XNNPACK."""
from functools import partial

import numpy as np

from tools.engines import tflite_models
from tools.engines.tflite_models import Tensor, operation
from tools.quantizers.subject import WIDTHS, Subject, kept, key, per_tensor

NAMES = {str(width): name for name, width in WIDTHS.items()}
KERNELS = ("reference", "ruy", "xnnpack")


def version():
    return tflite_models.version()


@kept
def device(op, kernels, shape, held):
    """A LiteRT interpreter of one operation."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    width, (scale,), (zero,), _ = held
    real, codes = Tensor(shape, "float32"), Tensor(shape, NAMES[width], scale, zero)
    taken, given = (real, codes) if op == "QUANTIZE" else (codes, real)
    with tflite_models.silence():
        made = Interpreter(model_content=operation(op, [taken], [given]), num_threads=1,
                           experimental_op_resolver_type=getattr(OpResolverType, tflite_models.RESOLVERS[kernels]))
        made.allocate_tensors()
    return made


def asked(op, kernels, x, grid):
    x = np.array(x, order="C")
    if not x.size:                      # an interpreter invokes nothing on it
        return x.astype(grid.width.dtype if op == "QUANTIZE" else np.float32)
    made = device(op, kernels, x.shape, key(grid))
    made.set_tensor(made.get_input_details()[0]["index"], x if op == "QUANTIZE" else x.astype(grid.width.dtype))
    made.invoke()
    return np.array(made.get_tensor(made.get_output_details()[0]["index"]))


def subjects():
    narrow, wide = per_tensor("int8", "uint8"), per_tensor("int16")[1:]         # its 16-bit codes have no zero point
    return tuple(Subject(f"LiteRT QUANTIZE, {kernels}", partial(asked, "QUANTIZE", kernels),
                         partial(asked, "DEQUANTIZE", kernels), narrow + wide * (kernels != "xnnpack"), group="per tensor")
                 for kernels in KERNELS)
