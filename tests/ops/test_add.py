"""add and add_float32: published vectors, the oracle, the whole 8-bit domain."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I8, I16, I32, I48
from refq.ops import add, add_float32
from refq.ops.add import Row
from tests import oracle_transformer as oracle

JOINED = {"tflite": Row(), "single": Row(high="none", ties="half_up"), "saturating": Row(overflow="saturate"),
          "minus": Row(join="minus"), "tosa_double": Row(alone="half_up")}
STRAIGHT = Row(left=0, multiplier="dyadic", high="none", ties="half_even", joined=False)
SHORT = [Row(high="none", multiplier=form, joined=joined, out=I32) for form in ("q15", "mantissa24", "pow2")
         for joined in (True, False)]
CODES = np.arange(-128, 128, dtype=np.int8)


def whole(module, constants, row):
    """Spec and kernel over all pairs of 8-bit codes, after making sure that they are the same."""
    a, b = np.repeat(CODES, 256), np.tile(CODES, 256)
    y = np.empty(a.shape, np.int8)
    module.kernel(row)(a, b, *constants.values(), y)
    np.testing.assert_array_equal(module.spec(a, b, *constants.values(), row), y)
    return a.tolist(), b.tolist(), y.tolist()


def test_published_sum():
    """TFLite's ADD: s1 = .05, s2 = .1 with zero point 3, s_out = .12 with -1: (10, 20) gives 17; the three pairs."""
    c = add.build(Row(), 0.05, 0, 0.1, 3, 0.12, -1)
    assert [(c["ma"], 31 - c["sa"]), (c["mb"], 31 - c["sb"]), (c["mo"], 31 - c["so"])] == [
        (2**30, -1), (2**30, 0), (1789569707, -19)]
    assert list(c) == list(Row().takes)[2:]
    assert add.spec(np.array([10]), np.array([20]), *c.values(), Row()).tolist() == [17]


@pytest.mark.parametrize("row", [*JOINED.values(), STRAIGHT], ids=[*JOINED, "straight"])
def test_oracle_agrees_on_all_codes(row):
    """Kernel == spec on all 65,536 pairs, and the oracle on a part of them."""
    c = add.build(row, 0.05, 0, 0.1, 3, 0.12, -1)
    a, b, y = whole(add, c, row)
    assert all(oracle.added(i, j, c, row) == k for i, j, k in zip(a[::23], b[::23], y[::23]))


@pytest.mark.parametrize("row", [Row(), Row(overflow="saturate"), Row(high="none"), Row(left=15, a=I16, b=I16, out=I16),
                                 Row(left=15, a=I16, b=I16, out=I16, alone="half_up", join="minus"),
                                 STRAIGHT, *SHORT, Row(high="none", multiplier="dyadic", out=I32),
                                 Row(high="none", joined=False, out=I32), Row(alone="half_up"),
                                 Row(left=0, high="none", joined=False, a=I32, b=I16, out=I16)])
@given(data=st.data())
def test_oracle_agrees_at_the_rails(row, data):
    """Any operands and constants that the row takes: overflow of the left shift and of the sum included."""
    drawn = {k: data.draw(st.integers(d.lo, d.hi) | st.sampled_from((d.lo, d.hi))) for k, d in row.takes.items()}
    a, b = (np.array([drawn.pop(k)], row.takes[k].width.dtype) for k in "ab")
    y = np.empty(1, row.out.dtype)
    add.kernel(row)(a, b, *drawn.values(), y)
    expected = oracle.added(a.item(), b.item(), drawn, row, row.out.bits)
    assert add.spec(a, b, *drawn.values(), row).tolist() == y.tolist() == [expected]


scales = st.floats(0.01, 1)


@given(scales, scales, st.integers(-128, 127), st.integers(-128, 127), st.integers(-128, 127), st.data())
def test_near_the_real_sum(sa, sb, za, zb, zo, data):
    """The stated bounds: one unit joined, half a unit for each rounding straight, beside the left shift's."""
    so = max(sa, sb) * data.draw(st.floats(0.5, 2))
    for row, bound in ((Row(), 1), (JOINED["single"], 0.5), (STRAIGHT, 1)):
        c = add.build(row, sa, za, sb, zb, so, zo)
        a, b = CODES, np.roll(CODES, data.draw(st.integers(0, 255)))
        exact = zo + ((a.astype(int) - za) * sa + (b.astype(int) - zb) * sb) / so
        slack = 2 ** (3 - row.left) * max(sa, sb) / so if row.joined else 1e-5
        error = np.abs(np.clip(exact, -128, 127) - add.spec(a, b, *c.values(), row))
        assert error.max() <= bound + slack + 1e-6


FORMS = [Row(left=left, multiplier=form, high=high, joined=joined) for form in ("q31", "q15", "mantissa24", "dyadic", "pow2")
         for left, joined in ((20, True), (15, True), (0, False)) for high in ("none", "half_up")
         if high == "none" or form in ("q31", "dyadic") or not joined and form != "pow2"]


@pytest.mark.parametrize("row", FORMS)
def test_every_row_runs(row):
    """Each multiplier gives constants that its row takes, and a sum near the real one."""
    for sa, sb, so in ((0.25, 0.5, 0.5), (0.5, 0.25, 1.0), (2.0**-9, 0.5, 0.5), (0.5, 0.5, 0.5)):
        c = {k: np.asarray(v) for k, v in add.build(row, sa, 3, sb, -5, so, 7).items()}
        for k, v in c.items():
            assert row.takes[k].lo <= v <= row.takes[k].hi, (k, v)
        a, b = np.repeat(CODES, 256)[::7], np.tile(CODES, 256)[::7]
        exact = np.clip(7 + ((a.astype(int) - 3) * sa + (b.astype(int) + 5) * sb) / so, -128, 127)
        assert np.abs(exact - add.spec(a, b, *c.values(), row)).max() <= (1.01 if row.joined or row.high == "none" else 2)


@pytest.mark.parametrize("fields", [{"multiplier": "q15"}, {"multiplier": "mantissa24"}, {"multiplier": "pow2"},
                                    {"multiplier": "pow2", "joined": False}])
def test_rows_that_lose_what_they_shift_left_are_refused(fields):
    """Two roundings begin with a left shift by what the multiplier lacks in bits."""
    with pytest.raises(IllFormed, match="round once"):
        Row(**fields)


def test_near_real_means_the_constants():
    """`real` is the formula without roundings."""
    c = add.build(Row(), 0.05, 0, 0.1, 3, 0.12, -1)
    assert abs(float(add.real(10, 20, *c.values(), Row())) - (-1 + (10 * 0.05 + 17 * 0.1) / 0.12)) < 1e-6


@given(scales, scales, scales, st.integers(-128, 127), st.integers(-128, 127), st.integers(-128, 127),
       st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), min_size=1, max_size=30))
def test_add_float32_is_the_oracle(sa, sb, so, za, zb, zo, pairs):
    """DequantizeLinear, Add, QuantizeLinear: each rounded to float32, and nowhere else."""
    row = add_float32.Row()
    c = add_float32.build(row, sa, za, sb, zb, so, zo)
    assert list(c) == list(row.takes)[2:]
    a, b = (np.array(column, np.int8) for column in zip(*pairs))
    y = np.empty(a.shape, np.int8)
    add_float32.kernel(row)(a, b, *c.values(), y)
    expected = [oracle.added_in_float(i, j, *c.values()) for i, j in pairs]
    assert add_float32.spec(a, b, *c.values(), row).tolist() == y.tolist() == expected


def test_add_float32_never_fuses():
    """All pairs at scales whose products do not fit float32: a fused multiply-add would be seen."""
    row = add_float32.Row()
    c = add_float32.build(row, 0.1, 5, 0.3, -7, 0.4, 2)
    a, b, y = whole(add_float32, c, row)
    assert [oracle.added_in_float(i, j, *c.values()) for i, j in zip(a[::41], b[::41])] == y[::41]
    near = [abs(Fraction(k) - add_float32.real(i, j, *c.values(), row)) for i, j, k in zip(a[::41], b[::41], y[::41])]
    assert all(d <= Fraction(1, 2) + Fraction(1, 2**14) for d, k in zip(near, y[::41]) if -128 < k < 127)


def test_a_float32_sum_can_miss_the_real_tie():
    """A witness: 0.1 * 5 / 1 is a tie in float32, and above one in reals."""
    row = add_float32.Row()
    c = add_float32.build(row, 0.1, 0, 1.0, 0, 1.0, 0)
    assert add_float32.real(5, 0, *c.values(), row) > Fraction(1, 2)
    assert add_float32.spec(np.array([5]), np.array([0]), *c.values(), row).tolist() == [0]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan"), 2.0**-70])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(IllFormed, match="allowed is"):
        add_float32.build(add_float32.Row(), 0.1, 0, scale, 0, 0.1, 0)


def test_wide_rows_are_refused():
    """More than 32 bits have no 32-bit sum."""
    with pytest.raises(IllFormed, match="up to 32 bits"):
        Row(a=I48)
    assert Row(a=I8) == Row()
