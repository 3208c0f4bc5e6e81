"""ONNX files to float graphs: opsets 13 and newer, local functions inlined, external data inside the file's folder.

Source: the ONNX IR specification (onnx/onnx docs/IR.md, docs/ExternalData.md).
"""
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import inliner, numpy_helper

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.graph.graph import Graph, Node
from refq.load import fused, quantized
from refq.load.batch import one_of
from refq.reals.floats import table

oldest_opset = 13
small = {onnx.TensorProto.DataType.Value(name) for name in ("INT4", "UINT4", "INT2", "UINT2")}


def load(path):
    """The float graph of an ONNX file, its batch axis set to 1; with `grids` where the file comes quantized.

    Raises IllFormed for a missing file, weights that are NaN or infinite, and sizes that are not fixed; Corrupt for a
    file that is empty, truncated, not ONNX, or whose external data is missing or lies outside its folder; Unsupported
    for operations that refq does not do (all of them are named), older opsets and dynamic quantization.
    """
    path = Path(path)
    model = parsed(path)
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < oldest_opset:
        raise Unsupported(f"{path} is written in opset {opset}: refq reads opset {oldest_opset} and newer, export it "
                          f"anew.")
    if model.functions:
        model = inlined(path, model)
    refuse_odd_names(path, model.graph)
    refuse_unknown(path, model)
    constants = {tensor.name: array(path, tensor) for tensor in model.graph.initializer}
    nodes = []
    for index, node in enumerate(model.graph.node):
        try:
            attributes = {a.name: attribute(path, a) for a in node.attribute}
            if node.op_type == "Constant":
                (value,) = attributes.values()
                constants[node.output[0]] = np.asarray(value)
                continue
            if node.op_type in ("Cast", "ConstantOfShape"):
                attributes = explicit(node.op_type, attributes)
            whole = Node(scoped(node, index), node.op_type, trimmed(node.input), tuple(node.output), attributes)
            nodes += [whole] if quantized.knows(node.domain, node.op_type) else taken_apart(path, whole, node.domain)
        except (ValueError, KeyError, TypeError, IndexError):
            raise Corrupt(f"{path}: node {node.name or index} ({node.op_type}) has damaged attributes.") from None
    refuse_not_finite(path, nodes, constants)
    inputs = {value.name: one_image(path, value) for value in model.graph.input if value.name not in constants}
    if not inputs or not model.graph.output:
        raise Corrupt(f"{path} holds a graph without inputs or outputs: it is truncated or not a model.")
    refuse_loose_ends(path, nodes, {*constants, *inputs}, model.graph.output)
    graph = Graph(path.stem, inputs, tuple(value.name for value in model.graph.output), tuple(nodes), constants)
    graph = as_reals(path, graph, widths(model.graph, nodes))
    batches = {value.type.tensor_type.shape.dim[0].dim_value for value in model.graph.input if value.name in inputs}
    return one_of(graph, max(batches)) if max(batches) > 1 else graph


def parsed(path):
    if path.is_dir():
        raise IllFormed(f"{path} is a folder: give the model file in it.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise IllFormed(f"There is no file {path}.") from None
    except OSError as error:
        raise IllFormed(f"{path} cannot be read: {error.strerror}.") from None
    if not data:
        raise Corrupt(f"{path} is empty.")
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise Corrupt(f"{path} is not an ONNX file, or it is truncated: it cannot be parsed.") from None
    if not model.graph.node or not model.opset_import:
        raise Corrupt(f"{path} is not an ONNX model: it holds no graph.")
    return model


def inlined(path, model):
    """The model without its local functions. The inliner wants none of the bytes of external data."""
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:      # the inliner's C++ raises bare types of its own
        raise Corrupt(f"{path}: its local functions cannot be inlined ({str(error).splitlines()[0]}).") from None


def refuse_odd_names(path, graph):
    """Names stand in messages and in packs, so they are one printable line each."""
    names = [*(tensor.name for tensor in graph.initializer), *(value.name for value in (*graph.input, *graph.output)),
             *(name for node in graph.node
               for name in (node.name, node.op_type, node.domain, *node.input, *node.output))]
    odd = next((name for name in names if not isinstance(name, str) or not name.isprintable()), None)
    if odd is not None:
        raise Corrupt(f"{path}: the name {odd!r} holds characters that cannot be printed: the file is damaged.")


def refuse_unknown(path, model):
    nodes = [(node.domain, node.op_type, node.name or f"number {i}") for i, node in enumerate(model.graph.node)]
    unknown = {}
    for domain, op, name in nodes:
        standard = domain in ("", "ai.onnx")
        known = op in table or op == "Constant" if standard else domain == "com.microsoft" and op in fused.table
        if not known and not quantized.knows(domain, op):
            unknown.setdefault(op if standard else f"{domain}.{op}", []).append(name)
    if unknown:
        each = "; ".join(f"{op} ({', '.join(names)})" for op, names in sorted(unknown.items()))
        raise Unsupported(f"{path} uses operations that refq does not do: {each}.")


def widths(graph, nodes):
    """Tensor to width, of the constants and inputs that hold codes."""
    kinds = {number: quantized.WIDTHS[name] for name, number in onnx.TensorProto.DataType.items() if name in quantized.WIDTHS}
    typed = [(t.name, t.data_type) for t in graph.initializer]
    typed += [(n.output[0], a.t.data_type) for n in graph.node for a in n.attribute
              if n.op_type == "Constant" and a.name == "value"]
    typed += [(value.name, value.type.tensor_type.elem_type) for value in graph.input]
    return {name: kinds[kind] for name, kind in typed if kind in kinds}


def as_reals(path, graph, widths):
    try:
        return quantized.reals(graph, widths)
    except (Unsupported, IllFormed) as error:
        raise type(error)(f"{path}: {error}") from None


def array(path, tensor):
    """A tensor's values as float64, int64 or bool, its external bytes read where it has some."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor = filled(path, tensor)
    try:
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise Corrupt(f"{path}: tensor {tensor.name} cannot be read ({error}).") from None
    if values.dtype == np.bool_:
        return values
    if values.dtype.kind in "iu" or tensor.data_type in small:
        return values.astype(np.int64)
    if values.dtype.kind in "SUOc":
        raise Unsupported(f"{path}: tensor {tensor.name} holds {values.dtype}, refq works on real numbers.")
    return values.astype(np.float64)


def filled(path, tensor):
    """A copy of the tensor with the bytes of its external file, which must lie in the model's folder."""
    entry = {e.key: e.value for e in tensor.external_data}
    folder = path.resolve().parent
    file = (folder / entry.get("location", "")).resolve()
    if folder not in file.parents:
        raise Corrupt(f"{path}: tensor {tensor.name} points to {entry.get('location')!r}, outside the model's folder.")
    if not file.is_file():
        raise Corrupt(f"{path}: tensor {tensor.name} lies in {entry['location']}, which is missing beside the model.")
    try:
        offset, size = int(entry.get("offset", 0)), file.stat().st_size
        length = int(entry.get("length", size - offset))
    except ValueError:
        offset, length, size = -1, 0, 0
    if offset < 0 or length < 0 or offset + length > size:
        raise Corrupt(f"{path}: tensor {tensor.name} reaches past the end of {entry['location']}: that file is "
                      f"truncated.")
    result = onnx.TensorProto()
    result.CopyFrom(tensor)
    result.data_location = onnx.TensorProto.DEFAULT
    del result.external_data[:]
    with file.open("rb") as stream:
        stream.seek(offset)
        result.raw_data = stream.read(length)
    return result


def attribute(path, a):
    value = onnx.helper.get_attribute_value(a)
    if isinstance(value, onnx.TensorProto):
        return array(path, value)
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value) if not isinstance(value, (int, float, str)) else value


def explicit(op, attributes):
    """Cast's target as the kind of number; ConstantOfShape's value as a scalar."""
    if op == "ConstantOfShape":
        return {"value": np.asarray(attributes.get("value", 0.0)).reshape(-1)[0]}
    kind = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    return {"to": "bool" if kind == np.bool_ else "int" if kind.kind in "iu" else "float"}


def taken_apart(path, node, domain):
    try:
        return fused.apart(node, domain)
    except Unsupported as error:
        raise Unsupported(f"{path}: {error}") from None


def trimmed(names):
    names = list(names)
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def scoped(node, index):
    """The node's name, below the name of its module where torch's new exporter says it."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = [s.strip(" '\"") for s in entry.value.strip("[]").split(",")]
            modules = [s for s in scopes[:-1] if s]
            if modules:
                return f"/{modules[-1]}/{node.op_type}"
    return node.name or f"{node.op_type}_{index}"


def refuse_loose_ends(path, nodes, known, outputs):
    """Every tensor that is read must have been made before."""
    known = set(known)
    for node in nodes:
        loose = [name for name in node.inputs if name and name not in known]
        if loose:
            raise Corrupt(f"{path}: node {node.name} reads {loose[0]}, which no node before it makes.")
        known.update(node.outputs)
    missing = [value.name for value in outputs if value.name not in known]
    if missing:
        raise Corrupt(f"{path}: nothing makes the output {missing[0]}.")


def refuse_not_finite(path, nodes, constants):
    """Weights and scales must be finite; a single infinite number (the bound of a Clip) and zeros with minus infinities (a
    mask of logits) may be meant."""
    scales = {name for node in nodes if node.op in quantized.operations for name in node.inputs[1:]}
    for name, values in constants.items():
        if values.dtype != np.float64:
            continue
        word = "NaN" if np.isnan(values).any() else "an infinite value" if np.isinf(values).any() else None
        mask = ((values == 0) | (values == -np.inf)).all()
        if word == "NaN" or (word and values.size > 1 and not mask):
            raise IllFormed(f"{path}: tensor {name} holds {word}: " + (
                "a scale is finite and greater than 0." if name in scales else "the weights must be finite."))


def one_image(path, value):
    """The input's shape with its batch axis set to 1."""
    dims = value.type.tensor_type.shape.dim
    if not value.type.HasField("tensor_type") or len(dims) < 2:
        raise Unsupported(f"{path}: input {value.name} is not a tensor with a batch axis and at least one other.")
    for axis, dim in enumerate(dims):
        if axis and not dim.dim_value:
            raise IllFormed(f"{path}: axis {axis} of input {value.name} has no fixed size: export the model with a "
                            f"fixed one.")
    return (1, *(dim.dim_value for dim in dims[1:]))
