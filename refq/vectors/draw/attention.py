"""Sizes, constants and codes of products with logarithmic and twin codes, of recoding, and of softmax under a mask.

`found(op, row, index)` gives the row with what a grid or a mask decides, and the sizes, of configuration `index`; `FITTED` as in
scales.py; `placed`: the codes of one operand of softmax_masked.
"""
from dataclasses import replace

import numpy as np

from refq.grids.adalog import reaching
from refq.grids.affine import Affine
from refq.grids.log2 import Log2
from refq.grids.log_sqrt2 import LogSqrt2
from refq.grids.twin import Twin
from refq.ints.width import I8, I16, I48, U4, U8, Width
from refq.ops import batch_matmul_adalog, recode
from refq.vectors.draw import fqvit, ibert, nonlinear

U5 = Width(5, False)
TABLES = (LogSqrt2(), reaching(U4, 1.0, 20, 37, "zero"), LogSqrt2(U8, "zero", 36), LogSqrt2(U5, "zero", 15, 5),
          reaching(U4, 1.0, 37), reaching(U5, 1.0, 13))
SHARES = Affine(I8, np.float64(2.0 ** -8), np.int64(-128))
FINE = Affine(I16, np.float64(2.0 ** -15), np.int64(0))
BETWEEN = ((SHARES, Log2(U4, "zero", switch="inverse")), (FINE, Log2(U5, "zero", 15)), (Log2(), SHARES), (FINE, Twin()),
           (Twin(I8), SHARES), (SHARES, TABLES[0]), (TABLES[1], FINE))
"""Pairs of grids, for recode."""
CHANGES = {
    "batch_matmul_log2": ({"x": U4, "deepest": 14, "highest": 15}, {"x": U5, "deepest": 15, "highest": 16}, {},
                          {"w": U8, "x": U4, "deepest": 7, "highest": 8}, {"x": U8, "deepest": 19, "highest": 20, "acc": I48}),
    "batch_matmul_adalog": tuple(batch_matmul_adalog.geometry(g)[0] | {"x": g.width, "acc": I48} for g in TABLES),
    "batch_matmul_twin": ({}, {"x": I8}, {"x": U4, "shift": 9, "w": U8}, {"shift": 1}, {"x": I8, "shift": 7}),
    "recode": tuple({"q": a.width, "out": b.width} for a, b in BETWEEN),
    "softmax_masked": ({"mask": "given"}, {"mask": "causal"}, {"mask": "positions"}, {"mask": "causal", "offset": 4},
                       {"mask": "given"}, {"mask": "causal", "offset": -2}),
}
PAIRED = ({"rows": 1, "r": 9, "k": 33, "m": 33}, {"rows": 11, "r": 1, "k": 2, "m": 3}, {"rows": 3, "r": 5, "k": 3, "m": 3},
          {"rows": 1, "r": 3, "k": 17, "m": 21}, {"rows": 1, "r": 1, "k": 5, "m": 47}, {"rows": 1, "r": 3, "k": 31, "m": 5},
          {"rows": 35, "r": 1, "k": 2, "m": 1})
WIDE = ({"rows": 9, "c": 33}, {"rows": 1, "c": 47}, {"rows": 9, "c": 3}, {"rows": 35, "c": 1})
MASKED = ({"rows": 35, "h": 1, "r": 1, "k": 3}, {"rows": 1, "h": 3, "r": 5, "k": 33}, {"rows": 1, "h": 2, "r": 7, "k": 7},
          {"rows": 2, "h": 2, "r": 3, "k": 21}, {"rows": 1, "h": 3, "r": 3, "k": 5, "g": 3}, {"rows": 1, "h": 1, "r": 5, "k": 47},
          {"rows": 3, "h": 2, "r": 4, "k": 3})
PRODUCTS = ("batch_matmul_log2", "batch_matmul_adalog", "batch_matmul_twin")
SIZES = dict.fromkeys(PRODUCTS, PAIRED) | {
    "batch_matmul_adalog": tuple(size | {"m": min(size["m"], 9)} for size in PAIRED), "recode": WIDE, "softmax_masked": MASKED}


def found(op, row, index):
    """(row, sizes) of configuration `index`."""
    row, made = replace(row, **CHANGES[op][index % len(CHANGES[op])]), dict(SIZES[op][index % len(SIZES[op])])
    if op == "batch_matmul_adalog":
        made["i"] = row.highest + 1
    if op == "recode":
        made["i"] = len(recode.build(row, *BETWEEN[index % len(BETWEEN)])["turns"])
        made["j"] = made["i"] + 1
    if op == "softmax_masked":
        row, made = replace(row, last=made["k"] - 1), {"g": 1} | made
        made |= {"i": nonlinear.ENTRIES[row.inner]} if row.inner in nonlinear.ENTRIES else {}
    return row, made


def of_batch_matmul_adalog(row, made, stream, index, reach):
    return batch_matmul_adalog.constants(TABLES[index % len(TABLES)])


def of_recode(row, made, stream, index, reach):
    return recode.build(row, *BETWEEN[index % len(BETWEEN)])


def of_softmax_masked(row, made, stream, index, reach):
    """The constants of the inner operation; and a code of 0 that is none of the common ones."""
    fit = (nonlinear.FITTED | fqvit.FITTED | ibert.FITTED).get(row.inner)
    (declared,) = row.row.gives.values()
    fixed = fit(row.row, made, stream, index, reach) if fit else {}
    if "x0" in made and index % 6 == 4:                     # where most keys are seen, and alike, the sum fills 31 bits
        fixed = {"x0": -60000 // MASKED[index % len(MASKED)]["k"]}
    return {"masked": (declared.lo, declared.hi, declared.lo + 1)[index % 3]} | fixed


def placed(name, declared, shape, stream, index, rows):
    """Codes of an operand: logits in rows as `rows` draws them, places anywhere, masks of which some hide everything."""
    if name == "seen":
        made = np.where(stream.integers(0, 5, (*shape[:-1], 1)) == 0, 0, stream.integers(0, 2, shape) > 0)
    else:
        made = stream.integers(declared.lo, declared.hi, shape) if name == "positions" else rows(stream, declared, shape, index)
    return np.ascontiguousarray(made, declared.width.dtype)


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
