"""Histogram kernels: equal to NumPy's text on every float, whatever its bits."""
import numpy as np
import pytest

from refq.machine import histogram

RNG = np.random.default_rng(0)
EDGES = np.array([0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, 0.5, -0.5, 0.99999, -0.99999, 2.0 ** -14, -2.0 ** -14, -1e-300])


def drawn(dtype, size=5000):
    with np.errstate(over="ignore"):
        x = np.concatenate([EDGES, RNG.standard_normal(size), np.ldexp(RNG.uniform(-1, 1, size), RNG.integers(-60, 1, size))])
        return RNG.permutation(x.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_are_the_smallest_and_the_largest(dtype):
    x = drawn(dtype)
    assert histogram.ends(x) == (x.min(), x.max())
    assert all(histogram.ends(x[i:i + 1]) == (x[i], x[i]) for i in range(100))
    assert histogram.ends(np.array([-1, np.finfo(dtype).max, np.finfo(dtype).min], dtype)) == (
        float(np.finfo(dtype).min), float(np.finfo(dtype).max))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_one_end_tells_what_is_not_finite(dtype, bad):
    """At every place, beside anything: NaN of either sign, quiet or not."""
    for place in range(70):
        x = drawn(dtype, 35)
        x[place] = bad
        assert not np.isfinite(histogram.ends(x)).all()
    signalling = np.array([0x7F800001, 0], np.uint32).view(np.float32)
    assert not np.isfinite(histogram.ends(signalling)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [8, 2048, 1 << 15])
def test_counts_are_those_of_the_formula(dtype, bins):
    """floor(x / width) from the middle, floor(|x| / width) from the first; the last bin takes its upper edge."""
    x = drawn(dtype) / 4
    x = x[np.abs(x) <= 1]
    wide = x.astype(np.float64)
    for kernel, places, inverse in ((histogram.signed, np.floor(wide * (bins / 2)) + bins // 2, bins / 2),
                                    (histogram.magnitudes, np.floor(np.abs(wide) * bins), bins)):
        counts = np.zeros(bins, np.int64)
        kernel(x, float(inverse), counts)
        np.testing.assert_array_equal(counts, np.bincount(np.clip(places, 0, bins - 1).astype(int), minlength=bins))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [8, 2048, 1 << 15])
@pytest.mark.parametrize("size", [1, 255, 5000, 5001])
def test_one_sweep_counts_what_two_count(dtype, bins, size):
    """The ends, and the same counts added to those before, or nothing where a value reaches the bound or is not finite."""
    x = np.resize(drawn(dtype) / 4, size)
    x = np.where(np.abs(x) < 1, x, x.dtype.type(0.75))
    for plain, within, inverse in ((histogram.signed, histogram.signed_within, bins / 2),
                                   (histogram.magnitudes, histogram.magnitudes_within, float(bins))):
        counts, again = np.full(bins, 3), np.full(bins, 3)
        plain(x, inverse, counts)
        for bad in (1.0, -1.0, np.inf, -np.inf, np.nan, -np.nan):
            for place in (0, size // 2, size - 1):
                worse = x.copy()
                worse[place] = bad
                lo, hi, counted = histogram.swept(worse, 1.0, inverse, again, within)
                assert not counted and (again == 3).all()
                np.testing.assert_array_equal((lo, hi), histogram.ends(worse))
        lo, hi, counted = histogram.swept(x, 1.0, inverse, again, within)
        assert (lo, hi) == (x.min(), x.max()) and counted == (size >= bins // 8)
        np.testing.assert_array_equal(again, counts if counted else 3)


def test_errors_are_those_of_the_nearest_level():
    """Against each middle of a bin and each level, for grids that are finer, coarser, off to one side, and saturated."""
    counts, first, width = RNG.integers(0, 5, 60), -25.0, 0.125
    middles = (first + np.arange(60) + 0.5) * width
    below = np.zeros((61, 3))
    for power in range(3):
        below[1:, power] = (counts * (middles / width) ** power).cumsum()
    scale = np.array([0.01, 0.125, 0.25, 0.3, 1.0, 50.0, 0.2, 0.2])
    least, most = np.array([-8, -8, -8, -128, -3, -1, 0, -15]), np.array([7, 7, 7, 127, 2, 1, 15, 0])
    errors = np.empty(8)
    histogram.squared_errors(below, width, first, scale, least, most, errors)
    for g in range(8):
        levels = scale[g] * np.arange(least[g], most[g] + 1)
        off = np.abs(middles[:, None] - levels).min(axis=1)
        np.testing.assert_allclose(errors[g] * width ** 2, (counts * off ** 2).sum(), rtol=1e-9)
