"""QuantizeLinear and DequantizeLinear as ONNX Runtime computes them on the CPU, and as the evaluator of the onnx package does."""
import numpy as np

from tools.engines import onnx_models
from tools.quantizers.subject import WIDTHS, Subject, kept, key, per_axis, per_tensor

NAMES = {str(width): name for name, width in WIDTHS.items()}
CAST = {"i4": 3, "u4": 2}


def version():
    import onnx
    return f"onnxruntime {onnx_models.version()}, onnx {onnx.__version__}"


def container(grid):
    """The dtype of codes in a model."""
    import ml_dtypes
    name = NAMES[str(grid.width)]
    return np.dtype(getattr(ml_dtypes, name) if name.endswith("t4") else name)


def built(op, shape, dtype, grid):
    """(bytes of a model of one operation, its input name)."""
    constants = {"s": np.asarray(grid.scale, np.float32), "z": grid.zero.astype(container(grid))}
    x = np.zeros(shape, dtype)
    attributes = {} if grid.axis is None else {"axis": grid.axis}
    if op == "QuantizeLinear":
        nodes = [(op, "x s z", "q", attributes)]
        nodes += [("Cast", "q", "y", {"to": CAST[str(grid.width)]})] if str(grid.width) in CAST else []
    else:
        nodes = [("Cast", "x", "c", {"to": {"i4": 22, "u4": 21}[str(grid.width)]})] if str(grid.width) in CAST else []
        nodes += [(op, f"{'c' if nodes else 'x'} s z", "y", attributes)]
    return onnx_models.model({"x": x, **constants}, nodes, ("s", "z"))


@kept
def runtime(op, shape, dtype, held):
    return onnx_models.session(built(op, shape, dtype, GRIDS[held]), True, {})


@kept
def evaluator(op, shape, dtype, held):
    from onnx import load_model_from_string
    from onnx.reference import ReferenceEvaluator
    return ReferenceEvaluator(load_model_from_string(built(op, shape, dtype, GRIDS[held])))


GRIDS = {}
"""What `key` of a grid stands for."""


def asked(engine, op):
    """f(x, grid) by an engine."""
    def ask(x, grid):
        x = np.array(x, order="C", copy=None)
        if op == "DequantizeLinear" and str(grid.width) not in CAST:
            x = x.astype(container(grid))
        GRIDS[key(grid)] = grid
        with np.errstate(all="ignore"):
            return np.asarray(engine(op, x.shape, x.dtype, key(grid)).run(None, {"x": x})[0])
    return ask


ort_quantize, ort_dequantize = asked(runtime, "QuantizeLinear"), asked(runtime, "DequantizeLinear")
onnx_quantize, onnx_dequantize = asked(evaluator, "QuantizeLinear"), asked(evaluator, "DequantizeLinear")


def subjects():
    tensors, axes = per_tensor("int8", "uint8", "int16", "uint16", "int4", "uint4"), per_axis("int8", "uint8")
    return (Subject("onnxruntime QuantizeLinear", ort_quantize, ort_dequantize, tensors + axes, ties_are="half_even",
                    group="per tensor"),
            Subject("onnx evaluator QuantizeLinear", onnx_quantize, onnx_dequantize, tensors + axes, ties_are="half_even",
                    group="per tensor"))
