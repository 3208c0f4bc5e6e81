"""layernorm_exact, rms_norm, group_norm: the oracle, the real functions, eps and rows without variance, and what is refused."""
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import deviation
from refq.ints.fold import CONSTANT, MOST
from refq.ints.width import I8, I16, U8
from refq.ops import group_norm, layernorm_exact, rms_norm
from tests import oracle_norms as oracle
from tests.ops.strategies import by_kernel, by_spec

RNG = np.random.default_rng(8)
LENGTHS = (1, 2, 3, 197, 4096)


def both(name, row, operands):
    """The result, which spec and kernel agree on."""
    expected = by_spec(name, row)(operands)["y"]
    np.testing.assert_array_equal(by_kernel(name, row)(operands)["y"], expected)
    return expected


def made(row, module, q, *given, **facts):
    """Operands from what `build` gives."""
    built = module.build(row, *given, **facts)
    kinds = {k: row.takes[k] for k in built}
    return {"q": q} | {k: np.array(v, kinds[k].width.dtype) if kinds[k].names else int(v) for k, v in built.items()}


def rows(width, count):
    """Rows far apart, close together, alike, alone, and at both ends."""
    lo, hi = width.lo, width.hi
    far = RNG.integers(lo, hi, (5, count), endpoint=True)
    ends = np.where(RNG.integers(0, 2, (3, count)) == 1, hi, lo)
    one = np.full((2, count), 3)
    one[:, count // 2] += (1, -1)
    alike = [np.full((1, count), code) for code in (lo, 7)]
    return np.vstack([far, RNG.integers(2, 5, (4, count)), ends, one, *alike]).astype(width.dtype)


codes = st.sampled_from((I8, U8, I16)).flatmap(
    lambda w: st.tuples(st.just(w), st.lists(st.integers(w.lo, w.hi), min_size=1, max_size=9)))
eps = st.just(0) | st.integers(0, 61).flatmap(lambda b: st.integers(0, (1 << b) - 1))
ties = st.sampled_from(("half_up", "half_even"))


@given(codes, eps, ties, st.data())
def test_layernorm_is_the_oracle(drawn, e, word, data):
    (width, q), c = drawn, len(drawn[1])
    beta = data.draw(st.lists(st.integers(-MOST, MOST + 1), min_size=c, max_size=c))
    sign = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=c, max_size=c))
    down = data.draw(st.lists(st.integers(0, CONSTANT), min_size=c, max_size=c))
    operands = {"q": np.array([q], width.dtype), "eps": e, "beta": np.array(beta, np.int32), "sign": np.array(sign, np.int8),
                "down": np.array(down, np.int8)}
    expected = oracle.layernorm(q, width.hi - width.lo, e, beta, sign, down, word)
    assert both("layernorm_exact", layernorm_exact.Row(q=width, ties=word), operands).tolist() == [expected]


@given(codes, eps, ties, st.data())
def test_rms_norm_is_the_oracle(drawn, e, word, data):
    (width, q), c = drawn, len(drawn[1])
    zero, sign = data.draw(st.integers(width.lo, width.hi)), data.draw(st.lists(st.integers(-1, 1), min_size=c, max_size=c))
    operands = {"q": np.array([q], width.dtype), "zq": zero, "eps": e, "sign": np.array(sign, np.int8)}
    expected = oracle.rms_norm(q, zero, width.hi - width.lo, e, sign, word)
    assert both("rms_norm", rms_norm.Row(q=width, ties=word), operands).tolist() == [expected]


@pytest.mark.parametrize("groups, places, each", [(1, 4, 3), (3, 1, 2), (4, 5, 1), (2, 3, 2)])
def test_group_norm_is_layernorm_of_each_group(groups, places, each):
    """Group by group the oracle; its constants are one a channel, not one a place."""
    row, c = group_norm.Row(groups=groups), groups * each
    q = RNG.integers(-128, 127, (2, places, c), endpoint=True).astype(np.int8)
    beta, sign, down = RNG.integers(-999, 999, c), RNG.choice((-1, 1), c), RNG.integers(0, 4, c)
    got = both("group_norm", row, {"q": q, "eps": 99, "beta": beta.astype(np.int32), "sign": sign.astype(np.int8),
                                   "down": down.astype(np.int8)})
    for image, channels in np.ndindex(2, groups):
        part = np.s_[:, channels * each:(channels + 1) * each]
        spread = [np.tile(v[part[1]], places).tolist() for v in (beta, sign, down)]
        assert got[image][part].reshape(-1).tolist() == oracle.layernorm(q[image][part].reshape(-1).tolist(), 255, 99, *spread)


@pytest.mark.parametrize("width", [I8, U8, I16])
@pytest.mark.parametrize("count", LENGTHS)
def test_near_the_real_functions(width, count):
    """Far below one step of an 8-bit result: gamma, beta, eps and rows without variance included."""
    gamma, beta, scale, e = RNG.normal(1, 0.5, count), RNG.normal(0, 1, count), 0.02, 1e-5
    gamma[0], q = 0.0, rows(width, count)
    row, zero = layernorm_exact.Row(q=width), 3
    operands = made(row, layernorm_exact, q, scale, zero, gamma, beta, e)
    y = both("layernorm_exact", row, operands) * layernorm_exact.result(row, scale, gamma, beta)
    most = 5 * layernorm_exact.bound(row, scale, count)
    assert np.abs(y - layernorm_exact.real(q.astype(np.int64), gamma, beta, e, scale)).max() <= most < 2e-3
    row = rms_norm.Row(q=width)
    if row.holds(count):
        y = both("rms_norm", row, made(row, rms_norm, q, scale, zero, gamma, e)) * rms_norm.result(row, scale, gamma)
        most = 5 * rms_norm.bound(row, scale, count)
        assert np.abs(y - rms_norm.real(q.astype(np.int64) - zero, gamma, e, scale)).max() <= most < 2e-3


@pytest.mark.parametrize("e", [0.0, 1e-12, 1e-5, 3.0])
def test_eps_and_zero_variance(e):
    """A constant row gives beta, also without eps; a row of two codes feels eps as much as the real function does."""
    q, scale, gamma, beta = np.array([[5, 5], [5, 6], [-128, 127]], np.int8), 0.01, np.array([2.0, -1.0]), np.array([0.5, -3.0])
    row = layernorm_exact.Row()
    y = both("layernorm_exact", row, made(row, layernorm_exact, q, scale, 0, gamma, beta, e))
    y = y * layernorm_exact.result(row, scale, gamma, beta)
    np.testing.assert_allclose(y[0], beta, rtol=0, atol=1e-8)
    np.testing.assert_allclose(y, layernorm_exact.real(q.astype(np.int64), gamma, beta, e, scale), rtol=0, atol=1e-7)


@given(st.floats(0, 1), st.integers(1, 5000), st.floats(1e-3, 2.0))
def test_eps_is_rounded_exactly(e, count, scale):
    """round(eps * (count * 2**f / scale)**2), of which float64 has no say."""
    row = layernorm_exact.Row()
    f = 31 - (count * 255).bit_length()
    exact = Fraction(e) * (count * 2**f) ** 2 / Fraction(scale) ** 2
    if floor(exact + Fraction(1, 2)) < 1 << 61:
        assert row.epsilon(e, scale, count) == floor(exact + Fraction(1, 2))


def test_what_is_refused():
    """Rows that are too long for their codes, an eps that leaves nothing of them, groups that do not divide, empty rows."""
    wide = layernorm_exact.Row(q=I16)
    assert wide.holds(32768) and not wide.holds(32769) and not rms_norm.Row(q=I16).holds(16385)
    ones = np.ones(32769)
    with pytest.raises(IllFormed, match="32769 codes of i16"):
        layernorm_exact.build(wide, 1.0, 0, ones, ones, 0.0)
    for e in (-1e-5, float("nan"), float("inf")):
        with pytest.raises(IllFormed, match="eps is at least 0"):
            rms_norm.build(rms_norm.Row(), 1.0, 0, np.ones(4), e)
    with pytest.raises(IllFormed, match="nothing is left of them"):
        rms_norm.build(rms_norm.Row(), 1e-9, 0, np.ones(4), 1.0)
    with pytest.raises(IllFormed, match="10 channels in 3 groups"):
        group_norm.build(group_norm.Row(groups=3), 1.0, 0, np.ones(10), np.ones(10), 0.0, 4)
    for found, row in (({"n": 2, "c": 0}, wide), ({"n": 2, "l": 0, "c": 3}, group_norm.Row())):
        with pytest.raises(IllFormed, match="is empty"):
            row.sizes(found)
    with pytest.raises(IllFormed, match="number of groups"):
        group_norm.Row(groups=0)


@given(st.integers(1, (1 << 62) - 1))
def test_the_inverse_of_a_root_has_thirty_bits(r):
    """2**61 over the root, which has 31 bits whatever the radicand."""
    h = deviation.lift(r)
    assert 2**60 <= r << 2 * h < 2**62 and 2**30 <= deviation.inverse(r) <= 2**31
    assert abs(Fraction(deviation.inverse(r) ** 2 * (r << 2 * h), 2**122) - 1) < Fraction(1, 2**28)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 4096])
def test_units_hold_the_largest_z(count):
    """sqrt(count) units are 2**29 at most: what is alone in a row."""
    assert 4 ** (deviation.octaves(count) - 1) < count <= 4 ** deviation.octaves(count)
