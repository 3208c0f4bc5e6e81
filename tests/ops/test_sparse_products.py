"""Sparse products: the dense one on masked weights bit for bit, an oracle that shares no code, and every mask of a corner."""
from dataclasses import replace
from itertools import product

import numpy as np
import oracle_sparse as oracle
import pytest

from refq import layouts
from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.width import I8, I16, U8, U16, U32
from refq.ops import matmul, matmul_bitmap, matmul_blocks, matmul_two_four

SEQUENTIAL = Accumulate("sequential", 1, "saturate", I16)


def run(op, row, *operands):
    """The kernel's result, which is the spec's."""
    acc = np.empty((len(operands[0]), len(operands[-3])), row.acc.dtype)
    op.kernel(row)(*operands, acc)
    np.testing.assert_array_equal(acc, op.spec(*operands, row=row))
    return acc


def dense(row, x, w, bias, zx, zw):
    return matmul.spec(x, w, bias, zx, zw, row=matmul.Row(x=row.x, w=row.w, acc=row.acc, accumulate=row.accumulate))


def stored(name, w, zero, **fields):
    """The parts of weights whose zero point `zero` is everywhere the same."""
    return layouts.load(name).Layout(bits=8, signed=w.dtype == np.int8, zero=zero, **fields).pack(w)


def masked(rng, shape, kept, signed, zero):
    lo = -128 if signed else 0
    codes = np.where(rng.random(shape) < kept, rng.integers(lo, lo + 256, shape), zero)
    codes[rng.random(len(codes)) < 0.2] = zero
    return codes.astype(np.int8 if signed else np.uint8)


def as_two_four(rng, codes, zero):
    drop = rng.random((codes.size // 4, 4)).argsort(1) < 2
    return np.where(drop.reshape(codes.shape), np.asarray(zero, codes.dtype), codes)


def operands(rng, n, k, m, zero, x=U8):
    codes = rng.integers(x.lo, x.hi + 1, (n, k)).astype(x.dtype)
    return codes, rng.integers(-1000, 1000, m).astype(np.int32), int(rng.integers(x.lo, x.hi + 1)), zero


@pytest.mark.parametrize("zero", [0, 128])
@pytest.mark.parametrize("rule", [None, SEQUENTIAL])
def test_every_operation_is_the_dense_product(zero, rule):
    """The same bits as matmul on the masked weights, for each way of storing them; also where every partial sum saturates."""
    rng = np.random.default_rng(zero)
    more = {} if rule is None else {"acc": I16, "accumulate": rule}
    for n, k, m, kept in ((3, 36, 9, 0.3), (5, 8, 17, 1), (1, 64, 3, 0), (2, 100, 8, 0.7), (17, 4, 1, 0.5)):
        x, bias, zx, _ = operands(rng, n, k, m, zero)
        w = masked(rng, (m, k), kept, False, zero)
        zw, pruned = np.full(m, zero, np.uint8), as_two_four(rng, w, zero)
        row = matmul_two_four.Row(x=U8, w=U8, **more)
        parts = stored("two_four", pruned, zero)
        acc = run(matmul_two_four, row, x, parts["values"], parts["meta"], bias, zx, zw)
        np.testing.assert_array_equal(acc, dense(row, x, pruned, bias, zx, zw))
        parts = stored("bitmap", w, zero)
        row = matmul_bitmap.Row(x=U8, w=U8, kept=len(parts["values"]), **more)
        acc = run(matmul_bitmap, row, x, parts["values"], parts["bits"], parts["starts"], bias, zx, zw)
        expected = dense(row, x, w, bias, zx, zw)
        np.testing.assert_array_equal(acc, expected)
        for block in ((1, 4), (8, 1)):
            parts = stored("bcsr", w, zero, block=block)
            row = matmul_blocks.Row(x=U8, w=U8, block=block, across=-(-k // block[1]), kept=len(parts["columns"]), **more)
            acc = run(matmul_blocks, row, x, parts["values"], parts["columns"], parts["starts"], bias, zx, zw)
            np.testing.assert_array_equal(acc, expected)


def test_tiles_are_the_dense_product():
    """Tiles of columns, as FBGEMM has them (there of 4000), and the last of them shorter: sums and order of the sum hold."""
    rng = np.random.default_rng(3)
    for k, tile in ((37, 8), (16, 8), (20, 8), (4005, 4000)):
        w, m = masked(rng, (6, k), 0.4, True, 0), 6
        x, bias, zx, _ = operands(rng, 2, k, m, 0)
        parts = layouts.load("bcsr_tiled").Layout(tile=tile).pack(w)
        row = matmul_blocks.Row(x=U8, tile=tile, across=min(tile, k) // 4, kept=len(parts["columns"]))
        zw = np.zeros(m, np.int8)
        given = x, parts["values"], parts["columns"], parts["starts"], bias, zx, zw
        acc = run(matmul_blocks, row, *given) if tile == 8 else matmul_blocks.spec(*given, row=row)
        np.testing.assert_array_equal(acc, dense(row, x, w, bias, zx, zw))
        by_sums = (x.astype(np.int64) @ w.T - zx * parts["sums"].astype(np.int64)) + bias
        np.testing.assert_array_equal(acc, by_sums)


@pytest.mark.parametrize("word", [U16, U32])
def test_every_nibble_in_every_slot(word):
    """All 16 nibbles in each slot of a word: the codes that they select, twice the same one for the four that no tool writes."""
    quads = word.bits // 4
    k = 4 * quads
    x = (np.arange(k)[None] * 3 - 40).astype(np.int8)
    values = np.tile(np.array([7, 100], np.int8), (16 * quads, quads))
    slot, nibble = np.divmod(np.arange(16 * quads), 16)
    meta = (np.int64(0x44444444) & word.hi & ~(np.int64(15) << 4 * slot) | nibble << 4 * slot)[:, None].astype(word.dtype)
    bias, zw = np.zeros(len(meta), np.int32), np.arange(len(meta)).astype(np.int8)
    acc = run(matmul_two_four, matmul_two_four.Row(meta=word), x, values, meta, bias, 5, zw)
    rows = oracle.two_four(values, meta, k, word.bits)
    assert acc.tolist() == oracle.product(x, rows, bias, 5, zw)


def test_every_mask_of_a_corner():
    """All masks of two rows of eight, 131072 rows, by bitmap and by blocks against the dense product."""
    bits = np.arange(1 << 16)[:, None] >> np.arange(16) & 1
    w = (bits * (np.arange(16) * 7 - 50 | 1)).astype(np.int8).reshape(-1, 8)
    rng, m = np.random.default_rng(5), len(w)
    x, bias, zx, _ = operands(rng, 2, 8, m, 0, I8)
    zw = np.zeros(m, np.int8)
    expected = (x.astype(np.int64) - zx) @ w.astype(np.int64).T + bias
    parts = stored("bitmap", w, 0)
    acc = np.empty((2, m), np.int32)
    row = matmul_bitmap.Row(kept=len(parts["values"]))
    matmul_bitmap.kernel(row)(x, parts["values"], parts["bits"], parts["starts"], bias, zx, zw, acc)
    np.testing.assert_array_equal(acc, expected)
    for block in ((1, 4), (8, 1)):
        parts = stored("bcsr", w, 0, block=block)
        row = matmul_blocks.Row(block=block, across=8 // block[1], kept=len(parts["columns"]))
        matmul_blocks.kernel(row)(x, parts["values"], parts["columns"], parts["starts"], bias, zx, zw, acc)
        np.testing.assert_array_equal(acc, expected)


def test_every_quad_against_the_oracle():
    """All pairs of patterns of two quads of two codes, and codes -1, 0, 1 in them: 3**8 rows, each quad 2:4 or refused."""
    quads = np.array([q for q in product((-1, 0, 1), repeat=4) if np.count_nonzero(q) <= 2])
    pairs = np.concatenate([np.repeat(quads, len(quads), 0), np.tile(quads, (len(quads), 1))], 1).astype(np.int8)
    x = np.array([[1, 2, 4, 8, 16, 32, 64, 127], [-128, 127, 3, -5, 7, -11, 13, -17]], np.int8)
    bias, zw = np.zeros(len(pairs), np.int32), np.zeros(len(pairs), np.int8)
    for word, fill in ((U32, "near"), (U16, "last")):
        parts = layouts.load("two_four").Layout(word=word.bits, fill=fill).pack(pairs)
        acc = run(matmul_two_four, matmul_two_four.Row(meta=word), x, parts["values"], parts["meta"], bias, -3, zw)
        rows = oracle.two_four(parts["values"], parts["meta"], 8, word.bits)
        assert acc.tolist() == oracle.product(x, rows, bias, -3, zw)
        np.testing.assert_array_equal(acc, (x.astype(np.int64) + 3) @ pairs.T.astype(np.int64))


@pytest.mark.parametrize("block, tile", [((8, 1), 0), ((1, 4), 8), ((2, 3), 0)])
def test_blocks_by_the_oracle(block, tile):
    """Partial blocks at both edges, and zero points of each channel, in the order in which they are stored."""
    rng = np.random.default_rng(7)
    for rule in (None, SEQUENTIAL):
        m, k = 13, 19
        w = masked(rng, (m, k), 0.4, False, 100)
        fields = {"tile": tile, "zero": 0} if tile else {"zero": 100}
        w = w if not tile else (w.astype(int) - 100).clip(-128, 127).astype(np.int8)
        name, signed = ("bcsr_tiled", True) if tile else ("bcsr", False)
        parts = layouts.load(name).Layout(signed=signed, block=block, **fields).pack(w)
        x, bias, zx, _ = operands(rng, 3, k, m, 0)
        zw = np.full(m, fields["zero"], w.dtype)
        row = matmul_blocks.Row(x=U8, w=I8 if signed else U8, block=block, tile=tile, kept=len(parts["columns"]),
                                across=-(-(tile or k) // block[1]))
        row = row if rule is None else replace(row, acc=I16, accumulate=rule)
        acc = run(matmul_blocks, row, x, parts["values"], parts["columns"], parts["starts"], bias, zx, zw)
        rows = oracle.blocks(parts["values"], parts["columns"], parts["starts"], m, k, block, tile)
        held = (lambda t: max(-32768, min(32767, t))) if rule else (lambda t: t)
        assert acc.tolist() == oracle.product(x, rows, bias, zx, zw, held)


@pytest.mark.parametrize("op, fields, sizes, said", [
    (matmul_two_four, {}, {"k": 6, "h": 3, "b": 1}, "1 quads have 2 values"),
    (matmul_two_four, {}, {"k": 64, "h": 32, "b": 1}, "16 quads have 32 values and 2 words"),
    (matmul_bitmap, {"kept": 3}, {"m": 2, "k": 9, "p": 3, "v": 3, "b": 1}, "there are 3, 3 and 2"),
    (matmul_blocks, {"kept": 3}, {"m": 2, "k": 4, "p": 3, "v": 11, "b": 3}, "11 values; there are"),
    (matmul_blocks, {"kept": 3}, {"m": 2, "k": 5, "p": 3, "v": 12, "b": 3}, "1 across"),
])
def test_sizes_that_do_not_fit_together(op, fields, sizes, said):
    with pytest.raises(IllFormed, match=said):
        op.Row(**fields).sizes(sizes)


@pytest.mark.parametrize("op, fields, said", [
    (matmul_two_four, {"meta": I8}, "words hold nibbles"), (matmul_bitmap, {"bits": I8}, "take unsigned words"),
    (matmul_blocks, {"block": (0, 4)}, "a block has rows"), (matmul_blocks, {"tile": 6}, "a tile is a multiple")])
def test_rows_that_there_are_not(op, fields, said):
    with pytest.raises(IllFormed, match=said):
        op.Row(**fields)
