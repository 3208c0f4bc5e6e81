"""The fast loops of quantize and dequantize give what the specs say: at ties and beside them, far out, for NaN, with few channels
and with many."""
import numpy as np
import pytest

from refq.ints import products, quotients, rounding
from refq.ints.width import I4, I8, U8
from refq.ops import dequantize, quantize

F = np.float32
ENDS = F([np.nan, np.inf, -np.inf, 3e38, -3e38, -0.0, 1e-40, 2147483520, 2147483648, -2147483648, -2147483904, 2.2e9])


def rows():
    """Every quotient with every way of its zero point under the usual rounding; every rounding once."""
    found = [quantize.Row(q, z, "half_even", out=U8) for q, z in quotients.values]
    found += [quantize.Row(q, "after", ties, out=I4) for i, ties in enumerate(rounding.names)
              for q in (("exact", "float32", "reciprocal_float32")[i % 3],)]
    found += [quantize.Row("float32", z, "half_even", "lowest_int32", nan, out) for z, nan, out in (
        ("after", "converted", I8), ("after", "lowest", U8), ("after", "highest", I8), ("inside", "converted", U8))]
    return [*found, quantize.Row("reciprocal_float32", "fused", nan="highest"),
            quantize.Row("reciprocal_float32", "after", "half_even", "lowest_int32", "lowest")]


def numbers(rng, scale, shape):
    """Halves of units, numbers beside them, anything, and what is far or none."""
    x = (rng.integers(-600, 600, shape) / 2 * scale.astype(np.float64)).astype(F)
    way = rng.integers(0, 6, shape)
    x = np.where(way == 1, np.nextafter(x, F(np.inf)), np.where(way == 2, np.nextafter(x, F(-np.inf)), x))
    x = np.where(way == 3, (rng.normal(0, 50, shape) * scale).astype(F), x)
    with np.errstate(over="ignore"):
        ends = ENDS[rng.integers(0, len(ENDS), shape)] * np.where(rng.random(shape) < 0.5, scale, F(1))
    return np.ascontiguousarray(np.where(rng.random(shape) < 0.05, ends, x), F)


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r.quotient}-{r.zero_point}-{r.ties}-{r.far}-{r.nan}-{r.out}")
def test_codes(row):
    rng = np.random.default_rng(1)
    for columns in (1, 3, 700):
        scale = np.exp(rng.uniform(-8, 3, columns)).astype(F)
        scale[1:3] = F([1, 0.25])[:columns - 1]
        zp = rng.integers(row.out.lo, row.out.hi + 1, columns).astype(row.out.dtype)
        zp[0] = row.out.hi
        x = numbers(rng, scale, (6000 // columns, columns))
        if row.nan == "refused":
            x[np.isnan(x)] = 0
        y = np.empty(x.shape, row.out.dtype)
        quantize.kernel(row)(x, scale, zp, y)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(y, quantize.spec(x, scale, zp, row))


@pytest.mark.parametrize("product", products.names)
def test_numbers(product):
    """Bit for bit, signs of zeros included."""
    rng = np.random.default_rng(2)
    for width in (I8, U8):
        for columns in (1, 3, 700):
            q = rng.integers(width.lo, width.hi + 1, (4000 // columns, columns)).astype(width.dtype)
            zp = rng.integers(width.lo, width.hi + 1, columns).astype(width.dtype)
            zp[-1] = 0
            scale = np.exp(rng.uniform(-80, 50, columns)).astype(F)
            y = np.empty(q.shape, F)
            dequantize.kernel(dequantize.Row(product, width))(q, scale, zp, y)
            expected = dequantize.spec(q, scale, zp, dequantize.Row(product, width))
            np.testing.assert_array_equal(y.view(np.uint32), expected.view(np.uint32))


def test_nothing_is_no_trouble():
    for shape in ((0, 3), (3, 0)):
        y = np.empty(shape, np.int8)
        constants = np.ones(shape[1], F), np.zeros(shape[1], np.int8)
        quantize.kernel(quantize.Row())(np.empty(shape, F), *constants, y)
        dequantize.kernel(dequantize.Row())(y, *constants, np.empty(shape, F))


@pytest.mark.parametrize("count", [0, 1, 2, 511, 1027])
def test_nibbles(count):
    """Packed in one pass, low nibble first, an odd last one beside a nibble of 0; and back."""
    from refq.machine.nibbles import packing, unpacking
    rng = np.random.default_rng(3)
    x, scale, zp = rng.normal(0, 3, (count, 1)).astype(F), F([0.5]), np.int8([1])
    row, back = quantize.Row("float32", out=I4), dequantize.Row(q=I4)
    codes, packed = np.empty(x.shape, np.int8), np.full((count + 1) // 2, 255, np.uint8)
    quantize.kernel(row)(x, scale, zp, codes)
    packing(row)(x, scale, zp, packed)
    flat = np.append(codes[:, 0], np.int8(0))
    expected = [int(flat[i]) & 15 | (int(flat[i + 1]) & 15) << 4 for i in range(0, count, 2)]
    assert packed.tolist() == expected
    once, twice = np.empty(x.shape, F), np.empty(x.shape, F)
    dequantize.kernel(back)(codes, scale, zp, once)
    unpacking(back)(packed, scale, zp, twice)
    np.testing.assert_array_equal(once, twice)
