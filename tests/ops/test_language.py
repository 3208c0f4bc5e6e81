"""rope, append and embed: against the oracle, at the rails, over every pair of codes, and what they refuse."""
import math
from fractions import Fraction

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import I8, I16, U8
from refq.ops import append, embed, rope
from tests import oracle_language
from tests.ops.strategies import by_kernel, by_spec, operands_of, rails, uniform

RUNS = (by_spec, by_kernel)


def tables(row, pairs):
    """Codes of real angles: position p turns pair j by p / (j + 1)."""
    angles = np.arange(row.places)[:, None] / (1.0 + np.arange(pairs))
    return rope.table(row, np.cos(angles)), rope.table(row, np.sin(angles))


@pytest.mark.parametrize("style", (uniform, rails))
@pytest.mark.parametrize("row", (
    *(rope.Row(places=6, ties=ties) for ties in rounding.names), rope.Row(places=3, width=I16, fraction=13),
    rope.Row(places=4, width=U8, pairing="adjacent"), rope.Row(places=1, pairing="adjacent", fraction=7, ties="floor")))
def test_rope_is_the_oracle(row, style):
    for pairs in (1, 2, 5):
        found = {"n": 2, "h": 3, "t": 4, "d": 2 * pairs, "p": row.places, "e": pairs}
        operands = operands_of(row, found, np.random.default_rng(pairs), lambda: style)
        x, i, cos, sin = (operands[k].tolist() for k in ("x", "i", "cos", "sin"))
        expected = oracle_language.rotated(x, i, cos, sin, operands["zx"], row.pairing, row.fraction, row.ties, row.width.lo,
                                           row.width.hi)
        for by in RUNS:
            assert by("rope", row)(operands)["y"].tolist() == expected


@pytest.mark.parametrize("position", (0, 1, 7))
def test_rope_on_every_pair_of_codes(position):
    """All 65,536 pairs: kernel is spec, position 0 changes nothing, and the real rotation is within the stated bound."""
    row = rope.Row(places=8)
    first, second = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    x = np.stack([first.ravel(), second.ravel()], -1).astype(np.int8)[None, None]
    cos, sin = tables(row, 1)
    operands = {"x": x, "i": np.full((1, x.shape[2]), position, np.int32), "cos": cos, "sin": sin, "zx": 3}
    y = by_spec("rope", row)(operands)["y"]
    assert np.array_equal(by_kernel("rope", row)(operands)["y"], y)
    if position == 0:
        assert np.array_equal(x, y)
    centred = x.astype(float) - 3
    angles = np.full((row.places, 1), float(position))
    exact = 3 + rope.real(centred, operands["i"], np.cos(angles), np.sin(angles), row)
    bound = 0.5 + np.abs(centred).sum(-1, keepdims=True) / 2 ** (row.fraction + 1)
    free = (exact > -128) & (exact < 127)
    assert (np.abs(y - exact) <= bound + 1e-9)[free].all() and (np.abs(y - np.clip(exact, -128, 127)) <= 1.01)[~free].all()


def test_halves_and_adjacent_are_one_operation_on_permuted_heads():
    """Hugging Face's order of a head under halves is llama2.c's under adjacent."""
    operands = operands_of(rope.Row(places=5), {"n": 2, "h": 2, "t": 3, "d": 8, "p": 5, "e": 4}, np.random.default_rng(0),
                           lambda: uniform)
    order = np.arange(8).reshape(4, 2).T.ravel()            # adjacent depth to the place in halves
    adjacent = operands | {"x": np.ascontiguousarray(operands["x"][..., np.argsort(order)])}
    halves = by_kernel("rope", rope.Row(places=5))(operands)["y"]
    turned = by_kernel("rope", rope.Row(places=5, pairing="adjacent"))(adjacent)["y"]
    assert np.array_equal(turned[..., order], halves)


@pytest.mark.parametrize("width", (I8, I16))
def test_the_register_of_rope_is_bounded_and_the_bound_is_met(width):
    """The largest pair of entries, all codes: what `registers` says is reached by some codes, and fits 32 bits."""
    row = rope.Row(places=2, width=width)
    cos, sin = np.array([[1 << 14], [11585]], np.int16), np.array([[1 << 14], [11585]], np.int16)
    zero = width.lo
    (site, declared, lo, hi), = rope.registers(row, {"x": (width.lo, width.hi)}, {}, {"zx": zero, "cos": cos, "sin": sin})
    seen = []

    class Watch(type(rope.unwatched)):
        def __call__(self, name, value, held):
            if name == site:
                seen.append(value)
            return value

    x = np.full((1, 1, 2, 2), width.hi, width.dtype)
    rope.spec(x, np.array([[0, 1]]), cos, sin, zero, row, Watch())
    assert seen[0].max() == hi and declared.lo <= lo <= hi <= declared.hi


def test_a_table_has_the_nearest_codes():
    row = rope.Row(places=40)
    reals = np.cos(np.arange(40.0))[:, None]
    for code, value in zip(rope.table(row, reals).ravel().tolist(), reals.ravel().tolist()):
        assert abs(Fraction(code, 1 << 14) - Fraction(value)) <= Fraction(1, 1 << 15)
    assert rope.table(row, np.array([[1.0, -1.0, math.sin(0)]])).tolist() == [[16384, -16384, 0]]


@pytest.mark.parametrize("row", (append.Row(places=7), append.Row(places=1, width=I16)))
def test_append_is_the_oracle(row):
    for t in (0, 1, 3, 9):
        operands = operands_of(row, {"n": 3, "h": 2, "p": row.places, "t": t, "c": 3}, np.random.default_rng(t), lambda: uniform)
        expected = oracle_language.appended(*(operands[k].tolist() for k in ("x", "new", "i")))
        for by in RUNS:
            assert by("append", row)(operands)["y"].tolist() == expected


def test_embed_takes_the_rows_that_are_named():
    row = embed.Row(places=6, width=I16)
    operands = operands_of(row, {"n": 20, "v": 6, "c": 5}, np.random.default_rng(0), lambda: uniform)
    expected = [operands["table"].tolist()[place] for place in operands["i"].tolist()]
    for by in RUNS:
        assert by("embed", row)(operands)["y"].tolist() == expected


@pytest.mark.parametrize("make, sizes, said", [
    (lambda: rope.Row(places=0), None, "positions"), (lambda: append.Row(places=0), None, "positions"),
    (lambda: embed.Row(places=0), None, "rows"), (lambda: rope.Row(places=4), {"d": 5, "e": 2, "p": 4}, "5 deep"),
    (lambda: rope.Row(places=4), {"d": 4, "e": 2, "p": 3}, "3 positions"), (lambda: embed.Row(places=4), {"v": 5}, "5 rows"),
    (lambda: append.Row(places=4), {"p": 5}, "5 positions"),
    (lambda: rope.table(rope.Row(), np.array([[1.5]])), None, "beyond")])
def test_what_cannot_be_is_refused(make, sizes, said):
    with pytest.raises(IllFormed, match=said):
        row = make()
        row.sizes(sizes)


def test_places_beyond_the_table_are_outside_the_declared_range():
    for row in (rope.Row(places=9), append.Row(places=9), embed.Row(places=9)):
        assert (row.takes["i"].lo, row.takes["i"].hi) == (0, 8)
