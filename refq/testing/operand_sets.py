"""Operands for any operation under any row: constructed, cut to sizes 0, 1, odd; and products that fill or cancel their sums.

`cases(operation, row)` gives dicts, operand to array (or to a number), as the operation takes them; each one is accepted by the
spec. `products` alters the operands x and w of a sum of products so that its accumulator goes as far as it can, comes back to
nothing, or leaves one product standing.
"""
from itertools import product

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.ints.operand import sizes as sizes_of
from refq.vectors.draw import constants, rows, sizes
from refq.vectors.draw.sizes import CASES
from refq.vectors.draw.stream import Stream

CONFIGURATIONS = 8
CUTS = (0, 1, 2, 3, 5, 8, 13, 17)
"""Sizes that an axis is cut to: nothing, one, odd, a power of two, one more than one."""
LONG = 4161
"""Products in the longest sums: of 8 bits beyond 24 bits and what float32 holds, and one more than a multiple of 64."""
NOT_CUT = {"i", "j", "p", "e", "d", "kh", "kw", "h", "w", "g", "v"}
"""Axes of tables, windows and the like, which hang together with others."""


def fitted(row, found):
    """`found` with what the row's own geometry asks of it: windows fit, groups divide."""
    if hasattr(row, "kernel"):
        found |= dict(zip(("kh", "kw"), row.kernel))
        found["p"] = row.kernel[0] * row.kernel[1]
    if hasattr(row, "groups") and "d" in found:
        found["m"] = -(-found["m"] // row.groups) * row.groups
        found["c"] = found["d"] * row.groups
    if hasattr(row, "padding") and "h" in found:
        (top, left, bottom, right), (dy, dx) = row.padding, getattr(row, "dilation", (1, 1))
        found["h"] = max(found["h"], 1 + dy * (found.get("kh", 1) - 1) - top - bottom, top, bottom)
        found["w"] = max(found["w"], 1 + dx * (found.get("kw", 1) - 1) - left - right, left, right)
    if hasattr(row, "places"):
        found |= {axis: row.places for axis in ("v", "p", "r") if axis in found}
    if hasattr(row, "shapes"):
        for i, shape in enumerate(row.shapes):
            declared = row.takes.get(f"x{i}")
            found |= dict(zip(declared.names[-len(shape):] if shape else (), shape)) if declared else {}
    return found


def constructed(operation, row, index):
    """The operands of configuration `index`, as refq draws vectors; raises IllFormed where it has none of that row."""
    _, found = sizes.of(operation, row, index, None)
    found = fitted(row, dict(found))
    lead = sizes.leading(row.takes, found)
    stream = Stream(0, f"testing {operation} {index}")
    made = constants.of(operation, row, found, stream, index)
    shapes = {}
    for name, declared in row.takes.items():
        if declared.joins:
            rest = tuple(found[axis] for axis in declared.names[1:])
            shapes[name] = (CASES, *lead, *rest)
    placed = rows.place(operation, row, shapes, stream, index, made)
    for name, declared in row.takes.items():
        if declared.joins:
            made[name] = np.ascontiguousarray(declared.view(placed[name]), declared.width.dtype)
    return {name: made[name] for name in row.takes}


def cut(operands, row, axis, size):
    """The operands with the first `size` places of `axis` only."""
    made = {}
    for name, declared in row.takes.items():
        value = operands[name]
        if axis in declared.names:
            value = np.ascontiguousarray(value.take(range(size), declared.names.index(axis)))
        made[name] = value
    return made


def axes(row, operands):
    """Axis to size, of those that can be cut."""
    found = sizes_of({k: d for k, d in row.takes.items() if d.names}, operands, "testing")
    return {axis: size for axis, size in found.items() if axis not in NOT_CUT}


PATTERNS = {"all": lambda k: np.ones(k), "none": lambda k: -np.ones(k),
            "there and back": lambda k: np.where(np.arange(k) < k // 2, 1, -1),
            "by turns": lambda k: 1.0 - 2 * (np.arange(k) % 2), "by pairs": lambda k: 1.0 - 2 * (np.arange(k) // 2 % 2),
            "but the last": lambda k: np.where(np.arange(k) < k - 1, 1, -1)}
"""How signs lie along the sum: the accumulator as high or as low as it goes, far out and back to 0, about 0 all the way."""


def products(operands, row, pattern, x_high=True, w_high=True):
    """The operands of a sum of products with x at one end of its range and w at the ends as `pattern` says, channel by channel
    in turn from either end; the operands as they are where there is no x and w."""
    if not {"x", "w"} <= set(row.takes):
        return operands
    x, w, declared = row.takes["x"], operands["w"], row.takes["w"]
    signs = PATTERNS[pattern](int(np.prod(w.shape[1:], dtype=int)))
    signs = np.array([signs if (m % 2 == 0) == w_high else -signs for m in range(len(w))]).reshape(w.shape)
    ends = np.where(signs > 0, declared.hi, declared.lo).astype(w.dtype)
    return operands | {"x": np.full_like(operands["x"], x.hi if x_high else x.lo), "w": ends}


def longest(operands, row):
    """The operands of a sum of products along k with LONG of them for one row and two channels; None for another operation."""
    named = {name for name, declared in row.takes.items() if "k" in declared.names}
    found = axes(row, operands)
    if named != {"x", "w"} or not {"k", "n", "m"} <= set(found) or min(found.values()) < 1:
        return None
    short = cut(cut(operands, row, "n", 1), row, "m", min(found["m"], 2))
    repeated = np.arange(LONG) % found["k"]
    return short | {name: np.ascontiguousarray(short[name].take(repeated, row.takes[name].names.index("k"))) for name in named}


def accepted(operation, row, operands):
    """Does the spec take them? One that refuses an overflow, or a size, does not."""
    try:
        found = sizes_of({k: d for k, d in row.takes.items() if d.names}, operands, operation)
        row.sizes(found)
        ops.load(operation).spec(*operands.values(), row=row)
    except IllFormed:
        return False
    return True


def cases(operation, row, configurations=CONFIGURATIONS):
    """Every set of operands: constructed, cut along one axis and along two, with sums filled and cancelled. Raises IllFormed
    where none is known that the row takes."""
    made = [o for o in (attempted(operation, row, i) for i in range(configurations)) if o is not None]
    made = [o for o in made if accepted(operation, row, o)]
    if not made:
        raise IllFormed(f"{operation}: no operands are known that {row} takes; give them with cases=")
    every = list(made)
    for operands in made[:2]:
        found = axes(row, operands)
        every += [cut(operands, row, axis, size) for axis, most in found.items() for size in CUTS if size < most]
        for (a, most_a), (b, most_b) in product(found.items(), repeat=2):
            if a < b:
                every += [cut(cut(operands, row, a, s), row, b, t) for s, t in ((1, 1), (3, 1), (1, 5), (0, 0))
                          if s < most_a and t < most_b]
        if {"x", "w"} <= set(row.takes):
            every += [products(operands, row, p, x, w) for p in PATTERNS for x in (True, False) for w in (True, False)]
    if (operands := longest(made[0], row)) is not None:
        every += [operands, *(products(operands, row, "all", x, True) for x in (True, False))]
    return [o for o in every if accepted(operation, row, o)]


def attempted(operation, row, index):
    try:
        return constructed(operation, row, index)
    except (IllFormed, KeyError, ValueError, IndexError):        # a configuration that this row does not have
        return None
