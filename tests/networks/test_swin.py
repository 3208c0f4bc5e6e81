"""Swin from named tensors: every project's names make one network, windows are what the paper says, and what cannot be is
refused with a sentence. Its values are held against transformers in tests/peers/test_exported_networks.py."""
import itertools

import nets
import numpy as np
import pytest

from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical, operations
from refq.graph.evaluate import evaluate
from refq.networks import swin as architecture
from tools.families import AUTHORS, SWIN, SWIN5, TIMM, swin

CONFIG = {"image_size": 16}
IMAGES = np.random.default_rng(9).standard_normal((2, 3, 16, 16))


def built(names=SWIN, config=CONFIG, **changed):
    return architecture.build(swin(names, **changed), config, "file")


def logits(graph, images=IMAGES):
    return evaluate(graph, images)[graph.outputs[0]]


@pytest.mark.parametrize("names", [SWIN5, AUTHORS, TIMM], ids=["hf5", "authors", "timm"])
def test_every_naming_gives_the_same_network(names):
    """The same numbers under other names: the same logits; every shape is known and every operation canonical."""
    graph = built(names)
    np.testing.assert_allclose(logits(graph), logits(built()), rtol=1e-12)
    assert {node.op for node in graph.nodes} <= operations and canonical(graph) is graph
    assert all(graph.shapes[node.outputs[0]] for node in graph.nodes)


def test_integers_follow_the_float_network():
    """Under int8, kernels equal specs, windows shifted and not."""
    graph = built()
    assert [node.attributes.get("mask") for node in graph.nodes if node.op == "Softmax"] == [None, "given"] * 2
    nets.near(graph, "int8", "tflite", 20, count=4)


@pytest.mark.parametrize("grid, window, shift", [((4, 6), 2, 1), ((6, 6), 3, 1), ((8, 4), 4, 2)])
def test_tokens_see_those_that_lay_in_one_window_of_the_shifted_image(grid, window, shift):
    """Two places of a window see each other exactly where, before the shift, neither the border nor a cut lay between them."""
    found = architecture.seen(grid, window, shift)
    index = 0
    for top, left in itertools.product(range(0, grid[0], window), range(0, grid[1], window)):
        inside = [((top + i + shift) % grid[0], (left + j + shift) % grid[1]) for i in range(window) for j in range(window)]
        turned = [(top + i + shift >= grid[0], left + j + shift >= grid[1]) for i in range(window) for j in range(window)]
        for a, b in itertools.product(range(len(inside)), repeat=2):
            assert found[index, a, b] == (turned[a] == turned[b])
        index += 1
    assert index == len(found)


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_pairs_of_places_share_a_bias_where_they_lie_alike(window):
    """The row of the table depends on the difference of the places, and on nothing else; all rows are used."""
    at = list(itertools.product(range(window), repeat=2))
    rows = architecture.places(window)
    by_difference = {}
    for (i, a), (j, b) in itertools.product(enumerate(at), repeat=2):
        by_difference.setdefault((a[0] - b[0], a[1] - b[1]), set()).add(int(rows[i, j]))
    assert all(len(found) == 1 for found in by_difference.values())
    assert set().union(*by_difference.values()) == set(range((2 * window - 1) ** 2))


@pytest.mark.parametrize("size, window", [(16, 3), (14, 2), ([12, 20], 3)])
def test_a_window_that_does_not_divide_the_image_is_padded(size, window):
    """Zeros at the right and lower ends, cut off behind: the network runs, and integers follow it."""
    graph = built(config={"image_size": size}, window=window)
    assert any(node.op == "Pad" for node in graph.nodes)
    nets.near(graph, "int8", "tosa", 18, count=3)


def changed(tensors, **new):
    return {**tensors, **new}


@pytest.mark.parametrize("tensors, config, error, said", [
    (lambda: swin(SWIN, window=5), {"image_size": 8}, IllFormed, "windows of 5x5, and its stage has 4x4 tokens; mend image_size"),
    (lambda: swin(SWIN, heads=(3, 4)), CONFIG, IllFormed, "3 heads of swin.encoder.* do not divide the width 8"),
    (lambda: changed(swin(SWIN), strange=np.zeros(3)), CONFIG, IllFormed, "tensors are unexpected: strange"),
    (lambda: {k: v for k, v in swin(SWIN).items() if k != "swin.layernorm.bias"}, CONFIG, IllFormed,
     "tensor swin.layernorm.bias is missing"),
    (lambda: changed(swin(SWIN), **{"swin.layernorm.bias": np.zeros(3)}), CONFIG, IllFormed, r"swin.layernorm.bias is \(3,\)"),
    (lambda: changed(swin(SWIN), **{SWIN["block"].format(0, 1) + SWIN["table"]: np.zeros((8, 2))}), CONFIG, IllFormed,
     "has 8 rows; a window of w x w takes"),
    (lambda: swin(SWIN), CONFIG | {"hidden_act": "mish"}, Unsupported, "the activation 'mish'"),
    *((lambda: swin(SWIN), {"image_size": size}, IllFormed, "the image size .* is not two positive integers")
      for size in ([16], 16.5, 0, "large")),
    *((lambda: swin(SWIN), CONFIG | {"layer_norm_eps": eps}, IllFormed, "the epsilon .* is not a finite number above 0")
      for eps in (-1, float("nan"), 0)),
])
def test_what_is_refused(tensors, config, error, said):
    """One sentence each, which names the tensor or the setting."""
    with pytest.raises(error, match=said) as refused:
        architecture.build(tensors(), config, "file")
    assert "\n" not in str(refused.value)


def test_an_image_size_that_nobody_wrote_is_noted():
    """224, with a note; a configuration takes it away."""
    graph = built(config={}, window=7, patch=4)
    assert graph.inputs == {"images": (1, 3, 224, 224)} and "224x224, by convention" in graph.notes[0]
    assert built().notes == ()
