"""codes: the integers of an ONNX file that comes quantized, said again as float operations on tensors with grids.

QDQ form (QuantizeLinear, DequantizeLinear), QOperator form (QLinear..., QGemm, MatMulInteger, ConvInteger) and QONNX's nodes
are told apart here and nowhere else: the graph that comes out has the operations that they stand for, and `grids`. A tensor
keeps the name that it has where it is an operation's result. Source: ONNX docs/Operators.md, onnxruntime
docs/ContribOperators.md, fastmachinelearning/qonnx docs/qonnx-custom-ops.
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.graph import Graph, Node
from refq.grids.affine import Affine, same
from refq.grids.rounded import Rounded
from refq.ints.width import U8

MOVES = frozenset({"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "Identity", "MaxPool",
                   "Concat", "Expand", "Pad"})
"""What may be done to codes as they lie."""

SMALLEST = float(np.finfo(np.float32).tiny)


class Reader:
    """Walks the nodes of a file once; `widths`: tensor to the width of its elements, for constants and inputs that are
    integers; `grids`, `nodes`, `constants`: what becomes of them; `called`: the file's names to those that are left."""

    def __init__(self, graph, widths):
        self.graph, self.widths = graph, dict(widths)
        self.grids, self.nodes, self.called = {}, [], {}
        self.constants = dict(graph.constants)

    def now(self, name):
        while name in self.called:
            name = self.called[name]
        return name

    def number(self, node, name, what):
        """A constant that a node reads as a scale, a zero point or a size."""
        if name not in self.graph.constants:
            raise Unsupported(f"node {node.name} ({node.op}): its {what} {name!r} is no constant; refq runs networks whose "
                              "scales are known before they run (static quantization)")
        return self.graph.constants[name]

    def grid(self, node, scale, zero, width=None, axis=None, block=None):
        """The grid that a node says by the names of its scale and zero point ("" for none)."""
        scales = np.asarray(self.number(node, scale, "scale"), np.float64)
        if not (np.isfinite(scales) & (scales > 0)).all():
            odd = scales[~(np.isfinite(scales) & (scales > 0))].flat[0]
            raise IllFormed(f"node {node.name} ({node.op}): scale {scale!r} holds {odd}; a scale is finite and greater than 0")
        if (scales < SMALLEST).any():
            raise IllFormed(f"node {node.name} ({node.op}): scale {scale!r} holds {float(scales.min())!r}, which is subnormal in "
                            "float32; engines disagree about it, so quantize that tensor anew")
        width = width or (self.widths.get(zero, U8) if zero else U8)
        zeros = np.asarray(self.number(node, zero, "zero point"), np.int64) if zero else np.zeros(scales.shape, np.int64)
        if zero and (said := self.widths.get(zero)) is not None and said != width:
            raise IllFormed(f"node {node.name} ({node.op}): zero point {zero!r} is {said}, and its codes are {width}")
        if zeros.size and not width.lo <= zeros.min() <= zeros.max() <= width.hi:
            raise IllFormed(f"node {node.name} ({node.op}): zero point {zero!r} reaches from {zeros.min()} to {zeros.max()}; "
                            f"{width} holds {width.lo} to {width.hi}")
        if zeros.size not in (1, scales.size):
            raise IllFormed(f"node {node.name} ({node.op}): {scales.size} scales and {zeros.size} zero points")
        if block:
            return Affine(width, scales, np.broadcast_to(zeros, scales.shape), axis, block)
        if scales.size == 1:
            return Affine(width, scales.reshape(()), zeros.reshape(-1)[0])
        return Affine(width, scales.reshape(-1), np.broadcast_to(zeros.reshape(-1), scales.size), axis)

    def operand(self, node, name, scale, zero, axis=None):
        """The tensor that a node reads as codes on the grid that it says; gives its name."""
        if name in self.graph.constants:
            width = self.widths.get(name)
            if width is None:
                raise IllFormed(f"node {node.name} ({node.op}): {name!r} holds floats, and codes are read there")
            return self.fixed(node, name, self.grid(node, scale, zero, width, axis))
        return self.agreed(node, name, self.grid(node, scale, zero, self.widths.get(name)))

    def agreed(self, node, name, grid):
        """An activation that a node reads on a grid: the one that it was made on, or, of an input, the first one said."""
        tensor = self.now(name)
        if tensor in self.graph.inputs and tensor not in self.grids:
            self.grids[tensor] = grid
        held = self.grids.get(tensor)
        if held is None:
            raise IllFormed(f"node {node.name} ({node.op}): {name!r} holds floats, and codes are read there")
        if not same(held, grid):
            raise IllFormed(f"node {node.name} ({node.op}): {name!r} is read with {told(grid)}, and was made with {told(held)}; "
                            "the file contradicts itself")
        return tensor

    def fixed(self, node, name, grid):
        """A constant of codes as the reals that they mean; the name stays, unless it is read on another grid too."""
        held = self.grids.get(name)
        free = name
        if held is not None and not same(held, grid):
            free = next(n for i in range(1, 10**6) if (n := f"{name}_{i}") not in self.constants)
        codes = self.graph.constants[name]
        try:
            grid.over(codes.shape)
        except IllFormed as error:
            raise IllFormed(f"node {node.name} ({node.op}): {error}") from None
        if codes.size and not grid.width.lo <= codes.min() <= codes.max() <= grid.width.hi:
            raise IllFormed(f"node {node.name} ({node.op}): {name!r} reaches from {codes.min()} to {codes.max()}; "
                            f"{grid.width} holds {grid.width.lo} to {grid.width.hi}")
        self.constants[free], self.grids[free] = grid.decode(codes.astype(grid.width.dtype)), grid
        return free

    def emit(self, node, op, inputs, attributes=None, outputs=None):
        self.nodes.append(Node(node.name, op, tuple(inputs), tuple(outputs or node.outputs), attributes or {}))

    def gives(self, node, scale, zero):
        """The one result of a node lies on a grid; codes there have that width."""
        (name,) = (n for n in node.outputs if n)
        grid = self.grid(node, scale, zero)
        if grid.scale.ndim:
            raise Unsupported(f"node {node.name} ({node.op}): its result has {grid.scale.size} scales; refq takes one for all")
        self.grids[name], self.widths[name] = grid, grid.width

    def rounded(self, node, x, grid):
        """The result of a node is its input, rounded onto a grid: then the input is that itself, unless somebody reads it as it
        is, or it comes from outside, where nobody rounds as the file says."""
        (result,) = node.outputs
        self.widths[result] = grid.width
        if x in self.graph.constants:
            free = next(n for i in range(10**6) if (n := f"{x}_{i}" if i else x) not in self.grids)
            self.constants[free] = grid.decode(grid.encode(self.graph.constants[x]))
            self.grids[free], self.called[result] = grid, free
            return
        if grid.scale.ndim:
            raise Unsupported(f"node {node.name} ({node.op}): an activation with {grid.scale.size} scales; refq takes one for "
                              "all")
        tensor, readers = self.now(x), self.graph.consumers.get(x, ())
        said = node.op, node.inputs[1:], node.attributes
        alone = all((n.op, n.inputs[1:], n.attributes) == said or n.op in ("Shape", "Size") for n in readers)
        alone = alone and x not in self.graph.outputs and not (isinstance(grid, Rounded) and tensor in self.graph.inputs)
        if same(self.grids.get(tensor), grid):
            self.called[result] = tensor
        elif tensor not in self.grids and alone:
            self.grids[tensor], self.called[result] = grid, tensor
        else:
            self.emit(node, "Requantize", (tensor,), outputs=(result,))
            self.grids[result] = grid

    def plain(self, node):
        """A node of the standard: on reals as it is; on codes only where it moves them."""
        coded = [name for name in node.inputs if name in self.widths and (name not in self.graph.constants or name in self.grids)
                 and name not in self.graph.constants]
        if not coded:
            self.emit(node, node.op, [self.now(name) for name in node.inputs], node.attributes)
            return
        if node.op not in MOVES:
            raise Unsupported(f"node {node.name} ({node.op}) reads the codes of {coded[0]!r}; refq does that to reals only, "
                              "behind a DequantizeLinear")
        tensor = self.now(coded[0])
        grid = self.grids.get(tensor)
        if grid is None:
            raise Unsupported(f"node {node.name} ({node.op}) moves the codes of {coded[0]!r} before their grid is said")
        inputs = [self.now(name) for name in node.inputs]
        if node.op == "Concat" and not all(same(grid, self.grids.get(name)) for name in inputs):
            raise IllFormed(f"node {node.name} (Concat) joins codes of different grids")
        if node.op == "Pad" and len(inputs) > 2 and inputs[2]:
            code = int(np.asarray(self.number(node, inputs[2], "value")).reshape(-1)[0])
            inputs[2] = f"{node.outputs[0]}.value"
            self.constants[inputs[2]] = np.asarray(float(grid.scale) * (code - int(grid.zero)))
        elif node.op == "Pad" and int(grid.zero):
            inputs = [*inputs[:2], f"{node.outputs[0]}.value", *inputs[3:]]
            self.constants[inputs[2]] = np.asarray(-float(grid.scale) * int(grid.zero))
        self.emit(node, node.op, inputs, node.attributes)
        for name in node.outputs:
            self.grids[name], self.widths[name] = grid, grid.width


def told(grid):
    return f"scale {float(grid.scale.flat[0])!r} and zero point {int(grid.zero.flat[0])} as {grid.width}"


def as_reals(graph, widths, operations):
    """The Graph with `grids`, of one that still has `operations`: name of a quantized operation to a function of (reader,
    node). `widths`: tensor to Width for the constants and inputs that are integers. Refuses with IllFormed what contradicts
    itself and with Unsupported what refq does not do, naming the node."""
    reader = Reader(graph, widths)
    for node in graph.nodes:
        operations.get(node.op, Reader.plain)(reader, node)
    called, outputs = reader.now, []
    for name in graph.outputs:
        outputs.append(called(name))
    names = dict(zip(outputs, graph.outputs))
    names = {old: new for old, new in names.items() if old != new and old not in graph.inputs and outputs.count(old) == 1}
    nodes = tuple(Node(n.name, n.op, tuple(names.get(t, t) for t in n.inputs), tuple(names.get(t, t) for t in n.outputs),
                       n.attributes) for n in reader.nodes)
    grids = {names.get(name, name): grid for name, grid in reader.grids.items()}
    read = {t for n in nodes for t in n.inputs}
    return Graph(graph.name, graph.inputs, tuple(names.get(t, t) for t in outputs), nodes,
                 {name: value for name, value in reader.constants.items() if name in read}, {}, graph.notes, graph.labels, grids)
