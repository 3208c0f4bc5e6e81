"""quantize_minifloat and dequantize_minifloat: every code of every format, all ties against fractions, published rules."""
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import minifloat
from refq.ops import dequantize_minifloat, quantize_minifloat
from refq.ops.quantize_minifloat import PUBLISHED, Row
from tests import oracle_formats as oracle

F, ONE = np.float32, np.ones(1, np.float32)
EXACT = {"beyond": "special", "infinity": "special"}


def dtype(name):
    """ml_dtypes' type of a format."""
    if name == "float16":
        return np.float16
    return ml_dtypes.bfloat16 if name == "bfloat16" else getattr(ml_dtypes, f"float{minifloat.load(name).bits}_{name}")


def codes(x, row, scale=ONE):
    """What spec and kernel give for numbers of one channel, after making sure that it is the same."""
    x = np.asarray(x, F).reshape(-1, 1)
    f = minifloat.load(row.format)
    y = np.empty(x.shape, f.width.dtype)
    quantize_minifloat.kernel(row)(x, scale, y)
    np.testing.assert_array_equal(quantize_minifloat.spec(x, scale, row), y)
    return y[:, 0]


@pytest.mark.parametrize("name", minifloat.names)
def test_every_code_means_what_the_definition_says(name):
    """Fractions; ml_dtypes gives the same, signs of zeros included."""
    f = minifloat.load(name)
    for code in range(1 << f.bits):
        expected, found = oracle.value(name, code), float(f.values[code])
        assert found == float(expected) if expected != "nan" else np.isnan(found)
    theirs = np.arange(1 << f.bits).astype(f.width.dtype).view(dtype(name))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(theirs.astype(np.float32), f.values.astype(np.float32))
    number = ~np.isnan(f.values)
    assert np.array_equal(np.signbit(theirs.astype(np.float32))[number], np.signbit(f.values)[number])
    assert f.most == oracle.largest(name)


@pytest.mark.parametrize("name", minifloat.names)
def test_every_middle_and_its_neighbours(name):
    """All numbers, the middles between them and the float32 numbers beside both, and what is beyond: as ml_dtypes rounds them."""
    f = minifloat.load(name)
    known = np.unique(f.values[np.isfinite(f.values)])
    with np.errstate(over="ignore"):
        beyond = known[-1] * np.array([1.01, 1.03, 1.07, 1.25, 1.5, 2, 9])
        x = np.concatenate([known, (known[1:] + known[:-1]) / 2, beyond]).astype(F)
        x = np.concatenate([x, -x, [-0.0, np.inf, -np.inf]]).astype(F)
        x = np.concatenate([x, np.nextafter(x, F(np.inf)), np.nextafter(x, F(-np.inf))])
    row = Row(name, **(EXACT if f.nan else {"nan": "refused"}))
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(codes(x, row), x.astype(dtype(name)).view(f.width.dtype))


@pytest.mark.parametrize("ties", ["half_even", "half_away", "half_zero"])
@pytest.mark.parametrize("name", [n for n in minifloat.names if minifloat.load(n).bits <= 8])
def test_middles_under_other_roundings(name, ties):
    """Against fractions and a search, saturating."""
    f = minifloat.load(name)
    known = np.unique(np.abs(f.values[np.isfinite(f.values)]))
    x = np.concatenate([(known[1:] + known[:-1]) / 2, known[-1:] * 1.01, known[-1:] * 3]).astype(F)
    x = np.concatenate([x, np.nextafter(x, F(0)), np.nextafter(x, F(np.inf))])
    found = [oracle.encoded(name, float(v), ties) for v in x]
    expected = [f.most if v is None else v for v in found]
    row = Row(name, ties=ties, nan="refused")
    assert codes(x, row).tolist() == expected
    negated = [v | f.sign if v or f.kind != "fnuz" else v for v in expected]
    assert codes(-x, row).tolist() == negated


@pytest.mark.parametrize("name", ["float16", "bfloat16", "e5m2", "e4m3fn", "e4m3fnuz", "e2m3fn"])
def test_there_and_back_over_all_codes(name):
    """The number of every code has that code again, under every scale that is a power of two; a NaN one of its own."""
    f = minifloat.load(name)
    q = np.arange(1 << f.bits).astype(f.width.dtype).reshape(-1, 1)
    special = "special" if f.nan else "refused"
    for scale in (ONE, ONE * F(0.25)):
        row, back = Row(name, nan=special, **(EXACT if f.nan else {})), dequantize_minifloat.Row(name)
        y = np.empty(q.shape, np.uint32)
        dequantize_minifloat.kernel(back)(q, scale, y)
        np.testing.assert_array_equal(dequantize_minifloat.spec(q, scale, back), y)
        number = ~np.isnan(f.values)
        assert np.array_equal(codes(y.view(F)[number], row, scale), q[number, 0])
        assert (y[~number] == 0x7FC00000).all()


def test_saturation_and_nan_as_onnx_says():
    """float8.md and float4.md: what is beyond, infinities and NaN, with saturate and without."""
    x = [1e6, -1e6, np.inf, -np.inf, np.nan]
    nan = {"e4m3fn": 0x7F, "e5m2": 0x7E, "e4m3fnuz": 0x80, "e5m2fnuz": 0x80}
    assert codes(x, PUBLISHED["e4m3fn"]).tolist() == [0x7E, 0xFE, 0x7E, 0xFE, nan["e4m3fn"]]
    assert codes(x, PUBLISHED["e5m2"]).tolist() == [0x7B, 0xFB, 0x7B, 0xFB, nan["e5m2"]]
    assert codes(x, PUBLISHED["e4m3fnuz_document"]).tolist() == [0x7F, 0xFF, 0x80, 0x80, 0x80]
    assert codes(x, PUBLISHED["e4m3fnuz"]).tolist() == [0x7F, 0xFF, 0x7F, 0xFF, 0x80]       # as engines have it
    assert codes(x, PUBLISHED["e5m2_unsaturated"]).tolist() == [0x7C, 0xFC, 0x7C, 0xFC, nan["e5m2"]]
    assert codes(x, PUBLISHED["e4m3fn_unsaturated"]).tolist() == [0x7F, 0xFF, 0x7F, 0xFF, nan["e4m3fn"]]
    assert codes(x, PUBLISHED["float4"]).tolist() == [7, 15, 7, 15, 7]
    assert codes([-0.0, 0.0, -1e-9], PUBLISHED["e4m3fn"]).tolist() == [0x80, 0, 0x80]
    assert codes([-0.0, 0.0, -1e-9], PUBLISHED["e5m2fnuz"]).tolist() == [0, 0, 0]


def test_a_scale_beside_the_codes():
    """Per channel; the float32 quotient can be a tie that the exact one is not."""
    x, scale = np.array([[1.0, 448.0]], F), np.array([1 / 448, 2.0], F)
    y = np.empty((1, 2), np.uint8)
    quantize_minifloat.kernel(Row())(x, scale, y)
    assert y.tolist() == [[0x7E, 0x76]]
    assert quantize_minifloat.real(F(1), F(0.5), Row()) == Fraction(2)


def test_rows_and_constants_that_are_none():
    for wrong in ({"format": "e2m1fn"}, {"format": "e3m2fn", "nan": "most", "beyond": "special"}):
        with pytest.raises(IllFormed, match="has no infinity and no NaN"):
            Row(**wrong)
    with pytest.raises(IllFormed, match="it can be"):
        Row("e9m9")
    with pytest.raises(IllFormed, match="allowed is"):
        quantize_minifloat.build(Row(), [1.0, 0.0])
    with pytest.raises(IllFormed, match="clean the data"):
        quantize_minifloat.spec(np.full((1, 1), np.nan, F), ONE, PUBLISHED["e3m2"])
    with pytest.raises(IllFormed, match="a number format named"):
        minifloat.load("e1m1")
