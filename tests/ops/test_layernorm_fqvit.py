"""layernorm_fqvit: the oracle, the authors' float32 formula and where it departs, the distance to LayerNorm, what is constant."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, U8
from refq.ops import layernorm_fqvit
from refq.ops.layernorm_fqvit import Row
from tests import oracle_fqvit as oracle

RNG = np.random.default_rng(9)


def both(q, constants, row):
    """Spec and kernel, which agree."""
    held = [np.asarray(v, row.takes[k].width.dtype) if row.takes[k].names else v for k, v in constants.items()]
    y = np.empty(np.shape(q), row.out.dtype)
    layernorm_fqvit.kernel(row)(np.ascontiguousarray(q, row.q.dtype), *held, y)
    np.testing.assert_array_equal(layernorm_fqvit.spec(np.asarray(q), *held, row), y)
    return y


@settings(max_examples=80)
@given(st.data())
def test_oracle_agrees(data):
    """Spec and kernel are the definition on unbounded integers; constant rows among them."""
    row = data.draw(st.sampled_from((Row(), Row(q=I16), Row(q=I16, bits=15, ties="half_up"), Row(bits=7, ties="floor"))))
    count = data.draw(st.integers(1, 7))

    def some(lo, hi):
        return data.draw(st.lists(st.integers(lo, hi), min_size=count, max_size=count) | st.just([hi] * count))

    q, zq = some(row.q.lo, row.q.hi), data.draw(st.integers(row.q.lo, row.q.hi))
    constants = {"zq": zq, "k": some(0, 3), "mult": some(0, 2 ** 31 - 1), "shift": some(16, 62), "sign": some(0, 1),
                 "beta": some(-2 ** 30, 2 ** 30), "zo": data.draw(st.integers(-128, 127))}
    constants["sign"] = [2 * s - 1 for s in constants["sign"]]
    expected = oracle.layernorm(q, **constants, bits=row.bits, ties=row.ties, out=8)
    assert both([q], constants, row).tolist() == [expected]


@pytest.mark.parametrize("row", [Row(), Row(bits=15), Row(q=I16)])
@pytest.mark.parametrize("count", [1, 2, 3, 197, 4096])
def test_rows_of_many_lengths(row, count):
    """kernel == spec, and the oracle for a row of each."""
    q = row.q.clip(np.rint(RNG.normal(5, row.q.hi / 4, (3, count))).astype(np.int64))
    q[2] = 7
    gamma, beta, k = RNG.normal(1, 0.3, count), RNG.normal(0, 1, count), RNG.integers(0, 4, count)
    constants = layernorm_fqvit.build(row, 3, gamma, beta, 0.03, -4, k)
    y = both(q, constants, row)
    assert y[0].tolist() == oracle.layernorm(q[0].tolist(), **{k: np.asarray(v).tolist() for k, v in constants.items()},
                                             bits=row.bits, ties="half_even", out=8)


def drawn(rows, channels, offset, s_out):
    """Rows of codes with factors, as residual streams have them, and real weights."""
    k = RNG.integers(0, 4, channels)
    q = I8.clip(np.rint(RNG.normal(offset, 30, (rows, channels)) / 2 ** (3 - k)).astype(np.int64))
    return q, k, RNG.normal(1, 0.3, channels).astype(np.float32), RNG.normal(0, 0.5, channels).astype(np.float32), s_out


@pytest.mark.parametrize("offset", [0, 25])
def test_the_authors_float32(offset):
    """The authors' formula in float32 gives the same codes, but for a few that lie on the edge of M, N, B or y."""
    q, k, gamma, beta, s_out = drawn(200, 192, offset, 0.03)
    constants = layernorm_fqvit.build(Row(), -3, gamma, beta, s_out, 0, k)
    y = both(q, constants, Row())
    theirs = np.array([oracle.layernorm_float32((r + 3) << k, gamma, beta, s_out) for r in q])
    differ = np.clip(theirs, -128, 127) != y
    print(f"{differ.sum()} of {differ.size} codes differ from the authors' float32")
    assert differ.mean() < 2e-3 and np.abs(np.clip(theirs, -128, 127) - y).max() <= 1


def test_where_the_authors_float32_departs():
    """A witness: 16-bit codes far from their mean; C * sum x*x - (sum x)**2 cancels, and float32 keeps 24 bits of either."""
    x = np.array([30000, 30001, 30000, 30003])
    row = Row(q=I16)
    constants = layernorm_fqvit.build(row, 0, [1.0] * 4, [0.0] * 4, 1 / 32, 0)
    exact = layernorm_fqvit.real(x[None], 32.0, 0.0)[0]
    deviation = np.abs(both(x[None], constants, row)[0] - exact)
    # what is left is M: the mean is 30001 / std times what M's floor takes off
    assert (deviation < 32 * 30003 / x.std() / 128).all()
    with np.errstate(all="ignore"):
        theirs = oracle.layernorm_float32(x, [1.0] * 4, [0.0] * 4, 1 / 32)
    assert not (np.abs(theirs - exact) < 32 * 30003 / x.std() / 128).all()


@pytest.mark.parametrize("bits, most", [(8, 3.0), (15, 0.76)])
def test_near_layernorm(bits, most):
    """Against the real LayerNorm, gamma and beta included: an 8-bit M costs up to a few codes, 15 bits next to none."""
    row, (q, k, gamma, beta, s_out) = Row(bits=bits), drawn(200, 192, 10, 0.03)
    gamma[3] = 0
    y = both(q, layernorm_fqvit.build(row, -3, gamma, beta, s_out, 0, k), row)
    exact = layernorm_fqvit.real(((q + 3) << k).astype(np.float64), gamma / s_out, beta / s_out)
    assert np.abs(y - np.clip(exact, -128, 127)).max() < most


def test_constant_rows_and_channels():
    """Without variance every channel gives beta, rounded once; so does a channel whose gamma is 0, in every row."""
    row, beta = Row(), np.array([0.5, -0.25, 1.0, 0.03])
    constants = layernorm_fqvit.build(row, 5, [1.0, -2.0, 0.0, 1e-12], beta, 0.01, 1, (0, 3, 1, 2))
    assert both([[5] * 4], constants, row).tolist() == [[51, -24, 101, 4]]
    y = both(RNG.integers(-128, 128, (50, 4)), constants, row)
    assert (y[:, 2] == 101).all() and (y[:, 3] == 4).all()


def test_unsigned_codes_are_the_same():
    """The authors' unsigned codes and zero points, less 128, give the same."""
    q, k, gamma, beta, s_out = drawn(20, 33, 4, 0.03)
    signed = layernorm_fqvit.build(Row(), -3, gamma, beta, s_out, 2, k)
    unsigned = layernorm_fqvit.build(Row(), 125, gamma, beta, s_out, 130, k)
    y = both(q + 128, unsigned, Row(q=U8, out=U8)).astype(int) - 128
    assert (y == both(q, signed, Row())).all()


@pytest.mark.parametrize("gamma, beta", [(1.0, 164.0), (330.0, 0.0), (1.0, -1e30)])
def test_weights_too_large_are_refused(gamma, beta):
    """A gamma of 2**15 codes of y or a beta of 2**14: the channel is named."""
    with pytest.raises(IllFormed, match="channel 1.*coarser"):
        layernorm_fqvit.build(Row(), 0, [1.0, gamma], [0.0, beta], 0.01, 0)


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("row", [Row(), Row(q=I16), Row(q=I16, bits=15, out=I16)])
@pytest.mark.parametrize("c", [1, 2, 3, 1000])
def test_registers_hold_at_the_rails(row, c):
    """No register leaves its declared width: two-valued rows, one code off, and the ends of every constant."""
    lo, hi, k = row.q.lo, row.q.hi, 3
    rows = np.array([[lo] * c, [hi] * c, ([lo, hi] * c)[:c], [hi] + [lo] * (c - 1), [1] + [0] * (c - 1), [lo] + [hi] * (c - 1)])
    for sign in (-1, 1):
        for beta in (-2 ** 30, 2 ** 30):
            for mult, shift in ((2 ** 31 - 1, 16), (2 ** 30, 62), (0, 31)):
                ends = [np.full(c, v) for v in (k, mult, shift, sign, beta)]
                for zq in (lo, hi):
                    layernorm_fqvit.spec(rows, zq, *ends, row.out.hi, row, Held())
