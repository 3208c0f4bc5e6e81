"""The smallest operands that a row takes: one or two elements along every axis, codes near 0."""
import numpy as np


def smallest(row):
    """Operand to array or integer; sizes are 1 where nothing else follows from the row."""
    found = sizes_of(row)
    return {name: value(declared, [found.get(axis, 1) for axis in declared.names], int(name == "b"))     # b may be a divisor
            for name, declared in row.takes.items()}


def sizes_of(row):
    """The sizes of axes that a row fixes: those of a table, of moves, of groups of channels, and of what windows need."""
    found = {}
    if hasattr(row, "shapes"):
        for name, shape in zip(row.takes, row.shapes):
            found |= dict(zip(row.takes[name].names[1:], shape))
    if "t" in row.takes:
        found["i"] = 1 << row.q.bits
    if "turns" in row.takes:
        found |= {"i": 1, "j": 2}
    if hasattr(row, "highest"):
        found["i"] = row.highest + 1
    if hasattr(row, "groups"):
        found |= {"m": row.groups, "c": row.groups, "h": 1, "w": 1}
    if hasattr(row, "groups") and hasattr(row, "padding"):
        (top, left, bottom, right) = row.padding
        found["h"], found["w"] = 1 + max(0, top + bottom), 1 + max(0, left + right)
    if hasattr(row, "kernel"):
        found["p"] = row.kernel[0] * row.kernel[1]
        found["h"], found["w"] = (1 + d * (k - 1) + max(row.padding) for k, d in zip(row.kernel, row.dilation))
    if "meta" in row.takes:
        found |= {"k": 4, "h": 2}
    if "starts" in row.takes:
        found |= {"k": 4, "p": 2, "v": 4}
    if hasattr(row, "places"):
        found |= dict.fromkeys("rvp", row.places)
    if hasattr(row, "shared"):
        found["c"] = row.shared
    if hasattr(row, "pairing"):
        found |= {"d": 2, "e": 1}
    return found


def value(declared, shape, near):
    middle = min(max(near, declared.lo), declared.hi)
    if declared.width.dtype.kind == "f":
        middle = min(max(1.0, declared.lo), declared.hi)
    if not declared.names:
        return declared.width.dtype.type(middle).item()
    return np.full(shape, middle, declared.width.dtype)
