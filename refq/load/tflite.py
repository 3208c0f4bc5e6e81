"""TFLite files to graphs with grids: int8, uint8 and int16 activations, int8 and int4 weights, one subgraph.

Tensors keep their names and their layout (n h w c); what ONNX's operations need otherwise stands between two Transposes, and
a node is named after the tensor that it makes. The flatbuffer is read by the published schema package `tflite`, an extra.
Source: tensorflow/lite/schema/schema.fbs and docs of the quantization specification (ai.google.dev/edge/litert).
"""
from pathlib import Path
from struct import error as Damaged

import numpy as np

from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.graph.graph import Graph, Node
from refq.grids.affine import Affine, same
from refq.ints.width import I4, I8, I16, I32, I64, U8
from refq.load.tflite_operators import operators
from refq.load.tflite_shapes import admit

SMALLEST = float(np.finfo(np.float32).tiny)


def schema():
    """The package that knows the format; raises RefqError that says how to get it."""
    try:
        import tflite
    except ImportError:
        raise RefqError('a .tflite file needs the package tflite: pip install "refq[tflite]"') from None
    return tflite


def load(path):
    """The Graph with grids of a .tflite file, its batch axis set to 1.

    Raises IllFormed for a missing file, scales and zero points that cannot be, and biases on other grids than their products;
    Corrupt for a damaged file; Unsupported for operators that refq does not do (named), and for float files.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as e:
        raise IllFormed(f"{path}: cannot be read: {e.strerror}") from None
    if data[4:8] != b"TFL3":
        raise Corrupt(f"{path}: is not a TFLite file: it does not bear the mark TFL3")
    tflite, file = schema(), None
    try:
        file = File(path, tflite, data)
        return file.graph()
    except RefqError:
        raise
    except (Damaged, LookupError, TypeError, AttributeError, ValueError, ArithmeticError, MemoryError):
        place = file.place if file else path
        raise Corrupt(f"{place}: a damaged TFLite file: its tables point at what is not there; fetch it anew") from None


class File:
    """A file while it is read: `nodes`, `constants` and `grids` of the Graph to be."""

    def __init__(self, path, tflite, data):
        self.path, self.tflite, self.place = path, tflite, path
        self.model = tflite.Model.GetRootAsModel(data, 0)
        if self.model.SubgraphsLength() != 1:
            raise Unsupported(f"{path}: holds {self.model.SubgraphsLength()} subgraphs; refq runs one")
        self.sub = self.model.Subgraphs(0)
        self.nodes, self.constants, self.grids, self.called = [], {}, {}, {}
        self.tensors = [self.sub.Tensors(i) for i in range(self.sub.TensorsLength())]
        try:
            self.names = [(t.Name() or b"").decode() or f"tensor_{i}" for i, t in enumerate(self.tensors)]
        except UnicodeDecodeError:
            raise Corrupt(f"{path}: the name of a tensor is no text: the file is damaged") from None
        if len(set(self.names)) != len(self.names):
            self.names = [f"{name}_{i}" if self.names.count(name) > 1 else name for i, name in enumerate(self.names)]
        if odd := next((name for name in self.names if not name.isprintable()), None):
            raise Corrupt(f"{path}: the name {odd!r} cannot be printed: the file is damaged")
        kinds = tflite.TensorType
        self.widths = {kinds.INT4: I4, kinds.INT8: I8, kinds.UINT8: U8, kinds.INT16: I16, kinds.INT32: I32, kinds.INT64: I64}
        self.kinds = {v: k for k, v in vars(kinds).items() if k.isupper()}

    def graph(self):
        inputs = [int(i) for i in self.sub.InputsAsNumpy()]
        outputs = [int(i) for i in self.sub.OutputsAsNumpy()]
        for i in inputs:
            self.grid(i)
            if any(n < 1 for n in self.shape(i)):
                raise Corrupt(f"{self.path}: input {self.names[i]!r} has shape {self.shape(i)}; every size is at least 1")
        self.made = {*inputs, -1}
        for i in range(self.sub.OperatorsLength()):
            self.operator(self.sub.Operators(i))
        if not any(grid is not None for grid in self.grids.values()):
            raise Unsupported(f"{self.path}: a float network; refq reads TFLite files that are quantized")
        read = {name for node in self.nodes for name in node.inputs}
        constants = {name: value for name, value in self.constants.items() if name in read}
        return Graph(self.path.stem, {self.names[i]: self.shape(i) for i in inputs}, tuple(self.name(i) for i in outputs),
                     tuple(self.nodes), constants, grids={n: g for n, g in self.grids.items() if g is not None})

    def operator(self, operator):
        number = self.number_of(operator)
        try:
            op = self.tflite.opcode2name(number)
        except ValueError:
            op = f"an operator of number {number}"
        inputs = [int(i) for i in operator.InputsAsNumpy()] if operator.InputsLength() else []
        outputs = [int(i) for i in operator.OutputsAsNumpy()]
        self.place = f"{self.path}: {op} that makes {self.names[outputs[0]]!r}"
        if op not in operators:
            raise Unsupported(f"{self.place}: refq does not do that operator; it does {', '.join(sorted(operators))}")
        options = operator.BuiltinOptions()
        for i in (*inputs, *outputs):
            if not -1 <= i < len(self.tensors):
                raise Corrupt(f"{self.place}: it names tensor {i} of {len(self.tensors)}; the file is damaged")
            if i >= 0:
                self.grid(i)
        for i in inputs:
            if i not in self.made and self.names[i] not in self.constants:
                raise Corrupt(f"{self.place}: it reads {self.names[i]!r}, which no operator before it makes")
        admit(self, op, inputs, outputs, lambda kind: self.options(kind, options))
        self.made.update(outputs)
        operators[op](self, inputs, outputs, lambda kind: self.options(kind, options))

    def number_of(self, operator):
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def options(self, kind, table):
        """The operator's options as the schema's class `kind`."""
        if table is None:
            raise Corrupt(f"{self.place}: its options are missing")
        made = getattr(self.tflite, kind)()
        made.Init(table.Bytes, table.Pos)
        return made

    def name(self, index):
        return self.called.get(self.names[index], self.names[index]) if index >= 0 else ""

    def shape(self, index):
        """The shape of a tensor; of an activation with a batch of 1."""
        tensor = self.tensors[index]
        return tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()

    def constant(self, index):
        """The elements of a constant tensor as an integer or float64 array, or None where it is an activation."""
        buffer = self.model.Buffers(self.tensors[index].Buffer())
        if buffer is None or not buffer.DataLength():
            return None
        kind, shape, data = self.tensors[index].Type(), self.shape(index), buffer.DataAsNumpy().tobytes()
        if kind == self.tflite.TensorType.INT4:
            pairs = np.frombuffer(data, np.int8)
            flat = np.stack([(pairs << 4) >> 4, pairs >> 4], 1).reshape(-1)[:int(np.prod(shape))]
        elif kind in self.widths:
            flat = np.frombuffer(data, self.widths[kind].dtype)
        elif kind == self.tflite.TensorType.FLOAT32:
            return np.frombuffer(data, "<f4").astype(np.float64).reshape(shape)
        else:
            raise Unsupported(f"{self.path}: tensor {self.names[index]!r} holds {self.kinds.get(kind, kind)}; refq reads "
                              "FLOAT32, INT4, INT8, UINT8, INT16, INT32 and INT64")
        if flat.size != int(np.prod(shape)):
            raise Corrupt(f"{self.path}: tensor {self.names[index]!r} holds {flat.size} codes, and its shape {shape} is one of "
                          f"{int(np.prod(shape))}; the file is damaged")
        return flat.astype(np.int64).reshape(shape)

    def grid(self, index):
        """The grid of a tensor, or None for reals and plain integers; a constant becomes the reals that it means."""
        name = self.names[index]
        if name in self.grids:
            return self.grids[name]
        tensor, codes = self.tensors[index], self.constant(index)
        said = tensor.Quantization()
        self.grids[name] = None
        if codes is not None:
            self.constants[name] = codes
        if said is None or not said.ScaleLength():
            return None
        width = self.widths.get(tensor.Type())
        scale, zero = said.ScaleAsNumpy().astype(np.float64), np.zeros(1, np.int64)
        if said.ZeroPointLength():
            zero = said.ZeroPointAsNumpy().astype(np.int64)
        where = f"{self.path}: tensor {name!r}"
        if width is None:
            raise Unsupported(f"{where} is {self.kinds.get(tensor.Type(), tensor.Type())} with a scale; refq knows INT4, INT8, "
                              "UINT8, INT16, INT32 and INT64")
        if not (np.isfinite(scale) & (scale >= SMALLEST)).all():
            odd = float(scale[~(np.isfinite(scale) & (scale >= SMALLEST))][0])
            raise IllFormed(f"{where} has a scale of {odd!r}; a scale is finite, greater than 0 and not subnormal")
        if zero.min() < width.lo or zero.max() > width.hi:
            raise IllFormed(f"{where} has zero points from {zero.min()} to {zero.max()}; {width} holds {width.lo} to {width.hi}")
        if zero.size not in (1, scale.size):
            raise IllFormed(f"{where} has {scale.size} scales and {zero.size} zero points")
        if scale.size == 1:
            grid = Affine(width, scale[0], zero[0])
        elif codes is None:
            raise Unsupported(f"{where}: an activation with {scale.size} scales; refq takes one for all")
        else:
            grid = Affine(width, scale, np.broadcast_to(zero, scale.shape), int(said.QuantizedDimension()))
        if codes is not None:
            try:
                self.constants[name] = grid.decode(codes)
            except IllFormed as e:
                raise IllFormed(f"{where}: {e}") from None
        self.grids[name] = grid
        return grid

    def number(self, index, what):
        """A constant that an operator reads as sizes or axes, as a tuple of integers."""
        values = self.constant(index)
        if values is None:
            raise Unsupported(f"{self.place}: its {what} is computed while it runs; refq takes constant ones")
        return tuple(int(v) for v in values.reshape(-1))

    def fixed(self, name, values, grid=None):
        """A constant of the graph to be: reals, with a grid where they stand for codes; or integers."""
        self.constants[name] = np.asarray(values)
        if grid is not None:
            self.grids[name] = grid
        return name

    def emit(self, op, inputs, output, attributes=None, grid=None):
        """A node that makes the tensor `output`, which lies on `grid`; gives its name."""
        name = output if output not in {n.name for n in self.nodes} else f"{output}/{op}"
        self.nodes.append(Node(name, op, tuple(inputs), (output,), attributes or {}))
        if grid is not None:
            self.grids[output] = grid
        return output

    def rounded_only(self, index, grid):
        """Whether all that reads a tensor of reals rounds it onto `grid`."""
        readers = [self.sub.Operators(i) for i in range(self.sub.OperatorsLength())]
        readers = [o for o in readers if o.InputsLength() and index in o.InputsAsNumpy()]
        rounding = self.tflite.BuiltinOperator.QUANTIZE
        return index not in self.sub.OutputsAsNumpy() and all(
            self.number_of(o) == rounding and same(self.grid(int(o.Outputs(0))), grid) for o in readers)
