"""rescale_float64: the oracle, which rounds products to 53 bits by fractions; rails, and the row that holds them exactly."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import Width
from refq.ops import rescale, rescale_float64
from refq.ops.rescale_float64 import Row
from refq.vectors.draw.scales import BEHIND_53_BITS
from tests import oracle
from tests.oracle_backends import float64_of


def both(acc, zin, mult, shift, zp, row):
    """What spec and kernel give for one number, after making sure that it is the same."""
    operands = np.array([[acc]], row.acc.dtype), zin, np.array([mult], np.int64), np.array([shift], np.int8), zp
    y = np.empty((1, 1), row.out.dtype)
    rescale_float64.kernel(row)(*operands, y)
    assert rescale_float64.spec(*operands, row).item() == y.item()
    return y.item()


wholes = st.one_of(st.integers(-(2 ** 31), 2 ** 31 - 1), st.integers(-300, 300), st.sampled_from([-(2 ** 31), 2 ** 31 - 1]))
mults = st.one_of(st.integers(0, 2 ** 31), st.integers(2 ** 30, 2 ** 31), st.sampled_from([2 ** 31, 2 ** 31 - 1]))


@pytest.mark.parametrize("ties", ["half_even", "half_up", "half_away", "floor"])
@given(acc=wholes, zin=wholes | st.just(0), mult=mults, shift=st.integers(0, 62), zp=st.integers(-128, 127))
@example(acc=2 ** 31 - 1, zin=-(2 ** 31), mult=2 ** 31, shift=0, zp=127)
@example(acc=-(2 ** 31), zin=2 ** 31 - 1, mult=2 ** 31 - 1, shift=56, zp=0)
def test_it_is_the_oracle(ties, acc, zin, mult, shift, zp):
    """Every rounding of the product in 53 bits, and of the exact one."""
    for product, wide in (("float64", float64_of((acc - zin) * mult)), ("exact", (acc - zin) * mult)):
        expected = oracle.saturated(oracle.roundings[ties](Fraction(wide) / 2 ** shift) + zp, 8)
        assert both(acc, zin, mult, shift, zp, Row(ties=ties, product=product)) == expected


def test_products_just_above_a_tie():
    """The drawn vectors' accumulators: 53 bits say a tie, more bits do not."""
    for acc, mult, shift in BEHIND_53_BITS:
        tie = (acc * mult >> shift) * 2 ** shift + 2 ** (shift - 1)
        assert 0 < acc * mult - tie < 2 ** (shift - 40) and float64_of(acc * mult) == tie
        assert both(acc, 0, mult, shift, 0, Row()) + 1 == both(acc, 0, mult, shift, 0, Row(product="exact"))


@given(acc=wholes, mult=mults, shift=st.integers(2, 62), zp=st.integers(-128, 127))
def test_exact_products_are_rescale(acc, mult, shift, zp):
    """With exact products it is `rescale`, rounded once."""
    operands = np.array([[acc]], np.int32), 0, np.array([mult], np.int64), np.array([shift], np.int8), zp
    expected = rescale.spec(*operands, rescale.Row(multiplier="dyadic", ties="half_even")).item()
    assert both(acc, 0, mult, shift, zp, Row(product="exact")) == expected


@pytest.mark.parametrize("fields", [{"acc": Width(33)}, {"out": Width(33)}, {"product": "float32"}])
def test_impossible_rows_are_refused(fields):
    with pytest.raises(IllFormed, match="rescale_float64"):
        Row(**fields)
