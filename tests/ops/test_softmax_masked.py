"""softmax_masked: row by row what the inner operation makes of the seen keys alone; no seen key; every form; nested rows."""
from dataclasses import replace

import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.ints.row import alternatives, differences, from_plain, plain
from refq.ints.width import I16
from refq.ops import softmax_gemmlowp, softmax_masked, softmax_table, softmax_table16, softmax_table_integer
from refq.ops.softmax_masked import Row

INNER = {
    "shiftmax": {"x0": -16},
    "softmax_table_integer": softmax_table_integer.build(softmax_table_integer.Row(), 0.0625, 40),
    "softmax_gemmlowp": softmax_gemmlowp.build(softmax_gemmlowp.Row(), 0.0625, 0),
    "softmax_table": softmax_table.build(softmax_table.Row(), 0.0625, 40, 2.0 ** -8, -128),
    "softmax_table16": softmax_table16.build(softmax_table16.Row(), 2.0 ** -8, 0),
}


def constants(row, given):
    """As a program hands them over: arrays of the declared dtype, and numbers."""
    held = {k: np.asarray(given[k], d.width.dtype) for k, d in row.takes.items() if k in given}
    return {k: v if v.ndim else v[()] if v.dtype.kind == "f" else int(v) for k, v in held.items()}


def rows_alone(inner, row, q, seen, masked, fixed):
    """The inner kernel on each row's seen keys; everything else masked."""
    kernel, (declared,) = ops.load(inner).kernel(row), row.gives.values()
    y = np.full(q.shape, masked, declared.width.dtype)
    for at in np.ndindex(q.shape[:-1]):
        some = np.flatnonzero(seen[at])
        if len(some):
            made = np.empty((1, len(some)), y.dtype)
            kernel(np.ascontiguousarray(q[at][some][None]), *fixed.values(), made)
            y[at][some] = made[0]
    return y


def drawn(rng, row, n, h, r, k):
    q = row.takes["q"]
    return rng.integers(q.lo, q.hi, (n, h, r, k), endpoint=True).astype(q.width.dtype)


def both(row, *operands):
    """The kernel's result, which the spec's equals."""
    (declared,) = row.gives.values()
    y = np.empty(operands[0].shape, declared.width.dtype)
    softmax_masked.kernel(row)(*operands, y)
    assert np.array_equal(y, softmax_masked.spec(*operands, row=row))
    return y


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("k", (1, 2, 3, 40))
def test_each_row_is_that_of_its_seen_keys(inner, k):
    """All three forms, masks of one head and of every head, rows that see no key."""
    rng, module = np.random.default_rng(k), ops.load(inner)
    base = Row(inner, module.Row())
    fixed = constants(base, INNER[inner])
    q = drawn(rng, base, 2, 3, 5, k)
    (declared,) = base.gives.values()
    masked = declared.lo + 3
    keys = np.arange(k)
    for offset in (-2, 0, k - 5):
        seen = np.broadcast_to(keys <= np.arange(5)[:, None] + offset, q.shape)
        y = both(replace(base, offset=offset), q, masked, *fixed.values())
        assert np.array_equal(y, rows_alone(inner, base.row, q, seen, masked, fixed))
    places = rng.integers(0, k, (2, 5)).astype(np.int32)
    y = both(replace(base, mask="positions", last=k - 1), q, places, masked, *fixed.values())
    seen = np.broadcast_to(keys <= places[:, None, :, None], q.shape)
    assert np.array_equal(y, rows_alone(inner, base.row, q, seen, masked, fixed))
    for heads in (1, 3):
        given = (rng.random((2, heads, 5, k)) < 0.6).astype(np.uint8)
        given[0, 0, 0] = 0
        y = both(replace(base, mask="given"), q, given, masked, *fixed.values())
        assert np.array_equal(y, rows_alone(inner, base.row, q, np.broadcast_to(given, q.shape), masked, fixed))
        assert (y[0, 0, 0] == masked).all()


@pytest.mark.parametrize("inner", INNER)
def test_long_rows(inner):
    """197 and 4096 keys, of which all or most are seen."""
    rng, base = np.random.default_rng(5), Row(inner, ops.load(inner).Row())
    fixed = constants(base, INNER[inner])
    for k in (197, 4096):
        q = drawn(rng, base, 1, 1, 2, k)
        seen = np.ones((1, 1, 2, k), np.uint8)
        seen[..., 1, ::3] = 0
        y = both(replace(base, mask="given"), q, seen, 0, *fixed.values())
        assert np.array_equal(y, rows_alone(inner, base.row, q, seen, 0, fixed))


def test_one_query_at_its_position_is_the_row_of_the_causal_mask():
    """A decoder that takes one query after the other, by positions, gives the bits of the causal mask over all."""
    rng, causal = np.random.default_rng(0), Row()
    q = drawn(rng, causal, 1, 2, 8, 8)
    whole = both(causal, q, 0, -16)
    step = Row(mask="positions", last=7)
    for t in range(8):
        one = np.ascontiguousarray(q[:, :, t:t + 1])
        assert np.array_equal(both(step, one, np.array([[t]], np.int32), 0, -16), whole[:, :, t:t + 1])


def test_hidden_keys_are_not_small_logits():
    """Keys that stay in the sum as the lowest code, as adding a mask to codes has them, take shares from the others."""
    row = Row("softmax_table_integer", mask="given")
    table = softmax_table_integer.build(row.row, 2.0 ** -6, 6)["t"]
    q = np.array([133, 134, 0, 0, 0, 0], np.uint8)
    apart = both(row, q.reshape(1, 1, 1, 6), np.array([[[[1, 1, 0, 0, 0, 0]]]], np.uint8), 0, np.array(table, np.uint32)).ravel()
    among = softmax_table_integer.spec(q[None], np.array(table), softmax_table_integer.Row()).ravel()
    assert apart[2:].max() == 0 < among[2:].min() and (among[:2] < apart[:2]).all()


def test_the_inner_row_is_part_of_the_row():
    """It is stored, read again, hashed, and its alternatives are the row's."""
    row = Row("shiftmax", ops.load("shiftmax").Row(q=I16, out=I16, reciprocal=62), "given")
    assert from_plain(Row, plain(row)) == row and hash(from_plain(Row, plain(row))) == hash(row)
    assert from_plain(Row, differences(row)) == row
    assert {name for name, _ in alternatives(row)} >= {"row.n", "row.reciprocal"}
    assert Row() == Row("shiftmax", ops.load("shiftmax").Row())


def test_what_cannot_be_is_refused_by_a_sentence():
    for make, words in ((lambda: Row("matmul"), "no operation on single rows"), (lambda: Row(mask="diagonal"), "causal"),
                        (lambda: Row(mask="given").sizes({"n": 1, "h": 3, "g": 2, "r": 1, "k": 4}), "masks for 2 heads of 3"),
                        (lambda: Row().sizes({"n": 1, "h": 3, "r": 1, "k": 0}), "empty"), (lambda: Row("softmaxx"), "softmaxx")):
        with pytest.raises(IllFormed, match=words):
            make()
