"""rescale_float32: the oracle, the ties of the float32 backends, and where float32 rounds what integers do not."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import I16
from refq.ops import rescale_float32
from refq.ops.rescale_float32 import Row
from tests import oracle_transformer as oracle


def both(acc, zin, scale, zp, row):
    """What spec and kernel give for one number, after making sure that it is the same."""
    operands = np.array([[acc]], row.acc.dtype), zin, np.array([scale], np.float32), zp
    y = np.empty((1, 1), row.out.dtype)
    rescale_float32.kernel(row)(*operands, y)
    assert rescale_float32.spec(*operands, row).item() == y.item()
    return y.item()


@pytest.mark.parametrize(("acc", "k", "answer"), [
    (1, 1, 0), (-1, 1, 0), (3, 1, 2), (-3, 1, -2), (5, 1, 2), (-5, 1, -2), (10, 2, 2), (-10, 2, -2), (6, 2, 2),
    (-6, 2, -2), (-24, 4, -2), (40, 4, 2), (-40, 4, -2)])
def test_published_ties(acc, k, answer):
    """A scale of exactly 2**-k rounds half to even."""
    assert both(acc, 0, 2.0**-k, 0, Row()) == answer


@pytest.mark.parametrize("where", ["after", "inside"])
@pytest.mark.parametrize("ties", rounding.names)
@given(acc=st.integers(-(2**31), 2**31 - 1) | st.integers(-3000, 3000),
       zin=st.integers(-(2**31), 2**31 - 1) | st.just(0),
       scale=st.floats(2.0**-40, 2.0**20, width=32) | st.sampled_from([0.5, 0.25, 2.0**-7]), zp=st.integers(-128, 127))
def test_oracle_agrees(ties, where, acc, zin, scale, zp):
    """Spec and kernel round to float32 where fractions say, and nowhere else."""
    expected = oracle.rescaled_in_float(acc, zin, scale, zp, ties, where == "inside")
    assert both(acc, zin, scale, zp, Row(ties=ties, zero_point=where)) == expected


def test_the_accumulator_is_rounded_first():
    """2**25 + 2**10 + 1 loses its last bit in float32: 16384.5 and a bit becomes a tie, and goes to the even 16384."""
    assert both(2**25 + 2**10 + 1, 0, 2.0**-11, 0, Row(out=I16)) == 16384
    assert both(2**25 + 2**10 + 4, 0, 2.0**-11, 0, Row(out=I16)) == 16385


def test_the_zero_point_changes_a_tie():
    """0.5 with zero point 1: rounded first it is 1 (FBGEMM), joined first it is 2 (oneDNN)."""
    assert (both(1, 0, 0.5, 1, Row()), both(1, 0, 0.5, 1, Row(zero_point="inside"))) == (1, 2)


def test_huge_products_saturate():
    """The largest scale meets the ends of the accumulator."""
    for where in ("after", "inside"):
        row = Row(zero_point=where)
        assert both(2**31 - 1, -(2**31), 2.0**64, 3, row) == 127
        assert both(-(2**31), 2**31 - 1, 2.0**64, 3, row) == -128


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf"), 2.0**65])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(IllFormed, match="allowed is 0 to"):
        rescale_float32.build(Row(), ([0.5, scale],), 1, 0, 0)
