"""Normalizations from graphs: every way of writing one has one canonical form, the evaluator's values, and integers near them."""
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

import refq
from refq import dialects
from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.graph.graph import Graph, Node
from refq.graph.groups import Groups
from refq.ints.width import I16, Width
from refq.load.onnx import load
from tests.load.drawn import Sketch, written

IMAGES = np.random.default_rng(5).normal(0, 1, (3, 3, 8, 8))


def rms_in_parts(s, x, inverse):
    """x * g / sqrt(mean(x**2) + eps), the root by `inverse`."""
    total = s.add("Add", s.add("ReduceMean", s.add("Pow", x, s.number(2.0)), axes=[-1]), s.number(1e-4))
    if inverse == "Reciprocal":
        y = s.add("Mul", s.add("Reciprocal", s.add("Sqrt", total)), x)
    elif inverse == "Pow":
        y = s.add("Mul", x, s.add("Pow", total, s.number(-0.5)))
    else:
        y = s.add("Div", x, s.add("Sqrt", total))
    return s.add("Mul", s.weight("g", 8), y)


def unit_in_parts(s, x, axis):
    norm = s.add("Clip", s.add("ReduceL2", x, axes=[axis], keepdims=1), s.number(1e-12))
    return s.add("Div", x, s.add("Expand", norm, s.ints(1, 3, 8, 8)))


def root_of_squares(s, x):
    squares = s.add("ReduceSum", s.add("Mul", x, x), s.ints(3), keepdims=1)
    return s.add("Div", x, s.add("Sqrt", squares))


def regrouped(s, x):
    """Two groups of 4 channels, as exporters take GroupNorm apart."""
    x = s.add("Conv", x, s.weight("k", 8, 3, 1, 1))
    y = s.add("InstanceNormalization", s.add("Reshape", x, s.ints(0, 2, -1)), s.constant("one", np.ones(2)),
              s.constant("none", np.zeros(2)), epsilon=1e-4)
    y = s.add("Mul", s.add("Reshape", y, s.ints(1, 8, 8, 8)), s.constant("g", s.draw.normal(0, 1, (8, 1, 1))))
    return s.add("Add", y, s.constant("b", s.draw.normal(0, 1, (8, 1, 1))))


def grouped(s, x, size):
    return s.add("GroupNormalization", s.add("Conv", x, s.weight("k", 8, 3, 1, 1)), s.weight("g", size), s.weight("b", size),
                 num_groups=4, stash_type=11)


def unfolded(s, x):
    """BatchNormalization of a sum, which no weights take in."""
    stats = [s.weight(name, 3) for name in ("gamma", "beta", "mean")]
    return s.add("BatchNormalization", s.add("Add", x, s.add("Tanh", x)), *stats, s.constant("var", s.draw.uniform(0.5, 2, 3)))


CASES = {
    "rms by division": (17, lambda s, x: rms_in_parts(s, x, "Div"), {"RMSNormalization": 1}),
    "rms by reciprocal": (13, lambda s, x: rms_in_parts(s, x, "Reciprocal"), {"RMSNormalization": 1}),
    "rms by power": (17, lambda s, x: rms_in_parts(s, x, "Pow"), {"RMSNormalization": 1}),
    "rms": (23, lambda s, x: s.add("RMSNormalization", x, s.weight("g", 8), epsilon=1e-4), {"RMSNormalization": 1}),
    "rms of two axes": (23, lambda s, x: s.add("RMSNormalization", x, s.weight("g", 8, 8), axis=2),
                        {"RMSNormalization": 1, "Reshape": 2}),
    "groups in parts": (17, regrouped, {"Conv": 1, "GroupNormalization": 1}),
    "groups": (21, lambda s, x: grouped(s, x, 8), {"Conv": 1, "GroupNormalization": 1}),
    "instance": (17, lambda s, x: s.add("InstanceNormalization", x, s.weight("g", 3), s.weight("b", 3)),
                 {"GroupNormalization": 1}),
    "unit": (17, lambda s, x: s.add("LpNormalization", x, axis=-1), {"LpNormalization": 1}),
    "unit of channels": (17, lambda s, x: s.add("LpNormalization", x, axis=1), {"LpNormalization": 1, "Transpose": 2}),
    "unit in parts": (17, lambda s, x: unit_in_parts(s, x, -1), {"LpNormalization": 1}),
    "unit of channels in parts": (17, lambda s, x: unit_in_parts(s, x, 1), {"LpNormalization": 1, "Transpose": 2}),
    "unit by squares": (17, root_of_squares, {"LpNormalization": 1}),
    "batch of a sum": (17, unfolded, {"Tanh": 1, "Add": 1, "BatchNormalization": 1}),
    "negative": (17, lambda s, x: s.add("Neg", x), {"BatchNormalization": 1}),
    "mean and deviation of an image": (17, lambda s, x: s.add("Div", s.add("Sub", x, s.constant("m", np.full((3, 1, 1), 0.2))),
                                       s.constant("d", np.array([0.5, 1.5, -2.0]).reshape(3, 1, 1))), None),
}


@pytest.mark.parametrize("case", CASES)
def test_each_way_of_saying_it_has_one_form(tmp_path, case):
    """The evaluator's values to 1e-9, the operations of the canonical form, and codes within 3 % of the largest; the spec gives
    the same codes."""
    opset, draw, expected = CASES[case]
    s = Sketch(opset)
    model = s.model(draw(s, "images"))
    form = canonical(load(written(model, tmp_path)))
    (out,) = form.outputs
    theirs = np.stack([ReferenceEvaluator(model).run(None, {"images": image[None]})[0][0] for image in IMAGES])
    np.testing.assert_allclose(evaluate(form, IMAGES)[out], theirs, rtol=0, atol=1e-9 * np.abs(theirs).max())
    if expected:
        assert Counter(node.op for node in form.nodes) == expected
    program = refq.quantize(form, IMAGES, dialect="tosa")
    codes = program.run(program.encode(IMAGES))[out]
    assert np.abs(program.tensors[out].grid.decode(codes) - theirs).max() < 0.03 * np.abs(theirs).max()
    np.testing.assert_array_equal(program.run(program.encode(IMAGES[:1]), engine="spec")[out], codes[:1])


def norm(op, shape, *weights, **attributes):
    """A network of one normalization."""
    constants = {f"w{i}": np.asarray(w, float) for i, w in enumerate(weights)}
    return Graph("net", {"x": shape}, ("y",), (Node("n", op, ("x", *constants), ("y",), attributes),), constants)


@pytest.mark.parametrize("size", [1, 8])
def test_groups_of_either_opset(size):
    """One number a group (opset 18) stands for each of its channels."""
    net = norm("GroupNormalization", (1, 8, 2, 2), np.arange(size) + 1.0, np.zeros(size), num_groups=1 if size == 1 else 2)
    form, x = canonical(net), np.random.default_rng(1).normal(0, 1, (2, 8, 2, 2))
    np.testing.assert_allclose(evaluate(form, x)["y"], evaluate(net, x)["y"], atol=1e-12)
    assert form.constants[form.nodes[0].inputs[1]].shape == (8,)


NORMS = {
    "LayerNormalization": ((1, 6, 32), 2, {"axis": -1}),
    "RMSNormalization": ((1, 6, 32), 1, {}),
    "GroupNormalization": ((1, 32, 3, 3), 2, {"num_groups": 4}),
}
"""Shape, number of weights and attributes."""


@pytest.mark.parametrize("name", dialects.names())
def test_every_dialect_is_near_the_real_norm(name):
    """20 dB at least, whatever ratio the registers of a norm have to the grid of the result: a target whose rescale does not
    reach so far has another role for it."""
    for op, (shape, many, attributes) in NORMS.items():
        draw = np.random.default_rng(2)
        weights = (draw.uniform(0.5, 1.5, 32), draw.normal(0, 0.5, 32))[:many]
        form, x = canonical(norm(op, shape, *weights, epsilon=1e-5, **attributes)), draw.normal(0, 1, (4, *shape[1:]))
        program, wanted = refq.quantize(form, x, dialect=name), evaluate(form, x)["y"]
        off = program.tensors["y"].grid.decode(program.run(program.encode(x), engine="spec")["y"]) - wanted
        assert (wanted ** 2).sum() > 100 * (off ** 2).sum(), op


def test_what_is_refused():
    """Groups that do not divide the channels, and norms that are not Euclidean: a sentence names the node."""
    with pytest.raises(Unsupported, match="node n: 7 channels in 2 groups"):
        canonical(norm("GroupNormalization", (1, 7, 2), np.ones(7), np.ones(7), num_groups=2))
    with pytest.raises(Unsupported, match="node n: LpNormalization of p = 1"):
        canonical(norm("LpNormalization", (1, 7), p=1))
    x = np.random.default_rng(1).normal(0, 1, (4, 6))
    with pytest.raises(IllFormed, match="n.*nothing is left of them"):
        refq.quantize(canonical(norm("RMSNormalization", (1, 6), np.ones(6), epsilon=1e-5)), x * 1e-12)
    with pytest.raises(Unsupported, match="a norm of at least 9"):
        refq.quantize(canonical(norm("LpNormalization", (1, 6), p=2, epsilon=9.0)), x)


def test_long_rows_are_narrowed_first():
    """A norm of 2**16 numbers of a 16-bit stream: the registers hold 15 bits of each, onto which a rescale carries them."""
    net = norm("GroupNormalization", (1, 1, 256, 256), np.ones(1), np.zeros(1), num_groups=1, epsilon=1e-5)
    sums = Node("s", "Add", ("i", "i"), ("x",))
    form = canonical(Graph("net", {"i": (1, 1, 256, 256)}, ("y",), (sums, *net.nodes), net.constants))
    x = np.random.default_rng(2).normal(1, 1, (1, 1, 256, 256))
    program = refq.quantize(form, x, dialect="tosa")
    step = next(s for s in program.steps if s.op == "group_norm")
    assert step.row.q == Width(15) and step.row.holds(2**16) and not replace(step.row, q=I16).holds(2**16)
    (out,) = form.outputs
    y = program.tensors[out].grid.decode(program.run(program.encode(x))[out])
    assert np.quantile(np.abs(y - evaluate(form, x)[out]), 0.99) < 0.03        # beyond, the input saturates


def test_what_enters_a_norm_is_of_the_stream():
    for op, weights in (("RMSNormalization", 1), ("GroupNormalization", 2)):
        net = canonical(norm(op, (1, 4, 4), *[np.ones(4)] * weights, epsilon=1e-5, **{"num_groups": 2} if weights == 2 else {}))
        inner = Graph("net", {"i": (1, 4, 4)}, ("y",), (Node("t", "Tanh", ("i",), ("x",)), *net.nodes), net.constants)
        groups = Groups(canonical(inner))
        assert groups.role[groups.of[canonical(inner).nodes[0].outputs[0]]] == "stream"
