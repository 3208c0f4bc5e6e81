"""Sparse products: sizes, constants and codes of configurations of their operations.

SIZES: operation to its sizes; FITTED: to what fits its constants (constants.py); PLACED: to what places its codes (rows.py);
CHANGES: operations whose rows say how much is stored, and in which tiles (`found`).

Weights have the patterns that hid bugs: none, one or two codes in any place of a quad; rows with nothing, first, in the middle
and last, one after the other; rows of one block; blocks at both sides of a tile's edge; rows that are full.
"""
from dataclasses import replace

import numpy as np

from refq.vectors.draw import values

QUADS = ((), (3,), (2,), (1,), (0,), (0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The places of a quad that hold something other than zero."""


def two_four(rows, quads, m):
    """Sizes of 2:4; how many words of metadata follow from the row."""
    return {"rows": rows, "k": 4 * quads, "h": 2 * quads, "m": m}


SHAPES = {
    "matmul_two_four": (two_four(3, 11, 33), two_four(1, 16, 32), two_four(9, 3, 5), two_four(1, 5, 35), two_four(3, 9, 7),
                        two_four(35, 1, 1), two_four(3, 16, 3), two_four(1, 17, 21), two_four(3, 2, 21)),
    "matmul_blocks": ({"rows": 3, "k": 33, "m": 33}, {"rows": 1, "k": 17, "m": 21}, {"rows": 9, "k": 7, "m": 5},
                      {"rows": 1, "k": 46, "m": 9}, {"rows": 3, "k": 16, "m": 17}, {"rows": 35, "k": 2, "m": 1},
                      {"rows": 2, "k": 31, "m": 8}, {"rows": 1, "k": 5, "m": 47}, {"rows": 1, "k": 3, "m": 271}),
    "matmul_bitmap": ({"rows": 3, "k": 33, "m": 35}, {"rows": 1, "k": 17, "m": 21}, {"rows": 9, "k": 7, "m": 5},
                      {"rows": 1, "k": 46, "m": 9}, {"rows": 3, "k": 16, "m": 17}, {"rows": 35, "k": 2, "m": 1},
                      {"rows": 2, "k": 31, "m": 8}, {"rows": 1, "k": 5, "m": 47}),
}
SIZES = {}
CHANGES = tuple(SHAPES)
TILES = (8, 12, 16)
"""Tiles of columns of a row that has them: published ones are far longer than vectors."""


def found(op, row, index):
    """(row, sizes) of configuration `index`."""
    made = dict(SHAPES[op][index % len(SHAPES[op])])
    if op == "matmul_two_four":
        return row, made | {"b": -(-made["k"] // row.meta.bits)}
    if op == "matmul_bitmap":
        kept = int(pattern(made["m"], made["k"], index).sum())
        return replace(row, kept=kept), made | {"v": kept, "b": -(-made["k"] // row.bits.bits), "p": made["m"] + 1}
    (high, wide), k = row.block, made["k"]
    tile = TILES[index % len(TILES)] // wide * wide if row.tile else 0
    some = blocks(made["m"], k, row.block, tile, index)
    row = replace(row, tile=tile, across=-(-min(k, tile or k) // wide), kept=int(sum(part.sum() for part in some)))
    return row, made | {"b": row.kept, "v": row.kept * high * wide, "p": sum(len(part) for part in some) + 1}


def pattern(rows, columns, index):
    """Which places (rows columns) are stored: some rows have none, one, or all."""
    i, j = np.arange(rows)[:, None], np.arange(columns)
    mixed = (i * 7 + j * 5 + (i * j + index) % 3 * 2) % 5 < 2
    kind = (i + index) % 8
    one = j == (i * 3 + index) % max(columns, 1)
    made = np.where(np.isin(kind, (0, 4, 5)), False, np.where(kind == 2, one, np.where(kind == 7, True, mixed)))
    if rows == 1:
        made = np.where(index % 3 == 1, True, mixed | one)
    made[-1:] &= index % 2 == 1 or rows == 1        # the last row has none
    return made


def blocks(m, k, block, tile, index):
    """Of each tile: which blocks are stored (block rows, block columns); beside every edge there are some."""
    down, made = -(-m // block[0]), []
    for t, first in enumerate(range(0, k, tile or k)):
        across = -(-min(k - first, tile or k) // block[1])
        some = pattern(down, across, index + 3 * t)
        some[1::3, -1:] = True
        some[1::4, :1] = True
        made.append(some)
    return made


def kept_codes(stream, row, zw, owner):
    """Codes of stored places, of the rows `owner`, in styles, and none at its zero point."""
    declared = row.w("v")
    codes = values.drawn(stream, declared, (len(owner),), values.STYLES[stream.integer(0, 5)]) if len(owner) else np.zeros(0, int)
    zero = np.asarray(zw, np.int64)[owner]
    return np.where(codes == zero, np.where(zero < row.w.hi, zero + 1, zero - 1), codes)


def of_two_four(row, made, stream, index, reach):
    """Quads of every pattern in every place of a word; what fills one up is the zero point."""
    (m, h), zw = np.shape(made["values"]), made["zw"]
    quads = h // 2
    which = (np.arange(m)[:, None] * 4 + np.arange(quads) + index) % len(QUADS)
    some = np.array([[i in q for i in range(4)] for q in QUADS])[which]
    some[stream.integer(0, 2)::7] = False
    m0, m1, _, m3 = (some[..., i] for i in range(4))
    first = np.where(m0, 0, np.where(m1, 1, 2))
    second = np.where(m0 & m1, 1, np.where(m3 | ~m0 & ~m1, 3, 2))
    meta = np.zeros((m, np.shape(made["meta"])[1] * (row.meta.bits // 4)), np.int64)
    meta[:, :quads] = first | second << 2
    words = (meta.reshape(m, -1, row.meta.bits // 4) << 4 * np.arange(row.meta.bits // 4)).sum(-1)
    places = np.stack([first, second], -1)
    there = np.take_along_axis(some, places, -1).reshape(m, h)
    owner = np.repeat(np.arange(m), h)
    codes = kept_codes(stream.under("values"), row, zw, owner).reshape(m, h)
    return {"meta": words, "values": np.where(there, codes, np.asarray(zw)[:, None])}


def of_bitmap(row, made, stream, index, reach):
    m, words = np.shape(made["bits"])
    k = SHAPES["matmul_bitmap"][index % len(SHAPES["matmul_bitmap"])]["k"]
    some = pattern(m, k, index)
    filled = np.zeros((m, words * row.bits.bits), np.int64)
    filled[:, :k] = some
    bits = (filled.reshape(m, words, row.bits.bits) << np.arange(row.bits.bits)).sum(-1)
    codes = kept_codes(stream.under("values"), row, made["zw"], np.nonzero(some)[0])
    return {"bits": bits, "values": codes, "starts": np.concatenate([[0], np.cumsum(some.sum(1))])}


def of_blocks(row, made, stream, index, reach):
    """Blocks of which at least one code is not zero; those that reach over an edge are filled with the zero point."""
    (high, wide), m, zw = row.block, len(made["zw"]), np.asarray(made["zw"], np.int64)
    k = SHAPES["matmul_blocks"][index % len(SHAPES["matmul_blocks"])]["k"]
    starts, columns, codes, end = [0], [], [], 0
    for t, some in enumerate(blocks(m, k, row.block, row.tile, index)):
        starts += (end + np.cumsum(some.sum(1))).tolist()
        end = starts[-1]
        for i, c in zip(*np.nonzero(some)):
            r, column = i * high + np.arange(high)[:, None], t * row.tile + c * wide + np.arange(wide)
            there = (r < m) & (column < k)
            zero = np.broadcast_to(zw[np.minimum(r, m - 1)], there.shape)
            own = stream.under(f"block {len(columns)}")
            drawn = kept_codes(own, row, zw, np.minimum(r, m - 1).repeat(wide)).reshape(high, wide)
            some_of_it = there & ((own.integers(0, 2, (high, wide)) > 0) | (column == column[0]))
            codes.append(np.where(some_of_it, drawn, zero).reshape(-1))
            columns.append(c)
    return {"starts": np.array(starts), "columns": np.array(columns), "values": np.concatenate([np.zeros(0, int), *codes])}


FITTED = {"matmul_two_four": of_two_four, "matmul_bitmap": of_bitmap, "matmul_blocks": of_blocks}


def placed(operand, row, shape, stream, index, constants):
    """Activations: each row in a style of its own, so that every column differs from its neighbours somewhere."""
    declared = row.takes[operand]
    flat = (int(np.prod(shape[:-1], dtype=int)), shape[-1])
    made = values.each_its_own(stream, declared, flat)
    made[::3] = values.either(stream, declared, made[::3].shape)
    return np.ascontiguousarray(made.reshape(shape), declared.width.dtype)


PLACED = dict.fromkeys(SHAPES, placed)
