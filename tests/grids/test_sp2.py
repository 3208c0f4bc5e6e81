"""Sp2 grids: levels and codes by fractions, published sums, every tie word at every middle, and what is refused."""
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import grids, ops
from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.grids.sp2 import NINE, Sp2, added, covering, published
from refq.ints import rounding
from refq.ints.width import I4, I8, U4, U8, Width
from tests import oracle

U3 = Width(3, False)
EVERY = (Sp2(), Sp2(U4, NINE, 0.3), Sp2(I4, published(4)), Sp2(I8, published(8), 3.0), Sp2(U3, NINE[:8], 1.6),
         Sp2(Width(5), NINE), Sp2(U8, added(range(1, 9), range(0, 21, 4)), 1e-6), Sp2(Width(6), published(6), 2.0 ** -100))


def fractions(grid):
    """Code to its real, by definition."""
    unit = Fraction(grid.unit)
    above = {c: unit * sum((Fraction(1, 2 ** e) for e in each), Fraction(0)) for c, each in enumerate(grid.sums)}
    return above | ({-c: -v for c, v in above.items()} if grid.width.signed else {})


def right(levels, x, ties):
    """The code of the nearest level, or at the middle of two the one that the word picks of a half between their codes."""
    order = sorted(levels)
    x = min(max(Fraction(x), levels[order[0]]), levels[order[-1]])
    below = max(c for c in order if levels[c] <= x)
    if levels[below] == x:
        return below
    twice = 2 * x - levels[below] - levels[below + 1]
    return oracle.roundings[ties](below + Fraction(1, 2) + Fraction((twice > 0) - (twice < 0), 4))


@pytest.mark.parametrize("grid", EVERY, ids=lambda g: f"{g.width}-{len(g.sums)}")
@pytest.mark.parametrize("ties", rounding.names)
def test_levels_and_codes_are_the_fractions(grid, ties):
    """Every code, every middle and both floats beside it, under every word; a level is its own code."""
    levels = fractions(grid)
    codes = np.arange(grid.lo, grid.hi + 1)
    assert [Fraction(v) for v in grid.decode(codes).tolist()] == [levels[c] for c in codes.tolist()]
    assert grid.encode(grid.decode(codes), ties).tolist() == codes.tolist()
    middles = (grid.levels[1:] + grid.levels[:-1]) / 2
    beside = np.concatenate([middles, np.nextafter(middles, -np.inf), np.nextafter(middles, np.inf), [1e300, -1e300, 0.0, -0.0]])
    chosen = beside[:: max(1, len(beside) // 60)] if len(beside) > 200 else beside
    assert grid.encode(chosen, ties).tolist() == [right(levels, x, ties) for x in chosen.tolist()]
    assert grid.encode([np.inf, -np.inf], ties).tolist() == [grid.hi, grid.lo]


@given(st.floats(-4, 4), st.sampled_from(EVERY), st.sampled_from(rounding.names))
def test_any_real_has_its_code(x, grid, ties):
    assert int(grid.encode(np.array(x), ties)) == right(fractions(grid), x, ties)


def test_the_nine_of_packqvit():
    """Its centroids, and the first nearest of them at a middle, which is half_down of the codes."""
    assert Sp2().levels.tolist() == [0, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 1]
    x = np.arange(0, 1.25, 1 / 64)
    first = np.abs(x[:, None] - Sp2().levels).argmin(1)
    assert Sp2().encode(x, "half_down").tolist() == first.tolist() != Sp2().encode(x, "half_up").tolist()


def test_the_sums_of_mix_and_match():
    """Four bits: 0, 1/8, 1/4, 1/2 and 0, 1/2; two choices that add up to the same are one level."""
    assert Sp2(I4, published(4)).levels[6:].tolist() == [0, 0.125, 0.25, 0.5, 0.625, 0.75, 1]
    for bits in range(3, 9):
        one, other = ([0, *(2.0 ** -e for e in range(1, 2 ** m))] for m in (bits // 2, bits - 1 - bits // 2))
        assert len(published(bits)) == len({a + b for a in one for b in other})


@pytest.mark.parametrize("bits", range(3, 9))
def test_covering_reaches_what_it_is_asked_for(bits):
    made = covering(bits, 0.7)
    assert made.width == Width(bits, False) and abs(made.levels[-1] - 0.7) < 1e-7 and made.decode(made.encode(0.0)) == 0


@pytest.mark.parametrize("grid", EVERY, ids=lambda g: f"{g.width}-{len(g.sums)}")
def test_descriptions_bring_back_the_same_grid(grid):
    """Through JSON as well; a part that is missing is refused."""
    again = grids.from_description(json.loads(json.dumps(grid.describe())))
    assert type(again) is Sp2 and again.same(grid) and not any(again.same(other) for other in EVERY if other is not grid)
    for key in grid.describe():
        with pytest.raises(IllFormed):
            grids.from_description({k: v for k, v in grid.describe().items() if k != key})


@pytest.mark.parametrize("target", [Affine(I8, 2.0 ** -6, 0), Affine(I8, 1 / 255, -128), Sp2(I4, published(4))])
@pytest.mark.parametrize("grid", EVERY[:6], ids=lambda g: f"{g.width}-{len(g.sums)}")
def test_recode_carries_its_codes(grid, target):
    """Onto an affine grid and onto another sums' grid: what encoding the reals gives, for every code."""
    op = ops.load("recode")
    row = op.Row(q=grid.width, out=target.width)
    codes = np.arange(grid.lo, grid.hi + 1).astype(grid.width.dtype)
    found = op.spec(codes, *op.build(row, source=grid, target=target).values(), row)
    assert found.tolist() == target.encode(grid.decode(codes)).tolist()


def test_what_cannot_be_is_refused_by_a_sentence():
    for make, said in ((lambda: Sp2(Width(9)), "2 to 8 bits"),
                       (lambda: Sp2(U3), "9 sums for codes of u3"),
                       (lambda: Sp2(U4, ((1,), (0,))), "start with that of no power"),
                       (lambda: Sp2(U4, ((), (0,), (1,))), "larger"),
                       (lambda: Sp2(U4, ((), (21,))), "whole numbers from 0 to 20"),
                       (lambda: Sp2(U4, ((), (1, 2, 3))), "at most two"),
                       (lambda: Sp2(U4, 3), "start with"),
                       (lambda: Sp2(U4, ((),)), "start"),
                       (lambda: Sp2(unit=0.0), "greater than 0"),
                       (lambda: published(2), "3 to 8"), (lambda: published(9), "3 to 8")):
        with pytest.raises(IllFormed, match=said):
            make()
    with pytest.raises(IllFormed, match="NaN"):
        Sp2().encode([np.nan])
    with pytest.raises(IllFormed, match="codes from"):
        Sp2().decode([9])
