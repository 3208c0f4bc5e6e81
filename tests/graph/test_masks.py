"""Masks in exported graphs: added, chosen by Where, behind Reshapes, in Attention: each becomes that of the Softmax."""
import numpy as np
import pytest
from load.drawn import Sketch, written

from refq.errors import IllFormed
from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.graph.graph import Graph, Node
from refq.graph.quantize import quantize
from refq.load.onnx import load

LOWEST = float(np.finfo(np.float32).min)
TRI = np.tri(6)


def graph(*nodes, **constants):
    """x (1 2 6 6), the logits, through `nodes` to y; the values before and after."""
    net = Graph("net", {"x": (1, 2, 6, 6)}, ("y",), tuple(Node(f"n{i}", *node) for i, node in enumerate(nodes)),
                {k: np.asarray(v) for k, v in constants.items()})
    return net, canonical(net)


def softmaxes(form):
    return [(n.attributes.get("mask"), form.constants[n.inputs[1]] if n.inputs[1:] else None)
            for n in form.nodes if n.op == "Softmax"]


def agree(net, form, finite=True):
    x = np.random.default_rng(0).normal(size=(2, 2, 6, 6))
    got = evaluate(form, x)["y"]
    assert np.isfinite(got).all()
    if finite:
        np.testing.assert_allclose(got, evaluate(net, x)["y"].reshape(got.shape), atol=1e-12)
    return got


WRITTEN = {
    "added -100": ((("Add", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",), {"axis": -1})), {"c": np.where(TRI, 0.0, -100.0)}),
    "added from the left": ((("Add", ("c", "x"), ("a",)), ("Softmax", ("a",), ("y",), {"axis": 3})),
                            {"c": np.where(TRI, 0.0, LOWEST)[None, None]}),
    "subtracted": ((("Sub", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",))), {"c": np.where(TRI, 0.0, 1e9)}),
    "minus infinity": ((("Add", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",))), {"c": np.where(TRI, 0.0, -np.inf)}),
    "chosen": ((("Where", ("c", "x", "l"), ("a",)), ("Softmax", ("a",), ("y",))), {"c": TRI > 0, "l": LOWEST}),
    "chosen the other way": ((("Where", ("c", "l", "x"), ("a",)), ("Softmax", ("a",), ("y",))), {"c": TRI == 0, "l": -np.inf}),
    "a condition that is computed": ((("Trilu", ("o",), ("t",), {"upper": 0}), ("Cast", ("t",), ("c",), {"to": "bool"}),
                                      ("Where", ("c", "x", "l"), ("a",)), ("Softmax", ("a",), ("y",))),
                                     {"o": np.ones((6, 6)), "l": -1e9}),
    "behind reshapes": ((("Reshape", ("x", "s5"), ("f",)), ("Add", ("f", "c"), ("a",)), ("Reshape", ("a", "s4"), ("b",)),
                         ("Softmax", ("b",), ("y",))),
                        {"s5": [1, 1, 2, 6, 6], "s4": [1, 2, 6, 6], "c": np.where(TRI, 0.0, -100.0)[None, None, None]}),
}


@pytest.mark.parametrize("nodes, constants", WRITTEN.values(), ids=list(WRITTEN))
def test_every_writing_becomes_a_mask(nodes, constants):
    """The values stay, nothing is added any more, and the mask says which keys are seen."""
    net, form = graph(*nodes, **constants)
    ((kind, seen),) = softmaxes(form)
    assert kind == "given" and np.array_equal(np.broadcast_to(seen, (1, 2, 6, 6)), np.broadcast_to(TRI, (1, 2, 6, 6)))
    assert not {"Add", "Sub", "Where"} & {n.op for n in form.nodes}
    assert (agree(net, form)[..., TRI == 0] == 0).all()


NOT = {
    "a bias": {"c": np.where(TRI, 0.0, -3.0)}, "a bias beside": {"c": np.where(TRI, 0.5, -3.0)},
    "rows lowered as a whole": {"c": np.where(np.arange(6)[:, None] == 2, -100.0, np.where(TRI, 0.0, -100.0))},
}


@pytest.mark.parametrize("constants", NOT.values(), ids=list(NOT))
def test_what_is_no_mask_is_added(constants):
    """Small numbers are a bias; a query whose keys are all lowered by a finite number sees all of them."""
    net, form = graph(("Add", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",)), **constants)
    assert [kind for kind, _ in softmaxes(form)] == [None]
    agree(net, form)


def test_a_query_replaced_by_a_finite_number_is_refused():
    """An engine gives all its keys the same share, where a mask would give them none; by minus infinity it gives no number."""
    seen = np.where(np.arange(6)[:, None] == 2, 0.0, TRI)
    nodes = ("Where", ("m", "x", "little"), ("a",)), ("Softmax", ("a",), ("y",))
    with pytest.raises(IllFormed, match=r"node .* \(Where\) hides every key from a query") as refused:
        graph(*nodes, m=seen, little=-1e9)
    assert "\n" not in str(refused.value)
    net, form = graph(*nodes, m=seen, little=-np.inf)
    assert (agree(net, form, finite=False)[:, :, 2] == 0).all()


def test_one_number_for_all_logits_is_no_mask():
    net, form = graph(("Add", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",)), c=-100.0)
    assert [kind for kind, _ in softmaxes(form)] == [None]
    agree(net, form)


def test_a_mask_of_all_keys_is_refused():
    """Nothing is left to choose the grid of the logits by."""
    net, form = graph(("Add", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",)), c=np.full((6, 6), -np.inf))
    with pytest.raises(IllFormed, match="node softmax: its mask hides every key from every query"):
        quantize(form, np.zeros((2, 2, 6, 6)), "int8", "ivit")


def test_a_row_of_minus_infinity_sees_nothing():
    """Where float gives no number at all, the shares are 0."""
    hidden = np.where(np.arange(6)[:, None] == 2, -np.inf, 0.0) + np.where(TRI, 0.0, -np.inf)
    net, form = graph(("Add", ("x", "c"), ("a",)), ("Softmax", ("a",), ("y",)), c=hidden)
    got = agree(net, form, finite=False)
    assert (got[:, :, 2] == 0).all() and np.allclose(got[:, :, 3].sum(-1), 1)


@pytest.mark.parametrize("attributes, mask", (
    ({"is_causal": 1}, None), ({}, TRI > 0), ({"is_causal": 1}, (1 - np.eye(6)[::-1]) > 0)))
def test_attention_with_masks(attributes, mask):
    """is_causal and boolean masks of opset 23, alone and together."""
    constants = {} if mask is None else {"m": mask}
    net, form = graph(("Attention", ("x", "x", "x", *constants), ("y",), attributes), **constants)
    ((kind, seen),) = softmaxes(form)
    expected = np.ones((6, 6), bool) if mask is None else mask
    expected = expected & (TRI > 0) if attributes else expected
    assert kind == "given" and np.array_equal(np.broadcast_to(seen, (6, 6)) != 0, expected)
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6))
    logits = np.where(expected, x @ x.swapaxes(-1, -2) * 6 ** -0.5, -np.inf)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(evaluate(form, x)["y"], e / e.sum(-1, keepdims=True) @ x, atol=1e-12)


def test_a_mask_of_infinities_is_read_from_a_file(tmp_path):
    """Other constants with infinite values are refused, by name (test_onnx)."""
    sketch = Sketch()
    x = sketch.add("Add", "images", sketch.constant("mask", np.where(np.tri(8), 0, -np.inf)))
    form = canonical(load(written(sketch.model(sketch.add("Softmax", x, axis=-1), ("n", 3, 8, 8)), tmp_path)))
    assert [n.op for n in form.nodes if n.op != "Reshape"] == ["Softmax"]
