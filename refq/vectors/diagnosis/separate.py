"""Separate: an input on which causes that fit one device's outputs equally would show.

Inputs are drawn by a stream of their own, so that the same causes give the same input everywhere.
"""
from hashlib import shake_256

import numpy as np

from refq import ops
from refq.vectors.diagnosis.place import IMPOSSIBLE, Place, by_kernel, by_spec

ROUNDS, LONG = 8, 8


def separate(place, causes):
    """An input on which the first cause and another differ, or None where none was found: "input", tensor to codes of
    one case (the constants are those of the run), the "place" in its result, what the operation takes there
    ("operands" of the step where the causes differ), the "expected" code and the "answers", cause to code."""
    for turn in range(ROUNDS):
        trial = Place(place.program, place.steps, drawn(place, turn))
        name = trial.results[0]
        results = {}
        for cause in causes:
            try:
                by = by_spec if all(m.local for m in cause.mutants) else by_kernel
                results[cause] = trial.run(cause.mutants, by)[name]
            except IMPOSSIBLE:
                continue
        for cause, result in results.items():
            apart = np.argwhere(result != results[causes[0]]) if causes[0] in results else ()
            if len(apart):
                return shown(trial, name, tuple(apart[0]), results, causes[0], cause)
    return None


def drawn(place, turn):
    """Codes of one case for everything the run takes: of the range seen, of the whole range, and small ones."""
    codes = {}
    for name, seen in place.codes.items():
        tensor = place.program.tensors[name]
        lo, hi = ((int(seen.min()), int(seen.max())), (tensor.width.lo, tensor.width.hi), (-4, 4), (-64, 64))[turn % 4]
        lo, hi = max(lo, tensor.width.lo), min(hi, tensor.width.hi)
        size = int(np.prod(tensor.shape))
        raw = np.frombuffer(shake_256(f"{place.name}:{name}:{turn}".encode()).digest(8 * size), np.uint64)
        values = (raw % np.uint64(max(1, hi - lo + 1))).astype(np.int64) + lo
        codes[name] = np.clip(values, tensor.width.lo, tensor.width.hi).astype(tensor.width.dtype).reshape(1, *tensor.shape)
    return codes


def shown(trial, name, index, results, first, second):
    places = {m.place for cause in (first, second) for m in cause.mutants}
    return {"input": {tensor: codes[0].tolist() for tensor, codes in trial.codes.items()},
            "place": [int(i) for i in index[1:]], "operands": operands_at(trial, name, index, places),
            "expected": int(trial.truth[name][index]),
            "answers": {cause.name: int(result[index]) for cause, result in results.items()}}


def operands_at(trial, name, index, places):
    """What the one step in which the causes differ takes for that element; {} where it is not the last of its run."""
    last = len(trial.steps) - 1
    if places != {last}:
        return {}
    step = trial.steps[last]
    result, declared = next(iter(step.row.gives.items()))
    flat = np.ravel_multi_index(index, trial.truth[name].shape)
    place = np.unravel_index(flat, declared.view(trial.truth[name]).shape)
    part, _, _ = ops.reach(step.op, trial.operands(last), step.row, result, tuple(int(i) for i in place))
    found = {}
    for operand, value in part.items():
        value = np.asarray(value)
        found[operand] = value.reshape(-1)[0].item() if value.size == 1 else value.tolist()
    return found


def separation(found, causes):
    """The sentence about what `separate` found."""
    if not found:
        return ("no input was found that tells them apart: with this step's constants they may be the same; other constants "
                "may tell (refq vectors)")
    taken = found["operands"] or found["input"]
    given = ", ".join(f"{k} = {v if np.size(v) <= LONG else f'{np.size(v)} codes (--json has them)'}" for k, v in taken.items())
    first, *others = found["answers"].items()
    other = next((pair for pair in others if pair[1] != first[1]), first)
    return (f"told apart at {found['place']} by {given}: {found['expected']} is right, {first[1]} for {first[0]}, "
            f"{other[1]} for {other[0]}")
