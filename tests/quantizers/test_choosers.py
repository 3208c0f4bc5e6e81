"""Choosers of whole grids: the least error of all candidates by brute force, published candidates, merging, and bad input."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import quantizers
from refq.errors import IllFormed
from refq.grids.adalog import reaching
from refq.grids.log2 import Log2
from refq.grids.log_sqrt2 import LogSqrt2
from refq.grids.sp2 import NINE, Sp2, published
from refq.grids.twin import Twin
from refq.ints.width import Width
from refq.quantizers.octaves import BITS, Errors, Octaves

NAMES = ("adalog", "log2", "log_sqrt2", "sp2", "twin", "twin_gelu")


def drawn(name, seed=0, size=4000):
    """What such a grid is for: shares of a softmax, or what leaves a GELU."""
    x = np.random.default_rng(seed).standard_normal((size // 40, 40)) * 3
    if name == "twin_gelu":
        return x / 2 * (1 + np.tanh(0.79788456 * (x + 0.044715 * x ** 3)))
    shares = np.exp(x - x.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def seen(name, *arrays, **options):
    quantizer = quantizers.load(name, **options)
    for array in arrays:
        quantizer.see(array)
    return quantizer


def error(grid, x):
    return ((grid.decode(grid.encode(x)) - x) ** 2).mean()


def every(name, bits, x):
    """All grids that the chooser may give, as the sources and its docstring say them."""
    most = np.abs(x).max()
    firsts = [float(np.float32(most * 2 ** (-i / 8))) for i in range(24)]
    codes = (1 << bits) - 2
    return {"log2": lambda: [Log2(Width(bits, False), "zero", min(codes, 30), first=f) for f in firsts],
            "log_sqrt2": lambda: [LogSqrt2(Width(bits, False), "zero", min(codes, 32), first=f) for f in firsts],
            "adalog": lambda: [reaching(Width(bits, False), f, q, 37, "zero", min(codes, 592 // q))
                               for q in range(10, 110) for f in firsts],
            "twin": lambda: [Twin(Width(bits, False), i, firsts[0] / (2 ** (bits - 1) - 1) / 2 ** i) for i in range(20)],
            "twin_gelu": lambda: [Twin(Width(bits), i, 0.16997124 / 2 ** (bits - 1)) for i in range(21)],
            "sp2": lambda: [Sp2(Width(bits, False), *((NINE, f) if bits > 3 else (NINE[:8], f / 0.625))) for f in firsts],
            }[name]()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_the_least_error_of_all_candidates(name, bits):
    """By brute force over the grids themselves and the values themselves; bins cost at most a part in a thousand of the error."""
    x = drawn(name, bits, 1200 if name == "adalog" else 4000)
    quantizer = seen(name, x, bits=bits)
    found = quantizer.grid()
    candidates = every(name, bits, x)
    assert found.width.bits == bits and any(found.describe() | {"fine": 0} == g.describe() | {"fine": 0} for g in candidates)
    chosen, least = error(found, x), min(error(g, x) for g in candidates[:: 7 if name == "adalog" else 1])
    assert chosen <= least * 1.002
    assert abs(quantizer.error(found) / chosen - 1) < 2e-3


def test_signed_sums_and_their_unit():
    """Values on both sides of 0 take signed codes; those of a grid itself find a grid on which they lie."""
    grid = Sp2(Width(4), published(4), 0.75)
    x = grid.levels[np.random.default_rng(1).integers(0, 13, 500)]
    found = seen("sp2", x, bits=4).grid()
    assert found.width == Width(4) and error(found, x) < 1e-12


@pytest.mark.parametrize("shift", range(0, 20, 3))
def test_the_split_is_found(shift):
    """Values that lie on a twin grid from 0 to 1: its split."""
    grid = Twin(Width(8, False), shift, 2.0 ** -shift / 127)
    x = grid.levels[np.random.default_rng(shift).permutation(256)]
    found = seen("twin", x, first=1.0).grid()
    assert found.shift == shift and error(found, x) < 1e-15


@pytest.mark.parametrize("q", [10, 23, 37, 60])
def test_the_base_is_found(q):
    """Values that lie on an AdaLog grid from 1: its base, up to one that codes them as well."""
    grid = reaching(Width(4, False), 1.0, q, 37, "zero", min(14, 592 // q))
    found = seen("adalog", np.repeat(grid.levels, 5), bits=4, first=1.0).grid()
    assert found.q == q and abs(found.first - 1) < 1e-6


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4)
@given(cuts=st.lists(st.integers(0, 4000), max_size=4), seed=st.integers(0, 99))
def test_order_splits_and_merges_do_not_matter(name, cuts, seed):
    """One array, parts in any order, and shards that are merged: the same grid bit for bit; float32 values as float64 ones."""
    x = drawn(name, seed).astype(np.float32)
    whole = seen(name, x, bits=4).grid()
    parts = np.split(np.random.default_rng(seed).permutation(x.ravel()), sorted(cuts))
    shards = [seen(name, part.astype(np.float64), bits=4) for part in parts]
    for other in shards[1:]:
        shards[0].merge(other)
    assert shards[0].grid().same(whole) and seen(name, *parts, bits=4).grid().same(whole)
    assert shards[0].count == x.size


@pytest.mark.parametrize("name", [n for n in NAMES if n != "twin_gelu"])
@pytest.mark.parametrize("power", [-9, 5])
def test_a_power_of_two_scales_the_grid(name, power):
    """Values times 2**p take the levels times 2**p."""
    x = drawn(name)
    one, other = seen(name, x, bits=4).grid(), seen(name, np.ldexp(x, power), bits=4).grid()
    assert np.array_equal(np.ldexp(one.levels, power), other.levels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 1e-30, 1e30, 5e-324, -1.0])
def test_a_constant_has_a_grid(name, value):
    """One value, once or often: a grid of finite levels, and 0 has a code."""
    grid = seen(name, np.zeros(0), np.full((3, 5), value)).grid()
    assert np.isfinite(grid.levels).all() and 0.0 in grid.levels


def test_histogram_counts_every_value():
    """Bins of 2**-BITS of their lower end, by sign; their middles are as near as half a bin; subnormals count as 0."""
    x = np.random.default_rng(3).standard_normal(5000) * 10.0 ** np.random.default_rng(4).integers(-30, 30, 5000)
    x[:100] = 0
    held = Octaves()
    held.add(np.append(x, [1e-310, -1e-40]))
    values, counts = held.seen()
    assert counts.sum() == 5002 and (np.diff(values) > 0).all() and counts[values == 0] == 102
    near = values[np.abs(np.searchsorted((values[1:] + values[:-1]) / 2, x))]
    assert (np.abs(near - x) <= np.abs(x) * 2.0 ** -(BITS + 1)).all()


def test_errors_are_sums_of_squares():
    """Of any levels and switches, against the sum by definition."""
    values, counts = np.sort(np.random.default_rng(5).standard_normal(200)), np.random.default_rng(6).integers(1, 9, 200)
    levels = np.linspace(-2, 2, 9)
    switches = (levels[1:] + levels[:-1]) / 2
    taken = levels[(values[:, None] >= switches).sum(1)]
    assert abs(Errors((values, counts)).of(levels, switches) / (counts * (values - taken) ** 2).sum() - 1) < 1e-12


def test_memory_does_not_grow():
    """A hundred arrays of the same magnitudes keep what one kept."""
    quantizer = seen("adalog", drawn("adalog"))
    held = sum(c.nbytes for c in quantizer.counts.counts.values())
    for _ in range(100):
        quantizer.see(drawn("adalog"))
    assert sum(c.nbytes for c in quantizer.counts.counts.values()) == held <= 40 * 8 << BITS


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused_by_a_sentence(name):
    """Nothing seen, NaN, infinities, bits, options that are none, a merge of others."""
    with pytest.raises(IllFormed, match=f"{name}: no value was seen"):
        seen(name, np.zeros((0, 3))).grid()
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(IllFormed, match=f"{name}: value 1 of 2 is .*clean"):
            seen(name, [1.0, bad])
    for bits in (2, 9, 4.0, True):
        with pytest.raises(IllFormed, match="bits"):
            quantizers.load(name, bits=bits)
    with pytest.raises(IllFormed, match="has no 'share'"):
        quantizers.load(name, share=1)
    if name != "twin_gelu":
        for first in (0, -1.0, np.inf, "1", True):
            with pytest.raises(IllFormed, match="first"):
                quantizers.load(name, first=first)
    with pytest.raises(IllFormed, match="merge two of the same"):
        seen(name, [1.0], bits=4).merge(seen(name, [1.0], bits=5))
