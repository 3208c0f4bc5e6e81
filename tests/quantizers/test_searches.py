"""mse and omse against all grids that they may choose from, by exact sums; ACIQ against the error that it is to make least."""
from fractions import Fraction
from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import quantizers
from refq.grids import schemes
from refq.quantizers import aciq
from tests import oracle_calibrators as oracle

SCHEMES = ("asymmetric", "symmetric", "symmetric_full", "symmetric_uint8", "power_of_two_ceil")


def seen(name, values, **options):
    quantizer = quantizers.load(name, **options)
    quantizer.see(np.asarray(values, np.float64))
    return quantizer


def middles(values, bins):
    """What a histogram of so many bins counts the values as."""
    most = float(np.abs(values).max())
    width = 2.0 ** (np.frexp(most)[1] + 1) / bins
    return (np.floor(np.asarray(values) / width) + 0.5) * width


def error(scheme, values, lo, hi, bits):
    grid = schemes.load(scheme).grid(lo, hi, bits)
    return oracle.squared(values, float(grid.scale), int(grid.zero), int(grid.lo), int(grid.hi))


@settings(max_examples=25)
@given(seed=st.integers(0, 2 ** 32 - 1), bits=st.integers(2, 4), scheme=st.sampled_from(SCHEMES), sign=st.integers(-1, 1))
def test_mse_takes_the_pair_of_ends_of_the_least_error(seed, bits, scheme, sign):
    """Every pair of ends, each with the grid that the scheme makes of it: none leaves less."""
    values = np.random.default_rng(seed).laplace(size=30)
    values = sign * np.abs(values) if sign else values
    quantizer, steps = seen("mse", values, bits=bits, scheme=scheme, steps=6, bins=4096), 6
    counted, (low, high) = middles(values, 4096), (min(values.min(), 0), max(values.max(), 0))
    every = {(low * i / steps, high * j / steps) for i, j in product(range(steps + 1), repeat=2)}
    least = min(error(scheme, counted, lo, hi, bits) for lo, hi in every if lo < hi)
    got = error(scheme, counted, *quantizer.range(), bits)
    assert got <= least * (1 + Fraction(1, 10 ** 9))


@pytest.mark.parametrize("scheme", schemes.names())
@pytest.mark.parametrize("low, high", [(-1.0, 3.0), (-3.0, 1.0), (-0.7, 0.7), (0.0, 2.0), (-2.0, 0.0)])
def test_mse_tries_every_grid_of_the_pairs(scheme, low, high):
    """Also where fewer pairs stand for all: the same scales and zero points as all pairs give, and no others."""
    lo, hi = seen("mse", [low, high], scheme=scheme, steps=7).tried()
    assert (lo >= low).all() and (hi <= high).all()
    ends = [(low * i / 7, high * j / 7) for i, j in product(range(8), repeat=2) if low * i < high * j]
    tried, every = (schemes.load(scheme).grid(*np.array(pairs).T, 8, axis=0) for pairs in (list(zip(lo, hi, strict=True)), ends))
    assert len(tried.scale) <= len(ends) or low * high == 0
    found = [set(zip(np.float32(g.scale).tolist(), g.zero.tolist(), strict=True)) for g in (tried, every)]
    near = [{(float(f"{scale:.5g}"), zero) for scale, zero in part} for part in found]
    assert near[0] == near[1]


@settings(max_examples=25)
@given(seed=st.integers(0, 2 ** 32 - 1), bits=st.integers(2, 8), scheme=st.sampled_from(SCHEMES))
def test_omse_takes_the_factor_of_the_least_error(seed, bits, scheme):
    """Of ninety factors, for both ends."""
    values = np.random.default_rng(seed).laplace(size=20) + 0.3
    lo, hi = seen("omse", values, bits=bits, scheme=scheme, bins=4096).range()
    factors = [1 - i * 0.01 for i in range(90)]
    assert any((lo, hi) == (values.min() * f, values.max() * f) for f in factors)
    counted = middles(values, 4096)
    least = min(error(scheme, counted, values.min() * f, values.max() * f, bits) for f in factors)
    assert error(scheme, counted, lo, hi, bits) <= least * (1 + Fraction(1, 10 ** 9))


def test_mse_is_never_above_minmax_and_omse():
    """What they may choose it may choose, to within the steps of its ends: so by more than a thousandth it never loses."""
    values = np.append(np.random.default_rng(1).standard_normal(20000), [9.0, -3.0])
    for bits in (2, 4, 8):
        off = {}
        for name in ("minmax", "omse", "mse"):
            grid = seen(name, values, bits=bits).grid()
            off[name] = ((grid.decode(grid.encode(values)) - values) ** 2).sum()
        assert off["mse"] <= 1.001 * min(off.values()) and off["mse"] < off["minmax"]


def test_both_ends_are_searched():
    """An outlier on one side alone is cut on that side alone; one factor for both cannot do that."""
    values = np.append(np.random.default_rng(1).uniform(-1, 1, 20000), 12.0)
    (low, high), (lower, higher) = (seen(name, values, bits=4).range() for name in ("mse", "omse"))
    assert low < -0.85 and 0.85 < high < 2 and abs(lower / higher - values.min() / 12) < 1e-9


TABLES = {"laplace": (1.86, 2.83, 3.89, 5.03, 6.20, 7.41, 8.64, 9.89), "gauss": (1.24, 1.71, 2.15, 2.55, 2.93, 3.28, 3.61, 3.92)}
"""The authors' factors for 1 to 8 bits, as their code has them; its one-sided Laplace ends at 11.16 for 8 bits."""


@pytest.mark.parametrize("bits", range(1, 17))
def test_aciq_factors_make_the_error_least(bits):
    """Against the error itself, by golden sections; and the published tables, to their two digits."""
    for of, clipping in ((aciq.laplace, oracle.clipping_laplace), (aciq.gauss, oracle.clipping_gauss)):
        best = oracle.least(lambda a, f=clipping: f(a, bits), 0.1, 40.0)
        assert clipping(of(bits), bits) <= clipping(best, bits) * (1 + 1e-9)
        if bits <= 8:
            assert abs(of(bits) - TABLES[of.__name__][bits - 1]) < 0.011
    assert abs(aciq.laplace(9) - 11.16) < 0.011


def test_aciq_factors_solve_their_equations():
    for bits in range(1, 17):
        a = aciq.laplace(bits)
        assert abs(a * np.exp(a) / (3 * 4.0 ** bits) - 1) < 1e-12


@pytest.mark.parametrize("kind", ["laplace", "normal", "exponential"])
def test_aciq_moments_are_those_of_the_middles(kind):
    """By fractions over the middles of bins, and within half a bin of those of the values."""
    values = getattr(np.random.default_rng(3), kind)(size=400)
    quantizer = seen("aciq_laplace", values)
    exact = [Fraction(x) for x in middles(values, 1 << 15)]
    mean = sum(exact) / len(exact)
    apart, square = sum(abs(x - mean) for x in exact) / len(exact), sum((x - mean) ** 2 for x in exact) / (len(exact) - 1)
    np.testing.assert_allclose(quantizer.moments(), (float(mean), float(apart), sqrt(square)), rtol=1e-14)
    half = quantizer.histogram.width / 2
    np.testing.assert_allclose(quantizer.moments(), (values.mean(), np.abs(values - values.mean()).mean(), values.std(ddof=1)),
                               atol=2 * half)


@pytest.mark.parametrize("name, kind, factor", [("aciq_laplace", "laplace", 5.03), ("aciq_gauss", "normal", 2.55)])
def test_aciq_ranges(name, kind, factor):
    """4 bits of a large sample: the mean and so many scales on both sides."""
    values = 5 + 2 * getattr(np.random.default_rng(4), kind)(size=200000)
    lo, hi = seen(name, values, bits=4).range()
    assert abs(lo - (5 - 2 * factor)) < 0.05 and abs(hi - (5 + 2 * factor)) < 0.05


def test_aciq_one_sided_starts_at_zero():
    """The mean and 6.20 mean distances, at 4 bits; what is below 0 has no codes."""
    values = np.random.default_rng(4).exponential(size=200000)
    lo, hi = seen("aciq_one_sided", values, bits=4).range()
    assert lo == 0 and abs(hi - (values.mean() + 6.20 * np.abs(values - values.mean()).mean())) < 0.02
    assert seen("aciq_one_sided", [-3.0, -1.0, -2.0]).range() == (0.0, 0.0)


def test_two_values_in_one_bin_keep_their_range():
    """Where all lie in one bin there is nothing to cut."""
    for name in ("aciq_laplace", "aciq_gauss"):
        assert seen(name, [1.0, 1.00001]).range() == (1.0, 1.00001)
