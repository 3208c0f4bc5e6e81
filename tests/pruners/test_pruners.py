"""Every pruner keeps what its text says: against an oracle, exact in number, ties by the lower index, and again the same."""
from hashlib import shake_256

import numpy as np
import oracle_pruners as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import pruners
from refq.errors import IllFormed
from refq.pruners.inspect import satisfies
from refq.pruners.mask import matrix

SHARES = ("0", "0.01", "0.29", "0.3", "0.5", "0.57", "0.7", "0.99", "1")
WAYS = {"magnitude": {"sparsity": 0.6}, "magnitude_per_layer": {"sparsity": 0.6}, "random": {"sparsity": 0.6},
        "block": {"pattern": "2x3", "sparsity": 0.6}, "n_m": {"pattern": "2:4"}, "zeros": {}}


@st.composite
def tensors(draw):
    """A weight of a layer, in eighths so that sums are exact and ties are many; some are all one magnitude."""
    shape = draw(st.one_of(st.tuples(st.integers(1, 9), st.integers(1, 19)),
                           st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3))))
    most = draw(st.sampled_from((0, 1, 3, 40)))
    seed = draw(st.integers(0, 2 ** 32 - 1))
    return np.random.default_rng(seed).integers(-most, most + 1, shape) / 8


def kept(array):
    return set(map(tuple, np.argwhere(array).tolist()))


NUMBERS = ((1, 1, 1), (1, 2, 1), (2, 4, 1), (1, 4, 1), (4, 8, 1), (4, 8, 2), (3, 5, 1), (6, 9, 3), (4, 4, 4), (9, 18, 1))


@given(tensors(), st.sampled_from(NUMBERS), st.sampled_from((None, 0, 1, 2, 3)))
def test_groups(weight, numbers, axis):
    """n:m along k and every axis, in units, tails too: the oracle's places; never more than n of a group that zeros fill up."""
    (n, m, unit), axis = numbers, axis if axis is None or axis < weight.ndim else 1
    pattern = f"{n}:{m}" + (f"x{unit}" if unit > 1 else "")
    mask = pruners.load("n_m", pattern=pattern, axis="k" if axis is None else axis).choose({"w": weight})["w"]
    assert mask.shape == weight.shape and kept(mask) == oracle.groups(weight, n, m, unit, axis)
    line = matrix(mask) if axis is None else np.moveaxis(mask, axis, -1).reshape(-1, mask.shape[axis])
    line = np.pad(line, ((0, 0), (0, -line.shape[1] % m)))
    assert (line.reshape(-1, m).sum(1) <= n).all()
    assert satisfies(matrix(mask), pattern) or axis is not None


@given(tensors(), st.integers(1, 5), st.integers(1, 5), st.sampled_from(SHARES), st.sampled_from(("sum", "squares")))
def test_blocks(weight, rows, columns, share, score):
    """Whole blocks go, exactly so many, the oracle's; blocks at the edge count by what they hold."""
    mask = pruners.load("block", pattern=f"{rows}x{columns}", sparsity=float(share), score=score).choose({"w": weight})["w"]
    assert kept(mask) == oracle.blocks(weight, rows, columns, share, 1 if score == "sum" else 2)
    assert satisfies(matrix(mask), f"{rows}x{columns}")


@given(st.lists(tensors(), min_size=1, max_size=3), st.sampled_from(SHARES))
def test_magnitude(weights, share):
    """The least of all weights together, and of each layer: the oracle's places and exactly so many."""
    weights = {f"w{i}": w for i, w in enumerate(weights)}
    together = pruners.load("magnitude", sparsity=float(share)).choose(weights)
    assert {name: kept(mask) for name, mask in together.items()} == oracle.smallest(weights, share)
    each = pruners.load("magnitude_per_layer", sparsity=float(share)).choose(weights)
    for name, weight in weights.items():
        assert kept(each[name]) == oracle.smallest({name: weight}, share)[name]
        assert np.count_nonzero(~each[name]) == oracle.going(share, weight.size)


@given(tensors(), st.sampled_from(SHARES), st.integers(-3, 3))
def test_random(weight, share, seed):
    """Exactly so many, by the words of the seed and the name alone."""
    pruner = pruners.load("random", sparsity=float(share), seed=seed)
    mask = pruner.choose({"a": weight, "b": weight})
    assert all(np.count_nonzero(~m) == oracle.going(share, weight.size) for m in mask.values())
    for name in "ab":
        drawn = shake_256(f"{seed}:{name}".encode()).digest(8 * weight.size)
        drawn = [int.from_bytes(drawn[i:i + 8], "little") for i in range(0, len(drawn), 8)]
        gone = oracle.least(drawn, oracle.going(share, weight.size))
        assert set(np.flatnonzero(~mask[name].ravel()).tolist()) == gone
    assert (pruner.choose({"b": weight * 2})["b"] == mask["b"]).all()


def test_the_lot_is_the_same_for_ever():
    """What seed 0 drew when this was written."""
    mask = pruners.load("random", sparsity=0.5).choose({"head.weight": np.ones((2, 16))})["head.weight"]
    assert ["".join(".#"[int(bit)] for bit in row) for row in mask] == DRAWN


DRAWN = ["...##..####.####", "#.#....#.#.##..."]


@given(tensors(), st.sampled_from(sorted(WAYS)))
def test_what_is_pruned_is_pruned_no_further(weight, name):
    """Zeroed and chosen again, by the same pruner, the same weights stay."""
    pruner = pruners.load(name, **WAYS[name])
    mask = pruner.choose({"w": weight})["w"]
    assert (pruner.choose({"w": np.where(mask, weight, 0.0)})["w"] == mask).all()


@pytest.mark.parametrize("name", sorted(WAYS))
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0), (1, 1), (3, 0, 2, 2)])
def test_empty_and_single_weights(name, shape):
    """Nothing to choose from is chosen from without a fault."""
    mask = pruners.load(name, **WAYS[name]).choose({"w": np.ones(shape)})["w"]
    assert mask.shape == shape and mask.dtype == bool


def test_ties_keep_the_lower_index():
    """Of equal magnitudes, signs apart, the first stay; of equal tensors the earlier one's."""
    ones = np.array([[1.0, -1, 1, -1, -1, 1, 1, -1]])
    assert pruners.load("n_m", pattern="2:4").choose({"w": ones})["w"].tolist() == [[True, True, False, False] * 2]
    assert pruners.load("n_m", pattern="4:8x2").choose({"w": ones})["w"].tolist() == [[True] * 4 + [False] * 4]
    assert pruners.load("block", pattern="1x2", sparsity=0.5).choose({"w": ones})["w"].tolist() == [[True] * 4 + [False] * 4]
    assert pruners.load("magnitude_per_layer", sparsity=0.75).choose({"w": ones})["w"].tolist() == [[True] * 2 + [False] * 6]
    both = pruners.load("magnitude", sparsity=0.5).choose({"b": ones, "a": ones})
    assert both["b"].all() and not both["a"].any()


def test_groups_of_a_convolution_are_neighbouring_input_channels():
    """Where m divides d, groups along k (kh kw d) are groups along axis 1, of every pixel of the window."""
    weight = np.random.default_rng(0).standard_normal((5, 8, 3, 2))
    along = [pruners.load("n_m", pattern="2:4", axis=axis).choose({"w": weight})["w"] for axis in ("k", 1)]
    assert (along[0] == along[1]).all()
    odd = weight[:, :6]
    along = [pruners.load("n_m", pattern="2:4", axis=axis).choose({"w": odd})["w"] for axis in ("k", 1)]
    assert (along[0] != along[1]).any() and np.count_nonzero(along[1]) == 5 * 6 * 3


@given(tensors(), st.sampled_from(sorted(WAYS)))
def test_zeros_are_what_another_way_left(weight, name):
    """Of a pruned tensor without other zeros, the mask that pruned it; -0 is a zero."""
    weight = np.where(weight == 0, 9.0, weight)
    mask = pruners.load(name, **WAYS[name]).choose({"w": weight})["w"]
    assert (pruners.load("zeros").choose({"w": np.where(mask, weight, -0.0)})["w"] == mask).all()


def test_a_share_is_the_decimal_that_was_written():
    """0.29 and 0.57 of 100 are 29 and 57, although their floats lie below."""
    weight = np.arange(100.0).reshape(4, 25)
    for share, gone in ((0.29, 29), (0.57, 57), (0.999, 99), (1, 100), (0, 0)):
        assert np.count_nonzero(~pruners.load("magnitude_per_layer", sparsity=share).choose({"w": weight})["w"]) == gone


@pytest.mark.parametrize("name, parameters, sentence", [
    ("taylor", {}, "a pruner named 'taylor': there are block, magnitude, magnitude_per_layer, n_m, random, zeros"),
    ("magnitude", {}, "pruner magnitude needs its sparsity; it takes sparsity"),
    ("zeros", {"sparsity": 0.5}, "pruner zeros takes no sparsity; it takes nothing"),
    ("magnitude", {"sparsity": 0.5, "seed": 1}, "pruner magnitude takes no seed; it takes sparsity"),
    *(("random", {"sparsity": s}, f"a sparsity of {s!r}: it is the share of the weights that go, from 0 to 1")
      for s in (-0.1, 1.0001, float("nan"), float("inf"), True, None, "0.5")),
    ("random", {"sparsity": 0.5, "seed": 1.0}, "a seed of 1.0: it is an integer"),
    *(("n_m", {"pattern": p}, f"a pattern {p!r}: n is at least 1 and at most m, and a unit divides both")
      for p in ("5:4", "0:4", "0:0", "4:8x3", "2:4x0", "3:8x2")),
    *(("n_m", {"pattern": p}, f"a pattern {p!r}: it is n:m, as 2:4, or n:mxu in units of u neighbours, as 4:8x2")
      for p in ("2-4", "", "2:4:8", "-2:4", "2.0:4", 24, None)),
    *(("n_m", {"pattern": "2:4", "axis": a}, f"groups along {a!r}: it is k, or an axis of the tensor, 0 to 3")
      for a in ("K", 1.0, None, True)),
    *(("block", {"pattern": p, "sparsity": 0.5}, f"a block of {p!r}: it is rows x columns, as 4x4, 1x4 or 8x1")
      for p in ("0x4", "4", "4x", "4x-1", 4, "4X4")),
    ("block", {"pattern": "4x4", "sparsity": 0.5, "score": "max"}, "a score 'max'; blocks are scored by sum or squares"),
])
def test_parameters_that_cannot_be(name, parameters, sentence):
    """One sentence each, before a weight is looked at."""
    with pytest.raises(IllFormed) as refused:
        pruners.load(name, **parameters)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("name", sorted(WAYS))
@pytest.mark.parametrize("weight, said", [
    (np.array([[1.0, np.nan]]), "w: its weights hold NaN; mend them before they are pruned"),
    (np.array([[1.0, -np.inf]]), "w: its weights hold infinite values; mend them before they are pruned"),
    (np.ones(4), "w: float64 of shape (4,); weights to prune are numbers, (m k) or (m d kh kw)"),
    (np.ones((2, 2), bool), "w: bool of shape (2, 2); weights to prune are numbers, (m k) or (m d kh kw)"),
])
def test_weights_that_cannot_be(name, weight, said):
    """NaN, infinities, vectors and booleans are refused, naming the tensor, by every pruner."""
    with pytest.raises(IllFormed) as refused:
        pruners.load(name, **WAYS[name]).choose({"w": weight})
    assert str(refused.value) == said


def test_an_axis_that_a_tensor_has_not():
    """The tensor is named."""
    with pytest.raises(IllFormed, match="^w: groups along axis 2, and it has axes 0 to 1; leave the layer out$"):
        pruners.load("n_m", pattern="2:4", axis=2).choose({"w": np.ones((2, 2))})


def test_blocks_larger_than_a_tensor_and_units_longer_than_a_row():
    """They are one block and one unit."""
    weight = np.ones((3, 5))
    assert not pruners.load("block", pattern="999999999x999999999", sparsity=1.0).choose({"w": weight})["w"].any()
    assert pruners.load("block", pattern="999999999x999999999", sparsity=0.5).choose({"w": weight})["w"].all()
    assert pruners.load("n_m", pattern="900000000:999999999").choose({"w": weight})["w"].all()
    assert pruners.load("n_m", pattern="100000000:200000000x100000000").choose({"w": weight})["w"].all()
