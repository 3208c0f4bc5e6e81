"""rescale_preshift: the oracle for every rounding, both registers and both shifts; rails; and what it refuses."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.graph.bounds import refuses
from refq.ints import rounding
from refq.ints.width import I8, I16, I32, I48, I64, Width
from refq.ops import rescale_preshift
from refq.ops.rescale_preshift import Row
from tests import oracle


def meant(acc, zin, pre, mult, post, zp, row):
    """By definition, on fractions."""
    held = oracle.saturated(oracle.roundings[row.first](Fraction(acc - zin) / Fraction(2) ** pre), row.middle.bits)
    if row.ties == "half_up":                       # the half is in the register when it wraps
        scaled = oracle.wrapped(held * mult + (2 ** post >> 1), row.product.bits) >> post
    else:
        scaled = oracle.shifted(row.ties, oracle.wrapped(held * mult, row.product.bits), post)
    return oracle.saturated(scaled + zp, row.out.bits)


def both(acc, zin, pre, mult, post, zp, row):
    """What spec and kernel give for one number, after making sure that it is the same."""
    operands = (np.array([[acc]], row.acc.dtype), zin, np.array([pre], np.int8), np.array([mult], np.int32),
                np.array([post], np.int8), zp)
    y = np.empty((1, 1), row.out.dtype)
    rescale_preshift.kernel(row)(*operands, y)
    assert rescale_preshift.spec(*operands, row).item() == y.item()
    return y.item()


wholes = st.one_of(st.integers(-(2 ** 31), 2 ** 31 - 1), st.integers(-300, 300), st.sampled_from([-(2 ** 31), 2 ** 31 - 1]))
zins = st.just(0) | st.integers(-128, 127) | st.sampled_from([-(2 ** 31), 2 ** 31 - 1])
mults = st.one_of(st.integers(0, 511), st.integers(0, 2 ** 31 - 1), st.integers(0, 30).map(lambda k: 2 ** k))
FORMS = ({"form": "glow"}, {"form": "glow", "product": I64}, {"form": "glow", "middle": I16},
         {"form": "sdp", "first": "half_away", "product": I64, "ties": "half_away"})


@pytest.mark.parametrize("fields", FORMS)
@given(acc=wholes, zin=zins, pre=st.integers(0, 31), mult=mults, post=st.integers(0, 31), zp=st.integers(-128, 127))
@example(acc=2 ** 31 - 1, zin=0, pre=0, mult=1, post=24, zp=0)
@example(acc=-(2 ** 31), zin=2 ** 31 - 1, pre=0, mult=2 ** 31 - 1, post=31, zp=127)
def test_it_is_the_oracle(fields, acc, zin, pre, mult, post, zp):
    row = Row(**fields)
    mult = min(mult, row.takes["mult"].hi)
    assert both(acc, zin, pre, mult, post, zp, row) == meant(acc, zin, pre, mult, post, zp, row)


@given(acc=wholes, zin=zins, pre=st.integers(-8, 31), mult=st.integers(0, 2 ** 15 - 1), zp=st.integers(-128, 127))
@example(acc=2 ** 31 - 1, zin=-(2 ** 31), pre=-8, mult=1, zp=0)
def test_a_shift_in_front_may_go_left(acc, zin, pre, mult, zp):
    """XNNPACK's form: it saturates at 16 bits behind it."""
    row = Row(form="rndnu16", first="half_up", middle=I16, product=I64)
    assert both(acc, zin, pre, mult, 15, zp, row) == meant(acc, zin, pre, mult, 15, zp, row)


@pytest.mark.parametrize("first, ties", list(zip(rounding.names, rounding.names[3:] + rounding.names[:3])))
def test_any_two_roundings(first, ties):
    """Every word in both places, over ties of both."""
    row = Row(first=first, ties=ties)
    for acc in range(-40, 41):
        assert both(acc, 3, 2, 3, 2, -1, row) == meant(acc, 3, 2, 3, 2, -1, row)


def test_a_product_of_32_bits_wraps_with_its_half():
    """Just below the end of the register the half that is added makes it negative; 64 bits saturate the code."""
    assert both(2 ** 31 - 1, 0, 0, 1, 8, 0, Row()) == -128 and both(2 ** 31 - 1, 0, 0, 1, 8, 0, Row(product=I64)) == 127
    assert both(2 ** 31 - 1, 0, 0, 1, 8, 0, Row(ties="half_away")) == 127           # no half is added there
    assert not refuses(Row()) and Row().overflow == "low"


@pytest.mark.parametrize("fields", [{"acc": Width(49)}, {"out": Width(33)}, {"middle": I8}, {"product": I48}, {"form": "gloww"}])
def test_impossible_rows_are_refused(fields):
    with pytest.raises(IllFormed, match="rescale_preshift"):
        Row(**fields)


def test_a_shift_for_all_channels_needs_bits():
    """Deeploy's multiplier of a small ratio has few bits: the row does not allow it, and another role plays then."""
    row = Row(form="fixed")
    assert rescale_preshift.allows(row, np.array([0.01])) and not rescale_preshift.allows(row, np.array([0.01, 2.0 ** -18]))
    assert rescale_preshift.allows(Row(), np.array([2.0 ** -30]))
    made = rescale_preshift.build(row, (0.01,), 1.0, 0, 0, count=4)
    assert (made["pre"], made["mult"], made["post"]) == ([0], [round(0.0025 * 2 ** 20)], [20])
    assert rescale_preshift.build(Row(form="fixed", out=I16), (0.01,), 1.0, 0, 0)["post"] == [12] and row.acc == I32
