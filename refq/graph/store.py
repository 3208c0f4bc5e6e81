"""A program on disk: program.onnx beside tensors.safetensors, one copy of the bytes for two standard readers.

program.onnx holds the steps as nodes of the domain `ai.refq` (attributes: the row, where it is not at its defaults, and
the real scales as JSON, the names of operands and results in order) and describes the tensors in its metadata. Its
initializers are external data: each points at exactly one entry of tensors.safetensors. Codes of less than 8 bits lie in
int8 or uint8, one each; packing them is the business of an export.
"""
import json
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as serialized

from refq import ops
from refq.errors import Corrupt, IllFormed
from refq.graph.describe import array_of, numbers, program_hash, step_words, tensor_of, tensor_words
from refq.graph.program import Program, Step
from refq.ints.row import from_plain, plain

__all__ = ["load", "program_hash", "save"]

DOMAIN, VERSION, OPSET, IR = "ai.refq", 1, 21, 10
MODEL, TENSORS = "program.onnx", "tensors.safetensors"


def save(program, folder):
    """Write `program` into an existing folder as program.onnx and tensors.safetensors, both synced to the disk.

    Raises OSError as the file system gives it; whoever owns the folder decides what becomes of a half-written one.
    """
    folder = Path(folder)
    codes = {}
    for name, constant in program.constants.items():
        codes[name] = np.asarray(constant, order="C")
        if codes[name].dtype != program.tensors[name].width.dtype:
            width = program.tensors[name].width
            raise IllFormed(f"constant {name!r} is {codes[name].dtype}; its {width} codes come as {width.dtype}")
    write(folder / TENSORS, serialized(codes))
    model = model_of(program, entries(folder / TENSORS))
    write(folder / MODEL, model.SerializeToString(deterministic=True))


def write(path, data):
    """Bytes into a new file, synced."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def entries(path):
    """(offset, length) in the file of every entry of a safetensors header; raises Corrupt for a damaged one."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
        places = {name: tuple(e["data_offsets"]) for name, e in header.items() if name != "__metadata__"}
        for name, (first, end) in places.items():
            if not 0 <= first <= end <= size - 8 - length:
                raise ValueError(f"entry {name!r} lies outside the file")
    except FileNotFoundError:
        raise Corrupt(f"{path}: no such file; a program is {MODEL} and {TENSORS} in one folder") from None
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise Corrupt(f"{path}: a damaged safetensors header ({e}); fetch or save the file anew") from None
    return {name: (8 + length + first, end - first) for name, (first, end) in places.items()}


def model_of(program, places):
    def described(name):
        tensor = program.tensors[name]
        return helper.make_tensor_value_info(name, elements(tensor), ["n", *tensor.shape])

    graph = helper.make_graph(
        [node_of(step) for step in program.steps], "refq",
        [described(n) for n in program.inputs], [described(n) for n in program.outputs],
        initializer=[initializer(program.tensors[n], *places[n]) for n in sorted(program.constants)],
        value_info=[described(n) for n in program.tensors
                    if n not in program.constants and n not in program.inputs and n not in program.outputs])
    model = helper.make_model(graph, producer_name="refq", ir_version=IR,
                              opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, VERSION)])
    about = {"dialect": program.dialect, "recipe": program.recipe, "roles": plain(program.roles), "ties": program.ties,
             "tensors": {name: tensor_words(t) for name, t in program.tensors.items()}}
    about |= {"left": program.left} if program.left else {}
    about |= {"entries": {name: plain(row) for name, row in program.entries.items()}} if program.entries else {}
    helper.set_model_props(model, {f"refq.{k}": json.dumps(v) for k, v in about.items()})
    return model


def elements(tensor):
    return helper.np_dtype_to_tensor_dtype(tensor.width.dtype)


def node_of(step):
    words = step_words(step)
    node = helper.make_node(step.op, list(step.inputs.values()), list(step.outputs.values()), step.name, domain=DOMAIN)
    for name, value in (("row", words["row"]), ("scales", {k: numbers(v) for k, v in step.scales.items()})):
        node.attribute.append(helper.make_attribute(name, json.dumps(value)))
    for name, value in (("operands", list(step.inputs)), ("results", list(step.outputs))):
        node.attribute.append(helper.make_attribute(name, value, attr_type=onnx.AttributeProto.STRINGS))
    return node


def initializer(tensor, offset, length):
    proto = TensorProto(name=tensor.name, data_type=elements(tensor), dims=tensor.shape,
                        data_location=TensorProto.EXTERNAL)
    for key, value in (("location", TENSORS), ("offset", offset), ("length", length)):
        proto.external_data.add(key=key, value=str(value))
    return proto


def load(folder):
    """The Program that `save` wrote into `folder`.

    Raises Corrupt, naming the file and what is wrong in it: missing, truncated, not ONNX, external data that points
    outside the folder or not at exactly one entry of tensors.safetensors, an operation or a row that is not known.
    """
    folder = Path(folder)
    path = folder / MODEL
    try:
        model = onnx.load(path, load_external_data=False)
        about = {p.key: json.loads(p.value) for p in model.metadata_props if p.key.startswith("refq.")}
    except FileNotFoundError:
        raise Corrupt(f"{path}: no such file; a program is {MODEL} and {TENSORS} in one folder") from None
    except Exception as e:      # protobuf's own errors have no common parent
        raise Corrupt(f"{path}: not a readable ONNX file ({str(e).splitlines()[0]})") from None
    if lacking := [k for k in ("dialect", "recipe", "roles", "ties", "tensors") if f"refq.{k}" not in about]:
        raise Corrupt(f"{path}: not a program of refq: its metadata has no refq.{lacking[0]}")
    points_right(model, folder)
    try:
        constants = load_file(folder / TENSORS)
    except (SafetensorError, OSError, ValueError) as e:
        raise Corrupt(f"{folder / TENSORS}: cannot be read: {e}") from None
    tensors = {name: tensor_of(name, words) for name, words in table(about, "tensors", path).items()}
    names = [t.name for t in model.graph.initializer]
    for name in names:
        if name not in tensors or constants[name].dtype != tensors[name].width.dtype \
                or constants[name].shape != tensors[name].shape:
            raise Corrupt(f"{folder / TENSORS}: entry {name!r} is not of the shape and dtype that {MODEL} describes")
    steps = tuple(step_of(n, path, tensors) for n in model.graph.node)
    return Program(steps, tensors, {n: constants[n] for n in names}, tuple(i.name for i in model.graph.input),
                   tuple(o.name for o in model.graph.output), about["refq.dialect"], about["refq.recipe"],
                   table(about, "roles", path), about["refq.ties"], about.get("refq.left", {}),
                   entries_of(about, path))


def entries_of(about, path):
    """Input to the row by which the target makes codes of it."""
    try:
        rows = table(about, "entries", path) if "refq.entries" in about else {}
        return {name: from_plain(ops.load("quantize").Row, row) for name, row in rows.items()}
    except (TypeError, ValueError, KeyError) as e:
        raise Corrupt(f"{path}: its metadata refq.entries cannot be read: {e}; save the program anew") from None


def table(about, key, path):
    """A table of the metadata whose entries are tables."""
    value = about[f"refq.{key}"]
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise Corrupt(f"{path}: its metadata refq.{key} is not a table of tables; save the program anew")
    return value


def points_right(model, folder):
    """Every initializer is exactly one entry of the safetensors file in the folder; raises Corrupt otherwise."""
    path = folder / TENSORS
    if path.resolve().parent != folder.resolve():
        raise Corrupt(f"{path}: leads outside its folder; put the file itself there")
    places = entries(path)
    for proto in model.graph.initializer:
        data = {e.key: e.value for e in proto.external_data}
        if data.get("location") != TENSORS:
            raise Corrupt(f"{folder / MODEL}: initializer {proto.name!r} lies in {data.get('location')!r}; "
                          f"a program's constants lie in {TENSORS} beside it")
        if tuple(map(str, places.get(proto.name, ()))) != (data.get("offset"), data.get("length")):
            raise Corrupt(f"{folder / MODEL}: initializer {proto.name!r} points at bytes {data.get('offset')} + "
                          f"{data.get('length')}, which is not its entry in {TENSORS}; save the program anew")
    if len(places) != len(model.graph.initializer):
        raise Corrupt(f"{path}: holds {len(places)} entries for {len(model.graph.initializer)} initializers")


def within(stored, row):
    """Whether a row says what was stored; it may say more."""
    if isinstance(stored, dict) and isinstance(row, dict):
        return all(k in row and within(v, row[k]) for k, v in stored.items())
    return stored == row


def step_of(node, path, tensors):
    where = f"{path}: step {node.name!r}"
    if node.domain != DOMAIN or node.op_type not in ops.names():
        raise Corrupt(f"{where} is {node.domain}.{node.op_type}, which this version of refq does not know; "
                      f"it knows {', '.join(ops.names())}")
    if strange := [n for n in (*node.input, *node.output) if n not in tensors]:
        raise Corrupt(f"{where} uses tensor {strange[0]!r}, which {MODEL} does not describe")
    try:
        words = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        stored = json.loads(words["row"])
        row = from_plain(ops.load(node.op_type).Row, stored)
        scales = {k: array_of(v) for k, v in json.loads(words["scales"]).items()}
        operands, results = ([n.decode() for n in words.get(k, [])] for k in ("operands", "results"))
        inputs = dict(zip(operands, node.input, strict=True))
        outputs = dict(zip(results, node.output, strict=True))
        if operands != list(row.takes) or results != list(row.gives)[:len(results)]:
            raise ValueError(f"{node.op_type} takes {', '.join(row.takes)} and gives {', '.join(row.gives)}")
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise Corrupt(f"{where} cannot be read: {e}; save the program anew") from None
    if not within(stored, plain(row)):
        raise Corrupt(f"{where} was saved with the row {stored}, which this version of refq reads as {plain(row)}")
    return Step(node.name, node.op_type, row, inputs, outputs, scales)
