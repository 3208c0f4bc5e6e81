"""safetensors files to float graphs: the tensors by name, the architecture by which names they are.

`config.json` beside the file gives what shapes do not say. A network in several files comes with an index,
model.safetensors.index.json, whose weight_map says which file holds which tensor. Source: the safetensors format,
huggingface/safetensors README; Hugging Face's "Sharded checkpoints".
"""
import importlib
import json
import pkgutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors

from refq import networks
from refq.errors import Corrupt, IllFormed, Unsupported
from refq.load import checkpoints

INDEX = ".safetensors.index.json"
"""What the name of an index ends in."""
QUANTIZED = "quantization_config"
"""The key of config.json that says how weights are quantized."""
COUNTERS = ("num_batches_tracked", "relative_position_index", "position_ids")
"""Integers that files hold beside weights, and that no result depends on."""
formats = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def load(path):
    """The canonical graph of the network whose tensors the file holds, or the files that an index names.

    Raises IllFormed for a missing file and for missing, unexpected, misshapen, NaN or infinite tensors; Corrupt for a
    damaged file, index or config.json; Unsupported for tensors of another architecture or of integers.
    """
    path = Path(path)
    config, kept, notes = configuration(path.parent / "config.json"), {}, ()
    tensors = sharded(path, one(config)) if path.name.endswith(INDEX) else one(config)(path)
    if QUANTIZED in config:
        tensors, kept, notes = checkpoints.decoded(tensors, config[QUANTIZED], str(path))
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            word = "NaN" if np.isnan(values).any() else "an infinite value"
            raise IllFormed(f"{path}: tensor {name} holds {word}: the weights must be finite.")
    architectures = [importlib.import_module(f"{networks.__name__}.{m.name}")
                     for m in pkgutil.iter_modules(networks.__path__)]
    for architecture in architectures:
        if architecture.recognizes(tensors):
            graph = architecture.build(tensors, config, str(path))
            graph = checkpoints.attached(graph, tensors, kept, notes, str(path)) if kept else graph
            return replace(graph, name=path.name.removesuffix(INDEX) if path.name.endswith(INDEX) else path.stem)
    known = ", ".join(a.__name__.rpartition(".")[2] for a in architectures)
    some = ", ".join(sorted(tensors)[:4])
    raise Unsupported(f"{path} holds {len(tensors)} tensors ({some} ...) of no architecture that refq builds from "
                      f"names alone ({known}): give the network as ONNX.")


def one(config):
    """How one file is read: to numbers, or, of a checkpoint that says that it is quantized, with integers as they are."""
    return coded if QUANTIZED in config else read


def coded(path):
    """Tensor name to array, of one file: float64, or the integers that it holds."""
    return {name: np.frombuffer(entry["data"], checkpoints.INTEGERS[entry["dtype"]]).reshape(entry["shape"])
            if entry["dtype"] in checkpoints.INTEGERS else numbers(path, name, entry) for name, entry in entries(path)}


def read(path):
    """Tensor name to float64 array, of one file."""
    return {name: numbers(path, name, entry) for name, entry in entries(path)
            if entry["dtype"] in formats or not name.endswith(COUNTERS)}


def sharded(path, read):
    """What `read` gives of all files that the index `path` names: each tensor from the file that it is said to lie in."""
    placed = configuration(path, "export the network anew").get("weight_map")
    if not isinstance(placed, dict) or not placed or not all(isinstance(file, str) for file in placed.values()):
        raise Corrupt(f"{path} has no weight_map from tensors to files; export the network anew.")
    tensors = {}
    for file in sorted(set(placed.values())):
        if Path(file).name != file:
            raise Corrupt(f"{path} names the file {file!r}, which leads out of its folder; the files lie beside the index.")
        if not (path.parent / file).exists():
            raise IllFormed(f"{path} names the file {file}, which is not there; put it beside the index.")
        held = read(path.parent / file)
        mine = [name for name, at in placed.items() if at == file]
        if lacking := [name for name in mine if name not in held]:
            raise Corrupt(f"{path} says that {file} holds {lacking[0]}, and it does not; fetch both anew.")
        tensors |= {name: held[name] for name in mine}
    return tensors


def entries(path):
    """(name, entry) of each tensor, after the safetensors library has checked the header against the file."""
    if path.is_dir():
        raise IllFormed(f"{path} is a folder: give the .safetensors file in it.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise IllFormed(f"There is no file {path}.") from None
    except OSError as error:
        raise IllFormed(f"{path} cannot be read: {error.strerror}.") from None
    if not data:
        raise Corrupt(f"{path} is empty.")
    try:
        return safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise Corrupt(f"{path} is not a safetensors file, or it is damaged: {error}.") from None


def numbers(path, name, entry):
    """A tensor as float64; bfloat16 is the upper half of a float32."""
    if entry["dtype"] not in formats:
        raise Unsupported(f"{path}: tensor {name} holds {entry['dtype']}: refq reads {', '.join(formats)}; "
                          f"give the float model, not a quantized one.")
    values = np.frombuffer(entry["data"], formats[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float64)


def configuration(path, otherwise="take it away and the shapes decide"):
    """The parsed config.json, {} where there is none; `otherwise`: what can be done beside mending it."""
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Corrupt(f"{path} cannot be read as JSON ({error}); mend it, or {otherwise}.") from None
    if not isinstance(config, dict):
        raise Corrupt(f"{path} holds no JSON object; mend it, or {otherwise}.")
    return config
