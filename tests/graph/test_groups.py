"""Groups and what calibration sees of them: shared ReLUs, tight clips, norms, narrowed streams; layers that are edges."""
from dataclasses import replace

import nets
import numpy as np
import pytest
from load.drawn import WIDTH

from refq import dialects, recipes
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import edges
from refq.graph.calibrate import choose, observe
from refq.graph.evaluate import evaluate
from refq.graph.groups import Groups
from refq.graph.quantize import quantize


def tokens(s, name="fc", x="images"):
    x = s.add("Reshape", "images", s.ints(-1, 16, 12)) if x == "images" else x
    return s.dense(x, name, 12, 12)


def head(s, x):
    return s.dense(s.add("Reshape", x, s.ints(-1, 192)), "head", 5, 192)


def before_and_after(s):
    """A residual around a ReLU: the sum reads the values that the ReLU cuts off."""
    x = s.add("Add", tokens(s), s.constant("down", np.array(-3.0)))
    return head(s, s.add("Add", x, s.dense(s.add("Relu", x), "inner", 12, 12)))


def two_layers(s):
    """One layer reads a tensor, another its ReLU."""
    x = tokens(s)
    return head(s, s.add("Add", s.dense(x, "a", 12, 12), s.dense(s.add("Relu", x), "b", 12, 12)))


def tight_clip(s):
    """What a clip leaves is a small part of what comes in."""
    x = s.add("Mul", tokens(s), s.constant("large", np.array(100.0)))
    return head(s, s.add("Clip", x, s.constant("lo", np.array(0.0)), s.constant("hi", np.array(6.0))))


def norm_of_a_layer(s):
    """A LayerNormalization right after a layer: its input takes the stream's width."""
    x = s.dense(s.add("Reshape", "images", s.ints(-1, 16, 12)), "embed", WIDTH, 12)
    return s.dense(s.add("Reshape", s.norm(x, "norm"), s.ints(-1, 16 * WIDTH)), "head", 5, 16 * WIDTH)


@pytest.mark.parametrize("draw", [before_and_after, two_layers, tight_clip])
@pytest.mark.parametrize("recipe", ["int8", "w8a16"])
def test_ranges_hold_what_is_read(tmp_path, draw, recipe):
    """No value that some node reads is cut off, and none that nobody reads makes the grid coarse."""
    nets.near(nets.network(tmp_path, draw), recipe, "tosa", decibels=28)


def test_a_norm_reads_the_stream(tmp_path):
    """Under int8 the input of a LayerNormalization has 16 bits, whoever makes it."""
    network = nets.network(tmp_path, norm_of_a_layer)
    program = nets.near(network, "int8", "tosa", decibels=28)
    step = next(s for s in program.steps if s.op == "ilayernorm")
    assert program.tensors[step.inputs["q"]].width.bits == 16


def test_a_stream_with_a_zero_point_is_narrowed_whole(tmp_path):
    """Where 16-bit codes may have zero points, all of them are carried onto 8 bits."""
    def draw(s):
        x = s.add("Relu", s.add("Add", tokens(s, "a"), tokens(s, "b")))
        return head(s, s.dense(x, "c", 12, 12))
    path = tmp_path / "wide.toml"
    path.write_text('base = "onnx"\nasymmetric = [8, 16]\n')
    nets.near(nets.network(tmp_path, draw), "int8", str(path), decibels=28)


def test_edges_are_where_the_network_begins_and_ends(tmp_path):
    """Two layers that read the images are first, one that feeds no other is last; the file's order does not matter."""
    def draw(s):
        x = s.add("Add", tokens(s, "a"), tokens(s, "b"))
        return head(s, s.dense(x, "c", 12, 12))
    assert edges(nets.network(tmp_path, draw)) == {"a", "b", "head"}


def test_given_grids_are_admitted(tmp_path):
    """A missing group, another width and a zero point that the dialect forbids are refused; the right ones give the same."""
    network = nets.network(tmp_path, two_layers)
    data, recipe = nets.images(network), recipes.load("int8")

    tosa = dialects.load("tosa")
    grids = choose(network, observe(network, data, recipe), recipe, tosa)
    assert len(quantize(network, None, "int8", "tosa", grids).steps) == len(quantize(network, data, "int8", "tosa").steps)
    group = next(g for g, role in Groups(network).role.items() if role == "activations")
    with pytest.raises(IllFormed, match="none for"):
        quantize(network, None, "int8", "tosa", {k: v for k, v in grids.items() if k != group})
    with pytest.raises(IllFormed, match="under recipe w8a16"):
        quantize(network, None, "w8a16", "tosa", grids)
    shifted = replace(grids[group], zero=np.int64(3))
    with pytest.raises(IllFormed, match="zero point|takes an affine"):
        quantize(network, None, "int8", "ivit", grids | {group: shifted})


def test_recipes_made_by_hand(tmp_path):
    """Bits that are no numbers, patterns without bits and patterns that match no layer are refused by name."""
    recipe = recipes.load("int8")
    for wrong, said in (({"weights": 8.0}, "weights is 8.0"), ({"layers": ("fc1", 4)}, "pairs"), ({"gelu": 1}, "gelu is 1")):
        with pytest.raises(IllFormed, match=said):
            replace(recipe, **wrong)
    network = nets.network(tmp_path, two_layers)
    with pytest.raises(IllFormed, match="no layer matches 'fcl'"):
        quantize(network, nets.images(network), replace(recipe, layers=(("fcl", 4),)), "tosa")


@pytest.mark.parametrize("keepdims", [0, 1])
def test_moves_after_an_argmax(tmp_path, keepdims):
    """Classes lie on no grid, and can be moved all the same (ONNX keeps the axis by default)."""
    network = nets.network(tmp_path, lambda s: s.add("ArgMax", head(s, tokens(s)), axis=1, keepdims=keepdims))
    program = quantize(network, nets.images(network), "w8a16", "tosa")
    classes = nets.both(program, program.encode(nets.images(network)))[program.outputs[0]]
    assert classes.shape == (8, 1) if keepdims else (8,)
    assert (program.decode(classes).reshape(-1) == evaluate(network, nets.images(network))[network.outputs[0]].reshape(-1)).all()


def test_a_gate_that_is_no_hard_swish(tmp_path):
    """x * HardSigmoid(x) is HardSwish for one slope and offset only; another offset is not taken for it."""
    def draw(beta):
        def gated(s):
            x = tokens(s)
            return head(s, s.add("Mul", x, s.add("HardSigmoid", x, alpha=1 / 6, beta=beta)))
        return gated
    assert any(n.op == "HardSwish" for n in nets.network(tmp_path, draw(0.5)).nodes)
    assert not any(n.op == "HardSwish" for n in nets.network(tmp_path, draw(0.2)).nodes)


def test_outputs_that_are_one_tensor_are_refused(tmp_path):
    """Two names for one tensor would leave a single one: said, not done."""
    network = nets.network(tmp_path, two_layers)
    twice = replace(network, outputs=network.outputs * 2)
    with pytest.raises(Unsupported, match="one tensor"):
        quantize(twice, nets.images(network), "int8", "tosa")
