"""Layouts of weights: sizes, constants and codes of configurations of their operations.

SIZES: operation to its sizes; FITTED: to what fits its constants (constants.py); PLACED: to what places its codes (rows.py).
`found(op, row, index)` gives the row with its padding, and the sizes, of configuration `index`.
"""
from dataclasses import replace

from refq.vectors.draw import values

LINES = ((5, 5, 1), (9, 3, 0), (3, 8, 2), (1, 13, 3), (11, 1, 1), (3, 17, 0), (35, 1, 5), (2, 9, 7))
"""Rows, units in each, and codes that the last unit is short of."""
GROUPS = (({"rows": 5, "k": 33, "m": 33}, 8), ({"rows": 35, "k": 35, "m": 1}, 16), ({"rows": 3, "k": 131, "m": 3}, 64),
          ({"rows": 3, "k": 37, "m": 5}, 4), ({"rows": 1, "k": 17, "m": 35}, 16), ({"rows": 3, "k": 64, "m": 7}, 32),
          ({"rows": 3, "k": 9, "m": 5}, 2), ({"rows": 1, "k": 131, "m": 3}, 32), ({"rows": 35, "k": 66, "m": 1}, 32))
"""Sizes, and codes in a group."""
CHANGES = ("pack_codes", "unpack_codes", "matmul_groups")


def found(op, row, index):
    """(row, sizes) of configuration `index`."""
    if op == "matmul_groups":
        sizes, block = GROUPS[index % len(GROUPS)]
        return replace(row, block=block), sizes | {"g": -(-sizes["k"] // block)}
    rows, units, tail = LINES[index % len(LINES)]
    # more than one code in each row, and not too many
    units, tail = max(units, 2) if row.per <= 16 else min(units, 3), tail % row.per
    if op == "unpack_codes":
        return replace(row, tail=tail), {"rows": rows, "j": units * row.unit}
    return row, {"rows": rows, "k": units * row.per - tail}


def any_codes(operand, row, shape, stream, index, constants):
    """Codes of which each is as likely as any other: every field of every row shows."""
    return values.uniform(stream, row.takes[operand], shape)


SIZES, FITTED, PLACED = {}, {}, {"pack_codes": any_codes}
