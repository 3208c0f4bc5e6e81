"""quantized: each quantized operation of ONNX, ONNX Runtime and QONNX as the float operation that it stands for.

A function gets the Reader of codes.py and the node; `operations` lists them by name. A result lies on the grid that the node
says, its operands on the grids that they were made on, which must be the ones that the node says.
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.graph import Node
from refq.grids.affine import Affine
from refq.ints.width import I32, U8, Width
from refq.load import qonnx
from refq.load.codes import Reader, as_reals, told

INT32, UINT8 = 6, 2
WIDTHS = {"UINT8": U8, "INT8": Width(8), "UINT16": Width(16, False), "INT16": Width(16), "INT32": I32, "UINT4": Width(4, False),
          "INT4": Width(4), "UINT2": Width(2, False), "INT2": Width(2)}
"""ONNX's names of element types that hold codes."""


def quantize_linear(r, node):
    x, scale, zero = (*node.inputs, "")[:3]
    grid = grid_of(r, node, scale, zero, x)
    r.rounded(node, x, grid)


def grid_of(r, node, scale, zero, x, width=None):
    """The grid of a QuantizeLinear or DequantizeLinear; slices and blocks lie along its attribute axis."""
    block = node.attributes.get("block_size", 0)
    width = width or (WIDTHS[node.attributes["output_dtype"]] if node.attributes.get("output_dtype") in WIDTHS else None)
    return r.grid(node, scale, zero, width, node.attributes.get("axis", 1), block or None)


def dequantize_linear(r, node):
    x, scale, zero = (*node.inputs, "")[:3]
    if x in r.graph.constants:
        if r.widths.get(x) is None:
            raise IllFormed(f"node {node.name} ({node.op}): {x!r} holds floats, and codes are read there")
        r.called[node.outputs[0]] = r.fixed(node, x, grid_of(r, node, scale, zero, x, r.widths[x]))
        return
    tensor = r.now(x)
    if x not in r.widths:
        raise IllFormed(f"node {node.name} ({node.op}): {x!r} holds floats, and codes are read there")
    r.called[node.outputs[0]] = r.agreed(node, x, grid_of(r, node, scale, zero, x, r.widths[x]))
    return tensor


def bias_of(r, node, name, units, axis=0):
    """An int32 bias (m) whose codes count `units`, one or (m)."""
    if not name:
        return ()
    codes = r.number(node, name, "bias")
    if r.widths.get(name) != I32:
        raise IllFormed(f"node {node.name} ({node.op}): bias {name!r} is {r.widths.get(name, 'float')}; it is int32")
    flat = codes.reshape(-1)
    scales = np.broadcast_to(np.asarray(units, np.float64).reshape(-1), flat.shape) if np.size(units) in (1, flat.size) else None
    if scales is None:
        raise IllFormed(f"node {node.name} ({node.op}): {np.size(units)} scales of weights and {flat.size} biases")
    free = next(n for i in range(10**6) if (n := f"{name}_{i}" if i else name) not in r.grids)
    r.constants[free] = flat * scales
    r.grids[free] = Affine(I32, scales, np.zeros(flat.size, np.int64), axis)
    return (free,)


def refuse_channels_last(node):
    if node.attributes.get("channels_last"):
        raise Unsupported(f"node {node.name} ({node.op}): channels last; give the model as it was before it was optimized")


def qlinear_conv(r, node):
    x, sx, zx, w, sw, zw, sy, zy, *bias = node.inputs
    refuse_channels_last(node)
    first, weight = r.operand(node, x, sx, zx), r.operand(node, w, sw, zw, axis=0)
    given = bias_of(r, node, bias[0] if bias else "", float(r.grids[first].scale) * r.grids[weight].scale)
    r.gives(node, sy, zy)
    r.emit(node, "Conv", (first, weight, *given), node.attributes)


def qlinear_matmul(r, node):
    a, sa, za, b, sb, zb, sy, zy = node.inputs
    first, second = r.operand(node, a, sa, za), r.operand(node, b, sb, zb, axis=-1)
    r.gives(node, sy, zy)
    r.emit(node, "MatMul", (first, second))


def qgemm(r, node):
    a, sa, za, b, sb, zb, *rest = node.inputs
    c, sy, zy = (*rest, "", "", "")[:3]
    turned = node.attributes.get("transB", 0)
    first, second = r.operand(node, a, sa, za), r.operand(node, b, sb, zb, axis=0 if turned else 1)
    alpha = node.attributes.get("alpha", 1.0)
    given = bias_of(r, node, c, float(r.grids[first].scale) * r.grids[second].scale * alpha)
    if sy:
        r.gives(node, sy, zy)
    r.emit(node, "Gemm", (first, second, *given),
           {k: v for k, v in node.attributes.items() if k in ("alpha", "transA", "transB")})


def qlinear_two(op):
    def two(r, node):
        a, sa, za, b, sb, zb, sy, zy = (*node.inputs, "")[:8]
        operands = r.operand(node, a, sa, za), r.operand(node, b, sb, zb)
        r.gives(node, sy, zy)
        r.emit(node, op, operands)
    return two


def qlinear_one(op, *allowed):
    """One operand; `allowed`: the attributes of the float operation."""
    def one(r, node):
        x, sx, zx, sy, zy = (*node.inputs, "")[:5]
        refuse_channels_last(node)
        operand = r.operand(node, x, sx, zx)
        r.gives(node, sy, zy)
        r.emit(node, op, (operand,), {k: v for k, v in node.attributes.items() if k in allowed})
    return one


def qlinear_leaky_relu(r, node):
    qlinear_one("LeakyRelu", "alpha")(r, Node(node.name, node.op, node.inputs, node.outputs, {"alpha": 0.01} | node.attributes))


def qlinear_concat(r, node):
    sy, zy, *parts = node.inputs
    operands = [r.operand(node, *parts[i:i + 3]) for i in range(0, len(parts), 3)]
    r.gives(node, sy, zy)
    r.emit(node, "Concat", operands, node.attributes)


def integer_product(op):
    """MatMulInteger and ConvInteger give the accumulator itself: the product of reals, counted in units of both scales. The
    multiplication that makes reals of it follows in the file."""
    def integer(r, node):
        x, w, zx, zw = (*node.inputs, "", "")[:4]
        if w not in r.graph.constants or x in r.graph.constants:
            raise Unsupported(f"node {node.name} ({node.op}): its second operand is not constant")
        held = r.grids.get(r.now(x))
        if held is None:
            raise Unsupported(f"node {node.name} ({node.op}) reads codes of {x!r} whose scale nothing says")
        zero = int(np.asarray(r.number(node, zx, "zero point")).reshape(-1)[0]) if zx else 0
        if zero != int(held.zero):
            raise IllFormed(f"node {node.name} ({node.op}): {x!r} is read with zero point {zero}, and was made with {told(held)}")
        width, zeros = r.widths[w], r.number(node, zw, "zero point") if zw else np.zeros(1, np.int64)
        axis = (1 if op == "MatMul" else 0) if zeros.size > 1 else None
        ones = np.ones(zeros.size) if axis is not None else np.float64(1)
        weight = r.fixed(node, w, Affine(width, ones, zeros.reshape(-1) if axis is not None else zeros.reshape(-1)[0], axis))
        units = f"{node.outputs[0]}.units"
        r.constants[units] = np.asarray(1 / float(held.scale))
        r.emit(node, op, (r.now(x), weight), node.attributes, (f"{node.outputs[0]}.real",))
        r.emit(node, "Mul", (f"{node.outputs[0]}.real", units))
    return integer


def dynamic(r, node):
    raise Unsupported(f"node {node.name} ({node.op}): dynamic quantization, whose scales are found while the network runs; refq "
                      "runs networks whose scales are in the file: quantize it statically")


operations = {
    "QuantizeLinear": quantize_linear, "DequantizeLinear": dequantize_linear, "DynamicQuantizeLinear": dynamic,
    "QLinearConv": qlinear_conv, "QLinearMatMul": qlinear_matmul, "QGemm": qgemm, "QLinearAdd": qlinear_two("Add"),
    "QLinearMul": qlinear_two("Mul"), "QLinearSigmoid": qlinear_one("Sigmoid"), "QLinearLeakyRelu": qlinear_leaky_relu,
    "QLinearSoftmax": qlinear_one("Softmax", "axis"), "QLinearGlobalAveragePool": qlinear_one("GlobalAveragePool"),
    "QLinearAveragePool": qlinear_one("AveragePool", "kernel_shape", "strides", "pads", "dilations", "auto_pad", "ceil_mode",
                                      "count_include_pad"),
    "QLinearConcat": qlinear_concat, "MatMulInteger": integer_product("MatMul"), "ConvInteger": integer_product("Conv"),
    "DynamicQuantizeMatMul": dynamic, "MatMulIntegerToFloat": dynamic, "DynamicQuantizeLSTM": dynamic,
    "Quant": qonnx.quant, "IntQuant": qonnx.quant, "Trunc": qonnx.trunc, "BipolarQuant": qonnx.bipolar,
}
QONNX = ("Quant", "IntQuant", "Trunc", "BipolarQuant")
domains = {"": ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "MatMulInteger",
                "ConvInteger"),
           "com.microsoft": tuple(name for name in operations if name not in QONNX),
           "qonnx.custom_op.general": QONNX, "onnx.brevitas": QONNX}
"""Domain to the quantized operations that it defines."""


def knows(domain, op):
    return op in domains.get("" if domain == "ai.onnx" else domain, ())


def reals(graph, widths):
    """The graph as one of float operations on tensors with grids; the same graph where nothing in it is quantized."""
    return as_reals(graph, widths, operations) if any(n.op in operations for n in graph.nodes) else graph


__all__ = ["WIDTHS", "Reader", "knows", "reals"]
