"""Integer matrix products with the weights stored (m k): acc[n, m] = sum_k x[n, k] * w[m, k].

    dot_int8(x, w, acc)     int8 (n k), int8 (m k), int32 (n m): modulo 2**32, so exact wherever the sum fits 32 bits,
                            whatever its partial sums do
    dot_wide(x, w, acc)     int8 or int16 (n k), int8 or int16 (m k), int64 (n m): exact
    row_sums(x, sums)       int8 or int16 (n k), int32 or int64 (n): modulo the width of sums

All arrays are C-contiguous, acc and sums overlap nothing and are overwritten. Each is called from Python or from a
jitted kernel, allocates its own scratch and releases the GIL. Shapes that do not fit together raise ValueError. Zero
points are the caller's: the sum over (x - a) * (w - b) is acc - b * row_sums(x) - a * row_sums(w) + k * a * b.

Columns are done a panel at a time: the panel's weights are laid out so that one instruction multiplies one word of x
(see tile.py) with many columns, then all rows are swept past it. Where rows or columns are no multiple of the tile, the
last tile overlaps the one before and writes the same values twice; operands smaller than a tile are filled with zeros.
`int8(unit)` and `wide(unit)` make the functions for a given unit, and the plain loop for None: all give the same bits.
"""
from functools import cache

import numpy as np

from refq.ints.jit import jit
from refq.machine.tile import best, tile, turn

OFFSET = np.int32(-0x7F7F7F80)      # 0x80 in each byte: flipped, an int8 reads as unsigned w + 128


@jit(nogil=True)
def row_sums(x, sums):
    """sums[n] = sum_k x[n, k]"""
    for i in range(x.shape[0]):
        total = np.int64(0)
        for t in range(x.shape[1]):
            total += np.int64(x[i, t])
        sums[i] = total


@jit(nogil=True)
def check(x, w, acc):
    """Tiles write through pointers: a wrong shape must not become a write outside acc."""
    if w.shape[1] != x.shape[1] or acc.shape[0] != x.shape[0] or acc.shape[1] != w.shape[0]:
        raise ValueError("dot: the shapes x (n k), w (m k) and acc (n m) do not fit together")


@jit(nogil=True)
def plain(x, w, acc):
    check(x, w, acc)
    for i in range(x.shape[0]):
        for j in range(w.shape[0]):
            total = np.int64(0)
            for t in range(x.shape[1]):
                total += np.int64(x[i, t]) * np.int64(w[j, t])
            acc[i, j] = total


@jit(nogil=True)
def filled(x, height, length):
    """x itself where it has these sizes, else a copy with zeros up to them."""
    n, k = x.shape
    if n == height and k == length:
        return x
    copy = np.empty((height, length), x.dtype)
    for i in range(height):
        for t in range(length):
            copy[i, t] = x[i, t] if i < n and t < k else 0
    return copy


@jit(nogil=True)
def widened(x, parts, height, length):
    """x as int16 (parts height length), with zeros up to these sizes; two parts are x >> 8 and the low byte of x."""
    n, k = x.shape
    copy = np.empty((parts, height, length), np.int16)
    for part in range(parts):
        shift, mask = 8 * (parts - 1 - part), 255 if part else -1
        for i in range(height):
            for t in range(length):
                copy[part, i, t] = (np.int32(x[i, t]) >> shift) & mask if i < n and t < k else 0
    return copy


@jit(nogil=True)
def join(out, shift, first, acc, j):
    """acc[:, j:] = out << shift, or += after the first; out may have rows and columns to spare."""
    for i in range(acc.shape[0]):
        for c in range(min(out.shape[1], acc.shape[1] - j)):
            value = np.int64(out[i, c]) << shift
            acc[i, j + c] = value if first else acc[i, j + c] + value


@cache
def loops(unit):
    """pack and sweep: the two loops over words that every product on this unit is made of."""
    form, lanes, rows, width = unit.form, unit.lanes, unit.rows, unit.width
    flip = OFFSET if form == "quads" else np.int32(0)

    @jit(nogil=True)
    def pack(w, j, q, depth, panel):
        """panel[t, c] = word q + t of row j + c of w, unsigned in quads; w and panel reach to a multiple of lanes."""
        for c in range(0, width, lanes):
            for t in range(0, depth, lanes):
                turn(lanes, flip, w, j + c, q + t, panel, t, c)

    @jit(nogil=True)
    def sweep(x, q, depth, panel, start, out, j):
        """out[i, j + c] = start[i] + the words q to q + depth of x[i] . panel[:, c]; out has at least `rows` rows."""
        n = out.shape[0]
        for i in range(0, n, rows):
            tile(form, lanes, rows, x, min(i, n - rows), q, depth, panel, start, out, j)

    return pack, sweep


@cache
def int8(unit):
    """dot_int8 on a unit. In quads w counts from -128: the 128 * sum_k x[n, k] too many are taken off at the start."""
    if unit is None:
        return plain
    pack, sweep = loops(unit)
    rows, lanes, width, in_quads = unit.rows, unit.lanes, unit.width, unit.form == "quads"
    each = 4 if in_quads else 2

    @jit(nogil=True)
    def dot_int8(x, w, acc):
        check(x, w, acc)
        n, m = acc.shape
        depth = (x.shape[1] + each - 1) // each
        deep = (depth + lanes - 1) // lanes * lanes
        tall, broad = max(n, rows), max(m, width)
        start = np.empty(tall, np.int32)
        if in_quads:
            words, weights = filled(x, tall, depth * each), filled(w, broad, deep * each)
            row_sums(words, start)
        else:
            words, weights = widened(x, 1, tall, depth * each)[0], widened(w, 1, broad, deep * each)[0]
        for i in range(tall):
            start[i] = -128 * start[i] if in_quads else 0
        out = acc if n == tall and m == broad else np.empty((tall, broad), np.int32)
        panel = np.empty((deep, width), np.int32)
        for j in range(0, broad, width):
            j = min(j, broad - width)
            pack(weights, j, 0, depth, panel)
            sweep(words, 0, depth, panel, start, out, j)
        if n < tall or m < broad:
            for i in range(n):
                for j in range(m):
                    acc[i, j] = out[i, j]

    return dot_int8


@cache
def wide(unit):
    """dot_wide on a unit of pairs.

    Words add up in 32 bits over blocks of k too short to overflow, and the blocks in 64. An int16 * int8 stays within
    2**22: 511 fit. Of two int16, x is split into its high and its low byte: 255 * 2**15 at most, and 257 fit.
    """
    if unit is None:
        return plain
    pack, sweep = loops(unit)
    rows, lanes, width = unit.rows, unit.lanes, unit.width

    @jit(nogil=True)
    def dot_wide(x, w, acc):
        check(x, w, acc)
        parts, block = (2, 128) if x.itemsize + w.itemsize == 4 else (1, 240)
        depth = (x.shape[1] + 1) // 2
        deep = (depth + lanes - 1) // lanes * lanes
        tall, broad = max(acc.shape[0], rows), max(acc.shape[1], width)
        words, weights = widened(x, parts, tall, depth * 2), widened(w, 1, broad, deep * 2)[0]
        start, out = np.zeros(tall, np.int32), np.empty((tall, width), np.int32)
        panel = np.empty((block, width), np.int32)
        for j in range(0, broad, width):
            j = min(j, broad - width)
            for q in range(0, max(depth, 1), block):        # once where k is 0, to clear acc
                size = min(block, depth - q)
                pack(weights, j, q, size, panel)
                for part in range(parts):
                    sweep(words[part], q, size, panel, start, out, 0)
                    join(out, 8 * (parts - 1 - part), q + part == 0, acc, j)

    return dot_wide


dot_int8 = int8(best("quads", "pairs"))
dot_wide = wide(best("pairs"))
