"""Schemes: every one against its definition, the laws that all keep, published values, and ranges that are refused."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.grids import from_description, schemes
from refq.grids.power_of_two import PowerOfTwo
from tests import oracle_schemes as oracle

MIDDLE = {"symmetric": 0, "symmetric_full": 0, "symmetric_middle": Fraction(1, 2)}
GLOW = {"glow_asymmetric": "asymmetric", "glow_symmetric": "symmetric", "symmetric_uint8": "unsigned",
        "symmetric_power2": "power2", "symmetric_power2_nest": "nest"}
POWERS = ("power_of_two_ceil", "power_of_two_nearest")
ANY = {"asymmetric", *MIDDLE, *GLOW, *POWERS}

magnitudes = st.one_of(st.floats(0, 1e3), st.floats(1e-30, 1e30), st.integers(-20, 20).map(lambda e: 2.0 ** e),
                       st.integers(1, 10 ** 6).map(lambda i: i / 127))
ends = st.tuples(st.sampled_from((-1.0, 1.0, 1.0)), magnitudes, st.sampled_from((-1.0, 1.0, 1.0)), magnitudes).map(
    lambda t: tuple(sorted((t[0] * t[1], t[2] * t[3]))))
bits = st.integers(2, 16)


def expected(name, lo, hi, bits):
    """(scale, zero) by the oracle."""
    if name in GLOW:
        return oracle.glow(GLOW[name], lo, hi, bits)
    if name in MIDDLE:
        return oracle.symmetric(lo, hi, bits, 2 ** (bits - 1) - 1 + MIDDLE[name])
    if name in POWERS:
        return 2.0 ** oracle.power(lo, hi, bits, name.endswith("nearest")), 0
    return oracle.asymmetric(lo, hi, bits)


def test_the_folder_is_the_list():
    """All are there, each says what it is and whose it is."""
    assert set(schemes.names()) == ANY
    assert all("source" in schemes.load(name).__doc__ and schemes.load(name).__doc__.startswith(f"{name}: ") for name in ANY)
    with pytest.raises(IllFormed, match="'symetric'.*symmetric"):
        schemes.load("symetric")


@pytest.mark.parametrize("name", sorted(ANY))
@settings(max_examples=60)
@given(ends, bits)
@example((0.0, 0.0), 8)
@example((-1e-8, 5e-8), 8)
@example((0.0, 3e38), 16)
@example((-127.0, 127.0), 8)
@example((-128.0, 127.0), 8)
def test_every_scheme_is_its_definition(name, ends, bits):
    """Scale and zero point to the bit, 2 to 16 bits; 0 is a code, and stands for 0 exactly."""
    made = schemes.load(name).grid(*ends, bits)
    assert (float(made.scale), int(made.zero)) == expected(name, *ends, bits)
    assert made.width.bits == bits and made.width.signed and made.scale == np.float32(made.scale)
    assert made.lo <= made.encode(0.0) <= made.hi and made.decode(made.encode(0.0)) == 0


@pytest.mark.parametrize("name", sorted(ANY - {"symmetric_middle", "power_of_two_nearest"}))
@settings(max_examples=40)
@given(st.tuples(st.floats(-1e3, 0), st.floats(0, 1e3)).filter(lambda r: r[1] - r[0] > 1e-4), bits)
def test_both_ends_are_covered(name, ends, bits):
    """A range that is no crumb: what lies at its ends is coded within half a step, or one where the zero point was rounded."""
    made = schemes.load(name).grid(*ends, bits)
    slack = 1.0 if not schemes.unshifted(name, bits) else 0.5
    assert all(abs(made.decode(made.encode(end)) - end) <= made.scale * (slack + 2.0 ** (bits - 23)) for end in ends)


@settings(max_examples=40)
@given(st.floats(1e-3, 1e3), bits)
def test_where_an_end_is_not_covered(most, bits):
    """symmetric_middle cuts half a step off; power_of_two_nearest at most the part beyond a factor of the root of two."""
    middle, power = (schemes.load(n).grid(-most, most, bits) for n in ("symmetric_middle", "power_of_two_nearest"))
    assert most - middle.decode(middle.encode(most)) <= middle.scale * (0.5 + 2.0 ** (bits - 24))
    assert power.decode(power.hi) >= most / np.sqrt(2) * (1 - 1e-9)


@pytest.mark.parametrize("name", sorted(ANY))
@pytest.mark.parametrize("width", [2, 4, 8, 16])
def test_slices_and_blocks_are_ranges_one_by_one(name, width):
    """A list of ranges along an axis, and blocks along one, are the grids of each range; and descriptions bring them back."""
    rng = np.random.default_rng(width)
    lo, hi = -rng.exponential(1, (3, 2)), rng.exponential(3, (3, 2))
    lo[0], hi[1], lo[2, 1], hi[2, 1] = 0, 0, 0, 0
    grid = schemes.load(name).grid
    blocks, slices = grid(lo, hi, width, axis=1, block=4), grid(lo[:, 0], hi[:, 0], width, axis=0)
    for i, j in np.ndindex(3, 2):
        one = grid(lo[i, j], hi[i, j], width)
        assert (blocks.scale[i, j], blocks.zero[i, j], blocks.narrow) == (one.scale, one.zero, one.narrow)
        assert j or (slices.scale[i], slices.zero[i]) == (one.scale, one.zero)
    assert blocks.encode(np.zeros((3, 8))).shape == (3, 8)
    assert all(from_description(made.describe()).same(made) for made in (blocks, slices))


def test_what_is_said_of_schemes_is_so():
    """Zero points, powers of two, and the lowest code, by their names."""
    for b in (2, 8, 16):
        assert {n for n in ANY if not schemes.unshifted(n, b)} == {"asymmetric", "glow_asymmetric", "symmetric_uint8"}
        assert {n for n in ANY if schemes.powers(n, b)} == {*POWERS, "symmetric_power2", "symmetric_power2_nest"}
        assert {n for n in ANY if schemes.narrow(n, b)} == {"symmetric"}
    assert all(isinstance(schemes.load(n).grid(-1.0, 2.0, 8), PowerOfTwo) for n in POWERS)


@pytest.mark.parametrize("ends, scale, zero", [
    ((0, 6), 6 / 255, -128), ((-3, 3), 6 / 255, 0), ((-2, 5), 10 / 255, 0), ((0, 0), 0.1, 0), ((2, 5), 5 / 255, -128),
    ((-8, -2), 16 / 255, 0)])
def test_values_that_glow_publishes(ends, scale, zero):
    """pytorch/glow tests/unittests/QuantizationTest.cpp, chooseQuantizationSymmetricWithUInt8, to its 0.001; and what it
    asks of powers of two."""
    made = schemes.load("symmetric_uint8").grid(*ends, 8)
    assert abs(made.scale - scale) < 0.001 and made.zero == zero
    for ends, bits in (((-3, 6), 8), ((3, 6), 16)):
        made = schemes.load("symmetric_power2").grid(*ends, bits)
        assert made.zero == 0 and np.frexp(made.scale)[0] == 0.5


def test_what_glow_does_oddly():
    """Its zero point goes half away from 0 and is 0 for every range of crumbs, of which codes then reach half."""
    grid = schemes.load("glow_asymmetric").grid
    assert grid(-1.5, 253.5, 8).zero == -127 and schemes.load("asymmetric").grid(-1.5, 253.5, 8).zero == -126
    crumbs = grid(0.0, 1e-7, 8)
    assert crumbs.zero == 0 and crumbs.decode(crumbs.encode(1e-7)) < 0.51e-7
    assert schemes.load("symmetric_power2_nest").grid(-1e-3, 1e-3, 8).scale == 2.0 ** -7


@pytest.mark.parametrize("name", sorted(ANY))
@pytest.mark.parametrize("lo, hi, bits, said", [
    (np.nan, 1, 8, "NaN or infinite"), (0, np.inf, 8, "NaN or infinite"), ([0, -np.inf], [1, 1], 8, "NaN or infinite"),
    (2, 1, 8, "wrong way round"), (0, 1, 1, "2 to 16"), (0, 1, 17, "2 to 16"), (0, 1, 8.0, "2 to 16"), (0, 1, True, "2 to 16")])
def test_ranges_that_are_none_are_refused(name, lo, hi, bits, said):
    """One sentence for each."""
    with pytest.raises(IllFormed, match=said):
        schemes.load(name).grid(lo, hi, bits)
