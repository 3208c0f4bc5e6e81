"""Products in packed words: sizes, constants and codes of configurations of their operations.

SIZES: operation to its sizes; FITTED: to what fits its constants (constants.py); PLACED: to what places its codes (rows.py);
`found(op, row, index)` gives the row and the sizes of configuration `index`. A field is full only where all products of a sum
of more than its drain are at one end: some rows and some channels are.
"""
import numpy as np

from refq.ints.fields import drain_of
from refq.vectors.draw import values

OPS = ("matmul_packed", "matmul_ulppack", "matmul_dsp48")
CHANGES = OPS
SHAPES = ((3, 33, 33), (1, 0, 0), (9, 5, 3), (3, 17, 21), (1, 16, 35), (3, 31, 7), (9, 3, 39), (3, 1, 21), (3, 15, 5), (3, 4, 21),
          (35, 2, 1), (1, 131, 5))
"""Rows, k and m; k is 0 for one more than fills a field, in one word."""
LONG, SHORT = 700, 131
"""k beyond which no configuration goes, and k where nothing that fits fills a register."""


def found(op, row, index):
    """(row, sizes) of configuration `index`."""
    rows, k, m = SHAPES[index % len(SHAPES)]
    if not k:
        k, m = filling(op, row), {"matmul_packed": getattr(row, "fields", 1), "matmul_ulppack": 1, "matmul_dsp48": 2}[op]
    if op != "matmul_dsp48":
        return row, {"rows": rows, "k": k, "m": m}
    heights = ((1, rows), (rows, 2), (rows, 1))[index % 3]
    return row, dict(zip(("rows", "r"), heights)) | {"k": k, "m": m}


def filling(op, row):
    """A k at which a field that is emptied too late has lost something, and sums leave 16 and 24 bits, as far as it can be."""
    x, w = row.takes["x"], row.takes["w"]
    most = max(abs(a * b) for a in (x.lo, x.hi) for b in (w.lo, w.hi))
    late = {"matmul_packed": lambda: row.summed.drain, "matmul_ulppack": lambda: 2 * drain_of(row.parts),
            "matmul_dsp48": lambda: 1}
    return max([SHORT, *(k + 3 for k in (late[op](), (1 << 15) // most, (1 << 23) // most) if k + 3 <= LONG)])


def fitted(row, made, stream, index, reach):
    """In a long sum, channels that are at one end all along, and zero points at an end; half of the others anything."""
    w, declared = np.array(made["w"], np.int64), row.takes["w"]
    if w.shape[1] < SHORT:
        w[1::2] = values.uniform(stream.under("w"), declared, w[1::2].shape)
        return {"w": w}
    w[::2] = declared.lo or declared.hi
    w[1::2] = declared.hi
    return {"w": w, "zx": row.takes["x"].hi if row.takes["x"].lo else 0, "zw": 0 * made["zw"]}


def placed(operand, row, shape, stream, index, constants):
    """Rows along k at an end of the range, anything, or each in a style of its own."""
    declared = row.takes[operand]
    flat = (int(np.prod(shape[:-1], dtype=int)), shape[-1])
    made = np.array(values.each_its_own(stream, declared, flat), np.int64)
    made[1::2] = values.uniform(stream, declared, made[1::2].shape)
    made[::3] = declared.hi
    if declared.lo < 0:
        made[1::6 if len(made) > 6 else 3] = declared.lo
    return np.ascontiguousarray(made.reshape(shape), declared.width.dtype)


SIZES, FITTED, PLACED = {}, dict.fromkeys(OPS, fitted), dict.fromkeys(OPS, placed)
