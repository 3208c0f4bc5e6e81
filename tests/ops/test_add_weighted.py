"""add_weighted: the oracle, the published sum, the whole 8-bit domain, and where it parts from TFLite's add."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import I16, U8
from refq.ops import add, add_weighted
from refq.ops.add_weighted import Row
from tests import oracle_litert as oracle

CODES = np.arange(-128, 128, dtype=np.int8)
A, B = np.repeat(CODES, 256), np.tile(CODES, 256)


def whole(c, row):
    y = np.empty(A.shape, np.int8)
    add_weighted.kernel(row)(A, B, *c.values(), y)
    np.testing.assert_array_equal(add_weighted.spec(A, B, *c.values(), row), y)
    return y


def test_published_sum():
    """XNNPACK's vadd: s1 = .05, s2 = .1 with zero point 3, s_out = .12 with -1: (10, 20) gives 17."""
    c = add_weighted.build(Row(), 0.05, 0, 0.1, 3, 0.12, -1)
    assert list(c) == list(Row().takes)[2:] and c["shift"] == 21
    assert add_weighted.spec(np.array([10]), np.array([20]), *c.values(), Row()).tolist() == [17]


@pytest.mark.parametrize("join", ["plus", "minus"])
@pytest.mark.parametrize("bits, ties", [(21, "half_up"), (22, "half_away"), (22, "half_even")])
def test_oracle_agrees_on_all_codes(bits, ties, join):
    """Kernel == spec on all pairs, and the oracle on a part of them."""
    row = Row(bits=bits, ties=ties, join=join)
    for scales in ((0.05, 0.1, 0.12), (0.5, 0.25, 0.5), (0.25, 2.0 ** -7, 1.0)):
        c = add_weighted.build(row, scales[0], 5, scales[1], -7, scales[2], 2)
        for i, j, k in list(zip(A.tolist(), B.tolist(), whole(c, row).tolist()))[::97]:
            assert oracle.weighted(i, j, **c, ties=ties, sign=1 if join == "plus" else -1) == k


@pytest.mark.parametrize("ties", rounding.names)
@given(data=st.data())
def test_oracle_agrees_at_the_rails(ties, data):
    row = Row(ties=ties, a=U8, b=U8, out=U8, bits=data.draw(st.sampled_from((21, 22))))
    c = {k: data.draw(st.integers(d.lo, d.hi) | st.sampled_from((d.lo, d.hi))) for k, d in row.takes.items()}
    a, b = (np.array([c.pop(k)], np.uint8) for k in "ab")
    y = np.empty(1, np.uint8)
    add_weighted.kernel(row)(a, b, *c.values(), y)
    expected = oracle.weighted(a.item(), b.item(), **c, ties=ties, sign=1, signed=False)
    assert add_weighted.spec(a, b, *c.values(), row).tolist() == y.tolist() == [expected]


@given(st.floats(-10, 7), st.floats(0, 9), st.booleans(), st.sampled_from((21, 22)), st.sampled_from((0.3, 0.5, 1.7)))
def test_the_weights_are_the_oracles(exponent, less, swapped, bits, so):
    """The larger float32 quotient has as many bits as the row says, and both are rounded to even."""
    scales = [so * 2.0 ** exponent, so * 2.0 ** (exponent - less)]
    scales = [float(np.float32(s)) for s in (scales[::-1] if swapped else scales)]
    ratios = [float(np.float32(s) / np.float32(so)) for s in scales]
    if not 2.0 ** -10 <= max(ratios) < 2.0 ** 8:
        return
    c = add_weighted.build(Row(bits=bits), scales[0], 0, scales[1], 0, so, 0)
    assert (c["shift"], [c["ka"], c["kb"]]) == oracle.weights(ratios, bits)


def test_far_units_are_refused():
    """XNNPACK does not take them: a sum whose inputs are all far below or above its unit."""
    for scale in (2.0 ** -11, 2.0 ** 8):
        with pytest.raises(IllFormed, match="the larger quotient lies between"):
            add_weighted.build(Row(), scale, 0, scale / 2, 0, 1.0, 0)
    with pytest.raises(IllFormed, match="at most 8 bits"):
        Row(a=I16)


def test_it_parts_from_tflite_at_ties():
    """A witness: (1, 0) at scales 1/4, 1/4 over 1/2 is a tie: half up gives 1 and 0 at -1, TFLite's two roundings away."""
    ours, theirs = (op.build(op.Row(), 0.25, 0, 0.25, 0, 0.5, 0) for op in (add_weighted, add))
    a, b = np.array([1, -1, 3, -3]), np.zeros(4, int)
    assert add_weighted.spec(a, b, *ours.values(), Row()).tolist() == [1, 0, 2, -1]
    assert add.spec(a, b, *theirs.values(), add.Row()).tolist() == [1, -1, 2, -2]
