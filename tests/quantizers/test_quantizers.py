"""Ranges from data: every calibrator whatever the order, split, shard and scale; minmax and percentiles by definition."""
from fractions import Fraction
from math import ceil, floor, inf, ldexp

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refq import quantizers
from refq.errors import IllFormed, Unsupported
from refq.grids import schemes
from tests.quantizers.seen import BINS, FREE, ORDERED, OUTSIDE, RANGED, bin_of, drawn, ranged, seeing, state

arrays = st.builds(drawn, st.integers(0, 2 ** 32 - 1), st.sampled_from((1, 2, 3, 100, 9999, 30001)),
                   st.sampled_from(("normal", "heavy", "positive", "steps", "magnitudes")))


def test_names():
    """All are found by name, each time a fresh one; other names are refused with those that there are, options with the
    nearest."""
    assert set(RANGED) >= {"minmax", "moving_average", "percentile", "percentile_magnitude", "percentile_ort",
                           "percentile_ort_values", "entropy_tensorrt", "entropy_glow", "entropy_ort", "mse", "omse",
                           "aciq_laplace", "aciq_gauss", "aciq_one_sided"}
    assert quantizers.load("minmax") is not quantizers.load("minmax")
    with pytest.raises(IllFormed, match="'median'.*minmax, .*percentile"):
        quantizers.load("median")
    with pytest.raises(IllFormed, match="calibrator percentile: it has no 'percentil': did you mean percentile"):
        quantizers.load("percentile", percentil=99)


@given(arrays)
def test_minmax_is_smallest_and_largest(values):
    """The range is what `sorted` says."""
    assert ranged("minmax", values) == (sorted(values)[0], sorted(values)[-1])


@given(arrays)
def test_percentile_is_the_quantile_within_a_bin(values):
    """Half of what stays outside lies below, half above: each end is within one bin of the sorted value there."""
    lo, hi = ranged("percentile", values)
    order, cut, width = np.sort(values), floor(len(values) * OUTSIDE / 2), bin_of(values)
    first, last = order[cut], order[len(order) - 1 - cut]
    assert lo <= first < lo + width and hi - width <= last <= hi
    assert order[0] <= lo and hi <= order[-1]


@given(arrays, st.sampled_from((100, 99.9, 50, 1, 1e-9)))
def test_percentile_of_magnitudes_is_the_quantile_within_a_bin(values, percentile):
    """So many of a hundred |x| lie inside: the threshold is within one bin of the sorted magnitude there."""
    lo, hi = ranged("percentile_magnitude", values, percentile=percentile)
    order, width = np.sort(np.abs(values)), bin_of(values) / 2
    least = order[max(ceil(Fraction(str(percentile)) * len(values) / 100), 1) - 1]
    threshold = max(-lo, hi)
    if len(set(values)) > 1:
        assert threshold <= least + width and (threshold >= least or threshold in (-min(values), max(values)))
    assert min(values) <= lo and hi <= max(values)
    assert (lo, hi) == (max(min(values), -threshold), min(max(values), threshold)) or len(set(values)) == 1


@pytest.mark.parametrize("name", FREE)
@settings(max_examples=15)
@given(values=arrays, cuts=st.lists(st.integers(0, 30001), max_size=5), seed=st.integers(0, 2 ** 32 - 1))
def test_order_splits_and_shards_do_not_matter(name, values, cuts, seed):
    """One array, its parts in any order, some of them empty, or two that saw a part each and were merged: the same to the bit."""
    parts = np.split(values[np.random.default_rng(seed).permutation(len(values))], sorted(c % (len(values) + 1) for c in cuts))
    whole = state(seeing(name, values))
    assert state(seeing(name, *parts)) == state(seeing(name, *parts[::-1])) == whole
    assert state(seeing(name, values.reshape(1, -1, 1))) == whole
    one, other = seeing(name, *parts[::2]), seeing(name, *parts[1::2])
    before = state(other)
    one.merge(other)
    assert state(one) == whole and state(other) == before


@pytest.mark.parametrize("name", FREE)
def test_shards_give_the_range_and_the_grid(name):
    """Two halves of different reach, apart and merged either way."""
    halves = drawn(1, 9999, "normal"), 5 * drawn(2, 9999, "heavy")
    whole = seeing(name, *halves)
    for first, second in (halves, halves[::-1]):
        merged = seeing(name, first)
        merged.merge(seeing(name, second))
        merged.merge(quantizers.load(name))
        assert merged.range() == whole.range() and merged.grid().same(whole.grid())


@pytest.mark.parametrize("name", ORDERED)
def test_what_depends_on_the_order_is_not_merged(name):
    with pytest.raises(Unsupported, match=f"calibrator {name}: .*cannot be merged"):
        seeing(name, [1.0]).merge(seeing(name, [2.0]))


def test_only_the_same_are_merged():
    """Of one name and one set of options."""
    for other in (quantizers.load("percentile"), quantizers.load("percentile_magnitude", percentile=99),
                  quantizers.load("percentile_magnitude", bins=64), quantizers.load("percentile_magnitude", bits=4), 3):
        with pytest.raises(IllFormed, match="percentile_magnitude .* cannot take in .*; merge two alike"):
            quantizers.load("percentile_magnitude").merge(other)


@pytest.mark.parametrize("name", RANGED)
@settings(max_examples=4)
@given(seed=st.integers(0, 2 ** 32 - 1), kind=st.sampled_from(("normal", "heavy", "positive")), k=st.integers(-20, 20))
def test_a_power_of_two_scales_the_range(name, seed, kind, k):
    """Values times 2**k give the range times 2**k, to the bit."""
    parts = [drawn(seed + i, 3000, kind).astype(np.float32) for i in range(2)]
    lo, hi = ranged(name, *parts)
    assert ranged(name, *(ldexp(1.0, k) * part for part in parts)) == (ldexp(lo, k), ldexp(hi, k))


@pytest.mark.parametrize("name", [name for name in FREE if name != "aciq_one_sided"])
@pytest.mark.parametrize("kind", ["normal", "heavy", "positive", "steps", "magnitudes"])
def test_the_range_lies_in_what_was_seen(name, kind):
    """And holds its middle; float32 and float64 of the same values give the same."""
    values = drawn(3, 20000, kind).astype(np.float32)
    lo, hi = ranged(name, values)
    assert lo < hi and min(values.min(), 0) <= lo and hi <= max(values.max(), 0)
    quantizer = quantizers.load(name)
    quantizer.see(values)
    assert quantizer.range() == (lo, hi)


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize("bits", range(2, 17))
def test_all_widths(name, bits):
    """The grid has the bits asked for, and no calibrator refuses what the others take."""
    options = {"entropy_ort": {"bins": 2048}, "mse": {"steps": 10}}.get(name, {})
    grid = seeing(name, drawn(4, 5000, "normal"), drawn(5, 5000, "normal"), bits=bits, **options).grid()
    assert grid.width.bits == bits and (grid.scale > 0).all()


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize("scheme", schemes.names())
def test_constants_have_a_grid_under_every_scheme(name, scheme):
    """All-equal values, all zeros, and one value beside zeros: the grid is defined, and 0 is a code."""
    for values in (np.zeros(500), np.full(500, 3.0), np.full(500, -3.0), np.append(np.zeros(499), 2.0)):
        grid = seeing(name, values, scheme=scheme).grid()
        assert np.isfinite(grid.scale).all() and float(grid.decode(grid.encode(np.array(0.0)))) == 0


def test_moving_average_by_definition():
    """In exact numbers, within what float32 loses; the first array sets both ends, a constant of 1 follows the last."""
    parts = [drawn(seed, 100, "normal") for seed in range(30)]
    lo, hi = (Fraction(float(np.float32(end(parts[0])))) for end in (np.min, np.max))
    for part in parts[1:]:
        lo, hi = lo + Fraction(1, 100) * (Fraction(part.min()) - lo), hi + Fraction(1, 100) * (Fraction(part.max()) - hi)
    got = ranged("moving_average", *parts)
    assert abs(got[0] - lo) < 1e-5 and abs(got[1] - hi) < 1e-5 and got == tuple(np.float32(got).tolist())
    assert ranged("moving_average", *parts[:1]) == (np.float32(parts[0].min()), np.float32(parts[0].max()))
    single = [part.astype(np.float32) for part in parts]
    np.testing.assert_allclose(ranged("moving_average", *single, constant=1.0), (single[-1].min(), single[-1].max()), rtol=1e-6)


magnitudes = st.floats(1e-45, 1e38)


@settings(max_examples=30)
@example(parts=[0.0, 1e-300, 0.0, 1.0])
@example(parts=[1e-300, 0.0])
@example(parts=[5e-324, 0.0])
@given(st.lists(st.just(0.0) | magnitudes | magnitudes.map(lambda x: -x), min_size=1, max_size=6))
def test_any_magnitudes_in_any_order(parts):
    """All that float32 holds, one by one and backwards: the range is that of the values, of which it cuts none."""
    there, back = ranged("percentile", *([p] for p in parts)), ranged("percentile", *([p] for p in reversed(parts)))
    assert there == back == ranged("percentile", parts) == (min(parts), max(parts))


@settings(max_examples=30)
@given(seed=st.integers(0, 2 ** 32 - 1), scale=st.integers(-20, 20))
def test_a_last_bit_does_not_move_the_range(seed, scale):
    """Every value moved by one ulp gives the same range, while none crosses the edge of a bin."""
    draw = np.random.default_rng(seed)
    values = ldexp(1.0, scale) * draw.standard_normal(40000)
    toward = draw.choice((-inf, inf), values.shape)
    moved = np.nextafter(values, toward)
    width = bin_of(values)
    if (np.floor(values / width) == np.floor(moved / width)).all() and bin_of(moved) == width:
        assert ranged("percentile", values) == ranged("percentile", moved)


def test_an_edge_is_a_dyadic_number():
    """What is cut off is cut at the edge of a bin, not at a value."""
    values = np.random.default_rng(0).standard_normal(50000)
    lo, hi = ranged("percentile", values)
    assert lo > values.min() and hi < values.max()
    assert lo / bin_of(values) == round(lo / bin_of(values)) and hi / bin_of(values) == round(hi / bin_of(values))


def test_memory_does_not_grow():
    """After a thousand arrays of growing magnitude the histogram is as large as after one."""
    quantizer = quantizers.load("percentile")
    for i in range(1000):
        quantizer.see(np.full(7, 1.01 ** i))
        assert sum(a.nbytes for a in vars(quantizer.histogram).values() if isinstance(a, np.ndarray)) == 8 * BINS
    assert quantizer.histogram.counts.sum() == 7000


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1.0, 2.0 ** 20, -3.5, 1e-310, 5e-324, -5e-324, 1.7e308, -1.7e308])
def test_a_constant_is_its_own_range(name, value):
    """One value, once or often, with nothing else or with empty arrays before and after."""
    assert ranged(name, [value]) == ranged(name, [], np.full((3, 50000), value), []) == (value, value)


def test_a_share_of_outliers_is_cut():
    """One value in a hundred thousand does not stretch the range; one in a hundred does."""
    values = np.linspace(-1, 1, 100000)
    few, many = values.copy(), values.copy()
    few[0], many[:1000] = 1000.0, 1000.0
    assert ranged("percentile", few)[1] <= 1 + bin_of(few)
    assert ranged("percentile", many)[1] == 1000.0
