"""Affine grids: ties decided exactly, ranges covered, nonsense refused."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.grids.affine import TINY, Affine, asymmetric, from_description, symmetric
from refq.ints import rounding
from refq.ints.width import I2, I4, I8, I16, I32, I40, I64, U2, U4, U8, U32, Width
from tests import oracle

singles = st.floats(2.0 ** -60, 2.0 ** 40, width=32, exclude_min=True)
reals = st.floats(allow_nan=False)


def expected(grid, x, scale, zero, ties="half_even"):
    return oracle.coded(x, scale, zero, grid.lo, grid.hi, ties)


def near_ties(scale, codes):
    """Every tie and every code's real, and their float64 neighbours."""
    points = [float(Fraction(scale) * Fraction(k, 2)) for k in codes]
    return sorted({x for p in points for x in (p, np.nextafter(p, -np.inf), np.nextafter(p, np.inf))})


@pytest.mark.parametrize("ties", rounding.names)
@pytest.mark.parametrize("scale", [1.0, 3.0, float(np.float32(0.1)), 2.0 ** 40, 2.0 ** -149, TINY])
def test_every_code_and_tie_of_8_bits_is_decided_exactly(scale, ties):
    """float32 scales: multiples of half a scale and their float64 neighbours, by every rounding."""
    grid = Affine(I8, scale, -3)
    x = [*near_ties(scale, range(-265, 275)), 0.0, -0.0, 5e-324, -5e-324, 1e308, -1.7e308, np.inf, -np.inf]
    codes = grid.encode(x, ties)
    assert codes.dtype == np.int8
    assert codes.tolist() == [expected(grid, v, scale, -3, ties) for v in x]


@pytest.mark.parametrize("ties", ["half_even", "half_away", "floor", "odd"])
def test_products_of_scales_are_decided_exactly(ties):
    """Bias grids: float64 scales, 32 and 64 bits, with ties near the ends of the range."""
    for width in (I8, Width(25), Width(26), Width(27), I32, I40, I64, U32):
        for scale in (float(np.float32(0.1)) * float(np.float32(0.3)), 0.1, float(np.float32(0.1)), 3.0):
            grid = Affine(width, scale, 0)
            top = 2 * width.hi
            steps = [*range(-9, 10), *range(top - 5, top + 4), *range(2 * width.lo - 4, 2 * width.lo + 6)]
            x = [*near_ties(scale, steps), 5e-324, -5e-324, 1e308, -1e308, np.inf, -np.inf]
            codes = grid.encode(x, ties)
            assert codes.dtype == width.dtype
            assert codes.tolist() == [expected(grid, v, scale, 0, ties) for v in x], (width, scale)


@settings(max_examples=150, deadline=None)
@given(st.lists(reals, max_size=6), singles | st.floats(1e-60, 1e60), st.sampled_from([I4, U8, I16, I32]),
       st.sampled_from(["half_even", "half_away", "ceil", "odd"]), st.data())
def test_encode_is_the_oracle_s(x, scale, width, ties, data):
    """Drawn reals, scales, widths and zero points."""
    zero = data.draw(st.integers(width.lo, width.hi))
    grid = Affine(width, scale, zero)
    assert grid.encode(x, ties).tolist() == [expected(grid, v, scale, zero, ties) for v in x]


@settings(max_examples=60, deadline=None)
@given(singles, st.sampled_from([I2, I4, I8, I16, U2, U8]), st.booleans(), st.data())
def test_codes_survive_decode_and_encode(scale, width, narrow, data):
    """Every code decodes, exactly, to a real that encodes to it; zero decodes to 0.0."""
    zero = data.draw(st.integers(width.lo + narrow, width.hi))
    grid = Affine(width, scale, zero, narrow=narrow)
    codes = np.arange(grid.lo, grid.hi + 1)
    values = grid.decode(codes)
    assert values.dtype == np.float64 and grid.decode(zero) == 0.0
    assert all(Fraction(v) == Fraction(scale) * (int(c) - zero) for v, c in zip(values[::97].tolist(), codes[::97]))
    assert grid.encode(values).tolist() == codes.tolist()
    assert grid.encode([-np.inf, np.inf]).tolist() == [grid.lo, grid.hi]


def test_not_a_number_has_no_code():
    """Refused with a sentence."""
    with pytest.raises(IllFormed, match="NaN"):
        Affine(I8, 1.0, 0).encode([0.0, np.nan])


def test_each_slice_of_an_axis_has_its_scale():
    """Positive and negative axes; a zero point for all or one each."""
    x = np.arange(24.0).reshape(2, 3, 4)
    for axis in (1, -2):
        grid = Affine(I8, [1.0, 2.0, 4.0], [0, 1, 2], axis=axis)
        codes = grid.encode(x)
        for i, (scale, zero) in enumerate(((1, 0), (2, 1), (4, 2))):
            assert np.array_equal(codes[:, i], np.round(x[:, i] / scale).astype(int) + zero)
        assert np.array_equal(grid.decode(codes)[:, 2], 4.0 * (codes[:, 2] - 2.0))
    assert Affine(I8, [1.0, 2.0], 0, axis=0).zero.tolist() == [0, 0]


def test_codes_of_a_block_share_a_scale():
    """Along an axis, the last block may be short."""
    scale = np.array([[1.0, 2.0], [4.0, 8.0]])
    grid = Affine(I8, scale, 0, axis=1, block=3)
    x = np.full((2, 5), 8.0)
    assert grid.encode(x).tolist() == [[8, 8, 8, 4, 4], [2, 2, 2, 1, 1]]
    assert grid.decode(grid.encode(x)).tolist() == x.tolist()
    for shape in ((2, 7), (2, 3), (3, 5), (2, 2, 5)):
        with pytest.raises(IllFormed, match="scales of shape"):
            grid.encode(np.zeros(shape))


def test_arrays_that_do_not_fit_are_refused():
    """Too few axes; another number of slices."""
    grid = Affine(I8, [1.0, 2.0, 4.0], 0, axis=1)
    with pytest.raises(IllFormed, match="no such axis"):
        grid.encode(np.zeros(3))
    with pytest.raises(IllFormed, match="needs"):
        grid.decode(np.zeros((3, 4), np.int8))
    assert grid.encode(np.zeros((0, 3))).shape == (0, 3)
    assert Affine(I8, 1.0, 0).encode(np.zeros((0,))).dtype == np.int8


@pytest.mark.parametrize("fields", [
    {"scale": 0.0}, {"scale": -1.0}, {"scale": np.nan}, {"scale": np.inf}, {"zero": 128}, {"zero": -129}, {"zero": 0.5},
    {"zero": -128, "narrow": True}, {"width": I64, "zero": 1}, {"axis": 0}, {"scale": [1.0, 2.0]},
    {"scale": [1.0], "zero": [0, 0], "axis": 0},
    {"block": 4}, {"axis": 0, "block": 4}, {"scale": [1.0], "axis": 0, "block": 0}, {"scale": [[1.0]], "axis": 0}])
def test_an_impossible_grid_is_refused_at_birth(fields):
    """With a sentence about the field."""
    with pytest.raises(IllFormed, match="an affine grid"):
        Affine(**{"width": I8, "scale": 1.0, "zero": 0} | fields)


def test_a_grid_does_not_change_with_the_arrays_it_was_made_from():
    """Copied, and read-only."""
    scale = np.array([1.0, 2.0])
    grid = Affine(I8, scale, 0, axis=0)
    scale[0] = 5
    assert grid.scale.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError):
        grid.scale[0] = 3


GRIDS = [Affine(I8, 0.1, -3), Affine(U4, [0.1, 0.2], [1, 2], axis=1), Affine(I4, [[0.1, 3.0]], 0, axis=1, block=32),
         Affine(I8, 0.1, 0, narrow=True), Affine(I40, TINY * TINY, 0), Affine(I8, [], 0, axis=0)]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: str(g.describe()["scale"]))
def test_a_description_brings_the_same_grid_back(grid):
    """Bit for bit, and different grids stay different."""
    back = from_description(grid.describe())
    assert back.same(grid) and back.scale.tobytes() == grid.scale.tobytes() and back.scale.shape == grid.scale.shape
    assert [back.same(other) for other in GRIDS].count(True) == 1
    assert not back.same(None)


def test_a_damaged_description_is_refused():
    """Missing keys, broken numbers, impossible values."""
    good = GRIDS[1].describe()
    assert good == {"kind": "affine", "width": "u4", "scale": ["0x1.999999999999ap-4", "0x1.999999999999ap-3"],
                    "zero": [1, 2], "axis": 1, "block": None, "narrow": False}
    for bad in ({"scale": "x"}, {"scale": 3}, {"width": "u4x"}, {"zero": [1, 99]}, {"zero": "one"}, {"axis": None},
                {"zero": [1, 1.5]}, {"kind": "log2"}):
        with pytest.raises(IllFormed):
            from_description(good | bad)
    for key in good:
        with pytest.raises(IllFormed, match="damaged"):
            from_description({k: v for k, v in good.items() if k != key})


@settings(max_examples=150, deadline=None)
@given(st.floats(0, 1e30), st.sampled_from([I4, I8, I16, U8]), st.booleans())
def test_a_symmetric_grid_reaches_its_range(most, width, narrow):
    """Zero in the middle; a float32 scale that is never subnormal; the ends are within half a step of the last code."""
    grid = symmetric(width, most, narrow=narrow)
    middle = 0 if width.signed else 1 << (width.bits - 1)
    assert grid.zero == middle and grid.narrow is narrow
    assert np.float32(grid.scale) == grid.scale and grid.scale >= TINY
    if most == 0:
        assert grid.scale == 1
    elif grid.scale > TINY:
        assert Fraction(float(grid.scale)) == oracle.float32_of(Fraction(most / (width.hi - middle)))
        assert grid.encode([-most, most]).tolist() == [middle - (width.hi - middle), width.hi]


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.sampled_from([I2, I4, I8, I16, U4, U8]), st.booleans())
def test_an_asymmetric_grid_covers_its_range_and_zero(a, b, width, narrow):
    """The scale is float32 of the widened range over the steps; the zero point is decided exactly."""
    lo, hi = min(a, b, 0.0), max(a, b, 0.0)
    grid = asymmetric(width, min(a, b), max(a, b), narrow=narrow)
    scale, zero = float(grid.scale), int(grid.zero)
    assert grid.lo <= zero <= grid.hi and np.float32(scale) == scale and scale >= TINY
    if lo == hi:
        assert (scale, zero) == (1.0, grid.lo)
    elif scale > TINY:
        assert Fraction(scale) == oracle.float32_of(Fraction((hi - lo) / (grid.hi - grid.lo)))
    assert zero == oracle.coded(-lo, scale, grid.lo, grid.lo, grid.hi)
    assert all(abs(Fraction(float(v)) - Fraction(x)) <= Fraction(scale) * Fraction(101, 100)
               for v, x in zip(grid.decode(grid.encode([lo, hi])).tolist(), (lo, hi)))
    assert grid.decode(grid.encode(0.0)) == 0


def test_ranges_choose_a_grid_per_slice_and_per_block():
    """Arrays of ranges; all-zero slices get scale 1; tiny ones stay normal."""
    grid = asymmetric(U8, [-1.0, 0.0, 0.0], [3.0, 0.0, 1e-60], axis=0)
    assert grid.scale.tolist() == [float(np.float32(4 / 255)), 1.0, TINY] and grid.zero.tolist() == [64, 0, 0]
    grid = symmetric(I4, [[7.0, 14.0]], axis=1, block=2)
    assert grid.encode([[7.0, -7.0, 7.0]]).tolist() == [[7, -7, 4]]


@pytest.mark.parametrize("choose", [
    lambda: symmetric(I8, np.nan), lambda: symmetric(I8, -1.0), lambda: symmetric(I8, np.inf),
    lambda: asymmetric(I8, np.nan, 1.0), lambda: asymmetric(I8, 0.0, np.inf),
    lambda: asymmetric(I8, -1.7e308, 1.7e308), lambda: asymmetric(I8, 0.0, 1e300)])
def test_a_range_that_is_none_is_refused(choose):
    """Not finite, negative, or beyond what a float32 scale spans."""
    with pytest.raises(IllFormed):
        choose()
