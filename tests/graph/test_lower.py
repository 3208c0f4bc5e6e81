"""Lowering: each float operation as integers, near the float values, kernels equal to specs; and what is refused."""
from dataclasses import replace

import digits
import nets
import numpy as np
import pytest
from load.drawn import WIDTH

from refq import dialects
from refq.errors import IllFormed, Unsupported
from refq.graph.graph import Graph, Node
from refq.graph.lower import lower, lowered
from refq.graph.quantize import quantize
from refq.recipes import load as recipe


def flat(s, x="images", k=192):
    return s.add("Reshape", x, s.ints(-1, k))


def rows(s):
    """Tokens (n 16 12) of the images."""
    return s.add("Reshape", "images", s.ints(-1, 16, 12))


def tokens(s, name="fc"):
    return s.dense(rows(s), name, 12, 12)


def conv(s, m=6, d=3, kh=3, kw=3, x="images", bias=True, **attributes):
    parts = [s.weight(f"c{len(s.nodes)}.weight", m, d, kh, kw)] + ([s.weight(f"c{len(s.nodes)}.bias", m)] if bias else [])
    return s.add("Conv", x, *parts, kernel_shape=[kh, kw], **attributes)


def out(s, x, k):
    return s.dense(flat(s, x, k), "head", 5, k)


def between(s, function):
    """A function between two layers."""
    return s.dense(function(s.dense(flat(s), "fc1", 20, 192)), "fc2", 7, 20)


def post_norm(s):
    """A LayerNormalization whose output feeds both a layer and a sum."""
    x = s.norm(s.dense(rows(s), "embed", WIDTH, 12), "norm1")
    y = s.dense(s.gelu(s.dense(x, "fc1", 24, WIDTH)), "fc2", WIDTH, 24)
    return out(s, s.norm(s.add("Add", x, y), "norm2"), 16 * WIDTH)


def class_token(s):
    x = s.dense(rows(s), "embed", WIDTH, 12)
    count = s.add("Gather", s.add("Shape", x), s.constant("zero", np.array(0)), axis=0)
    shape = s.add("Concat", s.add("Unsqueeze", count, s.ints(0)), s.ints(1, WIDTH), axis=0)
    x = s.add("Concat", s.add("Expand", s.weight("cls", 1, 1, WIDTH), shape), x, axis=1)
    x = s.add("Add", x, s.weight("pos", 1, 17, WIDTH))
    return s.dense(s.add("Gather", x, s.constant("first", np.array(0)), axis=1), "head", 5, WIDTH)


def attention(s):
    x = s.norm(s.dense(rows(s), "embed", WIDTH, 12), "norm")
    q, k, v = (s.dense(x, name, WIDTH, WIDTH) for name in "qkv")
    p = s.add("Softmax", s.add("MatMul", q, s.add("Transpose", k, perm=[0, 2, 1])), axis=-1)
    return out(s, s.add("MatMul", p, v), 16 * WIDTH)


NETWORKS = {
    "attention": attention,
    "dense": lambda s: s.dense(flat(s), "fc", 7, 192),
    "without a bias": lambda s: s.add("MatMul", flat(s), s.weight("fc.weight", 192, 7)),
    "relu": lambda s: s.add("Relu", s.dense(flat(s), "fc", 7, 192)),
    "relu between": lambda s: s.dense(s.add("Relu", s.dense(flat(s), "fc1", 20, 192)), "fc2", 7, 20),
    "clip": lambda s: s.dense(s.add("Clip", s.dense(flat(s), "fc1", 20, 192), s.number(-0.5), s.number(1.0)), "fc2", 7, 20),
    "patches": lambda s: out(s, conv(s, 6, 3, 4, 4, strides=[4, 4]), 24),
    "overlapping windows": lambda s: out(s, conv(s, 6, 3, strides=[2, 1], pads=[1, 0, 1, 2]), 192),
    "dilated": lambda s: out(s, conv(s, 6, 3, dilations=[2, 2], bias=False), 96),
    "groups": lambda s: out(s, conv(s, 6, 1, group=3, pads=[1, 1, 1, 1]), 384),
    "depthwise": lambda s: out(s, s.add("Relu", conv(s, 3, 1, group=3)), 108),
    "one by one": lambda s: out(s, conv(s, 4, 3, 1, 1), 256),
    "pools": lambda s: out(s, s.add("AveragePool", s.add("MaxPool", conv(s, pads=[1, 1, 1, 1]), kernel_shape=[2, 2]),
                                    kernel_shape=[3, 3], strides=[2, 2]), 54),
    "transposed": lambda s: out(s, s.add("ConvTranspose", conv(s), s.weight("t.weight", 6, 4, 2, 2), strides=[2, 2]), 576),
    "of two": lambda s: out(s, s.add("Sub", tokens(s), s.add("Sigmoid", tokens(s, "b"))), 192),
    "transposed groups": lambda s: out(s, s.add("ConvTranspose", conv(s), s.weight("t.weight", 6, 2, 3, 2), group=3,
                                                strides=[1, 2], pads=[1, 0, 0, 1], output_padding=[0, 1]), 504),
    "gated": lambda s: out(s, s.add("Mul", tokens(s), s.add("Sigmoid", tokens(s, "b"))), 192),
    "two convolutions": lambda s: out(s, conv(s, 5, 6, x=s.add("Relu", conv(s, 6, 3))), 80),
    "residual": lambda s: out(s, s.add("Add", rows(s), tokens(s)), 192),
    "sum with a constant": lambda s: out(s, s.add("Add", tokens(s), s.weight("pos", 1, 16, 12)), 192),
    "sum with a row": lambda s: out(s, s.add("Relu", s.add("Add", s.norm(tokens(s), "n"), s.weight("pos", 16, 1))), 192),
    "difference": lambda s: out(s, s.add("Sub", s.norm(tokens(s), "n"), tokens(s, "b")), 192),
    "class token": class_token,
    "post-norm": post_norm,
    "softmax": lambda s: out(s, s.add("Softmax", tokens(s), axis=-1), 192),
    "softmax over rows": lambda s: out(s, s.add("Softmax", tokens(s), axis=1), 192),
    "mean of tokens": lambda s: s.dense(s.add("ReduceMean", tokens(s), axes=[1], keepdims=0), "head", 5, 12),
    "mean of pixels": lambda s: s.dense(s.add("ReduceMean", conv(s), axes=[2, 3], keepdims=0), "head", 5, 6),
    "mean kept": lambda s: out(s, s.add("ReduceMean", conv(s), axes=[2, 3], keepdims=1), 6),
    "mean of channels": lambda s: out(s, s.add("ReduceMean", conv(s), axes=[1], keepdims=1), 36),
    "pooling": lambda s: out(s, s.add("GlobalAveragePool", conv(s)), 6),
    "largest tokens": lambda s: out(s, s.add("TopK", tokens(s), s.ints(3), outputs=2)[0], 48),
    "sum of tokens": lambda s: s.dense(s.add("ReduceSum", tokens(s), s.ints(1), keepdims=0), "head", 5, 12),
    "expanded": lambda s: out(s, s.add("Concat", tokens(s), s.add("Expand", s.add("ReduceMean", tokens(s, "b"), axes=[1]),
                                                                  s.ints(1, 16, 12)), axis=2), 384),
    "pad": lambda s: out(s, conv(s, x=s.add("Pad", "images", s.ints(0, 0, 1, 1, 0, 0, 1, 2))), 432),
    "slices": lambda s: out(s, s.add("Slice", tokens(s), s.ints(1, 2), s.ints(13, 10), s.ints(1, 2), s.ints(3, 1)), 32),
    "gather": lambda s: out(s, s.add("Gather", tokens(s), s.constant("pick", np.array([3, 0, 3])), axis=1), 36),
    "gelu": lambda s: s.dense(s.gelu(s.dense(flat(s), "fc1", 20, 192)), "fc2", 7, 20),
    "swish": lambda s: between(s, lambda x: s.add("Mul", x, s.add("Sigmoid", x))),
    "leaky": lambda s: between(s, lambda x: s.add("LeakyRelu", x, alpha=0.1)),
    "root": lambda s: between(s, lambda x: s.add("Sqrt", s.add("Abs", x))),
    "factor": lambda s: out(s, s.add("Mul", s.add("Relu", rows(s)), s.constant("factor", np.linspace(0.1, 2, 12))), 192),
    **{op: lambda s, op=op: between(s, lambda x: s.add(op, x))
       for op in ("Sigmoid", "Tanh", "Erf", "HardSigmoid", "HardSwish", "Exp")},
}
HARD = {"attention": 15, "softmax": 15, "softmax over rows": 15, "post-norm": 20}


@pytest.mark.parametrize("name", NETWORKS)
def test_integers_follow_the_float_network(tmp_path, name):
    """Under int8 the program's output is near the float network's; kernels equal specs in every tensor."""
    nets.near(nets.network(tmp_path, NETWORKS[name]), "int8", "tosa", HARD.get(name, 25))


@pytest.mark.parametrize("name", ["residual", "sum with a row", "mean of pixels", "class token", "groups", "post-norm", "gelu",
                                  "Sigmoid"])
def test_with_wide_activations(tmp_path, name):
    """Likewise under w8a16."""
    nets.near(nets.network(tmp_path, NETWORKS[name]), "w8a16", "onnx", 30)


@pytest.mark.parametrize("dialect", digits.SPINE)
@pytest.mark.parametrize("name", ["attention", "class token", "post-norm", "two convolutions", "Sigmoid"])
def test_under_every_dialect(tmp_path, name, dialect):
    """The same under each dialect."""
    nets.near(nets.network(tmp_path, NETWORKS[name]), "int8", dialect, HARD.get(name, 24))


def test_an_argmax_is_the_place_of_the_largest_code(tmp_path):
    """ArgMax becomes integers that are no reals: the first of the largest codes."""
    network = nets.network(tmp_path, lambda s: s.add("ArgMax", s.dense(flat(s), "fc", 7, 192), axis=1, keepdims=0))
    data = nets.images(network)
    program = quantize(network, data)
    results = nets.both(program, program.encode(data))
    codes = results[program.steps[-1].inputs["q"]]
    assert np.array_equal(results[program.outputs[0]], codes.argmax(-1))


def fc(s):
    return s.dense(flat(s), "fc", 6, 192)


def test_all_that_cannot_run_is_listed_at_once(tmp_path):
    """What has no integer form is named together, each with its nodes, in one sentence."""
    def draw(s):
        x = s.add("Log", s.add("Exp", fc(s)), name="/first/Log")
        x = s.add("Pow", s.add("Log", s.add("Exp", x), name="/second/Log"), x, name="/gate/Pow")
        return s.add("MatMul", s.weight("left", 1, 6, 6), s.add("Reshape", x, s.ints(-1, 6, 1)), name="/turned/MatMul")
    with pytest.raises(Unsupported) as refused:
        nets.network(tmp_path, draw)
    message = str(refused.value)
    assert "\n" not in message
    for part in ("Log (/first/Log, /second/Log)", "Pow (/gate/Pow)", "MatMul with a constant",
                 "(/turned/MatMul)"):
        assert part in message


@pytest.mark.parametrize("draw, said", [
    (lambda s: s.add("Div", s.number(1.0), fc(s)), "Div"),
    (lambda s: s.add("Pad", fc(s), s.ints(0, 1, 0, 1), mode="reflect"), "Pad .*Pad_"),
    (lambda s: s.add("Pad", fc(s), s.ints(0, 1, 0, 1), s.number(1.5), name="edge"), "pads with 1.5; 0 is supported"),
    (lambda s: s.add("Identity", s.weight("w", 1, 4)), "not computed|w"),
])
def test_what_cannot_run(tmp_path, draw, said):
    """One sentence for each: division by an activation, pads of other kinds, an output that no image reaches."""
    with pytest.raises((Unsupported, IllFormed), match=said) as refused:
        network = nets.network(tmp_path, draw)
        quantize(network, nets.images(network))
    assert "\n" not in str(refused.value)


def test_lowering_lists_what_it_does_not_know():
    """A graph by hand with operations that lowering lacks: all of them, with their nodes and what there is."""
    nodes = Node("a", "Frob", ("x",), ("y",)), Node("b", "Nicate", ("y",), ("z",))
    shapes = dict.fromkeys("xyz", (1, 4))
    with pytest.raises(Unsupported, match=r"Frob \(node a\), Nicate \(node b\); supported are .*Linear"):
        lower(Graph("hand", {"x": (1, 4)}, ("z",), nodes, {}, shapes), {}, recipe("int8"), dialects.load("tosa"))


@pytest.mark.parametrize("draw", [
    lambda s: s.add("Softmax", fc(s), axis=0),
    lambda s: s.add("ReduceMean", fc(s), axes=[0], keepdims=1),
    lambda s: (lambda x: s.add("MatMul", s.add("MatMul", x, s.add("Transpose", x, perm=[1, 0])), x))(fc(s)),
])
def test_images_do_not_meet(tmp_path, draw):
    """A model of free batch size that works along the batch is taken as it is for one image: no image sees another."""
    network = nets.network(tmp_path, draw)
    program = nets.near(network, decibels=15)
    codes = program.encode(nets.images(network))
    whole = program.run(codes)[program.outputs[0]]
    assert np.array_equal(whole, np.concatenate([program.run(codes[i:i + 1])[program.outputs[0]] for i in range(len(codes))]))


def test_a_role_that_is_absent_is_named(tmp_path):
    """A dialect that lacks an operation says which, and what it has."""
    tosa = dialects.load("tosa")
    bare = replace(tosa, name="bare", roles={k: v for k, v in tosa.roles.items() if k != "layernorm"})
    network = nets.network(tmp_path, NETWORKS["post-norm"])
    with pytest.raises(IllFormed, match="dialect bare has no operation for layernorm; it has"):
        quantize(network, nets.images(network), "int8", bare)


@pytest.mark.parametrize("dialect", ["ibert", "fqvit", "ivit"])
def test_what_an_operation_refuses_names_the_node(tmp_path, dialect):
    """Logits too coarse for exp: also where the operation's own name holds the node's, as log_int_softmax does softmax."""
    network = nets.network(tmp_path, lambda s: s.add("Softmax", "images", axis=-1))
    images = nets.images(network) * 1e4
    with pytest.raises(IllFormed, match="(node|step) softmax.*: codes of scale .* have no code for -") as refused:
        quantize(network, images, "int8", dialect)
    assert "\n" not in str(refused.value)


ELSEWHERE = {"ArgMax", "Requantize", "TopKPlaces", "BatchNormalization", "GroupNormalization", "LpNormalization",
             "RMSNormalization", "RotaryEmbedding", "Append"}
"""Operations that other files hold: integers that are no reals, files that come quantized, norms, language models."""


def test_every_lowered_operation_is_tried(tmp_path):
    """The networks above hold every operation that lowering knows."""
    tried = {node.op for draw in NETWORKS.values() for node in nets.network(tmp_path, draw).nodes}
    assert set(lowered) - tried == ELSEWHERE


def test_names_of_steps_are_those_of_layers(tmp_path):
    """A layer's step has its name, its accumulator and rescale follow it, and what it was made from is kept."""
    program = nets.near(nets.network(tmp_path, NETWORKS["relu between"]))
    steps = {s.name: s for s in program.steps}
    assert {"fc1", "fc1.rescale", "fc2", "fc2.rescale"} <= set(steps)
    assert steps["fc1"].outputs == {"acc": "fc1.acc"} and steps["fc1.rescale"].inputs["acc"] == "fc1.acc"
    assert set(steps["fc1"].scales) == {"x", "w"} and set(steps["fc1.rescale"].scales) == {"scale"}


def test_recipes_reach_lowering(tmp_path):
    """`lower` refuses a recipe that the dialect forbids, before any arithmetic."""
    tosa = replace(dialects.load("tosa"), weights=(8,))
    with pytest.raises(IllFormed, match="recipe w4a8 .* dialect tosa forbids"):
        lower(nets.network(tmp_path, NETWORKS["dense"]), {}, recipe("w4a8"), tosa)
