"""Float32 words: every float32 rounding happens, and nothing is fused, widened or reassociated."""
from fractions import Fraction

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import floats, rounding
from refq.ints.jit import jit
from refq.ints.sites import unwatched
from refq.ints.width import I8, I32, I40, U8
from tests import oracle
from tests.ints.compiled import compiled

draw = np.random.default_rng(11)
ACCS = np.concatenate([draw.integers(-(2 ** 31), 2 ** 31, 3000), draw.integers(-(2 ** 25), 2 ** 25, 2000),
                       [0, 1, -1, 2 ** 24 + 1, -(2 ** 24) - 1, 2 ** 24 + 3, 2 ** 31 - 1, -(2 ** 31), 2 ** 30 + 65]])
SCALES = np.exp(draw.uniform(-12, 0, ACCS.size)).astype(np.float32)


@jit()
def products(acc, scale, out):
    for i in range(acc.size):
        out[i] = floats.product(acc[i], scale[i])


@jit()
def products_plus(acc, scale, term, out):
    for i in range(acc.size):
        out[i] = floats.plus(floats.product(acc[i], scale[i]), term[i])


def test_a_product_is_rounded_twice_to_float32():
    """The accumulator and then the product, nearest even; spec, kernel and fractions."""
    out = np.empty(ACCS.size, np.float32)
    products(ACCS, SCALES, out)
    spec = floats.product(ACCS, SCALES)
    assert spec.dtype == np.float32 and spec.tobytes() == out.tobytes()
    for acc, scale, found in zip(ACCS.tolist(), SCALES.tolist(), out.tolist()):
        assert Fraction(found) == oracle.float32_of(oracle.float32_of(Fraction(acc)) * Fraction(scale))


def test_a_kernel_does_not_multiply_in_float64():
    """An accumulator and scale whose float64 product rounds to another float32 are among those drawn."""
    wide = (ACCS.astype(np.float64) * SCALES).astype(np.float32)
    assert (floats.product(ACCS, SCALES) != wide).sum() > 100


def test_a_kernel_does_not_fuse_the_product_with_the_sum():
    """Terms that cancel the rounded product: an fma would leave the product's rounding error, and float64 too."""
    rounded = floats.product(ACCS, SCALES)
    out = np.empty(ACCS.size, np.float32)
    products_plus(ACCS, SCALES, -rounded, out)
    assert not out.any()
    exact = ACCS.astype(np.float32).astype(np.float64) * SCALES - rounded
    assert np.count_nonzero(exact) > 1000
    products_plus(ACCS, SCALES, np.full(ACCS.size, 3.25, np.float32), out)
    assert out.tobytes() == (rounded + np.float32(3.25)).tobytes()


HARD = np.array([k + d for k in range(-130, 131) for d in (0, 0.25, 0.5, 0.75)]
                + [np.nextafter(np.float32(h), np.float32(side)) for h in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0, 1, 127.5)
                   for side in (-np.inf, np.inf)]
                + [2.0 ** 23 - 0.5, 2.0 ** 23 + 1, 2.0 ** 24, 1e10, -1e10, 3.4e38, -3.4e38, 1e-45, -1e-45], np.float32)


@pytest.mark.parametrize("ties", rounding.names)
@pytest.mark.parametrize("width", [I8, U8, I32, I40], ids=str)
def test_a_float32_is_rounded_by_name_and_saturates(ties, width):
    """Quarters, neighbours of ties and of integers, and the far ends, against fractions; infinities saturate."""
    expected = [oracle.saturated(oracle.roundings[ties](Fraction(x)), width.bits, width.signed) for x in HARD.tolist()]
    assert floats.rounded(HARD, ties, width).tolist() == expected
    assert unwatched.nearest("y", ties, HARD, width).tolist() == expected
    ends = np.array([np.inf, -np.inf], np.float32)
    assert floats.rounded(ends, ties, width).tolist() == [width.hi, width.lo]
    if width == I8 or ties == "half_even":
        assert compiled(floats.nearest(ties, width), HARD).tolist() == expected
        assert compiled(floats.nearest(ties, width), ends).tolist() == [width.hi, width.lo]


def test_not_a_number_is_refused():
    """By the spec; the kernel cannot meet one."""
    with pytest.raises(IllFormed, match="NaN"):
        floats.rounded(np.array([1, np.nan], np.float32), "half_even", I8)
