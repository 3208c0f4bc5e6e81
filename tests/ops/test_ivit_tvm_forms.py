"""The TVM forms of I-ViT's operations: shiftmax with its half first, shiftgelu_int32, ilayernorm_int32; the oracle, the whole
8-bit domain, and inputs on which they differ from the PyTorch forms.
"""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.dialects import ivit_tvm
from refq.ints.exponential import falling_exp_first, unit, wrapped_exp
from refq.ints.fold import MOST
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, U8, Width
from refq.ops import ilayernorm, ilayernorm_int32, shiftgelu, shiftgelu_int32, shiftmax
from tests import oracle_ivit_tvm as oracle
from tests import oracle_transformer as authors

SOFTMAX, GELU = ivit_tvm.softmax.row, ivit_tvm.gelu.row


def run(module, row, q, *constants, out=np.int32):
    """(spec, kernel) of one case, as lists."""
    y = np.empty(q.shape, out)
    module.kernel(row)(np.ascontiguousarray(q, row.q.dtype), *constants, y)
    return module.spec(q, *constants, row).tolist(), y.tolist()


@given(st.floats(2.0**-23, 1.0) | st.integers(1, 2**20).map(lambda k: 1 / k) | st.integers(0, 23).map(lambda k: 2.0**-k))
def test_the_code_of_minus_one(scale):
    """-1/s - 1 without its fraction; it is the paper's but where 1/s is whole."""
    x0 = unit(scale, "test", "beyond")
    assert x0 == oracle.code_of_minus_one(scale)
    assert x0 - unit(scale, "test") == (-1 if (1 / oracle.Fraction(scale)).denominator == 1 else 0)


@given(st.integers(-(2**17), 2**17), st.integers(-(2**24), -1) | st.integers(-300, -1), st.integers(1, 24))
def test_exponentials(x, x0, n):
    """In 32 bits that wrap, of any sign; and, below 32 bits and for x <= 0, the wide form with its half first."""
    assert wrapped_exp(x, x0, n) == oracle.shift_exp(x, x0, n)
    if x <= 0 and -x0 << n < 2**31:
        assert falling_exp_first(x, x0, n) == wrapped_exp(x, x0, n)


@pytest.mark.parametrize(("q", "x0"), [(I8, -1), (I8, -16), (I8, -17), (I8, -255), (U8, -2)])
def test_softmax_of_all_pairs(q, x0):
    """Every pair of 8-bit codes: kernel == spec == the benchmark's expressions."""
    codes, row = np.arange(q.lo, q.hi + 1), shiftmax.Row(n=16, half="first", q=q)
    pairs = np.stack(np.meshgrid(codes, codes), axis=-1).reshape(-1, 2)
    slow, fast = run(shiftmax, row, pairs, x0, out=np.int8)
    known = {d: oracle.softmax((0, -d), x0) for d in range(256)}
    assert slow == fast and slow[::7] == [known[a - b] if a >= b else known[b - a][::-1] for a, b in pairs[::7].tolist()]


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=9), st.integers(1, 3600))
def test_softmax(q, x0):
    """While the sum fits, which `holds` says, any row is the benchmark's."""
    if len(q) * x0 >= 1 << 15:
        return
    assert run(shiftmax, SOFTMAX, np.array([q]), -x0, out=np.int8) == ([oracle.softmax(q, -x0)],) * 2


@settings(max_examples=150)
@given(st.lists(st.integers(-128, 127), min_size=1, max_size=9) | st.lists(st.integers(-128, -60), min_size=1, max_size=4),
       st.integers(-128, 127) | st.just(0), st.integers(1, 300) | st.integers(1, 2**24))
def test_gelu(q, zp, x0):
    """Any row, also of negative codes only, where exp(-M) leaves 32 bits."""
    assert run(shiftgelu_int32, GELU, np.array([q]), zp, -x0) == ([oracle.gelu(q, zp, -x0)],) * 2


@pytest.mark.parametrize("x0", [-1, -10, -128, -(2**20)])
def test_gelu_of_all_pairs(x0):
    """Every 8-bit code below every largest code, and the oracle for many."""
    codes = np.arange(-128, 128)
    pairs = np.stack(np.meshgrid(codes, codes), axis=-1).reshape(-1, 2)
    slow, fast = run(shiftgelu_int32, GELU, pairs, 0, x0)
    assert slow == fast and slow[::61] == [oracle.gelu(pair, 0, x0) for pair in pairs[::61].tolist()]


@pytest.mark.parametrize("q", [I8, I16, Width(13)])
@given(data=st.data())
def test_layernorm(q, data):
    """Any row: sums, differences, squares and products that wrap."""
    size = data.draw(st.integers(1, 9))
    codes = data.draw(st.lists(st.integers(q.lo, q.hi), min_size=size, max_size=size)
                      | st.integers(q.lo, q.hi).map(lambda x: [x] * size))
    draws = ((-MOST, MOST + 1), (-1, 1), (0, 32))
    beta, sign, down = (data.draw(st.lists(st.integers(*ends), min_size=size, max_size=size)) for ends in draws)
    arrays = [np.array(v, t) for v, t in ((beta, np.int32), (sign, np.int8), (down, np.int8))]
    expected = [oracle.layernorm(codes, beta, sign, down)]
    assert run(ilayernorm_int32, ilayernorm_int32.Row(q=q), np.array([codes]), *arrays) == (expected,) * 2


@pytest.mark.parametrize("length", [1, 2, 3, 197, 4096])
def test_rows_of_every_length(length):
    rng = np.random.default_rng(length)
    q = np.clip(np.rint(rng.normal(0, 25, (2, length))), -128, 127).astype(np.int64)
    q, constants = q[:1], (np.zeros(length, np.int32), np.ones(length, np.int8), np.zeros(length, np.int8))
    wide = q * 250
    assert run(shiftgelu_int32, GELU, q, 0, -10) == ([oracle.gelu(row, 0, -10) for row in q.tolist()],) * 2
    assert run(ilayernorm_int32, ilayernorm_int32.Row(q=I16), wide, *constants) == (
        [oracle.layernorm(row, *(c.tolist() for c in constants)) for row in wide.tolist()],) * 2
    if shiftmax.holds(SOFTMAX, 0.25, length):
        assert run(shiftmax, SOFTMAX, q, -5, out=np.int8) == ([oracle.softmax(row, -5) for row in q.tolist()],) * 2


def test_where_the_two_softmaxes_differ():
    """Witnesses: the code of -1 alone; the half alone, of an odd rest; and both with n = 16."""
    q = np.array([[0, -8, -16, -64]])
    paper = shiftmax.spec(q, -16, shiftmax.Row()).tolist()
    assert paper == [authors.shiftmax(q[0].tolist(), -16, 15, 8)] == [[61, 40, 24, 1]]
    assert shiftmax.spec(q, -17, shiftmax.Row(unit="beyond")).tolist() != paper
    odd = np.array([[0, -3]])
    assert shiftmax.spec(odd, -3, shiftmax.Row(n=16, half="first")).tolist() == [oracle.softmax([0, -3], -3)] == [[95, 31]]
    assert shiftmax.spec(odd, -3, shiftmax.Row(n=16)).tolist() == [[90, 37]]


def test_where_the_two_gelus_differ():
    """Witnesses: halves; and a row without a positive x, in which exp(-M) saturates there and wraps here."""
    q = np.array([[-64, -16, 0, 16, 64]])
    assert shiftgelu.spec(q, 0, -10, shiftgelu.Row()).tolist() == [[0, -352, 0, 1696, 8000]]
    assert shiftgelu_int32.spec(q, 0, -10, GELU).tolist() == [oracle.gelu(q[0].tolist(), 0, -10)] == [[0, -320, 0, 1664, 8000]]
    low = np.array([[-50, -45]])
    assert (shiftgelu.spec(low, 0, -10, shiftgelu.Row()) != shiftgelu_int32.spec(low, 0, -10, GELU)).any()


def test_where_the_two_layernorms_differ():
    """Witnesses: a mean cut toward 0 and a half cut toward 0; and a sum that leaves 16 bits, so that its mean is another one."""
    constants = [np.zeros(4, np.int32), np.ones(4, np.int8), np.zeros(4, np.int8)]
    near, far = np.array([[300, -17, -40, 4]]), np.array([[9000, 9001, 9500, 9600]])
    for q in (near, far):
        theirs = ilayernorm_int32.spec(q, *constants, ilayernorm_int32.Row(q=I16))
        assert theirs.tolist() == [oracle.layernorm(q[0].tolist(), [0] * 4, [1] * 4, [0] * 4)]
        apart = np.abs(theirs - ilayernorm.spec(q, *constants, ilayernorm.Row(q=I16))).max()
        assert 0 < apart < 2**23 if q is near else apart > 2**28


@pytest.mark.parametrize("scale", [2.0 ** (-k / 2) for k in range(2, 13)] + [0.3, 0.1, 0.051])
def test_near_the_real_functions(scale):
    """Within the bounds of the PyTorch forms and what the halves that are taken first add."""
    rng, t = np.random.default_rng(1), 1.702 * scale
    row, x0 = shiftmax.Row(n=15, half="first", unit="beyond"), unit(scale, "test", "beyond")
    for length in (2, 16, 197, 256):
        q = np.clip(np.rint(rng.normal(0, 40, (40, length))), -128, 127).astype(np.int64)
        error = np.abs(shiftmax.spec(q, x0, row) * 2.0**-7 - shiftmax.real(q, scale))
        assert error.max() <= 2.0**-7 + 0.025 + scale * 3 / 8 + 1.6 * max(-x0 * scale - 1, 0)
    x0 = shiftgelu_int32.build(GELU, scale, 0)["x0"]
    bound = -x0 * 2.0**-8 + 2.0**-7 + 0.025 + 0.37 * t + 0.25 * (-x0 * t - 1)
    for largest in range(0, min(127, int(7.2 / scale)) + 1, 3):
        q = np.arange(-128, largest + 1)[None]
        error = np.abs(shiftgelu_int32.spec(q, 0, x0, GELU) * shiftgelu_int32.result(GELU, scale) - shiftgelu.real(q, 0, scale))
        assert (error <= np.abs(q) * scale * bound * (1 + 1e-9)).all()


def test_squares_that_would_wrap_are_not_admitted():
    """Full 16-bit codes wrap in rows of 4 and more; 13 bits hold rows of 192, and lowering narrows to that."""
    row = ilayernorm_int32.Row
    assert not row(q=I16).holds(4) and row(q=I16).holds(3) and row(q=Width(13)).holds(192) and not row(q=Width(14)).holds(192)


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("x0", [-1, -2, -(2**16), -(2**24)])
def test_registers_hold_at_the_rails(x0):
    """No register leaves its declared width, at either end of every operand."""
    rails = np.array([[-(2**15), 2**15 - 1, 0, -1], [-(2**15)] * 4, [2**15 - 1] * 4])
    for zp in (-(2**15), 0, 2**15 - 1):
        shiftgelu_int32.spec(rails, zp, x0, shiftgelu_int32.Row(n=24, q=I16), Held())
    shiftmax.spec(rails, x0, shiftmax.Row(n=16, half="first", q=I16, out=I16), Held())
    for beta in (-MOST, MOST + 1):
        for sign in (-1, 1):
            ends = [np.full(4, v) for v in (beta, sign, 0)]
            ilayernorm_int32.spec(rails, *ends, ilayernorm_int32.Row(q=I16), Held())
