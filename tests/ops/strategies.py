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
from refq.ints import elementwise
from refq.ints.accumulate import Accumulate
from refq.ints.operand import Float32, sizes
from refq.ints.row import alternatives
from refq.ints.sites import unwatched
from refq.ints.width import I4, I8, I16, I24, I32, I40, I48, I64, U1, U4, U8, U16, U32, Width

SIZES = (0, 1, 2, 3, 5, 8, 17, 40)
WRAPS = Accumulate(overflow="wrap")
SPILLS = Accumulate(order="pairs", size=2, overflow="saturate", width=I16, spill=3)
CODES = Accumulate(order="pairs", overflow="saturate", width=I16, spill=1, products="codes")
SATURATES = Accumulate(order="sequential", overflow="saturate", width=I16)

# Rows beside the default one and its listed alternatives: widths and geometries.
ROWS = {
    "matmul": ({"accumulate": WRAPS}, {"x": U8, "w": I4}, {"x": I16, "acc": I48}, {"x": U16, "w": U4, "acc": I64},
               {"acc": I16, "accumulate": SATURATES}, {"accumulate": SPILLS}, {"x": U8, "accumulate": CODES},
               {"accumulate": CODES}),
    "batch_matmul": ({"accumulate": WRAPS}, {"x": U8, "accumulate": CODES}, {"x": I16, "w": I16, "acc": I64}),
    "batch_matmul_log2": ({"highest": 16, "x": U8, "accumulate": WRAPS}, {"deepest": 14, "x": U4}, {"w": U8, "deepest": 20,
                          "highest": 20, "x": U8, "acc": I48}, {"deepest": 3, "highest": 4, "acc": I16, "accumulate": SATURATES},
                          {"accumulate": WRAPS}),
    "batch_matmul_adalog": ({"deepest": 3, "acc": I16, "accumulate": SATURATES}, {"acc": I32, "accumulate": WRAPS},
                            {"w": U8, "x": U8, "mantissa": 8, "deepest": 7, "highest": 20, "acc": I32}),
    "batch_matmul_twin": ({"x": I8}, {"x": U4, "shift": 9, "w": U8}, {"accumulate": WRAPS, "shift": 20},
                          {"x": I4, "shift": 2, "acc": I16, "accumulate": SATURATES}),
    "recode": ({"q": U8, "out": I16}, {"q": I16, "out": U8}),
    "softmax_masked": ({"mask": "positions"}, {"mask": "given"}, {"inner": "softmax_table_integer", "offset": 2},
                       {"inner": "softmax_gemmlowp", "mask": "given"},
                       {"inner": "softmax_table16", "mask": "positions", "last": 4}),
    "softmax_ibert": ({"bits": 16, "q": I16, "out": U16}, {"accumulate": SATURATES}, {"out": U16, "accumulate": SPILLS}),
    "layernorm_ibert": ({"q": I16}, {"q": I24}, {"accumulate": WRAPS, "squares": WRAPS}, {"squares": SATURATES, "q": U8}),
    "gelu_ibert": ({"q": I8}, {"q": I48, "out": I64}), "shiftgelu_int32": ({"q": I16},), "ilayernorm_int32": ({"q": I16},),
    "conv2d": ({"accumulate": WRAPS, "stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)},
               {"accumulate": WRAPS, "padding": (1, 1, 1, 1), "groups": 6},
               {"accumulate": WRAPS, "padding": (0, 1, 1, 0), "stride": (2, 2), "groups": 3},
               {"acc": I16, "accumulate": SATURATES, "padding": (1, 1, 1, 1)},
               {"x": U8, "accumulate": CODES, "padding": (1, 0, 2, 1), "groups": 2}),
    "conv_transpose2d": (
        {"accumulate": WRAPS, "stride": (2, 3), "padding": (1, 0, -2, 1), "dilation": (1, 2)},
        {"accumulate": WRAPS, "padding": (0, 1, 1, 0), "stride": (2, 2), "groups": 3, "x": U8},
        {"acc": I16, "accumulate": SATURATES, "stride": (1, 2), "padding": (-1, 0, 0, -3)}),
    "elementwise": (
        *({"word": word, "overflow": "wrap"} for word in elementwise.names),
        {"word": "sub", "a": I48, "b": U16, "overflow": "saturate"}, {"word": "mul", "a": I16, "b": I48, "y": I48},
        {"word": "shift_left", "a": I8, "b": I8, "y": I8}, {"word": "shift_logical", "a": U8, "b": U8, "y": U8},
        {"word": "not", "a": U1, "b": U1, "y": U1}, {"word": "negate", "a": I8, "y": I8, "overflow": "saturate"},
        {"word": "divide", "ties": "trunc", "overflow": "refuse", "b": I8}),
    "reduce": (*({"word": word} for word in ("product", "max", "min", "any", "all")),
               {"word": "all", "q": U1, "y": U1}, {"q": I16, "y": I24, "overflow": "saturate"},
               {"word": "product", "q": I8, "y": I16, "overflow": "saturate"}, {"q": I8, "accumulate": SPILLS},
               {"q": I16, "y": I16, "accumulate": SATURATES}),
    "cast": ({"x": U8, "y": I4}, {"x": I8, "y": I48}, {"x": U1, "y": I32}, {"x": I16, "y": U1, "store": "nonzero"}),
    "embed": ({"places": 5, "width": I16},), "append": ({"places": 5}, {"places": 3, "width": I16}),
    "rope": ({"places": 5, "width": U8}, {"places": 3, "width": I16}, {"places": 2, "pairing": "adjacent"}),
    "gather": ({"places": 5}, {"places": 3, "width": I32, "negative": "from_end"}),
    "max_pool": ({"q": U8, "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)},
                 {"q": I16, "kernel": (1, 3), "padding": (0, 2, 0, 0)}),
    "average_pool": (
        {"kernel": (3, 3), "padding": (1, 1, 1, 1), "stride": (2, 1)},
        {"kernel": (3, 2), "padding": (2, 1, 0, 1), "counts": "all", "zero_point": "taken", "q": U8, "out": U8,
         "multiplier": "mantissa24", "beyond": (2, 0), "stride": (2, 2)},
        {"kernel": (2, 3), "padding": (0, 1, 1, 2), "zero_point": "taken", "multiplier": "reciprocal31", "ties": "half_up"},
        {"kernel": (1, 3), "padding": (0, 1, 0, 1), "zero_point": "taken", "multiplier": "reciprocal30", "q": I16, "out": I16},
        {"kernel": (2, 2), "dilation": (2, 1), "zero_point": "taken", "ties": "half_even", "counts": "all", "q": U8},
        {"kernel": (3, 3), "padding": (1, 0, 1, 1), "zero_point": "taken", "accumulate": SPILLS}),
    "average_pool_float32": (
        {"kernel": (3, 3), "padding": (1, 1, 1, 1), "stride": (2, 1), "zero_point": "fused", "block": 8},
        {"kernel": (3, 2), "padding": (2, 1, 0, 1), "counts": "all", "q": U8, "out": U8, "beyond": (2, 0), "stride": (2, 2)}),
    "average_pool_values": (
        {"kernel": (3, 3), "padding": (1, 1, 1, 1), "stride": (2, 1)},
        {"kernel": (3, 2), "padding": (2, 1, 0, 1), "counts": "all", "q": U8, "out": U8, "beyond": (2, 0), "stride": (2, 2)}),
    "mean": ({"q": U8}, {"q": I16, "acc": I24}, {"q": I32, "acc": I40}, {"accumulate": SPILLS},
             {"acc": I16, "accumulate": SATURATES}),
    "argmax": ({"q": U8}, {"q": I32}), "topk": ({"q": U8, "k": 3}, {"q": I32, "k": 2, "shows": "codes"}),
    "arrange": (
        {"shapes": ((4, 6),), "moves": (("reshape", (4, 2, 3)), ("transpose", (1, 0, 2)))},
        {"shapes": ((4, 6), (1, 6), (0, 6)), "width": I16,
         "moves": (("concat", 0), ("slice", 0, 1, 5, 2), ("gather", 1, (3, 3, 0)), ("pad", ((1, 0), (0, 2))),
                   ("reshape", (15,)))},
        {"shapes": ((3, 2),), "moves": (("pad", ((1, 1), (0, 0))), ("slice", 0, 0, 2, 1), ("pad", ((0, 1), (2, 0))),
                                        ("transpose", (1, 0)))},
        {"shapes": ((2, 3), (2, 2)), "moves": (("concat", 1), ("transpose", (1, 0)))},
        {"shapes": ((2, 3, 4),), "moves": (("transpose", (1, 2, 0)), ("repeat", 1, 3))},
        {"shapes": ((0, 2),), "moves": (("pad", ((1, 1), (0, 0))),)},
        {"shapes": ((),), "moves": (("reshape", (1, 1)),)}),
    "rescale": ({"acc": I48, "multiplier": "q15"}, {"out": U8}),
    "rescale_float32_bias": ({"acc": I48, "out": I16}, {"out": U8, "zero_point": "inside", "far": "lowest_int32"}),
    "mul_float32": ({"a": U8, "b": I16, "out": U8}, {"quotient": "multiple", "zero_point": "inside"},
                    {"quotient": "reciprocal_float32", "zero_point": "fused"}),
    "add": (*({"high": "none", "multiplier": form} for form in ("q15", "mantissa24", "pow2")), {"join": "minus"}),
    "add_weighted": ({"join": "minus"}, {"a": U8, "b": U8, "out": U8, "bits": 22}),
    "mul": ({"a": I16, "b": I16, "out": I16}, {"a": U8, "out": I32, "high": "none"}, {"high": "none", "multiplier": "pow2"}),
    "rescale_double": ({"acc": I48, "out": I16}, {"out": U8}),
    "table": ({"q": U8, "out": I16},),
    "leaky_relu": ({"q": U8, "out": U8}, {"q": I16, "out": I16}, {"multiplier": "fraction8", "high": "none", "ties": "half_up"}),
    "hard_swish": ({"q": U8, "out": U8},), "logistic_fixed": ({"q": U8, "out": U8}, {"function": "tanh", "out": U8}),
    "softmax_gemmlowp": ({"out": I16}, {"q": U8, "out": U8}, {"accumulate": SPILLS}), "softmax_table": ({"q": U8, "out": U8}, {
        "q": U8, "out": U8, "normalized": "quotient", "ties": "half_even", "store": "wrap"}),
    "softmax_table_integer": ({"q": I8, "out": I8}, {"accumulate": SATURATES}), "softmax_table16": ({"accumulate": SPILLS},),
    "shiftmax": ({"accumulate": SPILLS}, {"accumulate": SATURATES, "q": I16}, {"n": 16, "half": "first", "q": I16}),
    "ilayernorm": ({"accumulate": SATURATES}, {"squares": SPILLS}),
    "softmax_tosa": ({"q": U8, "out": U8}, {"accumulate": SATURATES}),
    "softmax_streaming": ({"q": U8}, {"tile": 1, "peak": 127, "acc": U32, "out": I8}, {"q": I16, "acc": U32, "tile": 8}),
    "softmax_base2": ({"shares": "linear", "out": U8}, {"q": U8, "shares": "linear", "curve": "flat", "out": U16},
                      {"q": I16, "acc": I48, "out": U8}, {"out": Width(5, False), "shares": "geometric"}, {"accumulate": WRAPS}),
    "gelu_hard": ({"q": U8, "out": U8}, {"out": I16}),
    "clip": ({"q": I16},),
    "layernorm_exact": ({"q": I16}, {"q": U8, "accumulate": SATURATES}, {"squares": WRAPS}),
    "rms_norm": ({"q": I16}, {"q": U8, "squares": SATURATES}),
    "group_norm": ({"groups": 2}, {"groups": 3, "q": I16}, {"groups": 2, "accumulate": SATURATES, "squares": WRAPS}),
    "batch_norm": ({"q": U8, "out": I16}, {"q": I16, "out": U8, "acc": I48}),
    "l2_norm": ({"q": U8}, {"accumulate": SATURATES}, {"high": "none", "ties": "half_up"}),
    "layernorm_lstm": ({"q": I8},),
    "island": (
        {"nodes": (("Mul", ("x0", "c0"), ("t0",), ()), ("Softmax", ("t0",), ("y0",), ())), "constants": ((1,),)},
        {"nodes": (("Sub", ("x1", "x0"), ("t0",), ()), ("Relu", ("t0",), ("y1",), ()), ("Tanh", ("y1",), ("y0",), ())),
         "shapes": ((2, 3), (3,)), "constants": (), "results": ((2, 3), (2, 3))},
        {"nodes": (("ReduceMean", ("x0",), ("y0",), (("axes", (1, 2)), ("keepdims", 0))),), "shapes": ((2, 3),),
         "constants": (), "results": ((),)}),
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


def island_sizes(row, draw):
    found = {"n": draw(st.sampled_from((0, 1, 3)))}
    for declared, shape in zip(row.takes.values(), (*row.shapes, *row.constants)):
        found |= dict(zip(declared.names[-len(shape):] if shape else (), shape))
    return found


def table_sizes(row, draw):
    return {"n": draw(st.sampled_from(SIZES)), "i": 1 << row.q.bits}


def tables_sizes(row, draw):
    return {axis: draw(st.sampled_from(SIZES)) for axis in ("n", "r", "m", "k")} | {"i": row.highest + 1}


def recode_sizes(row, draw):
    count = draw(st.sampled_from(SIZES))
    return {"n": draw(st.sampled_from(SIZES)), "i": count, "j": count + 1}


def masked_sizes(row, draw):
    """Few rows of every length; tables as the inner operation has them."""
    few = st.sampled_from((0, 1, 2, 3))
    found = {axis: draw(few) for axis in ("n", "h", "r")} | {"k": draw(st.sampled_from(SIZES))}
    tables = {"softmax_table_integer": 256, "softmax_table16": 513}
    return found | {"g": draw(st.sampled_from((1, found["h"]))), "i": tables.get(row.inner, 1)}


def thrown_sizes(row, draw):
    size, few = st.sampled_from((1, 2, 3, 5)), st.sampled_from((1, 2, 3))
    found = {"n": draw(st.sampled_from((0, 1, 2)))} | {axis: draw(few) for axis in ("d", "kh", "kw", "m")}
    return found | {"c": found["d"] * row.groups, "m": found["m"] * row.groups, "h": draw(size), "w": draw(size)}


def groups_sizes(row, draw):
    return {"n": draw(st.sampled_from((0, 1, 2, 3))), "l": draw(st.sampled_from((1, 2, 5, 9))),
            "c": row.groups * draw(st.sampled_from((1, 2, 3, 7)))}


def gather_sizes(row, draw):
    return {axis: draw(st.sampled_from(SIZES[:6])) for axis in ("n", "w", "c")} | {"r": row.places}


def topk_sizes(row, draw):
    return {"n": draw(st.sampled_from(SIZES[:6])), "c": row.k + draw(st.sampled_from(SIZES))}


def embed_sizes(row, draw):
    return {axis: draw(st.sampled_from(SIZES[:6])) for axis in ("n", "c")} | {"v": row.places}


def cache_sizes(row, draw):
    """Of append and rope: heads of a depth that is even."""
    found = {axis: draw(st.sampled_from((0, 1, 2, 3))) for axis in ("n", "h", "t")}
    pairs = draw(st.sampled_from((1, 2, 4, 9)))
    return found | {"p": row.places, "e": pairs, "d": 2 * pairs, "c": draw(st.sampled_from((1, 3, 8)))}


def pool_sizes(row, draw):
    (kh, kw), (dy, dx), (top, left, bottom, right) = row.kernel, row.dilation, row.padding
    least = max(top, bottom, 1 + dy * (kh - 1) - top - bottom), max(left, right, 1 + dx * (kw - 1) - left - right)
    return {"n": draw(st.sampled_from((0, 1, 2))), "c": draw(st.sampled_from((1, 2, 9, 18))), "p": kh * kw,
            "h": least[0] + draw(st.sampled_from((0, 1, 2, 4))), "w": least[1] + draw(st.sampled_from((0, 1, 3)))}


def entries_sizes(count):
    """Operands n (and c) beside a table of `count` entries i."""
    return lambda row, draw: {axis: draw(st.sampled_from(SIZES)) for axis in ("n", "c")} | {"i": count}


special = {"batch_matmul_adalog": tables_sizes, "recode": recode_sizes, "softmax_masked": masked_sizes,
           "table16": entries_sizes(513), "softmax_table": entries_sizes(256), "softmax_table_integer": entries_sizes(256),
           "softmax_tosa": entries_sizes(256),
           "conv2d": conv2d_sizes, "conv_transpose2d": thrown_sizes, "max_pool": pool_sizes, "average_pool": pool_sizes,
           "average_pool_float32": pool_sizes, "average_pool_values": pool_sizes, "gather": gather_sizes,
           "embed": embed_sizes, "append": cache_sizes, "rope": cache_sizes,
           "arrange": arrange_sizes, "table": table_sizes, "topk": topk_sizes, "island": island_sizes, "group_norm": groups_sizes}


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
    if declared.lo < 0:         # reals: of both signs, some of them ties of coarse scales
        x = np.ldexp(rng.uniform(-1, 1, shape), rng.integers(-12, 16, shape))
        x = np.where(rng.integers(0, 2, shape) == 1, np.rint(x) / 2, x)
        return np.clip(x, declared.lo, declared.hi)
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
