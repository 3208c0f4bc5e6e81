"""Roles that dialects state and roles that lowering plays: none is stated unseen."""
import ast
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from refq import dialects, grids
from refq.errors import Unsupported
from refq.graph.canonical import canonical
from refq.graph.filed import play
from refq.graph.graph import Graph, Node
from refq.grids.affine import Affine
from refq.ints.width import I8, U8

LOWERING = ("activations", "attention", "builder", "factors", "filed", "images", "language", "lower", "moves", "norms",
            "play", "pools", "products", "spread", "weight_groups")
PRODUCTS = ("linear", "batch_matmul", "conv2d", "conv_transpose2d")
CODES = "files of networks do not say it: of torch's own operators on signed codes or numbers, for campaigns and kernels"
LAID = "programs hold no layout of memory or adaptive form: of torch's own operators, for campaigns and kernels"
PLAIN = "integers without a scale: played by tools/tosa and by vectors"
REALS = "gives or takes float32 numbers beside a product, which integer programs have none of"
UNPLAYED = (
    ("add_i8", CODES), ("hard_swish_i8", CODES), ("add_scalar", CODES), ("mul_scalar", CODES),
    ("average_pool_adaptive", LAID), ("average_pool_channels_last", LAID), ("average_pool_adaptive_channels_last", LAID),
    ("cast", PLAIN), ("elementwise", PLAIN), ("reduce", PLAIN),
    ("dequantize_bias", REALS), ("rescale_bias", REALS),
    ("layernorm_exact", "of refq's own, for vectors, kernels, and dialects that take its operation for their layernorm"),
    ("layernorm_lstm", "a part of a gate of an LSTM: for vectors, kernels, and dialects that take it for their layernorm"),
    ("quantize_channel", "inputs have one scale"),
)
"""Roles that no lowering plays, and why."""


def words():
    """Every string that the modules which lower a network hold."""
    found = set()
    for name in LOWERING:
        tree = ast.parse(Path(import_module(f"refq.graph.{name}").__file__).read_text())
        found |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return found


def reached(role, known):
    """Whether a lowering asks for that name: as it stands, in its forms for wide codes and other ratios, or behind a product."""
    plain = role.removesuffix("_wide").removesuffix("_any").removesuffix("_channels")
    behind = plain.removeprefix("rescale_")
    kind = plain.removeprefix("batch_matmul_")
    return plain in known or plain != kind and kind in grids.kinds() \
        or plain != behind and behind in PRODUCTS or plain.removeprefix("depthwise_") == "conv2d"


def test_every_role_is_played_or_listed():
    """A role that nobody plays is in the list, with its reason; and the list names no role that is played or gone."""
    known, stated = words(), {role for name in dialects.names() for role in dialects.load(name).roles}
    assert {role for role in stated if not reached(role, known)} == {role for role, _ in UNPLAYED}
    assert all(why for _, why in UNPLAYED)


def grid(scale, zero=0, width=I8):
    return Affine(width, np.float64(np.float32(scale)), np.int64(zero), None)


def program(dialect, node, shape, grids, constants=None, integer_only=False):
    net = Graph("net", {"x": shape}, ("y",), (node,), constants or {}, {}, (), (), grids)
    return play(canonical(net), dialects.load(dialect), integer_only)


@pytest.mark.parametrize("dialect, fused, scale, zero, most", [
    ("litert_reference", 0, np.float32(6 / 80.5), 0, 81), ("tflite_ruy", 1, np.float32(6 / 80.5), 0, 81),
    ("litert_reference", 0, 2.4, 1, 4), ("tflite_ruy", 0, 2.4, 1, 4), ("tflite_xnnpack", 0, 2.4, 1, 4),
    ("tflite_xnnpack", 1, 2.4, 0, 2), ("tflite_xnnpack", 1, 2.4, 1, 4), ("ort_x86", 0, 2.4, 1, 3)])
def test_the_end_of_a_cut_is_rounded_by_the_target(dialect, fused, scale, zero, most):
    """6 / 2.4 is a tie in float32, and so is 6 / (6 / 80.5), of which the exact quotient is below."""
    node = Node("c", "Clip", ("x",), ("y",), {"min": 0.0, "max": 6.0, "fused": fused})
    made = program(dialect, node, (1, 256), {"x": grid(scale, zero), "y": grid(scale, zero)})
    assert made.run(np.arange(-128, 128, dtype=np.int8)[None])["y"].max() == most


@pytest.mark.parametrize("zeros, role", [((3, 3, 3, 3), "depthwise_conv2d"), ((3, 3, 3, 2), "conv2d")])
def test_one_filter_for_each_channel_has_a_role_of_its_own(zeros, role):
    """ort_avx2 saturates no pairs there, if the weights have one zero point."""
    w = Affine(I8, np.ones(4), np.array(zeros), 0)
    node = Node("c", "Conv", ("x", "w", "b"), ("y",), {"group": 4})
    constants = {"w": w.decode(np.full((4, 1, 3, 3), 127, np.int8)), "b": np.zeros(4)}
    made = program("ort_avx2", node, (1, 4, 5, 5), {"x": grid(1, 0, U8), "w": w, "y": grid(300, 0, U8)}, constants)
    assert role in made.roles


def test_a_global_pool_and_one_that_counts_its_padding():
    """What the network calls global is played so; a pool whose window only happens to be the image is not."""
    grids = {"x": grid(0.5), "y": grid(0.3)}
    for op, attributes, role in (("GlobalAveragePool", {}, "average_pool_global"),
                                 ("AveragePool", {"kernel_shape": (4, 4)}, "average_pool"),
                                 ("AveragePool", {"kernel_shape": (4, 4), "pads": (1, 1, 1, 1), "count_include_pad": 1},
                                  "average_pool_all")):
        made = program("ort_x86", Node("p", op, ("x",), ("y",), attributes), (1, 3, 4, 4), grids)
        assert role in made.roles and not made.left


def test_an_operation_that_refuses_is_not_replaced_by_a_table():
    """tflite's LEAKY_RELU takes no factor below 0 here: the node stays in float, or is refused; XNNPACK leaves small factors."""
    node, grids = Node("n", "LeakyRelu", ("x",), ("y",), {"alpha": -0.25}), {"x": grid(0.5), "y": grid(0.5)}
    made = program("tflite", node, (1, 6), grids)
    assert "leaky_relu of dialect tflite does not take it" in made.left["y"]
    with pytest.raises(Unsupported, match="leaky_relu of dialect tflite does not take it"):
        program("tflite", node, (1, 6), grids, integer_only=True)
    for alpha, role in ((0.001, "leaky_relu_any"), (0.25, "leaky_relu")):
        made = program("tflite_xnnpack", replace(node, attributes={"alpha": alpha}), (1, 6), grids)
        assert role in made.roles and not made.left
