"""ilayernorm: the oracle, the folding of gamma and beta, the distance to LayerNorm, and registers at the rails."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.ints.fold import CONSTANT, MOST, channel, floor_over_root
from refq.ints.sites import Sites
from refq.ints.width import I8, I16
from refq.ops import ilayernorm
from refq.ops.ilayernorm import Row
from tests import oracle_transformer as oracle

RNG = np.random.default_rng(3)


def by_kernel(q, beta, sign, down, row):
    y = np.empty(q.shape, np.int32)
    ilayernorm.kernel(row)(np.ascontiguousarray(q, row.q.dtype), np.array(beta, np.int32), np.array(sign, np.int8),
                           np.array(down, np.int8), y)
    return y


def by_spec(q, constants, row):
    return ilayernorm.spec(np.asarray(q), *(np.asarray(constants[k], np.int64) for k in ("beta", "sign", "down")), row)


@pytest.mark.parametrize("root", ["newton10", "exact"])
@pytest.mark.parametrize("q", [I8, I16])
@given(data=st.data())
def test_oracle_agrees(q, root, data):
    """Spec and kernel are the authors' formula on unbounded integers; constant rows, whose variance is 0, included."""
    size = data.draw(st.integers(1, 9))
    codes = data.draw(st.lists(st.integers(q.lo, q.hi), min_size=size, max_size=size)
                      | st.integers(q.lo, q.hi).map(lambda x: [x] * size))
    beta = data.draw(st.lists(st.integers(-MOST, MOST + 1), min_size=size, max_size=size))
    sign = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=size, max_size=size))
    down = data.draw(st.lists(st.integers(0, 32), min_size=size, max_size=size))
    row, array = Row(root=root, q=q), np.array([codes], q.dtype)
    expected = [oracle.layernorm(codes, beta, sign, down, root)]
    assert by_spec(array, {"beta": beta, "sign": sign, "down": down}, row).tolist() == expected
    assert by_kernel(array, beta, sign, down, row).tolist() == expected


def test_published_roots():
    """A row whose squares sum to V has the root that the authors' ten steps give."""
    for v, root in ((1000, 68), (10**5, 316), (10**6, 1000), (999999, 1000), (10**9, 31622), (2**32 - 1, 65536)):
        assert oracle.newton10(v) == root


@given(st.fractions(-(10**6), 10**6), st.integers(1, 1000))
def test_floor_over_root(x, c):
    """floor(x / sqrt(c)) is the integer whose square says so."""
    k = floor_over_root(x, c)
    for value, holds in ((k, lambda a, b: a <= b), (k + 1, lambda a, b: a > b)):
        assert holds((1 if value >= 0 else -1) * value * value * c, (1 if x >= 0 else -1) * x * x)


single = st.floats(-(2.0**60), 2.0**60, width=32)


@given(single.filter(bool), single, st.integers(1, 2000))
def test_beta_is_floored_and_has_room(gamma, beta, c):
    """beta / gamma in units of sqrt(c) / 2**(30 - down), floored, with the least `down` that leaves room."""
    code, sign, down, unit = channel(gamma, beta, c)
    assert sign == (1 if gamma > 0 else -1) and 0 <= down <= CONSTANT and unit > 0
    assert -MOST <= code <= MOST + 1
    if down < CONSTANT:
        ratio = Fraction(beta) / Fraction(gamma)
        assert code == floor_over_root(ratio * 2 ** (30 - down), c)
        assert down == 0 or not -MOST <= floor_over_root(ratio * 2 ** (31 - down), c) <= MOST + 1
        assert abs(sign * code * unit - beta) <= unit * 1.0000001 + abs(beta) * 1e-12
    else:
        assert sign * code * unit == beta


def test_a_channel_without_gamma_is_constant():
    """gamma = 0: the register stands for beta exactly, whatever the row; also where both are 0."""
    gamma, beta, row = [0.0, 0.0, 0.0, 1e-30, -1e-30], [0.25, -3.0, 0.0, 7.0, 7.0], Row(q=I8)
    constants, unit = ilayernorm.build(row, 1.0, 0, gamma, beta, 0.0), ilayernorm.result(row, 1.0, gamma, beta)
    assert constants["down"] == [CONSTANT] * 5
    y = by_spec(RNG.integers(-128, 128, (50, 5)), constants, row)
    assert (y * unit == beta).all()


def test_small_differences_of_weights_move_nothing():
    """One ulp of float64 more or less gives the same codes: weights are float32."""
    gamma = RNG.normal(1, 0.4, 300).astype(np.float32).astype(np.float64)
    beta = RNG.normal(0, 0.5, 300).astype(np.float32).astype(np.float64)
    right = ilayernorm.build(Row(), 1.0, 0, gamma, beta, 0.0)
    for toward in (np.inf, -np.inf):
        assert ilayernorm.build(Row(), 1.0, 0, gamma, np.nextafter(beta, toward), 0.0) == right


@pytest.mark.parametrize("root", ["newton10", "exact"])
@pytest.mark.parametrize(("q", "spread", "c"), [(I8, 3, 64), (I8, 30, 192), (I16, 40, 192), (I16, 3000, 192),
                                                 (I16, 6000, 768)])
def test_near_layernorm(root, q, spread, c):
    """The error against the real LayerNorm, gamma and beta included, stays below what the docstring states."""
    row, codes = Row(root=root, q=q), q.clip(np.rint(RNG.normal(5, spread, (100, c))).astype(np.int64))
    gamma = RNG.normal(1, 0.5, c).astype(np.float32)
    beta = (RNG.normal(0, 1, c) * RNG.choice([0.3, 40], c)).astype(np.float32)
    gamma[3] = 0
    y = by_spec(codes, ilayernorm.build(row, 0.1, 3, gamma, beta, 0), row)
    unit = ilayernorm.result(row, 0.1, gamma, beta)
    deviation = codes.std(axis=1, keepdims=True)
    if root == "newton10" and (deviation**2 * c).min() < 34597:
        return
    z, rest = (codes - codes.mean(axis=1, keepdims=True)) / deviation, deviation * np.sqrt(c) - 1
    bound = np.abs(gamma) * (np.sqrt(c) / (2 * rest) + np.abs(z) * (1 / (8 * deviation**2) + 1 / rest + rest / 2**30))
    error = np.abs(y * unit - ilayernorm.real(codes, gamma.astype(np.float64), beta.astype(np.float64)))
    assert (error <= bound + 2 * unit + 1e-12).all()


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("root", ["newton10", "exact"])
@pytest.mark.parametrize("c", [1, 2, 3, 1000])
def test_registers_hold_at_the_rails(root, c):
    """No register leaves its declared width: two-valued rows, one code off, and the ends of beta, sign and down."""
    lo, hi = -(2**15), 2**15 - 1
    rows = np.array([[lo] * c, [hi] * c, ([lo, hi] * c)[:c], [hi] + [lo] * (c - 1), [1] + [0] * (c - 1),
                     [lo] + [hi] * (c - 1), [-1] + [0] * (c - 1)])
    for beta in (-MOST, MOST + 1):
        for sign in (-1, 1):
            ends = [np.full(c, v) for v in (beta, sign, 0)]
            ilayernorm.spec(rows, *ends, Row(root=root, q=I16), Held())


def test_where_the_authors_float32_departs():
    """A witness: u has 30 bits, of which float32 keeps 24."""
    q = np.array([[100, -3, 17, 50, -90, 1, 4, 8]])
    u = by_spec(q, {"beta": [0] * 8, "sign": [1] * 8, "down": [0] * 8}, Row(root="exact"))[0]
    d = (q - np.round(q.mean())).astype(np.float32)[0]
    k = np.float32(int(np.sqrt((d.astype(np.float64) ** 2).sum())))
    theirs = np.floor(d * np.floor(np.float32(2**31 - 1) / k) / np.float32(2))
    assert 0 < np.abs(theirs - u).max() <= 2**7
