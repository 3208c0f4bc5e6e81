"""qdq: a network that comes quantized written as ONNX in QDQ form, which onnxruntime loads and runs.

Every tensor on a grid passes QuantizeLinear and DequantizeLinear where it is made; weights lie in the file as codes. What is
read back is the same network: it gives the same program. Opset 21, which has 16-bit and 4-bit codes. Names of tensors stay;
those of codes end in `_QuantizeLinear_Output`, of the reals after them in `_DequantizeLinear_Output`, as onnxruntime's own.
"""
import os
from pathlib import Path
from uuid import uuid4

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from refq.errors import IllFormed, RefqError, Unsupported
from refq.graph.graph import Graph
from refq.grids.rounded import Rounded

OPSET, IR = 21, 10
CODES, REALS = "_QuantizeLinear_Output", "_DequantizeLinear_Output"
TYPES = {"i8": TensorProto.INT8, "u8": TensorProto.UINT8, "i16": TensorProto.INT16, "u16": TensorProto.UINT16,
         "i32": TensorProto.INT32, "i4": TensorProto.INT4, "u4": TensorProto.UINT4}
AS_IT_IS = frozenset({"Add", "Sub", "Mul", "Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Abs", "Sqrt", "HardSwish", "Div", "Pow",
                      "Min", "Max", "Where", "Equal", "Less", "Greater", "Reciprocal", "Log", "Neg", "LeakyRelu", "HardSigmoid",
                      "Gelu", "LayerNormalization", "Softmax", "Transpose", "Concat", "ArgMax"})
"""Operations whose canonical form is ONNX's own."""


class Writer:
    """Collects the nodes and initializers of a file."""

    def __init__(self, graph):
        self.graph, self.nodes, self.initializers, self.made = graph, [], [], set()

    def add(self, op, inputs, outputs, name=None, **attributes):
        outputs = [outputs] if isinstance(outputs, str) else list(outputs)
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name or f"{outputs[0]}/{op}", **attributes))
        return outputs[0]

    def constant(self, name, values):
        if name not in self.made:
            self.made.add(name)
            self.initializers.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def integers(self, name, values):
        return self.constant(name, np.asarray(values, np.int64))

    def codes(self, name, codes, width):
        """An initializer of codes in ONNX's type of that width."""
        if str(width) not in TYPES:
            raise Unsupported(f"tensor {name}: codes of {width} have no type in ONNX; it has {', '.join(TYPES)}")
        if name not in self.made:
            self.made.add(name)
            kind = TYPES[str(width)]
            if width.bits >= 8:
                self.initializers.append(numpy_helper.from_array(np.array(codes, width.dtype, order="C"), name))
            else:
                self.initializers.append(helper.make_tensor(name, kind, np.shape(codes), np.ravel(codes).tolist()))
        return name

    def scaling(self, name, grid):
        """The names of scale and zero point, and the attributes, of a grid."""
        single = grid.scale.astype(np.float32)
        if grid.width.bits < 32 and (single != grid.scale).any():       # a bias has the unit of its products, whatever is written
            raise Unsupported(f"tensor {name}: scale {float(grid.scale.flat[0])!r} is no float32 number, as QDQ form needs")
        attributes = {} if grid.axis is None else {"axis": grid.axis}
        attributes |= {} if grid.block is None else {"block_size": grid.block}
        return [self.constant(f"{name}_scale", single), self.codes(f"{name}_zero_point", grid.zero, grid.width)], attributes

    def real(self, name):
        """What a node reads for a tensor: itself, or the reals that its codes mean."""
        if name in self.graph.constants:
            return self.fixed(name, self.graph.constants[name], self.graph.grids.get(name))
        return f"{name}{REALS}" if name in self.graph.grids else name

    def fixed(self, name, values, grid):
        """A constant: float32 or int64, or codes behind a DequantizeLinear."""
        if grid is None:
            return self.constant(name, values.astype(np.float32) if values.dtype.kind == "f" else values)
        if f"{name}{REALS}" not in self.made:
            self.made.add(f"{name}{REALS}")
            self.codes(name, grid.encode(values), grid.width)
            ends, attributes = self.scaling(name, grid)
            self.add("DequantizeLinear", [name, *ends], f"{name}{REALS}", **attributes)
        return f"{name}{REALS}"

    def rounded(self, name, made):
        """QuantizeLinear and DequantizeLinear behind `made`, for the tensor `name` where it lies on a grid."""
        grid = self.graph.grids.get(name)
        if grid is None:
            return
        if grid.narrow or isinstance(grid, Rounded):
            odd = f"rounded by {grid.ties}" if isinstance(grid, Rounded) else "its lowest code is left out"
            raise Unsupported(f"tensor {name}: {odd}; QDQ form rounds half to even, onto all codes")
        ends, attributes = self.scaling(name, grid)
        self.add("QuantizeLinear", [made, *ends], f"{name}{CODES}", **attributes)
        self.add("DequantizeLinear", [f"{name}{CODES}", *ends], f"{name}{REALS}", **attributes)


def weighted(w, node, out):
    """Conv, ConvTranspose, and Linear as MatMul by the turned weights; a bias of zeros was never there."""
    g, (x, weight, bias) = w.graph, node.inputs
    values, grid = g.constants[weight], g.grids.get(weight)
    some = bias in g.grids or g.constants[bias].any()
    if node.op != "Linear":
        a = node.attributes
        said = {k: list(v) if isinstance(v, tuple) else v for k, v in a.items()}
        inputs = [w.real(x), w.real(weight), *([w.real(bias)] if some else [])]
        w.add(node.op, inputs, out, node.name, kernel_shape=list(values.shape[2:]), **said)
        return
    turned = grid and type(grid)(grid.width, grid.scale.T, grid.zero.T, grid.axis if grid.axis is None else 1 - grid.axis % 2,
                                 grid.block, grid.narrow)
    product = f"{out}.product" if some else out
    w.add("MatMul", [w.real(x), w.fixed(weight, np.ascontiguousarray(values.T), turned)], product, node.name)
    if some:
        w.add("Add", [product, w.real(bias)], out)


def matmul(w, node, out):
    a, b = node.inputs
    rank, alpha = len(w.graph.shapes.get(b, np.shape(w.graph.constants.get(b)))), node.attributes.get("alpha", 1.0)
    columns = w.real(b)
    if node.attributes.get("transpose_b"):
        columns = w.add("Transpose", [columns], f"{out}.columns", perm=[*range(rank - 2), rank - 1, rank - 2])
    product = out if alpha == 1.0 else f"{out}.product"
    w.add("MatMul", [w.real(a), columns], product, node.name)
    if alpha != 1.0:
        w.add("Mul", [product, w.constant(f"{out}.alpha", np.float32(alpha))], out)


def pool(w, node, out):
    a = dict(node.attributes)
    counted = a.pop("counted", None)
    if counted is not None and counted != a["pads"]:
        raise Unsupported(f"node {node.name}: an average that counts some of its padding has no form with pads in ONNX")
    if set(a["dilations"]) == {1}:              # onnxruntime's own form of an average has no such attribute
        del a["dilations"]
    said = {k: list(v) for k, v in a.items()} | ({"count_include_pad": 1} if counted is not None else {})
    w.add(node.op, [w.real(node.inputs[0])], out, node.name, **said)


def moves(w, node, out):
    a, x = node.attributes, w.real(node.inputs[0])
    shape = w.graph.shapes[node.inputs[0]]
    if node.op == "Reshape":
        w.add("Reshape", [x, w.integers(f"{out}.shape", [0, *a["shape"][1:]])], out, node.name)
    elif node.op == "Slice":
        ends = [w.integers(f"{out}.{word}", [a[key]]) for word, key in (("starts", "start"), ("ends", "stop"), ("axes", "axis"),
                                                                        ("steps", "step"))]
        w.add("Slice", [x, *ends], out, node.name)
    elif node.op == "Gather":
        w.add("Gather", [x, w.integers(f"{out}.indices", a["indices"])], out, node.name, axis=a["axis"])
    elif node.op == "Pad":
        w.add("Pad", [x, w.integers(f"{out}.pads", a["pads"]), w.constant(f"{out}.value", np.float32(a.get("value", 0.0)))], out,
              node.name)
    elif node.op == "ReduceMean":
        w.add("ReduceMean", [x, w.integers(f"{out}.axes", a["axes"])], out, node.name, keepdims=0)
    elif node.op == "Clip":
        bounds = [w.constant(f"{out}.{end}", np.float32(a[end])) if np.isfinite(a[end]) else "" for end in ("min", "max")]
        w.add("Clip", [x, *bounds], out, node.name)
    elif node.op == "Requantize":
        by = a.get("by", 1.0)
        w.add(*(("Identity", [x]) if by == 1.0 else ("Mul", [x, w.constant(f"{out}.by", np.float32(by))])), out, node.name)
    elif node.op == "Swish":
        alpha = a.get("alpha", 1.0)
        steep = x if alpha == 1.0 else w.add("Mul", [x, w.constant(f"{out}.alpha", np.float32(alpha))], f"{out}.steep")
        w.add("Mul", [x, w.add("Sigmoid", [steep], f"{out}.gate")], out, node.name)
    else:
        raise Unsupported(f"node {node.name}: {node.op} of shape {shape} is not written to QDQ form")


FORMS = dict.fromkeys(("Conv", "ConvTranspose", "Linear"), weighted) | {"MatMul": matmul, "AveragePool": pool, "MaxPool": pool}


def model_of(graph):
    """The ONNX model of a canonical Graph with grids; raises IllFormed for a float network."""
    if not isinstance(graph, Graph) or not graph.grids:
        raise IllFormed("export to QDQ form: the network has no grids; give one that comes quantized")
    w = Writer(graph)
    for name in graph.inputs:
        w.rounded(name, name)
    last = {name: f"{name}.made" for name in graph.outputs if name in graph.grids and name not in graph.inputs}
    for node in graph.nodes:
        (name,) = node.outputs
        out = last.get(name, name)
        if node.op in AS_IT_IS:
            attributes = {k: list(v) if isinstance(v, tuple) else v for k, v in node.attributes.items()}
            w.add(node.op, [w.real(t) if t else "" for t in node.inputs], out, node.name, **attributes)
        else:
            FORMS.get(node.op, moves)(w, node, out)
        w.rounded(name, out)
        if name in last:
            w.add("Identity", [f"{name}{REALS}"], name)
    whole = any(n.op == "Concat" and graph.constants.keys() & set(n.inputs) for n in graph.nodes)     # a constant has one image
    batch = 1 if whole else "n"
    shaped = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, *s[1:]]) for n, s in graph.inputs.items()]
    given = [helper.make_tensor_value_info(n, TensorProto.INT64 if graph.producers[n].op == "ArgMax" else TensorProto.FLOAT,
                                           [batch, *graph.shapes[n][1:]]) for n in graph.outputs]
    written = helper.make_graph(w.nodes, "refq", shaped, given, initializer=w.initializers)
    model = helper.make_model(written, producer_name="refq", ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)])
    onnx.checker.check_model(model)
    return model


def write(graph, path):
    """The network as the file `path` (.onnx), whole or not at all; raises IllFormed for a float network and for a path that is
    taken or has another ending, Unsupported for what QDQ form cannot say."""
    path = Path(path)
    if path.suffix != ".onnx" or path.exists():
        raise IllFormed(f"{path}: {'is there already' if path.exists() else 'a model ends in .onnx'}; give another name")
    data = model_of(graph).SerializeToString(deterministic=True)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise RefqError(f"{path}: cannot be written: {e.strerror}") from None
