"""dequantize: the oracle, every 8-bit code, where 32-bit codes lose bits, and what a fused product leaves of zero."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints import products
from refq.ints.floats import fused
from refq.ints.width import I8, I16, I32, I48
from refq.ops import dequantize
from refq.ops.dequantize import Row
from tests import oracle_quantize as oracle
from tests.oracle import float32_of

F = np.float32


def both(q, scale, zp, row):
    q = np.asarray(q, row.q.dtype).reshape(-1, 1)
    built = dequantize.build(row, scale, zp)
    operands = q, built["scale"], np.ascontiguousarray(built["zp"], row.q.dtype)
    y = np.empty(q.shape, F)
    dequantize.kernel(row)(*operands, y)
    np.testing.assert_array_equal(dequantize.spec(*operands, row), y)
    return y[:, 0].tolist()


@pytest.mark.parametrize("width", [I8, I16, I32], ids=str)
@pytest.mark.parametrize("product", products.names)
@given(data=st.data())
def test_oracle_agrees(product, width, data):
    codes = st.integers(width.lo, width.hi) | st.sampled_from([width.lo, width.hi, 0, 1])
    q, zp = data.draw(st.lists(codes, min_size=1, max_size=20)), data.draw(codes)
    scale = F(data.draw(st.floats(2.0 ** -20, 16, width=32)))
    assert both(q, scale, zp, Row(product, width)) == [float(oracle.dequantized(v, scale, zp, product)) for v in q]


def test_every_code_is_what_its_grid_says():
    """Two forms are the grid's own decode, rounded once; the fused one is a few units of float32 off."""
    q = np.arange(-128, 128)
    for scale, zero in ((0.1, 3), (0.7, -128), (2.0 ** -7, 127)):
        exact = Affine(I8, np.array(F(scale)), np.array(zero)).decode(q).astype(F).tolist()
        assert both(q, scale, zero, Row("float32")) == both(q, scale, zero, Row("exact")) == exact
        assert np.abs(np.subtract(both(q, scale, zero, Row("fused")), exact)).max() <= 256 * scale * 2.0 ** -23


def test_a_code_of_25_bits():
    """Code 2**24 + 1 and scale 3: rounded first it is 3 * 2**24 (ONNX Runtime); rounded once 50331652."""
    assert both([2 ** 24 + 1], 3, 0, Row("float32", I32)) == [50331648]
    assert both([2 ** 24 + 1], 3, 0, Row("exact", I32)) == [50331652]


def test_a_fused_product_leaves_something_of_zero():
    """q = zp = 3 at scale 0.1: 3 * 0.1 less float32(3 * 0.1) is not 0."""
    assert both([3], 0.1, 3, Row("float32")) == [0.0]
    assert 0 < abs(both([3], 0.1, 3, Row("fused"))[0]) < 2.0 ** -25


@given(*[st.floats(-(2.0 ** 30), 2.0 ** 30, width=32).filter(lambda v: v == 0 or abs(v) > 2.0 ** -30)] * 3)
def test_fused_rounds_once(x, y, z):
    """The multiply-add, against fractions; sums that cancel included."""
    from fractions import Fraction
    for third in (z, float(F(-F(x) * F(y)))):
        exact = Fraction(x) * Fraction(y) + Fraction(third)
        assert float(fused(F(x), F(y), F(third))) == float(float32_of(exact))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 2.0 ** 81])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(IllFormed, match="allowed is"):
        dequantize.build(Row(), scale, 0)


def test_rows_and_words_that_are_none():
    with pytest.raises(IllFormed, match="at most 32 bits"):
        Row(q=I48)
    with pytest.raises(IllFormed, match="a product named"):
        products.word("double")
    assert dequantize.real(5, F(0.5), 3, Row()) == 1
