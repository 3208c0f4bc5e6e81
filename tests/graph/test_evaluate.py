"""Evaluating: values as onnxruntime has them, one image at a time, through any array namespace; wrong images are
refused."""
import math

import numpy as np
import pytest
from load.drawn import vit, written

from refq.errors import IllFormed
from refq.graph.evaluate import activations, evaluate
from refq.load.onnx import load
from refq.reals.floats import NumpyFunctions, erf


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return load(written(vit(), tmp_path_factory.mktemp("vit")))


def images(count):
    return np.random.default_rng(0).standard_normal((count, 3, 8, 8))


def test_an_image_does_not_depend_on_its_neighbours(graph):
    """Images together give bit for bit what each gives alone, and none gives an empty result."""
    together = evaluate(graph, images(3))["logits"]
    alone = np.concatenate([evaluate(graph, images(3)[i:i + 1])["logits"] for i in range(3)])
    assert np.array_equal(together, alone)
    assert len(evaluate(graph, images(0))["logits"]) == 0


def test_watch_sees_every_activation(graph):
    """Inputs and all results are shown, once an image; `activations` joins them."""
    seen = []
    evaluate(graph, images(2), watch=lambda name, value: seen.append((name, value)))
    names = [name for name, _ in seen]
    assert set(names) == {"images", *(o for node in graph.nodes for o in node.outputs)}
    assert all(names.count(name) == 2 for name in names)
    assert np.array_equal(activations(graph, images(2))["logits"], evaluate(graph, images(2))["logits"])


def test_functions_are_taken_from_the_namespace(graph):
    """Another namespace is used for every matmul, exp, erf, sqrt, sum and mean; a nudged one moves the result a
    little."""
    class Nudged(NumpyFunctions):
        used = set()

        def __getattr__(self, name):
            Nudged.used.add(name)
            function = getattr(np, name)
            if name in ("exp", "sqrt"):
                return lambda x: np.nextafter(function(x), np.inf)
            return function

        def erf(self, x):
            Nudged.used.add("erf")
            return np.nextafter(erf(x), np.inf)

    expected, got = evaluate(graph, images(1))["logits"], evaluate(graph, images(1), Nudged())["logits"]
    assert {"matmul", "exp", "erf", "sqrt", "sum", "mean"} <= Nudged.used
    assert not np.array_equal(got, expected)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_erf_is_the_c_library_s():
    """Element by element as math.erf, any shape."""
    x = np.linspace(-5, 5, 42).reshape(6, 7)
    assert np.array_equal(erf(x), np.array([[math.erf(v) for v in row] for row in x]))
    assert erf(np.float64(0.5)) == math.erf(0.5)


@pytest.mark.parametrize("bad, sentence", [
    (np.zeros((2, 3, 8, 9)), r"is \(n 3 8 8\), the array given is \(2, 3, 8, 9\)"),
    (np.zeros((3, 8, 8)), r"\(3, 8, 8\)"),
    (np.zeros((1, 3, 8, 8), complex), "complex"),
    (np.full((1, 3, 8, 8), "a"), "holds numbers"),
    ({"pictures": np.zeros((1, 3, 8, 8))}, "takes the inputs images, not pictures"),
])
def test_wrong_images_are_refused(graph, bad, sentence):
    """Shape, dtype and name of the input are checked before anything is computed."""
    with pytest.raises(IllFormed, match=sentence):
        evaluate(graph, bad)
