"""What vision networks are made of beside convolutions and attention: factors for channels, sums, patches, windows that count
their padding, biases that hold a mask; each has one canonical form, and integers that follow it."""
import nets
import numpy as np
import pytest
from load.drawn import Sketch

from refq.errors import Unsupported
from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.graph.quantize import quantize
from refq.load.onnx import load
from refq.ops import conv2d

SHAPE = ("n", 6, 8, 8)


def excited(s):
    """Every channel times a number that its mean makes."""
    mean = s.add("GlobalAveragePool", "images")
    gate = s.add("HardSigmoid", s.add("Conv", mean, s.weight("gate.weight", 6, 6, 1, 1)), alpha=1 / 6)
    return ended(s, s.add("Mul", "images", gate))


def ended(s, x, k=384):
    return s.dense(s.add("Reshape", x, s.ints(-1, k)), "head", 5, k)


def separable(s):
    """Linear attention: a softmax over patches of one score, keys weighted by it and summed, values times the sum."""
    score, key, value = s.add("Split", s.add("Reshape", s.add("Conv", "images", s.weight("qkv.weight", 9, 6, 1, 1)),
                                             s.ints(-1, 9, 4, 16)), s.ints(1, 4, 4), outputs=3, axis=1)
    context = s.add("ReduceSum", s.add("Mul", key, s.add("Softmax", score, axis=-1)), s.ints(-1), keepdims=1)
    whole = s.add("Expand", context, s.add("Shape", value))
    return ended(s, s.add("Mul", s.add("Relu", value), whole), 256)


def patches(s):
    """Unfolded by moves, folded by Col2Im."""
    x = s.add("Reshape", "images", s.ints(-1, 6, 4, 2, 4, 2))
    x = s.add("Reshape", s.add("Transpose", x, perm=[0, 1, 3, 5, 2, 4]), s.ints(-1, 24, 16))
    return ended(s, s.add("Col2Im", s.add("Relu", x), s.ints(8, 8), s.ints(2, 2), strides=[2, 2]))


def averages(s, side=4, **attributes):
    """Means over windows, of which there are `side` times as many."""
    x = s.add("AveragePool", "images", kernel_shape=[3, 3], strides=[2, 2], **attributes)
    return s.dense(s.add("Flatten", x), "head", 5, 6 * side * side)


def shuffled(s):
    """Channels in another order: two halves interleaved, of which one goes by."""
    left, right = s.add("Split", "images", s.ints(2, 4), outputs=2, axis=1)
    x = s.add("Concat", left, s.add("Conv", right, s.weight("c.weight", 4, 1, 3, 3), group=4, pads=[1] * 4), axis=1)
    x = s.add("Transpose", s.add("Reshape", x, s.ints(-1, 2, 3, 8, 8)), perm=[0, 2, 1, 3, 4])
    return ended(s, s.add("Reshape", x, s.ints(-1, 6, 8, 8)))


def masked(s):
    """A bias and a mask in one constant, added to logits."""
    hidden = np.arange(64).reshape(8, 8) % 3 == 1
    bias = s.constant("bias", np.where(hidden, -100.0, s.draw.normal(size=(6, 8, 8))))
    return ended(s, s.add("Softmax", s.add("Add", "images", bias), axis=-1))


NETWORKS = {
    "excited": (excited, {"Mul": 1, "HardSigmoid": 1}), "separable": (separable, {"Mul": 2, "ReduceSum": 1, "Expand": 0}),
    "patches": (patches, {"Col2Im": 0, "Transpose": 2}), "shuffled": (shuffled, {"Split": 0, "Slice": 2}),
    "averages": (lambda s: averages(s, 3), {"AveragePool": 1}), "ends counted": (
        lambda s: averages(s, pads=[1, 1, 1, 1], count_include_pad=1), {"AveragePool": 1, "Pad": 0}),
    "beyond the end": (lambda s: averages(s, pads=[1, 1, 0, 0], count_include_pad=1, ceil_mode=1), {"AveragePool": 1}),
    "masked": (masked, {"Add": 1, "Softmax": 1}),
}


def drawn(name, folder):
    return nets.network(folder, NETWORKS[name][0], SHAPE, opset=18)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_has_one_form_and_its_values(tmp_path, name):
    """Operations as listed, and what onnxruntime computes, or the definition."""
    draw, counts = NETWORKS[name]
    s = Sketch(opset=18)
    network = drawn(name, tmp_path)
    ops = [node.op for node in network.nodes]
    assert {op: ops.count(op) for op in counts} == counts, ops
    images = nets.images(network, 2)
    expected = values(s.model(draw(s), SHAPE), images)
    np.testing.assert_allclose(evaluate(network, images)[network.outputs[0]], expected, rtol=1e-9, atol=1e-12)


def values(model, images):
    """What ONNX's own evaluator gives."""
    from onnx.reference import ReferenceEvaluator
    return np.concatenate([ReferenceEvaluator(model).run(None, {"images": image[None]})[0] for image in images])


@pytest.mark.parametrize("dialect", ["tflite", "ivit", pytest.param("tosa", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NETWORKS)
def test_integers_follow(tmp_path, name, dialect):
    """Kernels equal specs, and the logits are near the float network's."""
    nets.near(drawn(name, tmp_path), "int8", dialect, 14 if name in ("masked", "separable") else 25, count=4)


def test_a_target_without_a_pool_sums_windows(tmp_path):
    """Its convolution, with weights of 1 and the step's scale holding the count."""
    network = drawn("averages", tmp_path)
    program = quantize(network, nets.images(network), "int8", "ivit")
    step = next(s for s in program.steps if s.op == "conv2d")
    assert np.unique(program.constants[step.inputs["w"]]).tolist() == [1]
    assert isinstance(step.row, conv2d.Row) and step.row.groups == 6
    assert program.roles["average_pool_sums"]["borrowed"] == "refq"


@pytest.mark.parametrize("attributes, said", [
    ({"strides": [1, 1]}, "Col2Im of patches of .2, 2. at strides of .1, 1."),
    ({"strides": [2, 2], "pads": [1, 1, 1, 1]}, "lie side by side"),
])
def test_patches_that_overlap_are_refused(tmp_path, attributes, said):
    """Folding them would add; the sentence names the node and what is supported."""
    s = Sketch(opset=18)
    size = (9, 9) if attributes["strides"] == [1, 1] else (6, 6)
    x = s.add("Col2Im", s.add("Reshape", "images", s.ints(-1, 6, 64) if size == (9, 9) else s.ints(-1, 24, 16)),
              s.ints(*size), s.ints(2, 2) if size == (6, 6) else s.ints(2, 2), **attributes)
    path = tmp_path / "m.onnx"
    path.write_bytes(s.model(s.add("Flatten", x), SHAPE).SerializeToString())
    with pytest.raises(Unsupported, match=said):
        canonical(load(path))


def test_a_mask_apart_from_its_bias(tmp_path):
    """What is hidden is a softmax's mask: its probabilities are the code of 0, and the bias lies on a grid of its own range."""
    network = drawn("masked", tmp_path)
    images = nets.images(network, 4)
    program = quantize(network, images, "int8", "tflite")
    bias = next(n for n, t in program.tensors.items() if t.role == "weight" and "bias" in n and t.grid is not None
                and t.shape == (6, 8, 8))
    assert float(program.tensors[bias].grid.decode(program.constants[bias]).min()) > -10
