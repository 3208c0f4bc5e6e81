"""Programs in canonical words: what is stored, hashed and compared, and nothing else.

A description is made of JSON's own kinds, with floats as exact hex; `program_hash` digests the descriptions of all
steps and tensors and the codes of the constants. Files, versions, dates and names of machines are not part of it. Rows
leave out what is at its default, so that a field that comes later leaves older programs as they were.
"""
import json
from hashlib import sha256

import numpy as np

from refq import grids
from refq.errors import Corrupt, IllFormed
from refq.graph.program import Tensor
from refq.ints.operand import F32
from refq.ints.row import differences
from refq.ints.width import width


def numbers(array):
    """An array as nested lists: floats as hex, integers as they are."""
    array = np.asarray(array)
    if array.ndim:
        return [numbers(a) for a in array]
    return float(array).hex() if array.dtype.kind == "f" else int(array)


def array_of(nested):
    """The float64 or int64 array that `numbers` was given."""
    if isinstance(nested, list):
        return np.array([array_of(n) for n in nested])
    return np.float64(float.fromhex(nested)) if isinstance(nested, str) else np.int64(nested)


def word_of(bits):
    return F32 if bits == "f32" else width(bits)


def grid_words(grid):
    """A grid of any kind as it describes itself; None stays None."""
    return grid and grid.describe()


def grid_of(words):
    """The grid that `grid_words` described, of any kind."""
    return None if words is None else grids.from_description(words)


def tensor_words(tensor):
    """Everything about a tensor but its name and its codes."""
    return {"role": tensor.role, "shape": list(tensor.shape), "width": str(tensor.width),
            "grid": grid_words(tensor.grid)}


def tensor_of(name, words):
    """The Tensor that `tensor_words` described; raises Corrupt naming it."""
    try:
        return Tensor(name, tuple(words["shape"]), word_of(words["width"]), grid_of(words["grid"]), words["role"])
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise Corrupt(f"the description of tensor {name!r} cannot be read: {e}; record or save it anew") from None


def step_words(step):
    """What a step does: its operation, its row, and where its operands come from and its results go."""
    return {"name": step.name, "op": step.op, "row": differences(step.row),
            "inputs": dict(step.inputs), "outputs": dict(step.outputs)}


def codes_hash(codes, tensor):
    """sha256 of a tensor's codes: C order, little-endian, in the container of its width."""
    if codes.dtype != tensor.width.dtype:
        raise IllFormed(f"tensor {tensor.name!r} is {codes.dtype}; {tensor.width} codes come as {tensor.width.dtype}")
    little = np.ascontiguousarray(codes, codes.dtype.newbyteorder("<"))
    return sha256(little.data if little.size else b"").hexdigest()


def digest(words):
    """sha256 of a description: JSON without spaces, keys in order."""
    return sha256(json.dumps(words, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def scales_hash(program):
    """sha256 of the real scales that the constants of the steps were made from; they decide no code."""
    return digest([[s.name, {label: numbers(v) for label, v in s.scales.items()}] for s in program.steps])


def program_words(program):
    """The canonical content of a program."""
    constants = {name: codes_hash(codes, program.tensors[name]) for name, codes in program.constants.items()}
    tensors = {name: {k: v for k, v in tensor_words(t).items() if k != "role"} for name, t in program.tensors.items()}
    return {"steps": [step_words(s) for s in program.steps], "tensors": tensors, "constants": constants,
            "inputs": list(program.inputs), "outputs": list(program.outputs), "ties": program.ties} \
        | ({"entries": {name: differences(row) for name, row in program.entries.items()}} if program.entries else {})


def program_hash(program):
    """The identity of a program, 64 hex digits: equal for equal steps, rows, tensors, grids and constants.

    A statement about arithmetic: names of recipe and dialect, roles, real scales of steps, file bytes, versions and
    dates do not enter.
    """
    return digest(program_words(program))
