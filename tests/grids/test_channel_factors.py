"""Channel factors: the same as an affine grid per channel, described and restored, and what is refused."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import grids
from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.grids.channel_factors import ChannelFactors
from refq.ints.width import I8, I16, U8

some = st.builds(ChannelFactors, st.sampled_from((I8, U8, I16)), st.floats(1e-6, 1e3).map(np.float32).map(float),
                 st.lists(st.integers(0, 15), min_size=1, max_size=5).map(tuple), st.integers(0, 127))


@given(some, st.integers(0, 2 ** 32 - 1))
def test_it_is_affine_per_channel(grid, seed):
    """Codes and reals are those of a scale for each channel and one zero point, which no factor moves."""
    rng = np.random.default_rng(seed)
    affine = Affine(grid.width, grid.unit * 2.0 ** np.array(grid.exponents), np.full(len(grid.exponents), grid.zero), axis=-1)
    x = rng.normal(0, grid.unit * 300, (2, 3, len(grid.exponents)))
    np.testing.assert_array_equal(grid.encode(x), affine.encode(x))
    np.testing.assert_array_equal(grid.decode(grid.encode(x)), affine.decode(affine.encode(x)))
    codes = rng.integers(grid.lo, grid.hi + 1, (4, len(grid.exponents)))
    np.testing.assert_array_equal(grid.encode(grid.decode(codes)), codes)
    np.testing.assert_array_equal(grid.decode(codes), grid.unit * ((codes - grid.zero) << np.array(grid.exponents)))


@given(some)
def test_description_round_trips(grid):
    """describe() is plain data that gives the same grid back."""
    again = grids.from_description(grid.describe())
    assert isinstance(again, ChannelFactors) and again.same(grid) and again.exponents == grid.exponents
    assert not again.same(grid.affine)


@pytest.mark.parametrize("exponents", [(0, 16), (-1,), (0.5,), ((0, 1), (2, 3))])
def test_other_exponents_are_refused(exponents):
    with pytest.raises(IllFormed, match="exponents are whole numbers from 0 to 15"):
        ChannelFactors(I8, 0.1, exponents)


@pytest.mark.parametrize("unit, zero", [(0.0, 0), (-1.0, 0), (float("nan"), 0), (1.0, 200)])
def test_units_and_zero_points_are_checked(unit, zero):
    with pytest.raises(IllFormed):
        ChannelFactors(I8, unit, (0, 1), zero)


def test_damaged_descriptions_are_refused():
    """A sentence that says what is missing."""
    text = ChannelFactors(I8, 0.1, (0, 3)).describe()
    for broken in ({k: v for k, v in text.items() if k != "unit"}, text | {"unit": "x"}, text | {"exponents": None}):
        with pytest.raises(IllFormed, match="channel factors is damaged"):
            grids.from_description(broken)
