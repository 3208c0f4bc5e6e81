"""The ONNX reference evaluator, live: the standard's own Python text of quantized operations, against refq.

Sums and codes are equal. Its QLinearMatMul departs from the standard's prose, which refq's `onnx` dialect follows: it
adds the zero point before it rounds, so that ties at an odd zero point go the other way.
"""
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from refq.grids.affine import Affine
from refq.ints.width import I8, I16, U8, U16
from refq.ops import matmul
from tests.peers.live import ROLES, STYLES, F, both, codes, departs_at_ties, equal, near_ties, reference, scales


@pytest.fixture(scope="module")
def evaluate(need):
    return reference(need("onnx.reference").ReferenceEvaluator)


@pytest.mark.parametrize("x, w", [(I8, I8), (U8, I8), (U8, U8), (I8, U8)], ids=str)
def test_matmul_integer(evaluate, tally, x, w):
    """MatMulInteger is matmul; zero points of w one or one per column."""
    rng, count, row = np.random.default_rng(1), 0, replace(ROLES["matmul"], x=x, w=w)
    for (n, k, m), a, b, columns in product([(1, 1, 1), (3, 7, 5), (5, 133, 17)], STYLES[:3], STYLES[:3], (0, 1)):
        feeds = {"x": codes(rng, x, (n, k), a), "w": codes(rng, w, (k, m), b), "zx": codes(rng, x, (), a),
                 "zw": codes(rng, w, (m,) if columns else (), b)}
        got = evaluate(feeds, "i4", ("MatMulInteger", "x w zx zw", "y", {}))
        built = matmul.build(row, feeds["w"].T, None, feeds["zx"], feeds["zw"])
        count += equal(both("matmul", row, x=feeds["x"], **built), got)
    tally("onnx.reference MatMulInteger", count)
    assert count == 18 * (1 + 15 + 85)


@pytest.mark.parametrize("axis", [None, 0, 2])
@pytest.mark.parametrize("width", [I8, U8, I16, U16], ids=str)
def test_quantize_linear(evaluate, tally, width, axis):
    """QuantizeLinear is Affine.encode but where its float32 quotient is a tie that the true quotient is not; see
    test_onnxruntime_codes.py for a witness."""
    rng, count, departing = np.random.default_rng(4), 0, 0
    shape = (5, 40, 7)
    slices = () if axis is None else (shape[axis],)
    over = tuple(-1 if i == axis else 1 for i in range(3)) if slices else ()
    for case in range(12):
        scale, zero = scales(rng, slices), codes(rng, width, slices, STYLES[case % 3])
        wide = np.reshape(scale, over), np.reshape(zero, over).astype(int)
        x = near_ties(rng, width, *wide, shape)
        x = np.where(abs(x) < 1e9 * wide[0], x, 0)       # it turns larger quotients into int32 without saturating
        got = evaluate({"x": x, "s": scale, "z": zero}, width.dtype, ("QuantizeLinear", "x s z", "y", {"axis": axis or 0}))
        exact = Affine(width, scale, zero, axis).encode(x, ties="half_even")
        departing += departs_at_ties(x, *wide, width, exact, got)
        count += got.size
    tally(f"onnx.reference QuantizeLinear {width}", count, departing)
    assert count == 12 * 1400 and departing > 100


@pytest.mark.parametrize("zero", [0, 1, -2, -3, 100, 127, -128])
def test_qlinear_matmul(evaluate, tally, zero):
    """QLinearMatMul is rescale_float32 with the zero point inside the rounding; under the dialect's row, which has it
    after, as the prose has it, ties differ by 1 where the zero point is odd, and nothing else does.

    Witness: a sum of 1 at a multiplier of 1/2 and zero point 1: round(0.5) + 1 is 1; the evaluator's round(0.5 + 1) is 2.
    """
    x, one, none = np.arange(-128, 128, dtype=np.int8)[:, None], np.array(1, F), np.array(0, np.int8)
    got = evaluate({"x": x, "sx": one, "zx": none, "w": np.ones((1, 1), np.int8), "sw": one, "zw": none,
                    "sy": np.array(2, F), "zy": np.array(zero, np.int8)}, "i1",
                   ("QLinearMatMul", "x sx zx w sw zw sy zy", "y", {}))
    operands = {"acc": x, "zin": 0, "scale": [0.5], "zp": zero}
    row = ROLES["rescale"]
    tally("onnx.reference QLinearMatMul", equal(both("rescale_float32", replace(row, zero_point="inside"), **operands), got))
    after = both("rescale_float32", row, **operands)
    tie = (x % 2 == 1) & (after > -128) & (after < 127) & (got > -128) & (got < 127)
    tally("onnx.reference QLinearMatMul with the dialect's own row", got.size, int((after != got).sum()))
    if zero % 2:
        assert (after != got)[tie].all() and tie.sum() > 60
        assert (abs(after.astype(int) - got) <= (x % 2)).all()
    else:
        assert (after == got).all()
    if zero == 1:
        assert (after[x == 1].item(), got[x == 1].item()) == (1, 2)
