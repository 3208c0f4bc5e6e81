"""Two channels in a word: the right way gives the sums, and every wrong one gives others where fields are full or borrow."""
import numpy as np

from refq.graph.program import Step
from refq.ints.lanes import Lanes
from refq.ints.width import U32, Width
from refq.ops import matmul
from refq.vectors.diagnosis.place import by_spec
from refq.vectors.mutants import lanes

ROW = matmul.Row(x=Width(4, False), w=Width(4))


def operands():
    """Sums of 1200 products; of rails, of random codes, and of a row that fills a field after 285 products only."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 15, (4, 1200), np.uint8, endpoint=True), rng.integers(-8, 7, (5, 1200), np.int8, endpoint=True)
    x[:2], x[1, :12], w[0], w[1], w[2] = 15, 0, -8, 7, -8
    return {"x": x, "w": w, "bias": np.arange(5, dtype=np.int32), "zx": 0, "zw": np.zeros(5, np.int8)}


def test_the_right_way_gives_the_sums():
    """Packed, drained in time and taken apart with the borrow, an odd last channel too."""
    run = by_spec("matmul", ROW)
    row = Lanes(U32, 2, 16, "borrow", (-8, 7), (0, 15))
    way = {"pack": row.pack, "drain": lanes.drained, "after": row.drain, "kept": False, "last": True, "bare": False}
    np.testing.assert_array_equal(lanes.packed(way)(run)(operands())["acc"], run(operands())["acc"])


def test_wrong_ways_differ():
    """Each mutant shows on these operands, and no two do the same."""
    run, seen = by_spec("matmul", ROW), {}
    right = run(operands())["acc"]
    for _, name, _, _, wrap in lanes.mutants(Step("matmul", "matmul", ROW, {}, {})):
        result = wrap(run)(operands())["acc"]
        assert (result != right).any(), name
        seen[result.astype(np.int64).tobytes()] = name
    assert len(seen) == 13


def test_wider_weights_have_none():
    """Weights of 8 bits do not share a word here."""
    assert not list(lanes.mutants(Step("matmul", "matmul", matmul.Row(), {}, {})))


def test_zero_points_stay_right():
    """Where no code has a sign, fields are read without one, and zero points of activations and weights are taken off rightly: a
    drain that never comes too late changes nothing."""
    row = matmul.Row(x=Width(4, False), w=Width(4, False))
    x, w = (np.random.default_rng(0).integers(0, 15, (n, 600), np.uint8, endpoint=True) for n in (4, 5))
    given = {"x": x, "w": w, "bias": np.arange(5, dtype=np.int32), "zx": 7, "zw": np.arange(5, dtype=np.uint8)}
    run, fits = by_spec("matmul", row), Lanes(U32, 2, 16, "bias", (0, 15), (0, 15))
    way = {"pack": fits.pack, "drain": lanes.halves, "after": fits.drain, "kept": False, "last": True, "bare": True}
    right = run(given)["acc"]
    np.testing.assert_array_equal(lanes.packed(way)(run)(given)["acc"], right)
    short = {k: v[:, :290] if k in "xw" else v for k, v in given.items()}
    names = {name: (wrap(run)(short)["acc"] == run(short)["acc"]).all() for _, name, _, _, wrap in lanes.mutants(
        Step("matmul", "matmul", row, {}, {}))}
    assert names == {"lanes: drained after 292": True, "lanes: drained after 512": True, "lanes: never drained": True,
                     "lanes: not cleared after a drain": True, "lanes: last drain lost": True,
                     "lanes: weights of two channels exchanged": False}
