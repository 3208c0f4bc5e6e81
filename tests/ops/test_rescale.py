"""rescale: published vectors, the oracle for every rounding and place of the zero point, and the rails of 64 bits."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import multiplier, rounding
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I32, I48, I64, Width
from refq.ops import rescale
from refq.ops.rescale import Row
from tests import oracle
from tests import oracle_transformer as wide

# acc, k, and the answer at scale 2**-k of: rounded twice (TFLite), the NEON rows of 4, once half up, half even, half
# away, truncated, floored
TIES = """
   1 1   1   1   1   0   1   0   0
  -1 1   0   0   0   0  -1   0  -1
   3 1   2   2   2   2   2   1   1
  -3 1  -1  -1  -1  -2  -2  -1  -2
   5 1   3   3   3   2   3   2   2
  -5 1  -2  -2  -2  -2  -3  -2  -3
  10 2   3   3   3   2   3   2   2
 -10 2  -3  -2  -2  -2  -3  -2  -3
   6 2   2   2   2   2   2   1   1
  -6 2  -2  -1  -1  -2  -2  -1  -2
 -24 4  -2  -1  -1  -2  -2  -1  -2
  40 4   3   3   3   2   3   2   2
 -40 4  -3  -2  -2  -2  -3  -2  -3
"""
ROWS = (Row(high="half_up", ties="half_away"), Row(high="half_up", ties="half_up"), Row(ties="half_up"),
        Row(ties="half_even"), Row(ties="half_away"), Row(ties="trunc"), Row(ties="floor"))
TWICE = [(1553, 1083860905, -5, 25, 24), (3180, 1323544176, -4, 123, 122), (-450, 1248901663, -2, -66, -65),
         (-760, 2089687561, -3, -93, -92), (1999, 1177086202, -4, 69, 68), (-534, 1447038007, -4, -23, -22)]


def both(acc, zin, mult, shift, zp, row):
    """What spec and kernel give for one number, after making sure that it is the same."""
    operands = np.array([[acc]], row.acc.dtype), zin, np.array([mult], np.int64), np.array([shift], np.int8), zp
    y = np.empty((1, 1), row.out.dtype)
    rescale.kernel(row)(*operands, y)
    assert rescale.spec(*operands, row).item() == y.item()
    return y.item()


@pytest.mark.parametrize("line", TIES.split("\n")[1:-1])
def test_published_ties(line):
    """A scale of exactly 2**-k: every backend's answer to a tie."""
    acc, k, *answers = map(int, line.split())
    for row, answer in zip(ROWS, answers):
        constants = rescale.build(row, (2.0**-k,), 1, 0, 0)
        assert both(acc, 0, constants["mult"][0], constants["shift"][0], 0, row) == answer


@pytest.mark.parametrize(("acc", "mult", "exponent", "twice", "once"), TWICE)
def test_published_double_roundings(acc, mult, exponent, twice, once):
    """No ties here: only the second rounding makes the difference."""
    assert both(acc, 0, mult, 31 - exponent, 0, ROWS[0]) == twice
    assert both(acc, 0, mult, 31 - exponent, 0, ROWS[2]) == once


def test_the_neon_rows_differ():
    """The published witness of the NEON helper without its sign fix."""
    row = {"acc": I32, "out": I16}
    assert both(-633, 0, 1495323184, 32, 0, Row(high="half_up", ties="half_away", **row)) == -221
    assert both(-633, 0, 1495323184, 32, 0, Row(high="half_up", ties="half_up", **row)) == -220


wholes = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-300, 300), st.sampled_from([-(2**31), 2**31 - 1]))
mults = st.one_of(st.integers(0, 2**31), st.integers(2**30, 2**31 - 1), st.integers(0, 31).map(lambda k: 2**k))


@pytest.mark.parametrize("ties", rounding.names)
@given(acc=wholes, mult=mults, shift=st.integers(0, 62), zp=st.integers(-128, 127))
def test_once_is_the_oracle(ties, acc, mult, shift, zp):
    """One rounding, the zero point after it."""
    assert both(acc, 0, mult, shift, zp, Row(ties=ties)) == oracle.rescaled(acc, mult, shift, zp, ties)


@pytest.mark.parametrize("ties", ["half_up", "half_away", "half_even", "floor"])
@pytest.mark.parametrize("high", ["half_up", "trunc"])
@given(acc=wholes, mult=mults, shift=st.integers(0, 62), zp=st.integers(-128, 127))
def test_twice_is_the_oracle(high, ties, acc, mult, shift, zp):
    """Two roundings, after a left shift that wraps in 32 bits."""
    expected = oracle.rescaled_twice(acc, mult, shift, zp, high, ties)
    assert both(acc, 0, mult, shift, zp, Row(high=high, ties=ties)) == expected


@pytest.mark.parametrize("ties", rounding.names)
@given(acc=wholes, zin=st.integers(-(2**30), 2**30) | st.just(0), mult=mults, shift=st.integers(0, 54),
       zp=st.integers(-128, 127))
def test_inside_is_the_oracle(ties, acc, zin, mult, shift, zp):
    """The zero point joins before the rounding: other ties, and no overflow of 64 bits at any rail."""
    row = Row(ties=ties, zero_point="inside")
    assert both(acc, zin, mult, shift, zp, row) == wide.rescaled_inside(acc, zin, mult, shift, zp, ties)


def test_the_zero_point_changes_a_tie():
    """0.5 with zero point 1: rounded first it is 1, joined first it is 2."""
    after, inside = (Row(ties="half_even", zero_point=where) for where in ("after", "inside"))
    assert (both(1, 0, 1, 1, 1, after), both(1, 0, 1, 1, 1, inside)) == (1, 2)


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("row", [Row(), Row(zero_point="inside"), Row(acc=I8, out=I32),
                                 Row(acc=I32, out=I32, zero_point="inside"), Row(multiplier="pow2", acc=Width(63)),
                                 *(Row(multiplier="q15", acc=I48, out=o, zero_point=z) for o in (I8, I16, I32)
                                   for z in ("after", "inside"))])
def test_products_are_exact_at_the_rails(row):
    """R2: at the ends of every operand's range the result is that of unbounded integers."""
    ends = {name: (d.lo, d.hi) for name, d in row.takes.items()}
    for acc in ends["acc"]:
        for zin in (0, *ends["zin"]):
            for mult in ends["mult"]:
                for shift in ends["shift"]:
                    for zp in ends["zp"]:
                        expected = wide.rescaled_inside(acc, zin, mult, shift, zp, "half_up", row.out.bits)
                        assert both(acc, zin, mult, shift, zp, row) == expected


def test_dead_channels_are_flushed():
    """A scale that no shift of 62 reaches gives 0, in every form."""
    for form in ("q31", "q15", "mantissa24", "dyadic"):
        row = Row(multiplier=form)
        constants = rescale.build(row, ([2.0**-45, 0.0, 0.5],), 1, 0, 7)
        assert max(constants["shift"]) <= 62 and constants["mult"][:2] == [0, 0]


def test_contradicting_rows_are_refused():
    """Two roundings are defined for 32 bits, and with the zero point after them."""
    for fields in ({"zero_point": "inside"}, {"acc": I48}):
        with pytest.raises(IllFormed, match="at most 32 bits"):
            Row(high="half_up", **fields)
    with pytest.raises(IllFormed, match="round once"):
        Row(high="half_up", multiplier="pow2")


@pytest.mark.parametrize("fields", [{"out": I64}, {"out": I64, "zero_point": "inside"}, {"out": I48}])
def test_results_wider_than_codes_are_refused(fields):
    with pytest.raises(IllFormed, match="up to 32 bits"):
        Row(**fields)


@pytest.mark.parametrize("form, bits", [("q31", 32), ("dyadic", 32), ("mantissa24", 39), ("q15", 48), ("pow2", 63)])
def test_a_product_has_room_in_64_bits(form, bits):
    """One bit more is refused at birth; what every scale becomes is in the range that the row declares."""
    with pytest.raises(IllFormed, match=f"up to {bits} bits"):
        Row(multiplier=form, acc=Width(bits + 1))
    row = Row(multiplier=form, acc=Width(bits))
    scales = [2.0**-k * (1 if form == "pow2" else m) for k in range(1, 45) for m in (1, 1.3, 2 - 2.0**-52)]
    mults = rescale.build(row, (scales,), 1, 0, 0)["mult"]
    assert max(mults) <= 2 ** multiplier.bits[form] and max(mults) <= row.takes["mult"].hi


@pytest.mark.parametrize("form", ["q31", "q15", "mantissa24", "dyadic"])
@given(acc=st.integers(-(2**19), 2**19), k=st.integers(8, 20), m=st.floats(1, 1.999), ties=st.sampled_from(rounding.names[4:9]))
def test_twice_serves_every_long_multiplier(form, acc, k, m, ties):
    """What a left shift makes up for is not lost: within two units of the real value."""
    row = Row(high="half_up", ties=ties, multiplier=form, out=I16)
    constants = rescale.build(row, (m * 2.0**-k,), 1, 0, 0)
    y = both(acc, 0, constants["mult"][0], constants["shift"][0], 0, row)
    assert abs(y - min(max(acc * m * 2.0**-k, -32768), 32767)) <= 2
