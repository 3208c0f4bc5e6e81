"""The canonical form computes what the original graph does, and looks the same however the network was written down."""
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from load.drawn import Sketch, vit, written

from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical, operations
from refq.graph.evaluate import evaluate
from refq.graph.graph import Graph, Node
from refq.load.onnx import load

OPSETS = (13, 17, 18, 20, 22, 23)


def agree(sketch, output, folder, shape=("n", 3, 8, 8), tolerance=1e-9):
    """The canonical graph, after its values were compared with the original's on three images."""
    graph = load(written(sketch.model(output, shape), folder))
    form = canonical(graph)
    images = np.random.default_rng(5).standard_normal((3, *shape[1:]))
    expected, got = evaluate(graph, images)["logits"], evaluate(form, images)["logits"]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=0, atol=tolerance * max(scale, 1e-30))
    assert {node.op for node in form.nodes} <= operations
    assert all(form.shapes[name][0] == 1 for name in form.shapes)
    return form


def ops(graph):
    return Counter(node.op for node in graph.nodes)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_gives_the_same_canonical_network(tmp_path, opset):
    """Decomposed or whole norms, Gelu and attention: the same operations, and the original's values within 1e-9."""
    graph = load(written(vit(opset), tmp_path))
    form = canonical(graph)
    images = np.random.default_rng(1).standard_normal((2, 3, 8, 8))
    np.testing.assert_allclose(evaluate(form, images)["logits"], evaluate(graph, images)["logits"], rtol=1e-9)
    count = ops(form)
    moves = {"Reshape", "Transpose", "Slice"}
    assert {op: n for op, n in count.items() if op not in moves} == {
        "Conv": 1, "Linear": 9, "MatMul": 4, "LayerNormalization": 5, "Gelu": 2, "Softmax": 2, "Add": 5, "Concat": 1}
    products = [node.attributes for node in form.nodes if node.op == "MatMul"]
    assert all(a["transpose_b"] for a in products)
    np.testing.assert_allclose([a["alpha"] for a in products], [0.5, 1, 0.5, 1])


def test_the_canonical_form_is_its_own(tmp_path):
    """Asked again, a canonical graph comes back as it is."""
    form = canonical(load(written(vit(), tmp_path)))
    assert canonical(form) is form


def test_shapes_are_those_of_the_values(tmp_path):
    """Every tensor has the shape that evaluating it gives."""
    form = canonical(load(written(vit(13), tmp_path)))
    seen = {}
    evaluate(form, np.zeros((1, 3, 8, 8)), watch=lambda name, value: seen.setdefault(name, value.shape))
    assert seen == {name: tuple(shape) for name, shape in form.shapes.items()}


GELUS = {
    "x/2 * (1 + erf)": lambda s, x: s.add("Mul", s.add("Mul", x, s.number(0.5)), one_plus_erf(s, x)),
    "x * (1 + erf) / 2": lambda s, x: s.add("Div", s.add("Mul", x, one_plus_erf(s, x)), s.number(2.0)),
    "1/2 * (x * (1 + erf))": lambda s, x: s.add("Mul", s.number(0.5), s.add("Mul", one_plus_erf(s, x), x)),
    "x * (1/2 + erf/2)": lambda s, x: s.add("Mul", x, s.add("Mul", one_plus_erf(s, x), s.number(0.5))),
    "erf of a product": lambda s, x: s.add("Mul", s.add("Mul", x, s.number(0.5)), s.add("Add", s.number(1.0), s.add(
        "Erf", s.add("Mul", s.number(math.sqrt(0.5)), x)))),
    "tanh, cube by Pow": lambda s, x: tanh_gelu(s, x, s.add("Pow", x, s.number(3.0))),
    "tanh, cube by Mul": lambda s, x: tanh_gelu(s, x, s.add("Mul", x, s.add("Mul", x, x))),
    "tanh, factored": lambda s, x: s.add("Mul", s.add("Mul", x, s.number(0.5)), s.add("Add", s.add("Tanh", s.add(
        "Mul", s.add("Mul", x, s.number(math.sqrt(2 / math.pi))), s.add("Add", s.number(1.0), s.add(
            "Mul", s.number(0.044715), s.add("Mul", x, x))))), s.number(1.0))),
}


def one_plus_erf(s, x):
    return s.add("Add", s.add("Erf", s.add("Div", x, s.number(math.sqrt(2)))), s.number(1.0))


def tanh_gelu(s, x, cube):
    inner = s.add("Mul", s.add("Add", x, s.add("Mul", cube, s.number(0.044715))), s.number(math.sqrt(2 / math.pi)))
    return s.add("Mul", s.add("Mul", x, s.number(0.5)), s.add("Add", s.add("Tanh", inner), s.number(1.0)))


@pytest.mark.parametrize("written_as", GELUS)
def test_gelu_is_found_in_every_writing(tmp_path, written_as):
    """Whatever the order of its products, Gelu is one node of the right kind."""
    s = Sketch(13)
    x = s.add("Mul", "images", s.constant("three", np.full((1, 3, 1, 1), 3.0)))
    form = agree(s, GELUS[written_as](s, x), tmp_path)
    (gelu,) = [node for node in form.nodes if node.op == "Gelu"]
    assert ops(form) == {"BatchNormalization": 1, "Gelu": 1}
    assert gelu.attributes["approximate"] == ("tanh" if "tanh" in written_as else "none")


def test_what_only_looks_like_gelu_stays(tmp_path):
    """Another constant inside erf is another function."""
    s = Sketch(13)
    erf = s.add("Erf", s.add("Mul", "images", s.number(0.8)))
    x = s.add("Mul", s.add("Add", erf, s.number(1.0)), s.number(0.5))
    form = canonical(load(written(s.model(s.add("Mul", "images", x)), tmp_path)))
    assert "Gelu" not in ops(form) and ops(form)["Erf"] == 1


def test_layer_norm_is_found_with_a_product_as_square(tmp_path):
    """Square by Mul, root by Pow, division by Reciprocal: still one node, gamma and beta in it."""
    s = Sketch(13)
    c1, c2 = (s.add("Sub", "images", s.add("ReduceMean", "images", axes=[3])) for _ in range(2))
    variance = s.add("ReduceMean", s.add("Mul", c1, c1), axes=[-1])
    root = s.add("Pow", s.add("Add", variance, s.number(1e-6)), s.number(0.5))
    y = s.add("Mul", s.add("Mul", s.add("Reciprocal", root), c2), s.weight("g", 8))
    form = agree(s, s.add("Add", s.weight("b", 8), y), tmp_path)
    assert ops(form) == {"LayerNormalization": 1} and form.nodes[0].attributes["epsilon"] == pytest.approx(1e-6)


def test_batch_norm_and_layer_scale_fold_into_the_weights(tmp_path):
    """Conv + BatchNormalization is one Conv; Linear times a vector is one Linear."""
    s = Sketch()
    x = s.add("Conv", "images", s.weight("k", 6, 3, 3, 3), auto_pad="SAME_UPPER")
    stats = [s.weight(name, 6) for name in ("gamma", "beta", "mean")]
    x = s.add("BatchNormalization", x, *stats, s.constant("variance", s.draw.uniform(0.5, 2, 6)))
    x = s.add("Mul", s.add("MatMul", x, s.weight("w", 8, 5)), s.weight("scale", 5))
    assert ops(agree(s, x, tmp_path)) == {"Conv": 1, "Linear": 1}


def test_softmax_scaling_ends_in_one_place(tmp_path):
    """Scale on q, on k behind its transpose, and on the logits multiply to one alpha."""
    s = Sketch()
    q = s.add("Mul", "images", s.number(0.5))
    k = s.add("Transpose", s.add("Div", "images", s.number(4.0)), perm=[0, 1, 3, 2])
    form = agree(s, s.add("Softmax", s.add("Mul", s.add("MatMul", q, k), s.number(3.0)), axis=-1), tmp_path)
    assert ops(form) == {"MatMul": 1, "Softmax": 1}
    assert form.nodes[0].attributes == {"alpha": 0.375, "transpose_b": True}


CASES = {
    "pools": (lambda s, x: s.add("Flatten", s.add("GlobalAveragePool", x)), {"AveragePool": 1, "Reshape": 1}),
    "softmax over channels": (lambda s, x: s.add("Softmax", x, axis=1), {"Softmax": 1, "Transpose": 2}),
    "argmax": (lambda s, x: s.add("ArgMax", x, axis=-1, keepdims=0), {"ArgMax": 1}),
    "norm of two axes": (lambda s, x: s.add("LayerNormalization", x, s.weight("g", 8, 8), axis=2),
                         {"LayerNormalization": 1, "Reshape": 2}),
    "split": (lambda s, x: s.add("Concat", *s.add("Split", x, s.ints(1, 2), outputs=2, axis=1)[::-1], axis=1),
              {"Slice": 2, "Concat": 1}),
    "gather": (lambda s, x: s.add("Gather", x, s.ints(2, 0, -1), axis=1), {"Gather": 1}),
    "slice": (lambda s, x: s.add("Slice", x, s.ints(1, 2), s.ints(2**62, -1), s.ints(1, 3), s.ints(1, 2)),
              {"Slice": 2}),
    "padded convolution": (lambda s, x: s.add("Conv", x, s.weight("k", 6, 1, 3, 3), group=3, strides=[2, 1],
                                              pads=[1, 0, 2, 1], dilations=[1, 2]), {"Conv": 1}),
    "pad": (lambda s, x: s.add("Pad", x, s.ints(0, 0, 1, 2, 0, 0, 3, 0)), {"Pad": 1}),
    "clip": (lambda s, x: s.add("Min", s.add("Clip", x, s.number(-0.5)), s.number(1.5)), {"Clip": 2}),
    "silu": (lambda s, x: s.add("Mul", x, s.add("Sigmoid", x)), {"Swish": 1}),
    "difference": (lambda s, x: s.add("Sub", s.add("Relu", x), s.add("Tanh", x)),
                   {"Relu": 1, "Tanh": 1, "Sub": 1}),
    "heads in front": (lambda s, x: s.add("MatMul", s.add("Transpose", x, perm=[1, 0, 2, 3]), s.add(
        "Transpose", x, perm=[1, 0, 3, 2])), {"MatMul": 1}),
    "no batch axis": (lambda s, x: s.add("Gemm", s.add("Reshape", x, s.ints(24, 8)), s.weight("w", 5, 8),
                                         s.weight("b", 5), transB=1, alpha=0.5, beta=2.0), {"Reshape": 1, "Linear": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_way_of_saying_it_has_one_form(tmp_path, case):
    """The values stay, and only the operations of the canonical form are left."""
    draw, expected = CASES[case]
    s = Sketch(17)
    shape = (1, 3, 8, 8) if case == "no batch axis" else ("n", 3, 8, 8)
    if case == "split":
        s = Sketch(18)
    assert ops(agree(s, draw(s, "images"), tmp_path, shape)) == expected


@given(st.data())
def test_moving_the_batch_to_the_front_changes_no_value(tmp_path_factory, data):
    """Any chain of reshapes, transposes, slices and sums gives the same numbers with the batch in front."""
    s, shape, x = Sketch(), [1, 3, 4, 2], "images"
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(st.sampled_from(["transpose", "merge", "split", "slice", "add", "concat", "softmax"]))
        axis = data.draw(st.integers(0, len(shape) - 1))
        if kind == "transpose":
            perm = data.draw(st.permutations(range(len(shape))))
            x, shape = s.add("Transpose", x, perm=perm), [shape[i] for i in perm]
        elif kind == "merge" and len(shape) > 2 and axis + 1 < len(shape):
            shape = [*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2:]]
            x = s.add("Reshape", x, s.ints(*shape))
        elif kind == "split" and shape[axis] % 2 == 0 and len(shape) < 6:
            shape = [*shape[:axis], 2, shape[axis] // 2, *shape[axis + 1:]]
            x = s.add("Reshape", x, s.ints(*shape))
        elif kind == "slice" and shape[axis] > 1:
            x = s.add("Slice", x, s.ints(1), s.ints(2**40), s.ints(axis))
            shape[axis] -= 1
        elif kind == "add":
            x = s.add("Add", x, s.weight(f"w{len(s.nodes)}", *shape[axis:]))
        elif kind == "concat":
            x = s.add("Concat", x, x, axis=axis)
            shape[axis] *= 2
        elif kind == "softmax":
            x = s.add("Softmax", x, axis=-1)
    graph = load(written(s.model(s.add("Relu", x), (1, 3, 4, 2)), tmp_path_factory.mktemp("moves")))
    form = canonical(graph)
    image = np.random.default_rng(0).standard_normal((1, 3, 4, 2))
    expected, got = evaluate(graph, image)["logits"], evaluate(form, image)["logits"]
    np.testing.assert_allclose(got.reshape(-1), expected.reshape(-1), rtol=1e-12, atol=1e-15)
    assert all(shape[0] == 1 for shape in form.shapes.values())


def test_all_that_has_no_canonical_form_is_named_at_once():
    """Nodes that evaluate but cannot be lowered are listed together, with why."""
    nodes = (Node("a", "Log", ("x",), ("l",)), Node("b", "Pow", ("l", "x"), ("m",)), Node("c", "Log", ("m",), ("y",)))
    with pytest.raises(Unsupported) as caught:
        canonical(Graph("g", {"x": (1, 4)}, ("y",), nodes, {}))
    assert "Log (a, c)" in str(caught.value) and "Pow (b)" in str(caught.value)


EMPTY = {
    "rows of no code": ("Softmax whose result is empty", [("MatMul", ("x", "w"), ("h",)), ("Softmax", ("h",), ("y",))],
                        {"w": np.zeros((6, 0))}),
    "a norm below 0": ("LayerNormalization whose epsilon is not a number from 0 up",
                       [("LayerNormalization", ("x", "g", "g"), ("y",), {"epsilon": -1e-5})], {"g": np.ones(6)}),
    "a part of nothing": ("Slice whose result is empty",
                          [("Split", ("x", "s"), ("a", "b"), {"axis": 2}), ("Add", ("x", "a"), ("c",)),
                           ("Concat", ("c", "b"), ("y",), {"axis": 2})], {"s": np.array([6, 0])}),
}


@pytest.mark.parametrize("said, nodes, constants", EMPTY.values(), ids=list(EMPTY))
def test_rows_that_cannot_be_are_refused(said, nodes, constants):
    net = Graph("net", {"x": (1, 4, 6)}, ("y",), tuple(Node(f"n{i}", *node) for i, node in enumerate(nodes)), constants)
    with pytest.raises(Unsupported, match=said):
        canonical(net)


@pytest.mark.parametrize("sizes, said", [([3, 2], "parts of 3, 2 do not make an axis of 6"), ([7, -1], "parts of 7, -1 do"),
                                         (None, "parts of 2, 2, 2, 2, -2 do not make an axis of 6")])
def test_a_split_that_does_not_fill_its_axis_is_refused(sizes, said):
    """Odd sizes are no matter (test_each_way_of_saying_it_has_one_form); these are. Five of six: no last part is left."""
    inputs, results = (("x",), "abcde") if sizes is None else (("x", "s"), "ab")
    constants = {} if sizes is None else {"s": np.array(sizes)}
    attributes = {"axis": 2} | ({"num_outputs": 5} if sizes is None else {})
    net = Graph("net", {"x": (1, 4, 6)}, ("a",), (Node("part", "Split", inputs, tuple(results), attributes),), constants)
    with pytest.raises(IllFormed, match=f"node part .*{said}"):
        canonical(net)


@pytest.mark.parametrize("model", ["vit_d64_l6_mnist_fp32", "vit_d128_l6_cifar10_fp32",
                                   "mobilevit_xxs_64_cifar10_fp32"])
def test_trained_networks_keep_their_values(assets, model):
    """Networks from the shared assets; their float32 constants are off by 1e-8 where Gelu is taken apart."""
    graph = load(assets(f"models/{model}.onnx"))
    form = canonical(graph)
    (shape,) = graph.inputs.values()
    images = np.random.default_rng(2).standard_normal((2, *shape[1:]))
    expected, got = evaluate(graph, images)["logits"], evaluate(form, images)["logits"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
