"""topk against Python's sorted, ties, rails, rows of every length; and its way from ONNX."""
import nets
import numpy as np
import pytest

from refq.errors import IllFormed, Unsupported
from refq.graph.evaluate import evaluate
from refq.graph.quantize import quantize
from refq.ints.width import I8, I16, I32, U8
from refq.ops import topk
from tests.ops.strategies import by_kernel, by_spec, operands_of, rails, small, uniform


def by_python(rows, k):
    return [sorted(range(len(row)), key=lambda c, row=row: (-row[c], c))[:k] for row in rows]


@pytest.mark.parametrize("width", [I8, U8, I16, I32])
@pytest.mark.parametrize("n, c, k, style", [(1, 1, 1, uniform), (20, 2, 2, small), (20, 3, 1, small), (20, 9, 3, rails),
                                            (5, 197, 5, small), (2, 4096, 21, uniform), (0, 3, 2, uniform)])
def test_the_largest_in_order(width, n, c, k, style):
    """Places as sorted gives them, the lower one first among equals; codes are those that lie there."""
    q = operands_of(topk.Row(width, k), {"n": n, "c": c}, np.random.default_rng(c), lambda: style)
    expected = np.array(by_python(q["q"].tolist(), k), np.int64).reshape(n, k)
    for by in (by_spec, by_kernel):
        np.testing.assert_array_equal(by("topk", topk.Row(width, k))(q)["i"], expected)
        codes = by("topk", topk.Row(width, k, "codes"))(q)["y"]
        np.testing.assert_array_equal(codes, np.take_along_axis(q["q"], expected, 1))


def test_what_a_row_refuses():
    """More than there are; none; other words."""
    with pytest.raises(IllFormed, match="rows of 3 codes, of which the largest 5 are asked for"):
        topk.Row(k=5).sizes({"n": 1, "c": 3})
    for fields in ({"k": 0}, {"k": 1.0}, {"shows": "both"}):
        with pytest.raises(IllFormed, match="topk: k is"):
            topk.Row(**fields)


@pytest.mark.parametrize("axis", [1, 2])
def test_both_results_of_a_network(tmp_path, axis):
    """Values on the grid of the codes, places as integers; the axis turned where it is not the last."""
    def draw(s):
        x = s.dense(s.add("Reshape", "images", s.ints(-1, 16, 12)), "fc", 12, 12)
        values, places = s.add("TopK", x, s.ints(3), axis=axis, outputs=2)
        return s.add("Concat", values, values, axis=1) if axis == 2 else places

    network = nets.network(tmp_path, draw)
    images = nets.images(network, 3)
    program = quantize(network, images)
    results = nets.both(program, program.encode(images))
    step = next(s for s in program.steps if s.op == "topk")
    got, exact = results[program.outputs[0]], evaluate(network, images)[network.outputs[0]]
    if axis == 2:
        np.testing.assert_allclose(program.decode(got), exact, atol=0.05 * np.abs(exact).max())
    else:
        codes = results[step.inputs["q"]]
        np.testing.assert_array_equal(results[step.outputs["i"]], np.argsort(-codes.astype(int), -1, kind="stable")[..., :3])
        assert got.shape == exact.shape == (3, 3, 12)


@pytest.mark.parametrize("k, more, error, said", [
    (13, {}, IllFormed, "asks for the largest 13 of 12; ask for 1 to 12"), (0, {}, IllFormed, "the largest 0 of 12"),
    (2, {"largest": 0}, Unsupported, "TopK of the smallest is not supported"),
])
def test_what_a_network_may_not_ask(tmp_path, k, more, error, said):
    """One sentence, with the node."""
    def draw(s):
        return s.add("TopK", s.add("Reshape", "images", s.ints(-1, 16, 12)), s.ints(k), outputs=2, **more)[0]
    with pytest.raises(error, match=said):
        nets.network(tmp_path, draw)
