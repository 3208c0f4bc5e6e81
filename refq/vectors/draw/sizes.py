"""Sizes of configurations: so many rows in a case, and every other axis, around the tiles that kernels have.

A tensor of a case is (rows *axes); with the cases in front that is the axis n of an operation. Elementwise operations
have rows of columns. The first sizes leave a tail of every tile along every axis; small ones
repeat what only a tail, a last row or a last channel shows.
"""
from dataclasses import replace

from refq.errors import IllFormed
from refq.vectors.draw import attention, formats, fqvit, layouts, nonlinear, norms, packed, plain, sparse

CASES = 3
"""Odd, so that cases times rows is no multiple of a tile."""

WIDE = ({"rows": 9, "c": 33}, {"rows": 1, "c": 47}, {"rows": 9, "c": 3}, {"rows": 3, "c": 21}, {"rows": 1, "c": 35},
        {"rows": 35, "c": 1})
PRODUCTS = ({"rows": 11, "k": 33, "m": 33}, {"rows": 9, "k": 5, "m": 3}, {"rows": 3, "k": 1, "m": 21},
            {"rows": 1, "k": 16, "m": 35}, {"rows": 3, "k": 17, "m": 5}, {"rows": 3, "k": 31, "m": 7},
            {"rows": 9, "k": 3, "m": 39}, {"rows": 3, "k": 15, "m": 21}, {"rows": 3, "k": 4, "m": 21},
            {"rows": 3, "k": 33, "m": 5}, {"rows": 35, "k": 2, "m": 1}, {"rows": 1, "k": 523, "m": 2})
PAIRED = ({"rows": 1, "r": 9, "k": 33, "m": 33}, {"rows": 11, "r": 1, "k": 2, "m": 3}, {"rows": 1, "r": 1, "k": 131, "m": 35},
          {"rows": 1, "r": 11, "k": 3, "m": 3}, {"rows": 1, "r": 9, "k": 131, "m": 2}, {"rows": 1, "r": 3, "k": 17, "m": 21},
          {"rows": 1, "r": 1, "k": 5, "m": 47}, {"rows": 1, "r": 3, "k": 31, "m": 5}, {"rows": 35, "r": 1, "k": 2, "m": 1})
WINDOWS = ({"rows": 1, "h": 5, "w": 5, "kh": 3, "kw": 2, "d": 3, "m": 39},
           {"rows": 11, "h": 1, "w": 1, "kh": 1, "kw": 1, "d": 4, "m": 7},
           {"rows": 1, "h": 6, "w": 5, "kh": 2, "kw": 3, "d": 2, "m": 6},
           {"rows": 1, "h": 4, "w": 5, "kh": 3, "kw": 3, "d": 1, "m": 33},
           {"rows": 1, "h": 3, "w": 3, "kh": 1, "kw": 1, "d": 2, "m": 7},
           {"rows": 1, "h": 1, "w": 2, "kh": 1, "kw": 1, "d": 33, "m": 5},
           {"rows": 35, "h": 1, "w": 1, "kh": 1, "kw": 1, "d": 2, "m": 1},
           {"rows": 1, "h": 2, "w": 9, "kh": 1, "kw": 2, "d": 17, "m": 3})
SUMS = ({"rows": 1, "r": 131, "c": 33}, {"rows": 11, "r": 3, "c": 5}, {"rows": 9, "r": 131, "c": 1},
        {"rows": 3, "r": 17, "c": 21}, {"rows": 3, "r": 4, "c": 7}, {"rows": 1, "r": 3, "c": 47}, {"rows": 9, "r": 131, "c": 2})
LONG = ({"rows": 9, "c": 33}, {"rows": 1, "c": 47}, {"rows": 9, "c": 3}, {"rows": 3, "c": 21}, {"rows": 5, "c": 7},
        {"rows": 3, "c": 160}, {"rows": 9, "c": 39}, {"rows": 2, "c": 1}, {"rows": 3, "c": 4}, {"rows": 1, "c": 267},
        {"rows": 1, "c": 523})
"""Where one result is made of a whole row."""

BY_OP = {"matmul": PRODUCTS, "batch_matmul": PAIRED, "conv2d": WINDOWS, "mean": SUMS, "shiftmax": LONG, "shiftgelu": LONG,
         "ilayernorm": LONG, "argmax": LONG, "topk": (LONG[-1], *LONG)} | dict.fromkeys(nonlinear.ROWS, LONG) \
    | fqvit.BY_OP | norms.SIZES | formats.SIZES | layouts.SIZES | packed.SIZES | sparse.SIZES

GEOMETRIES = ({"padding": (1, 0, 2, 1), "stride": (2, 1)}, {}, {"padding": (1, 1, 1, 1), "groups": 3, "dilation": (2, 1)},
              {"padding": (1, 1, 1, 1)}, {"stride": (2, 2), "padding": (0, 1, 1, 0)})
MOVES = (
    {"shapes": ((11, 13),), "moves": (("reshape", (13, 11)), ("transpose", (1, 0)))},
    {"shapes": ((4, 6), (1, 6)), "moves": (("concat", 0), ("slice", 0, 1, 5, 2), ("gather", 1, (3, 3, 0)),
                                           ("pad", ((1, 0), (0, 2))))},
    {"shapes": ((3, 4, 5),), "moves": (("transpose", (1, 2, 0)),)},
    {"shapes": ((7, 5),), "moves": (("slice", 0, 1, 6, 1), ("slice", 1, 1, 4, 1))},
    {"shapes": ((5, 3), (5, 3)), "moves": (("concat", 1), ("transpose", (1, 0)))},
    {"shapes": ((3, 9, 39),), "moves": (("transpose", (0, 2, 1)),)},
    {"shapes": ((9, 20),), "moves": (("pad", ((0, 0), (10, 9))),)},
    {"shapes": ((9, 20), (9, 19)), "moves": (("concat", 1),)},
    {"shapes": ((3, 1, 7),), "moves": (("repeat", 1, 9), ("repeat", 0, 2))},
)
"""What conv2d and arrange have beside sizes; they change with them."""


def of(op, row, index, shape):
    """(row, sizes) of configuration `index`: the row with its geometry, axis (and `rows`) to size; `shape`: sizes that are
    given instead."""
    if op in plain.CHANGES:
        row, found = plain.found(op, row, index)
    elif op in attention.CHANGES:
        row, found = attention.found(op, row, index)
    elif op in layouts.CHANGES:
        row, found = layouts.found(op, row, index)
    elif op in packed.CHANGES:
        row, found = packed.found(op, row, index)
    elif op in sparse.CHANGES:
        row, found = sparse.found(op, row, index)
    else:
        found = dict(pick(BY_OP.get(op, WIDE), index))
    if op == "conv2d":
        row = replace(row, **pick(GEOMETRIES, index))
        found["m"] = -(-found["m"] // row.groups) * row.groups
    if op == "topk":
        row = replace(row, k=min(pick((5, 1, 2, 21, 3), index), found["c"]))
    if op == "arrange":
        row, found = replace(row, **pick(MOVES, index)), {"rows": 1}
    if op == "island":
        size = pick((39, 13, 7), index)
        row, found = replace(row, shapes=((size,),), results=((size,),)), {"rows": pick((9, 37), index), "x0a": size}
    if hasattr(row, "q") and op == "table":
        found["i"] = 1 << row.q.bits
    if op in nonlinear.ENTRIES:
        found["i"] = nonlinear.ENTRIES[op]
    if hasattr(row, "shared"):
        found |= {"c": found["b"] * row.shared}
        found = found if "s" in row.takes else {axis: size for axis, size in found.items() if axis != "b"}
    shape = {"rows" if axis == "n" else axis: size for axis, size in (shape or {}).items()}
    if strange := [axis for axis in shape if axis not in found]:
        known = ["n" if axis == "rows" else axis for axis in found if axis != "i"]
        raise IllFormed(f"shape: {op} has no axis {strange[0]!r} to choose; it has {', '.join(known)}")
    found |= shape
    if op in ("conv2d", "conv_transpose2d"):
        found["c"] = found["d"] * row.groups
    return row, found


def pick(among, index):
    return among[index % len(among)]


def leading(takes, found):
    """The axes of a case in front of those that an operation tells apart: rows, and columns where it tells none."""
    rows = (found["rows"],) if found["rows"] > 1 else ()
    return (*rows, found["c"]) if elementwise(takes) else rows


def elementwise(takes):
    """Does every operand that differs from case to case have the one axis n?"""
    return all(declared.names == ("n",) for declared in takes.values() if declared.joins)
