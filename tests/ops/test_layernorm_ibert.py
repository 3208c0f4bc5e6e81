"""layernorm_ibert: the oracle, the shift that keeps sums of squares in 32 bits, the distance to LayerNorm, rails."""
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import roots
from refq.ints.fold import CONSTANT, MOST
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I32, U8, U32, Width
from refq.ops import layernorm_ibert
from refq.ops.layernorm_ibert import Row, halvings
from tests import oracle_ibert as oracle

RNG = np.random.default_rng(3)
NAMES = ("beta", "sign", "down")
I22 = Width(22)


def arrays(constants):
    return [*(np.array(constants[k], t) for k, t in zip(NAMES, (np.int32, np.int8, np.int8))), constants["sh"]]


def by_kernel(q, constants, row):
    y = np.empty(q.shape, np.int32)
    layernorm_ibert.kernel(row)(np.ascontiguousarray(q, row.q.dtype), *arrays(constants), y)
    return y


def by_spec(q, constants, row, **sites):
    return layernorm_ibert.spec(np.asarray(q), *arrays(constants), row, **sites)


@pytest.mark.parametrize("q", [I8, U8, I16, I22])
@given(data=st.data())
def test_oracle_agrees(q, data):
    """Spec and kernel are the authors' formula on unbounded integers; constant rows, whose variance is 0, included."""
    size = data.draw(st.integers(1, 9))
    codes = data.draw(st.lists(st.integers(q.lo, q.hi), min_size=size, max_size=size)
                      | st.integers(q.lo, q.hi).map(lambda x: [x] * size))
    beta = data.draw(st.lists(st.integers(-MOST, MOST + 1), min_size=size, max_size=size))
    sign = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=size, max_size=size))
    down = data.draw(st.lists(st.integers(0, 32), min_size=size, max_size=size))
    sh = data.draw(st.integers(halvings(q, size), 24))
    row, array = Row(q=q), np.array([codes], q.dtype)
    constants = dict(zip(NAMES, (beta, sign, down))) | {"sh": sh}
    expected = [oracle.layernorm(codes, beta, sign, down, sh)]
    assert by_spec(array, constants, row).tolist() == by_kernel(array, constants, row).tolist() == expected


@pytest.mark.parametrize("length", [1, 2, 3, 197, 4096])
def test_rows_of_every_length(length):
    q = np.clip(np.rint(RNG.normal(40, 3000, (2, length))), -(2**15), 2**15 - 1).astype(np.int16)
    row = Row(q=I16)
    constants = layernorm_ibert.build(row, 1.0, 0, RNG.normal(1, 1, length), RNG.normal(0, 1, length), 0)
    y = by_spec(q, constants, row)
    np.testing.assert_array_equal(by_kernel(q, constants, row), y)
    assert y[0].tolist() == oracle.layernorm(q[0].tolist(), *(constants[k] for k in NAMES), constants["sh"])


@pytest.mark.parametrize("q", [I8, U8, I16, I22])
@pytest.mark.parametrize("count", [1, 2, 64, 197, 768, 4096])
def test_the_shift_is_enough(q, count):
    """Rows that spread as far as codes can, and rows that round worst, have sums of squares of 32 bits; and it is at most one
    more than what these rows need."""
    sh = layernorm_ibert.build(Row(q=q), 1.0, 0, np.ones(count), np.zeros(count), 0)["sh"]
    rows = [[q.lo, q.hi] * (count // 2) + [q.lo] * (count % 2), [q.hi] + [q.lo] * (count - 1), [q.lo] + [q.hi] * (count - 1)]
    most = 0
    for row in rows:
        mean = oracle.roundings["half_even"](oracle.Fraction(sum(row), count))
        most = max(most, sum(((x - mean) >> sh) ** 2 for x in row))
    assert most <= U32.hi and (sh == 0 or count == 1 or 16 * most > U32.hi)


def test_a_root_by_the_papers_newton_is_exact():
    """Algorithm 4 of the paper, from 2**ceil(bits / 2) until it no longer falls, is floor(sqrt): one word for both."""
    def newton(n):
        x = 1 << (n.bit_length() + 1) // 2
        while (further := (x + n // x) >> 1) < x:
            x = further
        return x
    for n in [*range(1, 5000), *(m * m + d for m in RNG.integers(2, 2**16, 500).tolist() for d in (-1, 0, 1)), 2**32 - 1]:
        assert newton(n) == isqrt(n) == roots.exact(n)


def test_zero_variance_and_gamma():
    """A constant row gives beta exactly to a unit; gamma = 0 gives beta whatever the row."""
    gamma, beta, row = [1.5, -2.0, 0.0, 0.0], [0.25, -3.0, 0.5, 0.0], Row(q=I8)
    constants, unit = layernorm_ibert.build(row, 1.0, 0, gamma, beta, 0), layernorm_ibert.result(row, 1.0, gamma, beta)
    for code in (-128, 0, 127):
        assert (np.abs(by_spec(np.full((1, 4), code), constants, row) * unit - beta) <= unit).all()
    y = by_spec(RNG.integers(-128, 128, (50, 4)), constants, row) * unit
    assert (y[:, 2] == 0.5).all() and (y[:, 3] == 0).all()


@pytest.mark.parametrize(("q", "spread", "c"), [(I8, 3, 64), (I8, 30, 192), (I16, 40, 192), (I16, 3000, 192), (I16, 6000, 768),
                                                 (I22, 200000, 768)])
def test_near_layernorm(q, spread, c):
    """The error against the real LayerNorm, gamma and beta included, stays below what the docstring states."""
    row, codes = Row(q=q), q.clip(np.rint(RNG.normal(5, spread, (100, c))).astype(np.int64))
    gamma, beta = RNG.normal(1, 0.5, c).astype(np.float32), (RNG.normal(0, 1, c) * RNG.choice([0.3, 40], c)).astype(np.float32)
    gamma[3] = 0
    constants, unit = layernorm_ibert.build(row, 0.1, 3, gamma, beta, 0), layernorm_ibert.result(row, 0.1, gamma, beta)
    h, root = 1 << constants["sh"], np.sqrt(c)
    deviation = codes.std(axis=1, keepdims=True)
    z, rest = (codes - codes.mean(axis=1, keepdims=True)) / deviation, deviation * root - (h + 1) * root
    assert (rest > 0).all()
    bound = np.abs(gamma) * (root / (2 * rest) + np.abs(z) * ((h + 1) * root / rest + deviation * root / 2**31))
    error = np.abs(by_spec(codes, constants, row) * unit - layernorm_ibert.real(codes, gamma.astype(float), beta.astype(float)))
    assert (error <= bound + 2 * unit + 1e-12).all()


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("q", [I8, I16, I22])
@pytest.mark.parametrize("c", [1, 2, 3, 1000])
def test_registers_hold_at_the_rails(q, c):
    """No register leaves its declared width: two-valued rows, one code off, and the ends of beta, sign and down."""
    lo, hi = q.lo, q.hi
    rows = np.array([[lo] * c, [hi] * c, ([lo, hi] * c)[:c], [hi] + [lo] * (c - 1), [1] + [0] * (c - 1),
                     [lo] + [hi] * (c - 1), [-1] + [0] * (c - 1)])
    for beta in (-MOST, MOST + 1):
        for sign in (-1, 1):
            ends = {"beta": [beta] * c, "sign": [sign] * c, "down": [0] * c, "sh": halvings(q, c)}
            np.testing.assert_array_equal(by_spec(rows, ends, Row(q=q), at=Held()), by_kernel(rows, ends, Row(q=q)))


def test_a_trained_shift_is_taken_as_it_is():
    """`sh` of a network that learned it; and a channel of which nothing of z is left."""
    constants = layernorm_ibert.build(Row(q=I16), 1.0, 0, [1.0, 1e-30], [0.0, 7.0], 0, sh=5)
    assert constants["sh"] == 5 and constants["down"][1] == CONSTANT
    y = by_spec(np.array([[3000, -3001]]), constants, Row(q=I16))
    assert y[0, 1] * layernorm_ibert.result(Row(), 1.0, [1.0, 1e-30], [0.0, 7.0])[1] == 7.0


def test_widths_that_are_refused():
    with pytest.raises(IllFormed, match="operand of i32"):
        Row(q=I32)
    with pytest.raises(IllFormed, match="axis c is empty"):
        Row().sizes({"n": 3, "c": 0})
