"""requantize_float32: the oracle, and every code of some pairs of grids as two float32 operations give it."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.width import I8, I16, I48
from refq.ops import dequantize, quantize, requantize_float32
from refq.ops.requantize_float32 import Row
from tests import oracle_quantize as oracle
from tests.oracle import roundings, saturated

CODES = st.integers(-128, 127)
SCALES = st.integers(1, 99).map(lambda k: k / 100) | st.floats(0.01, 1)
FORMS = [(p, q, z) for p in ("float32", "fused") for q, z in (("float32", "after"), ("float32", "inside"),
                                                              ("reciprocal_float32", "after"), ("reciprocal_float32", "fused"))]


def both(acc, row, constants):
    acc = np.asarray(acc, row.acc.dtype).reshape(-1, 1)
    y = np.empty(acc.shape, row.out.dtype)
    requantize_float32.kernel(row)(acc, *constants.values(), y)
    np.testing.assert_array_equal(requantize_float32.spec(acc, *constants.values(), row), y)
    return y[:, 0].tolist()


@pytest.mark.parametrize("form", FORMS, ids="-".join)
@given(scale=SCALES, unit=SCALES, zin=CODES, zp=CODES, acc=st.lists(CODES, min_size=1, max_size=30), data=st.data())
def test_oracle_agrees(form, scale, unit, zin, zp, acc, data):
    row = Row(*form, ties=data.draw(st.sampled_from(rounding.names)))
    c = requantize_float32.build(row, (scale,), unit, zin, zp)
    assert list(c) == list(row.takes)[1:]

    def code(q):
        real = oracle.dequantized(q, c["scale"][0], zin, row.product)
        found = roundings[row.ties](oracle.value(real, Fraction(float(c["unit"])), zp, row.quotient, row.zero_point))
        return saturated(found + (zp if row.zero_point == "after" else 0), 8)

    assert both(acc, row, c) == [code(q) for q in acc]


@pytest.mark.parametrize(("width", "out"), [(I8, I8), (I16, I8), (I8, I16)], ids=str)
def test_it_is_dequantize_and_quantize(width, out):
    """All codes, as the two operations of the ONNX dialects give them one after the other."""
    q = np.arange(width.lo, width.hi + 1).astype(width.dtype)[:, None]
    for scale, unit, zin, zp in ((0.1, 0.3, 3, -5), (0.25, 0.5, 0, 1), (0.07, 0.01, -128, 127)):
        first, last = dequantize.Row(q=width), quantize.Row(quotient="float32", out=out)
        real = dequantize.spec(q, *(np.asarray(v) for v in dequantize.build(first, scale, zin).values()), first)
        codes = quantize.spec(real, *(np.asarray(v) for v in quantize.build(last, unit, zp).values()), last)
        row = Row(acc=width, out=out)
        assert both(q, row, requantize_float32.build(row, (scale,), unit, zin, zp)) == codes[:, 0].tolist()


@pytest.mark.parametrize(("factors", "unit"), [((0.0,), 1.0), ((1.0,), float("nan")), ((1.0, float("inf")), 1.0), ((1.0,), -1.0)])
def test_impossible_scales_are_refused(factors, unit):
    with pytest.raises(IllFormed, match="allowed is"):
        requantize_float32.build(Row(), factors, unit, 0, 0)


def test_rows_that_are_none_are_refused():
    with pytest.raises(IllFormed, match="at most 32 bits"):
        Row(acc=I48)
    with pytest.raises(IllFormed, match="zero point can be after, inside"):
        Row(zero_point="fused")
    assert requantize_float32.real(5, 3, 0.5, 0.25, 1, Row()) == 5          # 1 + (5 - 3) * 2
