"""manifest.json: what a pack says about itself. Written once by record, checked against a schema when it is read.

It holds nothing that decides arithmetic and is not in program.onnx or the codes as well; so everything but events,
seed, versions and `about` is derived again on reading, and `seal`, the sha256 of all the rest, tells a changed manifest
from changed files.

The pack hash leaves out grids (scales and zero points of tensors): it says which codes come out, not which reals they
stand for; `program_hash` has them.
"""
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.graph.describe import codes_hash, digest, grid_words, program_hash, scales_hash, step_words
from refq.graph.store import TENSORS

FORMAT, NAME = 1, "manifest.json"


def refq_version():
    try:
        return version("refq")
    except PackageNotFoundError:
        return "not installed"


def places(program):
    """Of every tensor: the step it belongs to (that makes it, or the first that takes it) and its axes there."""
    found = {}
    for step in program.steps:
        for operands, declared in ((step.inputs, step.row.takes), (step.outputs, step.row.gives)):
            for operand, name in operands.items():
                found.setdefault(name, (step.name, declared[operand].axes))
    return found


def tensors_of(program, hashes):
    """The manifest's entry of every tensor; `hashes`: for each case, tensor to sha256 of its codes."""
    found, made = places(program), {}
    for name, tensor in program.tensors.items():
        fixed = name in program.constants
        step, axes = found.get(name, (None, ""))
        made[name] = {
            "role": tensor.role, "step": step, "grid": grid_words(tensor.grid), "width": str(tensor.width),
            "bits": getattr(tensor.width, "bits", 32), "signed": bool(getattr(tensor.width, "signed", True)),
            "shape": list(tensor.shape), "axes": axes,
            "storage": {"container": tensor.width.dtype.name, "order": "row-major", "bytes": "little-endian"},
            "file": TENSORS if fixed else "cases",
            "sha256": [codes_hash(program.constants[name], tensor)] if fixed else [case[name] for case in hashes]}
    return made


def roles_of(program):
    """Each role of the dialect: its operation, and own, borrowed (from whom) or absent."""
    made = {}
    for role, part in program.roles.items():
        op, borrowed = part.get("op"), part.get("borrowed")
        made[role] = {"op": op, "borrowed": borrowed, "is": "borrowed" if borrowed else "own" if op else "absent"}
    return made


def pack_hash(program, hashes):
    """The identity of a pack: operations, rows, and of every tensor of every case its name, width, shape and codes."""
    tensors = {name: {"width": str(t.width), "shape": list(t.shape)} for name, t in program.tensors.items()}
    constants = {name: codes_hash(codes, program.tensors[name]) for name, codes in program.constants.items()}
    return digest({"steps": [step_words(s) for s in program.steps], "tensors": tensors, "constants": constants,
                   "inputs": list(program.inputs), "outputs": list(program.outputs), "cases": hashes})


def derived(program, hashes):
    """The part of the manifest that follows from the program and the codes."""
    return {"format": FORMAT, "program_hash": program_hash(program), "pack_hash": pack_hash(program, hashes),
            "scales_hash": scales_hash(program),
            "dialect": {"name": program.dialect, "roles": roles_of(program)}, "recipe": program.recipe,
            "inputs": list(program.inputs), "outputs": list(program.outputs),
            "cases": [case_file(i) for i in range(len(hashes))], "tensors": tensors_of(program, hashes)}


def case_file(i):
    return f"cases/{i:04d}.safetensors"


def made(program, hashes, images, seed, events, about):
    """The whole manifest; raises IllFormed for an `about` that JSON cannot hold."""
    manifest = derived(program, hashes) | {"refq": refq_version(), "images": images, "seed": seed, "events": events,
                                           "about": about}
    try:
        manifest = json.loads(json.dumps(manifest, allow_nan=False))
    except (TypeError, ValueError) as e:
        raise IllFormed(f"about: {e}; it holds texts, finite numbers, lists and tables of them") from None
    return manifest | {"seal": seal(manifest)}


def seal(manifest):
    return digest({k: v for k, v in manifest.items() if k != "seal"})


@cache
def schema():
    return json.loads(files("refq.vectors").joinpath("manifest.schema.json").read_text())


def read(path):
    """The manifest in the file `path`, valid by the schema; raises Corrupt, or Unsupported for another format."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Corrupt(f"{path}: no such file; a pack is a folder that `refq golden` has written") from None
    except NotADirectoryError:
        raise IllFormed(f"{path.parent}: is no pack (a folder with {NAME})") from None
    except (ValueError, OSError) as e:
        raise Corrupt(f"{path}: not JSON: {e}") from None
    if isinstance(manifest, dict) and isinstance(manifest.get("format"), int) and manifest["format"] > FORMAT:
        raise Unsupported(f"{path}: a pack of format {manifest['format']}; this version of refq reads format {FORMAT}")
    from jsonschema import Draft202012Validator, exceptions  # here, since it is slow to import

    if fault := exceptions.best_match(Draft202012Validator(schema()).iter_errors(manifest)):
        where = ".".join(map(str, fault.absolute_path)) or "the whole"
        raise Corrupt(f"{path}: {where}: {shortened(fault.message)}; the manifest was changed, or is not refq's")
    return manifest


def shortened(text, most=160):
    return text if len(text) <= most else f"{text[:most // 2]} ... {text[-most // 2:]}"


def difference(said, true, where=""):
    """The first place (keys joined by dots) where two JSON values differ, or None."""
    if isinstance(said, dict) and isinstance(true, dict):
        for key in [*said, *(k for k in true if k not in said)]:
            place = f"{where}.{key}" if where else str(key)
            if key not in said or key not in true:
                return place
            if found := difference(said[key], true[key], place):
                return found
        return None
    if isinstance(said, list) and isinstance(true, list) and len(said) == len(true):
        return next((found for i, (a, b) in enumerate(zip(said, true))
                     if (found := difference(a, b, f"{where}[{i}]"))), None)
    return None if type(said) is type(true) and said == true else where
