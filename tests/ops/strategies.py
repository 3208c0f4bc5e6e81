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
from refq.ints.operand import Float32, sizes
from refq.ints.row import alternatives
from refq.ints.sites import unwatched
from tests.ops.rows import ROWS

SIZES = (0, 1, 2, 3, 5, 8, 17, 40)


def rows(name):
    """Rows of an operation: the default, one alternative of each field, and those of ROWS."""
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


def two_four_sizes(row, draw):
    quads = draw(st.sampled_from((0, 1, 2, 5, 8, 11, 16)))
    return {"n": draw(st.sampled_from(SIZES)), "m": draw(st.sampled_from((*SIZES, 32))), "k": 4 * quads, "h": 2 * quads,
            "b": -(-4 * quads // row.meta.bits)}


def blocks_sizes(row, draw):
    (high, wide), m = row.block, draw(st.sampled_from(SIZES))
    k = max(wide * row.across - draw(st.sampled_from((0, 1, 2))), 0)
    tiles = draw(st.sampled_from((1, 2, 3))) if row.tile else 1
    return {"n": draw(st.sampled_from(SIZES)), "m": m, "k": k + (tiles - 1) * row.tile, "v": row.kept * high * wide,
            "b": row.kept, "p": tiles * -(-m // high) + 1}


def bitmap_sizes(row, draw):
    m, k = draw(st.sampled_from(SIZES)), draw(st.sampled_from(SIZES))
    return {"n": draw(st.sampled_from(SIZES)), "m": m, "k": k, "v": row.kept, "b": -(-k // row.bits.bits), "p": m + 1}


def grouped_sizes(row, draw):
    k = draw(st.sampled_from(SIZES))
    return {"n": draw(st.sampled_from(SIZES)), "m": draw(st.sampled_from(SIZES)), "k": k, "g": -(-k // row.block)}


def packed_sizes(row, draw):
    return {"n": draw(st.sampled_from(SIZES)), "j": row.unit * (draw(st.sampled_from((0, 1, 2, 5))) + (row.tail > 0))}


def entries_sizes(count):
    """Operands n (and c) beside a table of `count` entries i."""
    return lambda row, draw: {axis: draw(st.sampled_from(SIZES)) for axis in ("n", "c")} | {"i": count}


def shared_sizes(row, draw):
    """Of operations on blocks that share a scale."""
    count = draw(st.sampled_from((0, 1, 2, 3)))
    return {"n": draw(st.sampled_from(SIZES[:5])), "b": count, "c": count * row.shared}


special = {**dict.fromkeys(("block_scales", "quantize_blocks", "dequantize_blocks"), shared_sizes),
           "batch_matmul_adalog": tables_sizes, "recode": recode_sizes, "softmax_masked": masked_sizes,
           "table16": entries_sizes(513), "softmax_table": entries_sizes(256), "softmax_table_integer": entries_sizes(256),
           "softmax_tosa": entries_sizes(256),
           "matmul_two_four": two_four_sizes, "matmul_blocks": blocks_sizes, "matmul_bitmap": bitmap_sizes,
           "unpack_codes": packed_sizes, "matmul_groups": grouped_sizes,
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
