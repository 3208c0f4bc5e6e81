"""shiftgelu: published values, the oracle, the whole 8-bit domain, and the distance to x * sigmoid(1.702 x)."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, U8
from refq.ops import shiftgelu
from refq.ops.shiftgelu import Row
from tests import oracle_transformer as oracle


def by_kernel(q, zp, x0, row):
    y = np.empty(q.shape, np.int32)
    shiftgelu.kernel(row)(np.ascontiguousarray(q, row.q.dtype), zp, x0, y)
    return y


def test_published_row():
    """The row (-64, -16, 0, 16, 64) at S = 1/16: sigmoid codes and outputs."""
    row, q = Row(), np.array([[-64, -16, 0, 16, 64]], np.int8)
    assert shiftgelu.build(row, 1 / 16, 0) == {"zp": 0, "x0": -10}
    assert oracle.sigmoids(q[0].tolist(), -10, 23, 8) == [0, 22, 63, 106, 125]
    assert shiftgelu.spec(q, 0, -10, row).tolist() == by_kernel(q, 0, -10, row).tolist() == [[0, -352, 0, 1696, 8000]]
    assert shiftgelu.result(row, 1 / 16) == 1 / 16 / 128


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=8), st.integers(-(2**15), 2**15 - 1),
       st.integers(1000, 2**24),
       st.sampled_from([(23, 8, 31), (23, 16, 31), (15, 16, 31), (24, 8, 31), (24, 8, 52), (23, 8, 52)]))
def test_oracle_agrees(q, zp, x0, form):
    """Spec and kernel are the authors' formula on unbounded integers; also where all x are negative, and exp(-M) grows
    without end in theirs and saturates here."""
    n, bits, reciprocal = form
    row, codes = Row(n=n, bits=bits, q=I16, reciprocal=reciprocal), np.array([q], np.int16)
    expected = oracle.shiftgelu(q, zp, -x0, n, bits, reciprocal)
    assert shiftgelu.spec(codes, zp, -x0, row).tolist() == by_kernel(codes, zp, -x0, row).tolist() == [expected]


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=12), st.integers(-128, 127), st.integers(1, 300))
def test_oracle_agrees_at_8_bits(q, zp, x0):
    """The same for the kernel that looks its rows up, with every size of x0."""
    codes = np.array([q], np.int8)
    expected = oracle.shiftgelu(q, zp, -x0, 23, 8)
    assert shiftgelu.spec(codes, zp, -x0, Row()).tolist() == by_kernel(codes, zp, -x0, Row()).tolist() == [expected]


@pytest.mark.parametrize(("q", "zp"), [(I8, 0), (I8, -128), (I8, 127), (U8, 0), (U8, 200)])
@pytest.mark.parametrize("x0", [-1, -2, -10, -151, -(2**24)])
def test_all_pairs(q, zp, x0):
    """Every 8-bit code below every largest code: kernel == spec in one call."""
    codes = np.arange(q.lo, q.hi + 1)
    pairs = np.stack(np.meshgrid(codes, codes), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(by_kernel(pairs, zp, x0, Row(q=q)), shiftgelu.spec(pairs, zp, x0, Row(q=q)))


@pytest.mark.parametrize(("n", "bits"), [(23, 8), (15, 8), (23, 16), (15, 16)])
@pytest.mark.parametrize("scale", [2.0 ** (-k / 4) for k in range(4, 33)] + [0.3, 1 / 3, 0.1, 0.051, 0.2 - 1e-5])
def test_near_the_real_function(scale, n, bits):
    """Over the 8-bit domain the error of the sigmoid stays below what the docstring states."""
    row = Row(n=n, bits=bits)
    x0 = shiftgelu.build(row, scale, 0)["x0"]
    t = 1.702 * scale
    bound = -x0 * 2.0 ** (n - 31) + 2.0 ** (1 - bits) + 0.025 + 0.12 * t + 0.25 * (-x0 * t - 1)
    for largest in range(-128, min(127, int(0.4 * (n - 5) / scale)) + 1):
        q = np.arange(-128, largest + 1)[None]
        error = np.abs(shiftgelu.spec(q, 0, x0, row) * shiftgelu.result(row, scale) - shiftgelu.real(q, 0, scale))
        assert (error <= np.abs(q) * scale * bound * (1 + 1e-9)).all()


def test_large_rows_lose_their_negative_side():
    """What the docstring warns of: with a largest x of 12.7 the authors' formula keeps half of a very negative x."""
    q = np.array([[-128, 127]])
    x0 = shiftgelu.build(Row(), 0.1, 0)["x0"]
    y = shiftgelu.spec(q, 0, x0, Row()) * shiftgelu.result(Row(), 0.1)
    assert y[0, 0] < -6 and abs(shiftgelu.real(q, 0, 0.1)[0, 0]) < 1e-8


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("reciprocal", [31, 52])
@pytest.mark.parametrize("n", [15, 23, 24])
@pytest.mark.parametrize("zp", [-(2**15), 0, 2**15 - 1])
@pytest.mark.parametrize("x0", [-1, -2, -(2**16), -(2**24)])
def test_registers_hold_at_the_rails(n, zp, x0, reciprocal):
    """No register leaves its declared width, at either end of every operand."""
    rails = np.array([[-(2**15), 2**15 - 1, 0, -1], [-(2**15)] * 4, [2**15 - 1] * 4])
    shiftgelu.spec(rails, zp, x0, Row(n=n, bits=16, q=I16, reciprocal=reciprocal), Held())


@pytest.mark.parametrize("scale", [0.5876, 1.0, 2.0**-26])
def test_scales_without_a_unit_are_refused(scale):
    """1.702 times the scale must have a code for -1."""
    with pytest.raises(IllFormed, match="1.702 times"):
        shiftgelu.build(Row(), scale, 0)


def authors(q, scale, bits=8, n=23):
    """IntGELU as published, in float32 throughout."""
    f = np.float32
    x0 = np.floor(f(-1) / f(scale * 1.702))

    def exponential(x):
        x = x + np.floor(x / f(2)) - np.floor(x / f(16))
        x = np.maximum(x, f(n) * x0)
        k = np.floor(x / x0)
        return np.maximum(np.floor((((x - x0 * k) / f(2)) - x0) * f(2) ** (f(n) - k)), f(0))

    q = q.astype(f)
    e, rest = exponential(q - q.max()), exponential(-q.max())
    factor = np.floor(f(2**31 - 1) / np.minimum(e + rest, f(2**31 - 1)))
    return q * np.floor(e * factor / f(2 ** (31 - bits + 1)))


def test_where_the_authors_float32_departs():
    """A witness: for (-6, 0) at S = 1/16 the sum is 2**27, and float32 makes 2**31 of 2**31 - 1: 16 in place of 15."""
    q = np.array([-6, 0])
    assert authors(q, 1 / 16).tolist() == [-6 * 48, 0]
    assert shiftgelu.spec(q[None], 0, -10, Row()).tolist() == [[-6 * 45, 0]]
    row = np.array([-64, -16, 0, 16, 64])
    assert authors(row, 1 / 16).tolist() == shiftgelu.spec(row[None], 0, -10, Row())[0].tolist()
