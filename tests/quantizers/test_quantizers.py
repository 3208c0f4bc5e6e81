"""Ranges from data: minmax and percentile against sorted values, whatever the order, the split and the last bit."""
from math import floor, frexp, inf, ldexp

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refq import quantizers
from refq.errors import IllFormed

BINS, OUTSIDE, LEAST = 1 << 15, 1e-4, -126


def ranged(name, *arrays):
    quantizer = quantizers.load(name)
    for array in arrays:
        quantizer.see(np.asarray(array, np.float64))
    return quantizer.range()


def bin_of(values):
    """The width of a bin: so many cover twice the power of two above the largest magnitude."""
    most = float(np.abs(values).max())
    return ldexp(1, max(frexp(most)[1] if most else LEAST, LEAST) - 14)


def drawn(seed, size, kind):
    draw = np.random.default_rng(seed)
    return {"normal": lambda: draw.standard_normal(size), "heavy": lambda: draw.standard_cauchy(size),
            "positive": lambda: np.abs(draw.standard_normal(size)), "steps": lambda: draw.integers(-8, 9, size) / 4,
            "magnitudes": lambda: np.ldexp(draw.uniform(-1, 1, size), draw.integers(-30, 30, size))}[kind]()


arrays = st.builds(drawn, st.integers(0, 2 ** 32 - 1), st.sampled_from((1, 2, 3, 100, 9999, 30001)),
                   st.sampled_from(("normal", "heavy", "positive", "steps", "magnitudes")))


def test_names():
    """Both are found by name, each time a fresh one; others are refused with those that there are."""
    assert set(quantizers.names()) >= {"minmax", "percentile"}
    assert quantizers.load("minmax") is not quantizers.load("minmax")
    with pytest.raises(IllFormed, match="'median'.*minmax, percentile"):
        quantizers.load("median")


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


@pytest.mark.parametrize("name", quantizers.names())
@settings(max_examples=30)
@given(values=arrays, cuts=st.lists(st.integers(0, 30001), max_size=5), seed=st.integers(0, 2 ** 32 - 1))
def test_order_and_splits_do_not_matter(name, values, cuts, seed):
    """One array, or its parts in any order, some of them empty: the same range to the bit."""
    parts = np.split(values[np.random.default_rng(seed).permutation(len(values))], sorted(c % (len(values) + 1) for c in cuts))
    whole = ranged(name, values)
    assert ranged(name, *parts) == whole
    assert ranged(name, *parts[::-1]) == whole
    assert ranged(name, values.reshape(1, -1, 1)) == whole


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
        assert sum(a.nbytes for a in vars(quantizer).values() if isinstance(a, np.ndarray)) == 8 * BINS
    assert quantizer.counts.sum() == 7000


@pytest.mark.parametrize("name", quantizers.names())
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
