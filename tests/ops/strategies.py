"""Rows, shapes and operands for any operation, drawn from what it declares.

Codes are uniform, at the rails, small, of all magnitudes, or all alike (ties); sizes are 0, 1, odd, and no multiples of
a tile.
"""
from dataclasses import fields

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from refq import ops
from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.operand import Float32, sizes
from refq.ints.row import alternatives
from refq.ints.sites import unwatched
from refq.ints.width import I4, I16, I24, I32, I40, I48, I64, U4, U8, U16

SIZES = (0, 1, 2, 3, 5, 8, 17, 40)
WRAPS = Accumulate(overflow="wrap")
SPILLS = Accumulate(order="pairs", size=2, overflow="saturate", width=I16, spill=3)
SATURATES = Accumulate(order="sequential", overflow="saturate", width=I16)

# Rows beside the default one and its listed alternatives: widths and geometries.
ROWS = {
    "matmul": ({"accumulate": WRAPS}, {"x": U8, "w": I4}, {"x": I16, "acc": I48}, {"x": U16, "w": U4, "acc": I64},
               {"acc": I16, "accumulate": SATURATES}, {"accumulate": SPILLS}),
    "batch_matmul": ({"accumulate": WRAPS}, {"x": I16, "w": I16, "acc": I64}),
    "conv2d": ({"accumulate": WRAPS, "stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)},
               {"accumulate": WRAPS, "padding": (1, 1, 1, 1), "groups": 6},
               {"accumulate": WRAPS, "padding": (0, 1, 1, 0), "stride": (2, 2), "groups": 3},
               {"acc": I16, "accumulate": SATURATES, "padding": (1, 1, 1, 1)}),
    "mean": ({"q": U8}, {"q": I16, "acc": I24}, {"q": I32, "acc": I40}),
    "argmax": ({"q": U8}, {"q": I32}),
    "arrange": (
        {"shapes": ((4, 6),), "moves": (("reshape", (4, 2, 3)), ("transpose", (1, 0, 2)))},
        {"shapes": ((4, 6), (1, 6), (0, 6)), "width": I16,
         "moves": (("concat", 0), ("slice", 0, 1, 5, 2), ("gather", 1, (3, 3, 0)), ("pad", ((1, 0), (0, 2))),
                   ("reshape", (15,)))},
        {"shapes": ((3, 2),), "moves": (("pad", ((1, 1), (0, 0))), ("slice", 0, 0, 2, 1), ("pad", ((0, 1), (2, 0))),
                                        ("transpose", (1, 0)))},
        {"shapes": ((2, 3), (2, 2)), "moves": (("concat", 1), ("transpose", (1, 0)))},
        {"shapes": ((2, 3, 4),), "moves": (("transpose", (1, 2, 0)),)},
        {"shapes": ((0, 2),), "moves": (("pad", ((1, 1), (0, 0))),)},
        {"shapes": ((),), "moves": (("reshape", (1, 1)),)}),
    "rescale": ({"acc": I48, "multiplier": "q15"}, {"out": U8}),
    "add": tuple({"high": "none", "multiplier": form} for form in ("q15", "mantissa24", "pow2")),
    "table": ({"q": U8, "out": I16},),
    "clip": ({"q": I16},),
}


def rows(name):
    """Rows of an operation: the default, one alternative of each field, and those listed above."""
    row = ops.load(name).Row
    last = dict(alternatives(row()))
    known = {f.name for f in fields(row)}
    return (row(), *last.values(), *(row(**extra) for extra in ROWS.get(name, ()) if known >= set(extra)))


def conv2d_sizes(row, draw):
    size, few = st.sampled_from((1, 2, 3, 5)), st.sampled_from((1, 2, 3))
    found = {"n": draw(st.sampled_from((0, 1, 2))), "d": draw(few), "kh": draw(few), "kw": draw(few)}
    found |= {"c": found["d"] * row.groups, "m": draw(few) * row.groups}
    (dy, dx), (top, left, bottom, right) = row.dilation, row.padding
    found["h"] = max(draw(size), 1 + dy * (found["kh"] - 1) - top - bottom)
    found["w"] = max(draw(size), 1 + dx * (found["kw"] - 1) - left - right)
    return found


def arrange_sizes(row, draw):
    found = {"n": draw(st.sampled_from((0, 1, 3)))}
    for name, shape in zip(row.takes, row.shapes):
        found |= dict(zip(row.takes[name].names[1:], shape))
    return found


def table_sizes(row, draw):
    return {"n": draw(st.sampled_from(SIZES)), "i": 1 << row.q.bits}


special = {"conv2d": conv2d_sizes, "arrange": arrange_sizes, "table": table_sizes}


def drawn_sizes(name, row, draw):
    if name in special:
        return special[name](row, draw)
    axes = dict.fromkeys(axis for declared in row.takes.values() for axis in declared.names)
    return {axis: draw(st.sampled_from(SIZES)) for axis in axes}


def uniform(rng, declared, shape):
    return rng.integers(declared.lo, declared.hi, shape, np.int64, endpoint=True)


def rails(rng, declared, shape):
    lo, hi = declared.lo, declared.hi
    return rng.choice(np.clip(np.array([lo, lo, lo + 1, -1, 0, 1, hi - 1, hi, hi]), lo, hi), shape)


def small(rng, declared, shape):
    middle = min(max(0, declared.lo), declared.hi)
    return rng.integers(max(declared.lo, middle - 3), min(declared.hi, middle + 3), shape, np.int64, endpoint=True)


def magnitudes(rng, declared, shape):
    bits = rng.integers(0, max(abs(declared.lo), declared.hi).bit_length(), shape, endpoint=True)
    values = rng.integers(0, 2**63 - 1, shape, np.int64, endpoint=True) >> (63 - bits)
    return np.clip(np.where(rng.integers(0, 2, shape) == 1, values, -values), declared.lo, declared.hi)


def alike(rng, declared, shape):
    return np.full(shape, uniform(rng, declared, ()))


styles = (uniform, rails, small, magnitudes, alike)


def floats(rng, declared, shape):
    return np.clip(np.ldexp(rng.uniform(0.5, 1, shape), rng.integers(-24, 12, shape)), declared.lo, declared.hi)


def filled(rng, declared, shape, style):
    values = floats(rng, declared, shape) if isinstance(declared.width, Float32) else style(rng, declared, shape)
    array = np.asarray(values).astype(declared.width.dtype)
    return array if declared.names else array.item()


def operands_of(row, found, rng, pick):
    """Operands of the sizes `found`; `pick()` chooses the style of each."""
    return {name: filled(rng, declared, tuple(found[a] for a in declared.names), pick())
            for name, declared in row.takes.items()}


@st.composite
def operands(draw, name, row):
    """Operands of one run, or none where the row refuses their sizes."""
    found = drawn_sizes(name, row, draw)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    try:
        row.sizes(found)
    except IllFormed:
        assume(False)
    return operands_of(row, found, rng, lambda: draw(st.sampled_from(styles)))


def shape_of(row, result, operands):
    found = sizes({k: d for k, d in row.takes.items() if d.names}, operands, "test")
    found |= row.sizes(found)
    return tuple(found[axis] for axis in row.gives[result].names)


def by_spec(name, row):
    """run(operands, row, at) -> results by the spec, as arrays of the declared dtype."""
    def run(operands, row=row, at=unwatched):
        out = ops.load(name).spec(*operands.values(), row=row, at=at)
        return {k: np.asarray(y).astype(row.gives[k].width.dtype)
                for k, y in zip(row.gives, out if isinstance(out, tuple) else (out,))}
    return run


def by_kernel(name, row):
    """The same by the kernel."""
    def run(operands, row=row):
        results = {k: np.empty(shape_of(row, k, operands), d.width.dtype) for k, d in row.gives.items()}
        ops.load(name).kernel(row)(*operands.values(), *results.values())
        return results
    return run
