"""mul_float32: the oracle over 8-bit codes, the forms of ONNX, ONNX Runtime, PyTorch and XNNPACK, and what is refused."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import conversions
from refq.ints.width import I16, I32, U8
from refq.ops import mul_float32
from refq.ops.mul_float32 import Row
from tests import oracle_float32 as oracle

CODES = np.arange(-128, 128, dtype=np.int8)
FORMS = [Row(), Row(product="fused"), Row(quotient="multiple"), Row(quotient="multiple", zero_point="inside"),
         Row(quotient="reciprocal_float32"), Row(quotient="reciprocal_float32", zero_point="inside"),
         Row(quotient="reciprocal_float32", zero_point="fused"), Row(zero_point="inside")]


def whole(row, **scales):
    """Spec and kernel over all pairs of 8-bit codes, after making sure that they are the same."""
    c = mul_float32.build(row, **scales)
    assert list(c) == list(row.takes)[2:]
    a, b = np.repeat(CODES, 256), np.tile(CODES, 256)
    y = np.empty(a.shape, np.int8)
    mul_float32.kernel(row)(a, b, *c.values(), y)
    np.testing.assert_array_equal(mul_float32.spec(a, b, *c.values(), row), y)
    return c, a.tolist(), b.tolist(), y


@pytest.mark.parametrize("row", FORMS)
def test_oracle_agrees_on_all_codes(row):
    """Kernel == spec on all 65,536 pairs, and the oracle on a part of them."""
    c, a, b, y = whole(row, sa=0.1, za=3, sb=0.3, zb=-7, so=1.9, zo=5)
    expected = [oracle.multiplied(i, j, *c.values(), row) for i, j in zip(a[::41], b[::41])]
    assert y[::41].tolist() == expected


@pytest.mark.parametrize("far", conversions.names)
@pytest.mark.parametrize("ties", ["half_even", "half_away", "floor"])
@given(data=st.data(), form=st.sampled_from(FORMS))
def test_oracle_agrees_at_the_rails(ties, far, data, form):
    """Any codes, zero points and scales: far products and ties included."""
    row = Row(product=form.product, quotient=form.quotient, zero_point=form.zero_point, ties=ties, far=far)
    scales = st.sampled_from([1.0, 0.5, 2.0**-7, 2.0**-20]) | st.floats(2.0**-20, 16, width=32)
    sa, sb, so = (data.draw(scales) for _ in range(3))
    za, zb, zo, i, j = (data.draw(st.integers(-128, 127) | st.sampled_from([-128, 0, 127])) for _ in range(5))
    c, y = mul_float32.build(row, sa, za, sb, zb, so, zo), np.empty(1, np.int8)
    a, b = np.array([i], np.int8), np.array([j], np.int8)
    mul_float32.kernel(row)(a, b, *c.values(), y)
    expected = oracle.multiplied(i, j, *c.values(), row)
    assert mul_float32.spec(a, b, *c.values(), row).tolist() == y.tolist() == [expected]


def test_a_multiple_is_of_whole_numbers():
    """One scale sa*sb/so, made as the row says; the operands' own scales are 1, and the product of differences is exact."""
    c = mul_float32.build(Row(quotient="multiple", ratio="reciprocal_float32"), 0.1, 0, 0.3, 0, 0.7, 0)
    f = np.float32
    assert (c["sa"], c["sb"], c["so"]) == (1, 1, f(f(0.1) * f(0.3)) * (f(1) / f(0.7)))
    wide = Row(quotient="multiple", a=I16, b=I16, out=I16)
    a = np.array([2**15 - 1], np.int16)
    assert mul_float32.spec(a, a, 0, 0, f(1), f(1), f(2.0**-15), 0, wide).tolist() == [32766]      # 32766.00003


def test_the_forms_differ():
    """Witnesses: where ONNX divides, PyTorch multiplies by one scale; both are PyTorch's own engine's."""
    parts = dict(sa=0.1, za=0, sb=0.1, zb=0, so=0.02, zo=0)
    onnx, torch = whole(Row(), **parts)[3], whole(Row(quotient="multiple", ratio="reciprocal_float32"), **parts)[3]
    assert 0 < (onnx != torch).sum() < 2000 and np.abs(onnx.astype(int) - torch).max() == 1


def test_far_products():
    """16 * 16 * 2**24 leaves 32 bits: the highest code, or x86's lowest one."""
    a = np.array([16], np.uint8)
    for far, y in (("saturates", 255), ("lowest_int32", 0)):
        row = Row(quotient="multiple", far=far, a=U8, b=U8, out=U8)
        c = mul_float32.build(row, 16.0, 0, 16.0, 0, 2.0**-16, 7)
        assert mul_float32.spec(a, a, *c.values(), row).tolist() == [y]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan"), 2.0**-60, 2.0**70])
def test_impossible_scales_are_refused(scale):
    for row in (Row(), Row(quotient="multiple")):
        with pytest.raises(IllFormed, match="allowed are"):
            mul_float32.build(row, 0.1, 0, scale, 0, 0.1, 0)


def test_impossible_rows_are_refused():
    with pytest.raises(IllFormed, match="up to 16 bits"):
        Row(a=I32)
    with pytest.raises(IllFormed, match="its zero point can be after, inside"):
        Row(quotient="multiple", zero_point="fused")
