"""Sizes, constants and codes of operations on plain integers and under windows.

`found(op, row, index)` gives the row with a word or a geometry, and the sizes, of configuration `index`; `FITTED` as in
scales.py; `legal` keeps codes to what a row does not refuse.
"""
from dataclasses import replace

import numpy as np

from refq.errors import IllFormed
from refq.ints import elementwise, reciprocal, scales
from refq.ints.width import I4, I8, I16, I32, I48, U1, U8
from refq.ops import load
from refq.ops import reduce as reduction
from refq.vectors.draw import fqvit, ibert, norms
from refq.vectors.draw.scales import order, pair

SPREAD = ({"stride": (2, 2), "padding": (1, 0, 1, 0)}, {"stride": (3, 2), "padding": (0, 1, -1, 2), "dilation": (1, 2)},
          {"stride": (2, 1), "groups": 3}, {"padding": (1, 1, 1, 1)}, {"stride": (1, 3), "padding": (-1, 0, 0, -2)},
          {"padding": (0, 1, 0, -1)})
THROWN = ({"rows": 1, "h": 2, "w": 2, "kh": 2, "kw": 2, "d": 3, "m": 33},
          {"rows": 1, "h": 2, "w": 3, "kh": 2, "kw": 3, "d": 2, "m": 7},
          {"rows": 1, "h": 2, "w": 2, "kh": 3, "kw": 3, "d": 1, "m": 3},
          {"rows": 1, "h": 3, "w": 3, "kh": 2, "kw": 2, "d": 17, "m": 3},
          {"rows": 5, "h": 2, "w": 2, "kh": 2, "kw": 1, "d": 2, "m": 5},
          {"rows": 3, "h": 1, "w": 2, "kh": 1, "kw": 2, "d": 33, "m": 2})

POOLS = ({"kernel": (2, 2), "stride": (2, 2)}, {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1, 2, 0)},
         {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1, 1, 1)},
         {"kernel": (1, 4), "stride": (1, 2), "padding": (0, 1, 0, 2)},
         {"kernel": (2, 2), "stride": (1, 2), "dilation": (2, 1), "padding": (1, 0, 0, 1)}, {"kernel": (1, 2)},
         {"kernel": (12, 12), "stride": (3, 4), "padding": (5, 5, 5, 5)})
IMAGES = ({"rows": 1, "h": 4, "w": 6, "c": 33}, {"rows": 1, "h": 6, "w": 5, "c": 21}, {"rows": 3, "h": 3, "w": 3, "c": 3},
          {"rows": 1, "h": 2, "w": 5, "c": 47}, {"rows": 11, "h": 3, "w": 3, "c": 1}, {"rows": 1, "h": 1, "w": 3, "c": 160},
          {"rows": 1, "h": 12, "w": 12, "c": 2})

WORDS = ({"word": "add"}, {"word": "sub", "a": I16, "b": I16}, {"word": "mul", "a": I16, "b": I16}, {"word": "mul_shift"},
         {"word": "shift_right"}, {"word": "divide", "b": I8}, {"word": "min"}, {"word": "max", "a": I8, "b": I8, "y": I8},
         {"word": "and", "a": I16, "b": I16, "y": I16}, {"word": "or"}, {"word": "xor", "a": U1, "b": U1, "y": U1},
         {"word": "not", "a": I8, "y": I8}, {"word": "negate", "a": I16, "y": I16}, {"word": "abs"}, {"word": "shift_left"},
         {"word": "shift_logical"}, {"word": "clz"}, {"word": "equal", "y": U1}, {"word": "greater", "y": U1},
         {"word": "greater_equal", "y": U1}, {"word": "select", "a": I8, "b": I8, "y": I8},
         {"word": "shift_right", "a": I8, "b": I8, "y": I8}, {"word": "shift_left", "a": I16, "b": I16, "y": I16},
         {"word": "shift_logical", "a": I8, "b": I8, "y": I8}, {"word": "add", "a": I8, "b": I8, "y": I8},
         {"word": "sub", "y": I32}, {"word": "mul", "a": I8, "b": I8}, {"word": "mul_shift", "a": I16, "b": I16})
"""Words of elementwise, each with widths that it has in TOSA."""
CASTS = ({"x": I32, "y": I8}, {"x": I8, "y": I16}, {"x": I16, "y": U1, "store": "nonzero"}, {"x": U1, "y": I32},
         {"x": U8, "y": I8}, {"x": I8, "y": I4}, {"x": I16, "y": I32}, {"x": I32, "y": I16}, {"x": I48, "y": I32},
         {"x": I32, "y": U1, "store": "nonzero"}, {"x": I16, "y": I8}, {"x": I16, "y": I4})
SUMS = ({"word": "sum"}, {"word": "max", "q": I8, "y": I8}, {"word": "min", "q": I16, "y": I16}, {"word": "product"},
        {"word": "any", "q": U1, "y": U1}, {"word": "all", "q": U1, "y": U1}, {"word": "max"}, {"word": "min"})
LONG = ({"rows": 1, "r": 17, "c": 33}, {"rows": 9, "r": 5, "c": 3}, {"rows": 1, "r": 3, "c": 47}, {"rows": 3, "r": 33, "c": 7})
GATHERED = ({"rows": 1, "r": 9, "w": 11, "c": 33}, {"rows": 3, "r": 5, "w": 7, "c": 3}, {"rows": 1, "r": 17, "w": 5, "c": 21},
            {"rows": 5, "r": 3, "w": 9, "c": 1}, {"rows": 1, "r": 2, "w": 33, "c": 5})
EMBEDDED = ({"rows": 3, "v": 9, "c": 13}, {"rows": 1, "v": 17, "c": 21}, {"rows": 9, "v": 5, "c": 3},
            {"rows": 1, "v": 2, "c": 33})
CACHED = ({"rows": 3, "h": 2, "p": 7, "t": 3, "c": 13}, {"rows": 1, "h": 1, "p": 5, "t": 1, "c": 33},
          {"rows": 1, "h": 2, "p": 3, "t": 5, "c": 4}, {"rows": 2, "h": 5, "p": 1, "t": 1, "c": 21})
TURNED = ({"rows": 3, "h": 2, "p": 7, "t": 5, "e": 7}, {"rows": 1, "h": 1, "p": 5, "t": 1, "e": 33},
          {"rows": 11, "h": 1, "p": 4, "t": 3, "e": 2}, {"rows": 1, "h": 2, "p": 3, "t": 11, "e": 3},
          {"rows": 2, "h": 1, "p": 2, "t": 3, "e": 17})
PLACES = {"gather": "r", "embed": "v", "append": "p", "rope": "p"}
"""Operation to the axis that `places` of its row counts."""
WIDE = ({"rows": 9, "c": 33}, {"rows": 1, "c": 47}, {"rows": 9, "c": 3}, {"rows": 35, "c": 1})

CHANGES = {"conv_transpose2d": (SPREAD, THROWN), "elementwise": (WORDS, WIDE), "cast": (CASTS, WIDE), "reduce": (SUMS, LONG),
           "group_norm": (norms.GROUPS, norms.PLACES), "gather": ((), GATHERED), "embed": ((), EMBEDDED), "append": ((), CACHED),
           "rope": ((), TURNED), **dict.fromkeys(("layernorm_ibert", "ilayernorm_int32"), (ibert.WIDTHS, ibert.LONG)),
           "log_int_softmax": (fqvit.WIDTHS, fqvit.SHARES),
           **dict.fromkeys(("max_pool", "average_pool", "average_pool_float32", "average_pool_values"), (POOLS, IMAGES))}
"""Operation to what its rows and its sizes are, one configuration after the other."""


def found(op, row, index):
    """(row, sizes) of configuration `index`."""
    fields, sizes = CHANGES[op]
    row, made = replace(row, **fields[index % len(fields)]) if fields else row, dict(sizes[index % len(sizes)])
    if op == "conv_transpose2d":
        made["m"] = -(-made["m"] // row.groups) * row.groups
    if op == "group_norm":
        made["c"] = -(-made["c"] // row.groups) * row.groups
    if op in PLACES:
        row = replace(row, places=made[PLACES[op]])
    if op == "rope":
        made["d"] = 2 * made["e"]
    if "kernel" in row.__dict__:
        made["p"] = row.kernel[0] * row.kernel[1]
        row.sizes(made)             # an image that these windows do not fit into is no configuration
    return row, made


RATIOS = (1.0, 0.5, 2.0, 0.75, 1.3, 2.0 ** 17, 0.1, 2.0 ** 34)
"""s_in over s_y."""


def of_average_pool(row, made, stream, index, reach):
    if row.multiplier == "none":
        return {}
    if index % 4 in (1, 2):         # a target's constants are few: any pairs as well, of which results tie and saturate
        most = row.q.hi - row.q.lo
        pairs = [pair(kind, row.out.hi / (most * n), row.takes["mult"], row.takes["shift"], 0, stream)
                 for n, kind in enumerate(order(stream, row.kernel[0] * row.kernel[1], index), 1)]
        return {"mult": [m for m, _ in pairs], "shift": [max(s, (m * most * n).bit_length() - 31) for n, (m, s) in
                                                         enumerate(pairs, 1)]}
    ratio, size = RATIOS[index % len(RATIOS)], row.kernel[0] * row.kernel[1]
    if row.multiplier in reciprocal.forms:
        ratio = 1.0
    elif row.multiplier in ("coarse", "pow2"):
        ratio = 2.0 ** (index % 3 - 1)
    try:
        pairs = reciprocal.pairs(row.multiplier, row.ratio, ratio, 1.0, *row.kernel)
    except IllFormed:               # a shift for windows whose counts are no powers of two
        pairs = [(1, (n - 1).bit_length()) for n in range(1, size + 1)]
    if min(s for _, s in pairs) < row.takes["shift"].lo:        # a ratio that short mantissas do not reach
        pairs = reciprocal.pairs(row.multiplier, row.ratio, 1.0, 1.0, *row.kernel)
    return {"mult": [m for m, _ in pairs], "shift": [s for _, s in pairs]}


def of_average_pool_float32(row, made, stream, index, reach):
    every = np.arange(1, row.kernel[0] * row.kernel[1] + 1)
    ratio = 1.0 if row.zero_point == "kept" else RATIOS[index % len(RATIOS)]
    order = row.ratio if row.ratio in scales.names else "float32"
    return {"scale": scales.ratio(order, (ratio,), every).astype(np.float32)}


def of_average_pool_values(row, made, stream, index, reach):
    unit = 2.0 ** stream.integer(-4, 4) * (1 + (index % 2) * stream.integer(0, 255) / 256)
    return {"sin": np.float32(min(unit * RATIOS[index % len(RATIOS)], 2.0 ** 31)), "sy": np.float32(unit)}


def of_elementwise(row, made, stream, index, reach):
    """Short shifts, so that products tie."""
    return {"s": (1, 3, 2, 0, 31, 7, 4)[index % 7]} if row.word == "mul_shift" else {}


def of_rope(row, made, stream, index, reach):
    """Entries that stand for halves and wholes as often, so that results tie, and for what is beside them."""
    halves = 1 << row.fraction - 1
    return {name: np.where(stream.under(name).integers(0, 3, made[name].shape) == 0, made[name],
                           halves * stream.under(f"{name} tied").integers(-2, 2, made[name].shape)) for name in ("cos", "sin")}


FITTED = {"rope": of_rope, "elementwise": of_elementwise,
          "average_pool": of_average_pool, "average_pool_float32": of_average_pool_float32,
          "average_pool_values": of_average_pool_values}


def legal(op, row, made, constants):
    """`made` (operand to codes) with 0 or 1 where the row would refuse what comes out; other codes as they are."""
    if op == "elementwise" and row.word in ("divide", "shift_right"):      # small ones as often, so that results tie
        b = made["b"].ravel()
        near = b % 3 + 1 if row.word == "shift_right" else 2 * (b % 3) + 2
        near = np.where((np.arange(b.size) % 2 == 1) | (b == 0) & (row.word == "divide"), near, b)
        made = made | {"b": near.astype(b.dtype).reshape(made["b"].shape)}
    if op == "elementwise" and row.overflow == "refuse":
        given = [made[k].astype(np.int64) if k in made else constants[k] for k in row.takes]
        raw = elementwise.word(row.word, row.a, row.ties)(*given)
        left = (raw < row.y.lo) | (raw > row.y.hi)
        return {k: np.where(left, 0 if k == "a" else 1, v).astype(v.dtype) for k, v in made.items()}
    if op == "reduce" and row.overflow == "refuse" and reduction.STEPS[row.word][0] in ("add", "mul"):
        return {"q": fitting(row, made["q"])}
    return made


def fitting(row, q):
    """Codes (... r c) of which no partial result leaves the register."""
    flat = q.reshape(-1, *q.shape[-2:])
    while True:
        try:
            load("reduce").spec(flat, row)
            return flat.reshape(q.shape)
        except IllFormed:
            flat = flat // 2 if row.word == "sum" else np.where(np.abs(flat) > 1, flat // 2, flat).astype(q.dtype)
