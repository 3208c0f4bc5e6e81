"""Grids of other kinds than affine: levels and codes against fractions, the 17-level question, switches, descriptions."""
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import grids
from refq.errors import IllFormed
from refq.grids.adalog import AdaLog, reaching
from refq.grids.affine import Affine, same
from refq.grids.log2 import Log2
from refq.grids.log_sqrt2 import LogSqrt2
from refq.grids.power_of_two import PowerOfTwo
from refq.grids.twin import Twin
from refq.ints.width import I4, I8, I16, U4, U8, Width
from tests import oracle_logarithms as oracle

U3, U5 = Width(3, False), Width(5, False)
LOG2 = (Log2(), Log2(switch="inverse"), Log2(U4, "zero"), Log2(U5, "zero", 15), Log2(U5, "zero", 15, "inverse"),
        Log2(U8, "zero", 30, first=0.75), Log2(U4, "power", 3, "inverse", 3.0))
SQRT2 = (LogSqrt2(), LogSqrt2(U5, "zero", 15, 3), LogSqrt2(U8, "zero", 60, 14, 0.3))
ADALOG = (AdaLog(), reaching(U4, 1.0, 20), reaching(U3, 0.9, 74, 37, "zero"), reaching(U5, 1.0, 13, 37, "zero", 15),
          reaching(U4, 1.0, 4, 2))
TWINS = (Twin(), Twin(I8), Twin(U4, 9, 0.001), Twin(I4, 2, 0.17 / 8), Twin(U8, 0), Twin(U3, 20, 2.0 ** -20))
POWERS = (PowerOfTwo(I8, -7), PowerOfTwo(U4, 3, 8), PowerOfTwo(I16, [-3, 0, 5], [1, 2, 3], 0), PowerOfTwo(I8, -126, narrow=True))
EVERY = (*LOG2, *SQRT2, *ADALOG, *TWINS)


def level(grid, code):
    zero = grid.kind != "twin" and grid.deepest
    return {"log2": lambda: oracle.log2_level(code, zero, grid.first),
            "log_sqrt2": lambda: oracle.sqrt2_level(code, zero, grid.fraction, grid.first),
            "adalog": lambda: oracle.adalog_level(code, zero, grid.q, grid.r, grid.width.bits, grid.unit),
            "twin": lambda: oracle.twin_level(code, grid.width.bits, grid.shift, grid.width.signed, grid.fine)}[grid.kind]()


def code(grid, x):
    """The codes that are right for x."""
    if grid.kind == "twin":
        return oracle.twin_codes(x, grid.width.bits, grid.shift, grid.width.signed, grid.fine)
    zero = grid.top == "zero"
    return {"log2": lambda: {oracle.log2_code(x, grid.deepest, zero, grid.switch, grid.first)},
            "log_sqrt2": lambda: {oracle.sqrt2_code(x, grid.deepest, zero, grid.first)},
            "adalog": lambda: {oracle.adalog_code(x, grid.deepest, zero, grid.q, grid.r, grid.width.bits, grid.unit)},
            }[grid.kind]()


def beside(values):
    """Each value with the float64 numbers on both sides of it."""
    return np.concatenate([values, np.nextafter(values, -np.inf), np.nextafter(values, np.inf)])


@pytest.mark.parametrize("grid", EVERY, ids=lambda g: f"{g.kind}-{g.width}")
def test_levels_are_the_fractions(grid):
    """Every code stands for exactly what its formula says, and the codes of the levels mean them again."""
    codes = np.arange(grid.lo, grid.hi + 1)
    assert [Fraction(v) for v in grid.decode(codes).tolist()] == [level(grid, c) for c in codes.tolist()]
    assert np.array_equal(grid.decode(grid.encode(grid.decode(codes))), grid.decode(codes))


@pytest.mark.parametrize("grid", EVERY, ids=lambda g: f"{g.kind}-{g.width}")
def test_codes_are_the_fractions(grid):
    """At every switch, on both sides of it, and at random: what the exact comparison says."""
    rng = np.random.default_rng(3)
    levels = np.sort(np.unique(grid.levels))[:40]
    middles = np.sqrt(np.abs(levels[1:] * levels[:-1])) if grid.kind != "twin" else (levels[1:] + levels[:-1]) / 2
    most = np.abs(grid.levels).max()
    x = np.concatenate([beside(middles), beside(levels / 1.5), levels, [0.0, -most, 2 * most, 1e-300],
                        most * rng.uniform(-1, 1.2, 40), most * 2.0 ** rng.uniform(-20, 1, 40)])
    for value, got in zip(x.tolist(), grid.encode(x).tolist()):
        assert got in code(grid, value), value


@settings(max_examples=60)
@given(x=st.floats(-2, 2, allow_subnormal=True), pick=st.sampled_from(EVERY))
def test_any_real_has_its_code(x, pick):
    assert int(pick.encode(np.array(x))) in code(pick, x)


def test_the_switch_of_the_integer_softmax():
    """FQ-ViT's examples: the inverses 1, 2, 3, 5, 6, 11, 12, 23, 24 have the codes 0, 1, 2, 2, 3, 3, 4, 4, 5; the float quantizer
    switches at the square root of 2 instead, so they differ between."""
    inverses = np.array([1, 2, 3, 5, 6, 11, 12, 23, 24])
    assert Log2(switch="inverse").encode(1 / inverses).tolist() == [0, 1, 2, 2, 3, 3, 4, 4, 5]
    assert Log2().encode(1 / inverses).tolist() == [0, 1, 2, 2, 3, 3, 4, 5, 5]
    between = np.array([1 / 1.45])
    assert (Log2().encode(between), Log2(switch="inverse").encode(between)) == (1, 0)
    assert Log2(switch="inverse", first=3.0).encode(np.array([2.0, np.nextafter(2.0, 3)])).tolist() == [1, 0]


def test_seventeen_levels():
    """16 powers and 0 need five bits; four bits give up one of them."""
    x = np.array([2.0 ** -14, 2.0 ** -15, 2.0 ** -16, 0.0])
    whole, powers, zero = Log2(U5, "zero", 15), Log2(U4, "power"), Log2(U4, "zero")
    assert whole.encode(x).tolist() == [14, 15, 16, 16] and len(whole.levels) == 17 and whole.levels[-1] == 0
    assert powers.encode(x).tolist() == [14, 15, 15, 15] and powers.levels.min() == 2.0 ** -15
    assert zero.encode(x).tolist() == [14, 15, 15, 15] and zero.levels[-1] == 0 and zero.levels[-2] == 2.0 ** -14


def test_constants_of_the_root_and_of_adalog():
    """181/128 is the root of 2 at 7 bits; with q = r AdaLog's table has one entry, and its codes are those of log2."""
    assert LogSqrt2().root == 181 and LogSqrt2(fraction=14).root == 23170
    assert set(AdaLog().mantissas.tolist()) == {30}
    x = 2.0 ** np.random.default_rng(0).uniform(-16, 0, 200)
    one = AdaLog(U4, q=37, r=37, unit=1 / 32)
    assert np.array_equal(one.encode(x * one.first), Log2().encode(x))


def test_a_tie_of_adalog_goes_to_the_even_code():
    """With the base 4, powers of two lie half way: 1/2 has code 0, 1/8 code 2."""
    grid = reaching(U4, 30 / 32, 4, 2)
    assert grid.encode(grid.first * np.array([0.5, 0.125, 0.25])).tolist() == [0, 2, 1]


@pytest.mark.parametrize("grid", (*EVERY, *POWERS), ids=lambda g: f"{g.kind}-{g.width}")
def test_descriptions_bring_back_the_same_grid(grid):
    """Through JSON as well; another field is another grid."""
    again = grids.from_description(json.loads(json.dumps(grid.describe())))
    assert type(again) is type(grid) and again.same(grid) and grid.same(again) and same(grid, again)
    assert not any(grid.same(other) for other in (*EVERY, *POWERS) if other is not grid)
    for key in grid.describe():
        with pytest.raises(IllFormed):
            grids.from_description({k: v for k, v in grid.describe().items() if k != key})
    with pytest.raises(IllFormed):
        grids.from_description(grid.describe() | {"kind": "log3"})


@pytest.mark.parametrize("grid", POWERS, ids=lambda g: f"{g.exponent}")
def test_a_power_of_two_grid_is_affine(grid):
    """The same codes and reals as the affine grid of that scale, of which it holds the exponent."""
    affine = Affine(grid.width, 2.0 ** np.float64(grid.exponent), grid.zero, grid.axis, None, grid.narrow)
    x = np.random.default_rng(1).normal(size=(3, 50)) * 2.0 ** float(np.max(grid.exponent))
    assert np.array_equal(grid.encode(x), affine.encode(x)) and grid.same(affine) and affine.same(grid)


def test_what_cannot_be_is_refused_by_a_sentence():
    for make in (lambda: Log2(I8), lambda: Log2(Width(9, False)), lambda: Log2(top="one"), lambda: Log2(deepest=16),
                 lambda: Log2(U4, "zero", 15), lambda: Log2(switch="near"), lambda: Log2(first=0.0), lambda: Log2(first=np.inf),
                 lambda: LogSqrt2(fraction=0), lambda: AdaLog(q=0), lambda: AdaLog(unit=-1.0), lambda: Twin(U8, 21),
                 lambda: Twin(Width(2)), lambda: Twin(fine=1e-60), lambda: PowerOfTwo(I8, 0.5), lambda: PowerOfTwo(I8, 200)):
        with pytest.raises(IllFormed, match="grid"):
            make()
    for grid in EVERY:
        with pytest.raises(IllFormed, match="NaN"):
            grid.encode(np.array([np.nan]))
        with pytest.raises(IllFormed, match="codes from"):
            grid.decode(np.array([grid.hi + 1]))
