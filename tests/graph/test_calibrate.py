"""Calibration: which ranges groups get, what is refused, and grids that follow."""
from dataclasses import replace

import digits
import nets
import numpy as np
import pytest

from refq import dialects, recipes
from refq.errors import IllFormed
from refq.graph.calibrate import choose, observe
from refq.graph.evaluate import activations
from refq.graph.groups import Groups
from refq.graph.quantize import quantize


def linear(s):
    return s.add("Relu", s.dense(s.add("Reshape", "images", s.ints(-1, 12)), "fc", 5, 12))


@pytest.fixture
def small(tmp_path):
    return nets.network(tmp_path, linear, ("n", 3, 2, 2))


@pytest.mark.parametrize("images, said", [
    (np.zeros((0, 3, 2, 2)), "calibration set is empty"),
    (np.full((2, 3, 2, 2), np.nan), "NaN or infinite"),
    (np.full((2, 3, 2, 2), np.inf), "NaN or infinite"),
    (np.zeros((2, 3, 2)), r"\(2, 3, 2\); input 'images' takes \(n, 3, 2, 2\)"),
    (np.zeros((3, 2, 2)), r"\(3, 2, 2\)"),
    (np.zeros((2, 1, 2, 2)), r"\(2, 1, 2, 2\)"),
    (np.zeros(()), r"shape \(\)"),
    (np.zeros((2, 3, 2, 2), complex), "complex128"),
    (np.zeros((2, 3, 2, 2), bool), "bool"),
    (np.array([["a"]]), "U1"),
    (np.full((1, 3, 2, 2), 1e300), "not finite|float32"),
    (None, "empty|dtype|shape"),
])
def test_calibration_sets_refused(small, images, said):
    """Empty, not finite, of another shape or kind: one sentence each."""
    with pytest.raises(IllFormed, match=said) as refused:
        quantize(small, images)
    assert "\n" not in str(refused.value)


def test_values_that_become_infinite_are_named(tmp_path):
    """Where the float network itself leaves the finite, the tensor is named."""
    network = nets.network(tmp_path, lambda s: s.add("Exp", linear(s)), ("n", 3, 2, 2))
    with pytest.raises(IllFormed, match="tensor logits: .* not finite"), np.errstate(over="ignore"):
        quantize(network, np.full((1, 3, 2, 2), 1e4))


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8", "int64"])
def test_any_number_will_do(small, dtype):
    """Images of any real dtype are the numbers that they hold."""
    images = np.random.default_rng(0).integers(0, 9, (3, 3, 2, 2))
    one, other = quantize(small, images.astype(dtype)), quantize(small, images.astype(np.float64))
    assert all(t.grid.same(other.tensors[n].grid) for n, t in one.tensors.items() if t.grid is not None)


def test_progress_is_told_of_every_image(small):
    """`progress` hears 1, 2, ... to the number of images."""
    told = []
    quantize(small, nets.images(small, 5), progress=told.append)
    assert told == [1, 2, 3, 4, 5]


def test_ranges_are_those_of_all_images():
    """A stream's range is the smallest and largest value of its tensors over all images; the order of images is no matter."""
    network, images, recipe = digits.network(), digits.calibration(6), recipes.load("w8a16")
    ranges, groups = observe(network, images, recipe), Groups(network)
    assert observe(network, images[::-1], recipe) == ranges
    seen = activations(network, images) | {k: np.asarray(v) for k, v in network.constants.items()}
    for group, names in groups.seen.items():
        if names:
            values = np.concatenate([seen[n].ravel() for n in names])
            assert ranges[group] == (values.min(), values.max())


@pytest.mark.parametrize("recipe", recipes.names())
@pytest.mark.parametrize("dialect", digits.SPINE)
def test_grids_follow_recipe_and_dialect(recipe, dialect):
    """Bits by role; a zero point only where the dialect can; scales are float32; zero and both ends lie within half a step."""
    network, recipe, dialect = digits.network(), recipes.load(recipe), dialects.load(dialect)
    ranges, groups = observe(network, digits.calibration(2), recipe), Groups(network)
    for group, grid in choose(network, ranges, recipe, dialect).items():
        assert grid.width.bits == recipe.bits(groups.role[group]) and grid.scale == np.float32(grid.scale)
        assert dialect.asymmetric or int(grid.zero) == 0
        for end in ranges[group]:
            assert abs(grid.decode(grid.encode(np.array(end))) - end) <= grid.scale * 0.5000001


def test_moves_share_one_grid():
    """What only moves data, and a ReLU, lies on the grid of its input; a sum of a stream is 16 bits wide."""
    groups = Groups(digits.network())
    for node in digits.network().nodes:
        if node.op in ("Transpose", "Reshape", "Slice", "Concat"):
            assert groups.of[node.outputs[0]] == groups.of[node.inputs[0]]
        if node.op == "Add":
            assert groups.role[groups.of[node.outputs[0]]] == "stream"


def test_two_inputs_are_refused(small):
    """A network of two inputs has no calibration images here."""
    with pytest.raises(IllFormed, match="inputs images, more; refq runs networks of one image input"):
        quantize(replace(small, inputs=small.inputs | {"more": (1, 2)}), nets.images(small))


def test_grids_from_before_need_no_image():
    """With grids, no image is looked at."""
    assert digits.program("int8", "tosa").recipe == "int8"
