"""mul: the oracle, the whole 8-bit domain, TFLite's multiplier, 16-bit codes at the rails."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I16, I32, U8
from refq.ops import mul
from refq.ops.mul import Row
from tests import oracle_litert as oracle

CODES = np.arange(-128, 128, dtype=np.int8)
ROWS = {"tflite": Row(), "single": Row(high="none", ties="half_up"), "saturating": Row(overflow="saturate")}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_oracle_agrees_on_all_codes(row):
    """Kernel == spec on all 65,536 pairs, and the oracle on a part of them."""
    c = mul.build(row, 0.05, -7, 0.1, 3, 0.12, -1)
    assert list(c) == list(row.takes)[2:]
    a, b = np.repeat(CODES, 256), np.tile(CODES, 256)
    y = np.empty(a.shape, np.int8)
    mul.kernel(row)(a, b, *c.values(), y)
    np.testing.assert_array_equal(mul.spec(a, b, *c.values(), row), y)
    for i, j, k in list(zip(a.tolist(), b.tolist(), y.tolist()))[::23]:
        assert oracle.multiplied(i, j, **c, row=row) == k


@pytest.mark.parametrize("row", [Row(a=I16, b=I16, out=I16), Row(a=I16, b=I16, out=I32, high="none"), Row(overflow="saturate"),
                                 Row(a=I16, b=I16, out=I16, overflow="saturate"), Row(multiplier="dyadic", out=I32)])
@given(data=st.data())
def test_oracle_agrees_at_the_rails(row, data):
    """Any operands and constants that the row takes: a product that leaves 32 bits included."""
    drawn = {k: data.draw(st.integers(d.lo, d.hi) | st.sampled_from((d.lo, d.hi))) for k, d in row.takes.items()}
    a, b = (np.array([drawn.pop(k)], row.takes[k].width.dtype) for k in "ab")
    y = np.empty(1, row.out.dtype)
    mul.kernel(row)(a, b, *drawn.values(), y)
    expected = oracle.multiplied(a.item(), b.item(), **drawn, row=row, bits=row.out.bits)
    assert mul.spec(a, b, *drawn.values(), row).tolist() == y.tolist() == [expected]


def test_the_multiplier_is_made_in_float32():
    """LiteRT's: .1 * .3 / .27 in float32 is another multiplier than in float64."""
    single, double = (mul.build(Row(ratio=r), float(np.float32(0.1)), 0, float(np.float32(0.3)), 0, float(np.float32(0.27)), 0)
                      for r in ("float32", "float64"))
    assert single["shift"] == double["shift"] and single["mult"] != double["mult"]
    assert single["mult"] % 2 ** 7 == 0


def test_near_the_real_product():
    """Half a unit for one rounding, one for two, while nothing saturates."""
    for row, bound in ((ROWS["single"], 0.5), (ROWS["tflite"], 1)):
        c = mul.build(row, 0.05, 2, 0.1, -3, 0.7, 1)
        a, b = np.repeat(CODES, 256)[::5], np.tile(CODES, 256)[::5]
        exact = 1 + (a.astype(int) - 2) * (b.astype(int) + 3) * 0.05 * 0.1 / 0.7
        assert np.abs(np.clip(exact, -128, 127) - mul.spec(a, b, *c.values(), row)).max() <= bound + 1e-4


def test_rows_that_cannot_be_are_refused():
    with pytest.raises(IllFormed, match="round once"):
        Row(multiplier="pow2")
    with pytest.raises(IllFormed, match="at most 16 bits"):
        Row(a=I32)
    assert Row(a=U8, b=U8).takes["a"].hi == 255
