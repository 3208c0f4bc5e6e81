"""Networks that come quantized, from the graph to the program: islands, requantizing, own and borrowed roles."""
from dataclasses import replace

import numpy as np
import pytest

import refq
from refq import dialects
from refq.dialects.base import Role
from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical
from refq.graph.filed import play
from refq.graph.graph import Graph, Node
from refq.graph.islands import ashore
from refq.graph.store import load, program_hash, save
from refq.grids.affine import Affine
from refq.grids.rounded import Rounded
from refq.ints.width import I8, I16, U8
from refq.ops import table


def grid(scale, zero=0, width=I8, axis=None):
    return Affine(width, np.float64(scale), np.int64(zero), axis)


def graph(nodes, grids, constants=None, inputs=None, outputs=("y",)):
    """A canonical graph of nodes (operation, inputs, output, attributes)."""
    made = tuple(Node(f"{op}_{out}", op, tuple(ins.split()), (out,), a) for op, ins, out, a in nodes)
    return canonical(Graph("net", inputs or {"x": (1, 6)}, outputs, made, constants or {}, {}, (), (), grids))


def codes(program, count=50, seed=0):
    t = program.tensors[program.inputs[0]]
    return np.random.default_rng(seed).integers(t.width.lo, t.width.hi + 1, (count, *t.shape)).astype(t.width.dtype)


WITH_TABLE = replace(dialects.load("tosa"), roles=dialects.load("tosa").roles | {"table": Role("table", table.Row())})


def test_a_tensor_without_a_grid_is_an_island():
    """Two nodes around a float tensor are one island; what it gives is float64's own, rounded to float32 and to a code once."""
    net = graph([("Sigmoid", "x", "t", {}), ("Exp", "t", "u", {}), ("Tanh", "u", "y", {})],
                {"x": grid(0.1), "t": grid(1 / 128), "y": grid(1 / 128)})
    program = play(net, WITH_TABLE)
    assert [s.op for s in program.steps] == ["table", "dequantize", "island", "quantize"]
    assert list(program.left) == ["u", "y"] and program.left["u"] == "Exp: u has no grid"
    x = codes(program)
    seen = {}
    program.run(x, watch=lambda step, name, value: seen.setdefault(name, []).append(value))
    seen = {name: np.concatenate(parts) for name, parts in seen.items()}
    expected = np.tanh(np.exp(seen["t"] * np.float64(1 / 128))).astype(np.float32) * 128
    np.testing.assert_array_equal(seen["y"], np.clip(np.floor(expected.astype(np.float64) + 0.5), -128, 127))
    np.testing.assert_array_equal(program.run(x, "spec")["y"], seen["y"])


def test_what_is_borrowed_runs_in_float_unless_integers_alone_are_asked_for():
    """A role of another dialect does not play of itself; --integer-only lets it, and names what nothing plays."""
    net = graph([("Softmax", "x", "y", {})], {"x": grid(0.25), "y": grid(1 / 256, -128)})
    tosa, onnx = dialects.load("tosa"), dialects.load("onnx")
    assert onnx.roles["softmax"].borrowed
    floats, integers = play(net, onnx), play(net, onnx, integer_only=True)
    assert "softmax is borrowed from" in floats.left["y"] and not integers.left
    assert "island" not in {s.op for s in integers.steps}
    x = codes(floats)
    assert np.abs(floats.run(x)["y"].astype(int) - integers.run(x)["y"]).max() <= 16             # ivit's exponentials are rough
    net = graph([("Exp", "x", "t", {}), ("Tanh", "t", "y", {})], {"x": grid(0.1), "y": grid(1 / 128)})
    with pytest.raises(Unsupported, match=r"cannot be run in integers alone under dialect tosa: t \(Exp: t has no grid\); y"):
        play(net, tosa, integer_only=True)


def test_operands_of_other_grids_are_requantized():
    """Concat, Relu, MaxPool and Requantize carry codes onto the grid of the result first."""
    tosa = dialects.load("tosa")
    net = graph([("Relu", "x", "r", {}), ("Concat", "x r", "y", {"axis": 1})],
                {"x": grid(0.5), "r": grid(0.25), "y": grid(1.0)})
    program = play(net, tosa)
    assert not program.left and [s.op for s in program.steps] == ["rescale", "clip", "rescale", "rescale", "arrange"]
    x = codes(program).astype(np.float64)
    left = np.clip(np.floor(x * 0.5 + 0.5), -128, 127)
    right = np.floor(np.clip(np.clip(x * 2, -128, 127), 0, None) * 0.25 + 0.5)
    np.testing.assert_array_equal(program.run(codes(program))["y"], np.concatenate([left, right], 1))
    pooled = graph([("MaxPool", "x", "y", {"kernel_shape": (2, 2), "strides": (2, 2)})], {"x": grid(0.5), "y": grid(1.0)},
                   inputs={"x": (1, 2, 4, 4)})
    program = play(pooled, tosa)
    x = codes(program)
    best = x.reshape(-1, 2, 2, 2, 2, 2).max((3, 5))
    np.testing.assert_array_equal(program.run(x)["y"], np.clip(np.floor(best * 0.5 + 0.5), -128, 127))


def test_moves_between_two_roundings_are_done_on_codes():
    """A float tensor between a product and a move, or a move and a product, takes the grid of the other side."""
    w = np.eye(6)
    net = graph([("Linear", "x w b", "p", {}), ("Reshape", "p", "q", {"shape": (1, 2, 3)}), ("Relu", "q", "y", {})],
                {"x": grid(0.5), "w": grid(1.0), "y": grid(0.5, -128)}, {"w": w, "b": np.zeros(6)})
    program = play(net, dialects.load("tosa"))
    assert not program.left and program.tensors["p"].grid is program.tensors["y"].grid
    x = codes(program)
    expected = np.maximum(np.clip(x.astype(int) - 128, -128, 127), -128).reshape(-1, 2, 3)
    np.testing.assert_array_equal(program.run(x)["y"], expected)


def test_islands_never_wait_for_each_other():
    """Two float nodes that a float tensor joins, and integers too, are two islands: one would wait for itself."""
    net = graph([("Exp", "x", "a", {}), ("Abs", "a", "q", {}), ("Relu", "q", "r", {}), ("Requantize", "r", "s", {}),
                 ("Add", "a s", "y", {})], {"x": grid(0.1), "q": grid(0.1), "r": grid(0.1), "s": grid(0.5), "y": grid(0.2)})
    groups = ashore(net, {"a": 1, "q": 1, "y": 1})
    assert [[n.name for n in g] for g in groups] == [["a", "q"], ["r"], ["s"], ["y"]]
    program = play(net, dialects.load("tosa"))
    assert [s.op for s in program.steps].count("island") == 2
    x = codes(program)
    np.testing.assert_array_equal(program.run(x)["y"], program.run(x, "spec")["y"])


def test_a_program_with_islands_is_stored_whole(tmp_path):
    """Saved and loaded: the same hash, the same reasons, the same codes; an output without a grid is float32."""
    net = graph([("Sigmoid", "x", "t", {}), ("Exp", "t", "y", {})], {"x": grid(0.1), "t": grid(1 / 128)})
    program = play(net, WITH_TABLE)
    save(program, tmp_path)
    back = load(tmp_path)
    x = codes(program)
    got = back.run(x)["y"]
    assert program_hash(back) == program_hash(program) and back.left == program.left
    assert got.dtype == np.float32 and (got == program.run(x)["y"]).all() and (back.decode(got) == got).all()


def test_a_float_input_stays_float():
    """An input without a grid enters an island as it is."""
    program = play(graph([("Exp", "x", "y", {})], {"y": grid(0.5)}), dialects.load("tosa"))
    x = np.random.default_rng(0).standard_normal((5, 6))
    assert program.encode(x).dtype == np.float32
    expected = np.floor(np.exp(x.astype(np.float32).astype(np.float64)).astype(np.float32).astype(np.float64) / 0.5 + 0.5)
    np.testing.assert_array_equal(program.run(program.encode(x))["y"], expected)


@pytest.mark.parametrize("grids, said", [
    ({"x": grid(0.5, 3, I16), "y": grid(0.5)}, "tensor x: zero point 3, which dialect tosa forbids at 16 bits"),
    ({"x": Affine(I8, np.array([0.5] * 6), np.zeros(6, np.int64), 1), "y": grid(0.5)}, "tensor x: an activation with 6 scales")])
def test_grids_that_the_dialect_cannot_hold(grids, said):
    with pytest.raises(IllFormed, match=said):
        play(graph([("Relu", "x", "y", {})], grids), dialects.load("tosa"))


def test_a_rounding_of_the_file_is_a_row_of_its_own(tmp_path):
    """What makes a tensor rounds as its grid says, once, and operands to the nearest; what rounds on its way runs in float; a
    narrow grid is cut; and all of that is stored."""
    floors = Rounded(I8, np.float64(1.0), np.int64(0), ties="floor", narrow=True)
    net = graph([("Add", "x x", "s", {}), ("HardSwish", "s", "y", {})],
                {"x": grid(0.375), "s": floors, "y": Rounded(I8, np.float64(0.5), np.int64(0), ties="ceil")})
    tflite = dialects.load("tflite")
    program = play(net, tflite)
    row = next(s.row for s in program.steps if s.op == "add")
    assert (row.ties, row.high) == ("floor", "none") and row.alone != "floor"
    assert list(program.left) == ["y"] and "hard_swish rounds in its own way, and the file says ceil" in program.left["y"]
    assert next(s.row.ties for s in program.steps if s.op == "quantize") == "ceil"
    x = codes(program)
    s = np.clip(np.floor(x.astype(float) * 0.75), -127, 127)
    expected = np.clip(np.ceil((s * np.clip(s + 3, 0, 6) / 6).astype(np.float32) * 2), -128, 127)
    np.testing.assert_array_equal(program.run(x)["y"], expected)
    save(program, tmp_path)
    back = load(tmp_path)
    assert program_hash(back) == program_hash(program) and (back.run(x)["y"] == expected).all()
    with pytest.raises(IllFormed, match="rounded onto by 'up'; it is one of floor"):
        Rounded(I8, np.float64(1.0), np.int64(0), ties="up")


def test_two_activations_join_under_their_roles():
    """Sub and Mul of two activations, in a quantized network and in a float one."""
    onnx = dialects.load("onnx")
    net = graph([("Relu", "x", "r", {}), ("Sub", "x r", "s", {}), ("Mul", "s x", "y", {})],
                {"x": grid(0.5), "r": grid(0.5), "s": grid(0.5), "y": grid(16.0)})
    if not {"sub", "mul"} <= {r for r, part in onnx.roles.items() if not part.borrowed}:
        pytest.skip("dialect onnx has no sub and mul yet")
    program = play(net, onnx)
    assert not program.left
    x = codes(program).astype(np.float64)
    np.testing.assert_array_equal(program.run(codes(program))["y"],
                                  np.clip(np.rint(np.clip(x - np.maximum(x, 0), -128, 127) * x / 64), -128, 127))
    nodes = Node("a", "Relu", ("x",), ("r",)), Node("b", "Sub", ("x", "r"), ("s",)), Node("c", "Mul", ("s", "x"), ("y",))
    floats = canonical(Graph("net", {"x": (1, 6)}, ("y",), nodes, {}))
    images = np.random.default_rng(0).standard_normal((64, 6))
    program = refq.quantize(floats, images, "int8", "onnx")
    got = program.decode(program.run(program.encode(images))[program.outputs[0]])
    assert np.abs(got - np.minimum(images, 0) * images).max() < 0.1


def test_unsigned_codes_and_accumulators():
    """u8 activations with weights on zero points: sums are exact."""
    rng = np.random.default_rng(3)
    w, zw = rng.integers(-128, 128, (4, 6)), rng.integers(-5, 6, 4)
    g = Affine(I8, np.full(4, 1.0), zw, 0)
    net = graph([("Linear", "x w b", "y", {})], {"x": grid(1.0, 7, U8), "w": g, "y": grid(64.0)},
                {"w": g.decode(w.astype(np.int8)), "b": np.arange(4.0)})
    program = play(net, dialects.load("tosa"))
    x = codes(program)
    acc = (x.astype(int) - 7) @ (w - zw[:, None]).T + np.arange(4)
    np.testing.assert_array_equal(program.run(x)["y"], np.clip(np.floor(acc / 64 + 0.5), -128, 127))


def test_images_become_codes_as_the_target_quantizes_them(tmp_path):
    """ort_x86 divides in float32: pixels of 255 levels at scale 2/255 fall elsewhere than by the exact quotient."""
    levels = (np.arange(256, dtype=np.float32) / np.float32(255))[None]
    scale = float(np.float32(2 / 255))
    network = graph([("Relu", "x", "y", {})], {"x": grid(scale, 0, U8), "y": grid(scale, 0, U8)},
                    inputs={"x": (1, 256)})
    program = play(network, dialects.load("ort_x86"))
    expected = np.clip(np.rint(levels / np.float32(scale)), 0, 255)
    np.testing.assert_array_equal(program.encode(levels), expected)
    assert (program.encode(levels) != program.tensors["x"].grid.encode(levels)).sum() == 32
    save(program, tmp_path)
    assert load(tmp_path).entries == program.entries and program_hash(load(tmp_path)) == program_hash(program)
    np.testing.assert_array_equal(load(tmp_path).encode(levels), expected)
