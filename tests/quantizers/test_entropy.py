"""The three entropy calibrators against loops by definition: divergences, thresholds, windows; ORT's live in tests/peers."""
from math import inf

import digits
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import quantizers
from refq.quantizers import entropy_glow, entropy_tensorrt
from tests import oracle_calibrators as oracle


def histogram(seed, bins, kind):
    """Counts (bins), the last not 0: a falling density, one with holes, one outlier, few values."""
    draw = np.random.default_rng(seed)
    falling = draw.poisson(400 * np.exp(-np.arange(bins) / draw.uniform(bins / 20, bins / 2)))
    counts = {"falling": falling, "holes": falling * draw.integers(0, 2, bins), "outlier": np.where(np.arange(bins) < 9, 50, 0),
              "few": draw.integers(0, 2, bins) * draw.integers(0, 2, bins), "high": falling[::-1].copy()}[kind]
    counts[-1] = max(counts[-1], 1)
    return counts.astype(np.int64)


histograms = st.builds(histogram, st.integers(0, 2 ** 32 - 1), st.integers(20, 90),
                       st.sampled_from(("falling", "holes", "outlier", "few", "high")))


@given(histograms, st.sampled_from((4, 8, 16)), st.sampled_from((1, 3)))
def test_tensorrt_takes_the_edge_of_the_least_divergence(counts, levels, stride):
    """Every edge by loops; of equal ones the largest, and all of the range where every divergence is infinite."""
    got = entropy_tensorrt.edge(counts, levels, levels + 1, stride)
    bins = [int(counts[1]), *counts[1:].tolist()]
    if not sum(bins):
        assert got == len(bins)
        return
    found = {i: oracle.tensorrt(bins, levels, i) for i in range(levels + 1, len(bins) + 1, stride)}
    least = min(found.values())
    if least == inf:
        assert got == len(bins)
    else:
        assert found[got] <= least + 2e-12 * (1 + abs(least))
        assert all(value > found[got] - 2e-12 for i, value in found.items() if i > got)


def test_tensorrt_by_hand():
    """Eight bins, two levels; the first bin counts as the second. Four tens and a one apart cost nothing as they are; with a six
    beside them it is cheapest to keep five bins (0.0061 nats; 0.031 for four, 0.042 for all; none ends in an empty bin)."""
    assert entropy_tensorrt.edge(np.array([1000, 10, 10, 10, 0, 0, 0, 1]), 2, 4) == 8
    assert entropy_tensorrt.edge(np.array([0, 10, 10, 10, 6, 0, 0, 1]), 2, 4) == 5


@pytest.mark.parametrize("count", [8, 12, 16, 24])
def test_tensorrt_cuts_nothing_off_few_grey_values(count):
    """Digits of 17 grey values: P is Q at the first grey value alone and at the last, both 0 nats; of equal ones the largest."""
    quantizer = quantizers.load("entropy_tensorrt")
    quantizer.see(digits.calibration(count))
    assert quantizer.range() == (-1.0, 1.0)


@settings(max_examples=25)
@given(histograms, st.sampled_from((3, 7, 15)), st.booleans())
def test_glow_takes_the_window_of_the_least_divergence(counts, levels, balanced):
    """Every window in the order in which Glow shrinks, by loops."""
    seen = list(oracle.glow_windows(counts.tolist(), levels, balanced))
    found = {window: oracle.glow(counts.tolist(), levels, *window) for window in seen}
    got, least = entropy_glow.window(counts, levels, balanced), min(found.values())
    assert got in found and found[got] <= least + 1e-12 and all(found[w] > found[got] - 1e-12 for w in seen[:seen.index(got)])


def test_glow_keeps_the_first_window_of_equals():
    """Nothing between two ends: the divergence of all bins is 0, and so is that of each window that holds nothing."""
    assert entropy_glow.window(np.array([9, 0, 0, 0, 0, 0, 0, 0, 9]), 3, True) == (0, 9)


def long_tailed(size=40000, seed=0):
    return np.random.default_rng(seed).laplace(size=size)


@pytest.mark.parametrize("name", ["entropy_tensorrt", "entropy_glow"])
def test_what_is_rare_and_far_is_cut(name):
    """Of a Laplace distribution with one value at 60 the range does not reach it."""
    quantizer = quantizers.load(name)
    quantizer.see(np.append(long_tailed(), 60.0))
    lo, hi = quantizer.range()
    assert hi < 40 and lo > -40


def test_glow_balances_where_the_scheme_does():
    """Under a symmetric scheme both ends are equally far, cut at what was seen; one-sided values keep 0 as their end."""
    values = np.append(long_tailed(), [60.0, -80.0])
    quantizer = quantizers.load("entropy_glow", scheme="symmetric_full")
    quantizer.see(values)
    lo, hi = quantizer.range()
    assert lo == -hi and hi < 40
    quantizer = quantizers.load("entropy_glow", scheme="symmetric_uint8")
    quantizer.see(np.abs(values))
    assert quantizer.range()[0] >= 0


def test_tensorrt_keeps_values_of_one_sign_on_their_side():
    """The threshold is of magnitudes; the range ends at what was seen."""
    quantizer = quantizers.load("entropy_tensorrt")
    quantizer.see(np.abs(long_tailed()))
    assert quantizer.range()[0] >= 0 and quantizer.range()[1] > 3


def test_ort_with_its_defaults_cuts_next_to_nothing():
    """128 bins and 128 levels: one window is tried, and it is what was seen to within a bin. With 2,048 bins it clips."""
    values = long_tailed().astype(np.float32)
    plain, fine = quantizers.load("entropy_ort"), quantizers.load("entropy_ort", bins=2048)
    for quantizer in (plain, fine):
        quantizer.see(values)
    most = float(np.abs(values).max())
    assert plain.range()[1] >= values.max() - 2 * most / 128 and plain.range()[0] <= values.min() + 2 * most / 128
    assert fine.range()[1] < most - 1 and fine.range()[0] > -most + 1


K = np.arange(2400)
SHAPES = {"square": 10 ** 6 // (K[:600] + 1) ** 2 + K[:600] ** 2 * 7919 % 11,
          "line": np.maximum(300 - K[:400], 0) * 20 + K[:400] * 31 % 17,
          "tail": 10 ** 7 // (K[:2048] + 20) ** 2 + (K[:2048] % 97 == 0) + (K[:2048] == 2047),
          "hill": 10 ** 6 // (abs(K[:1001] - 400) + 20) ** 2 * (K[:1001] % 3 > 0)}
"""Histograms of integers alone, to which the sources' own code was applied."""


@pytest.mark.parametrize("name, bits, edge", [("square", 8, 255), ("square", 5, 128), ("line", 8, 400), ("line", 5, 298),
                                              ("tail", 8, 1792), ("tail", 5, 512)])
def test_tensorrt_check_values(name, bits, edge):
    """What _compute_amax_entropy of nvidia-modelopt 0.47 gives, from bin 128 on."""
    counts = np.maximum(SHAPES[name], np.arange(SHAPES[name].size) == SHAPES[name].size - 1).astype(np.int64)
    assert entropy_tensorrt.edge(counts, 1 << bits - 1, 128) == edge


@pytest.mark.parametrize("name, levels, balanced, window", [
    ("square", 255, False, (0, 508)), ("square", 63, False, (0, 124)), ("square", 63, True, (0, 600)),
    ("line", 255, False, (0, 292)), ("line", 255, True, (0, 400)),
    ("hill", 255, False, (1, 998)), ("hill", 255, True, (3, 998)), ("hill", 63, False, (1, 944))])
def test_glow_check_values(name, levels, balanced, window):
    """What optimizeKL of pytorch/glow gives, compiled."""
    assert entropy_glow.window(SHAPES[name].astype(np.int64), levels, balanced) == window
