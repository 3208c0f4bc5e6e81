"""log_int_softmax: published codes, the oracle, the whole 8-bit domain, the distance to softmax, and levels given up."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, U4, U8, Width
from refq.ops import log_int_softmax
from refq.ops.log_int_softmax import Row
from tests import oracle_fqvit as oracle

RNG = np.random.default_rng(6)
LEVELS = Row(out=Width(5, False), deepest=15)
DEEP = Row(out=U8, deepest=30)


def by_kernel(q, constants, row):
    p = np.empty(q.shape, row.out.dtype)
    log_int_softmax.kernel(row)(np.ascontiguousarray(q, row.q.dtype), *constants.values(), p)
    return p


def both(q, scale, row):
    """Spec and kernel, which agree."""
    constants, q = log_int_softmax.build(row, scale, 0), np.asarray(q)
    p = log_int_softmax.spec(q, *constants.values(), row)
    np.testing.assert_array_equal(by_kernel(q, constants, row), p)
    return p


def test_published_exponentials():
    """e at S = 1/16 is what is published for i-exp, and the constants are."""
    assert log_int_softmax.build(Row(), 1 / 16, 0) == {"x0": -12, "b": 43, "c": 714}
    seen = {}

    class Watch(Sites):
        def __call__(self, name, value, width):
            seen[name] = value
            return value

    log_int_softmax.spec(np.array([[0, -1, -8, -16, -64, -320]]), -12, 43, 714, Row(q=I16), at=Watch())
    assert seen["e"][0].tolist() == [766651662336, 721554505728, 466003951616, 299573968896, 18723373056, 6944]


@pytest.mark.parametrize("count, code", [(1, 0), (2, 1), (3, 2), (5, 2), (6, 3), (11, 3), (12, 4), (23, 4), (24, 5)])
def test_published_switches(count, code):
    """As many equal codes have an inverse of as many: the switch is at 1.5 * 2**k, not at sqrt(2) * 2**k."""
    assert both([[5] * count], 1 / 16, LEVELS).tolist() == [[code] * count]


@settings(max_examples=60)
@given(st.lists(st.integers(-128, 127), min_size=1, max_size=9),
       st.fractions(Fraction(1, 256), Fraction(69, 100), max_denominator=4096),
       st.sampled_from([Row(), LEVELS, DEEP, Row(top="power")]))
def test_oracle_agrees(q, scale, row):
    """The authors' formula on unbounded integers."""
    scale = float(np.float32(scale))
    assert both([q], scale, row).tolist() == [oracle.log_int_softmax(q, Fraction(scale), row.deepest, row.top)]


@pytest.mark.parametrize("scale", [2.0 ** -8, 1 / 16, 0.1, 0.5])
def test_all_pairs(scale):
    """Every distance of two 8-bit codes; only the distance matters."""
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2)
    p = both(pairs, scale, LEVELS)
    known = np.array([oracle.log_int_softmax((0, -d), Fraction(scale), 15, "zero") for d in range(256)])
    a, b = pairs[:, 0], pairs[:, 1]
    expected = np.where((a >= b)[:, None], known[np.abs(a - b)], known[np.abs(a - b)][:, ::-1])
    np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize("width", [I8, I16])
@pytest.mark.parametrize("count", [1, 2, 3, 197, 4096])
def test_rows_of_many_lengths(width, count):
    """kernel == spec; larger codes never have smaller shares."""
    row = LEVELS if width == I8 else Row(q=I16, n=20, out=U8, deepest=30)
    q = width.clip(np.rint(RNG.normal(0, width.hi / 4, (3, count))).astype(np.int64))
    p = both(q, 2.0 ** -5 if width == I8 else 2.0 ** -11, row)
    order = np.argsort(q, axis=1)
    assert (np.diff(np.take_along_axis(p, order, 1), axis=1) <= 0).all()


@pytest.mark.parametrize("scale", [2.0 ** -k for k in range(1, 9)] + [0.6931, 0.05, 0.3])
def test_near_softmax(scale):
    """2**-code is 0.625 to 1.5 times the share, and that near softmax: within the stated bound at every scale."""
    q = RNG.integers(-128, 128, (300, 40))
    q[::3] = np.clip(q[::3], 100, 127)
    p, real = both(q, scale, DEEP), log_int_softmax.shares.real(q, scale)
    x0 = log_int_softmax.build(DEEP, scale, 0)["x0"]
    halvings = (q.max(axis=1, keepdims=True) - q) / -x0
    lost = np.abs(-x0 * scale / 0.6931 - 1) * (halvings + halvings.max(axis=1, keepdims=True))
    ratio = np.log2(np.ldexp(1.0, -p) / real)
    slack = 0.012 + 2 * scale + lost + 1e-4 * halvings.max()
    inside = (ratio >= np.log2(0.625) - slack) & (ratio <= np.log2(1.5) + slack)
    assert (inside | (p > DEEP.deepest) | (halvings > 28)).all()


def test_four_bits_give_up_a_level():
    """The 17 published levels in four bits: either 2**-15 becomes 0, or 0 becomes 2**-15."""
    q = np.array([[0, -100, -105, -110, -128]])
    seventeen, zero, power = (both(q, 0.1, row)[0] for row in (LEVELS, Row(), Row(top="power", deepest=15)))
    assert seventeen.tolist() == [0, 14, 15, 16, 16]
    assert zero.tolist() == [0, 14, 15, 15, 15] and power.tolist() == [0, 14, 15, 15, 15]
    grids = [log_int_softmax.grid(row) for row in (LEVELS, Row(), Row(top="power", deepest=15))]
    assert [g.decode(np.array(15)) for g in grids] == [2.0 ** -15, 0.0, 2.0 ** -15]


def test_the_float_quantizer_switches_elsewhere():
    """A witness: a share of 1 / 23 is 2**-4 by its inverse, and 2**-5 by its logarithm, as the calibration's quantizer has it."""
    assert both([[0] * 23], 1 / 16, LEVELS)[0, 0] == 4 and np.rint(np.log2(23)) == 5


def test_scales_that_are_refused():
    """So coarse that -0.6931 has no code, or so fine that exponentials leave 54 bits; and a grid without room."""
    with pytest.raises(IllFormed, match="log_int_softmax.*0.6931"):
        log_int_softmax.build(Row(), 0.75, 0)
    with pytest.raises(IllFormed, match="54 bits"):
        log_int_softmax.build(Row(), 2.0 ** -13, 0)
    assert log_int_softmax.build(Row(n=20), 2.0 ** -13, 0)
    with pytest.raises(IllFormed, match="deepest"):
        Row(out=U4, deepest=15)
    assert not log_int_softmax.holds(Row(), 2.0 ** -11, 1 << 12) and log_int_softmax.holds(Row(), 2.0 ** -8, 1 << 12)


def test_the_sum_that_float32_carries():
    """A witness: 1 + 1 + 1/2 + 2**-30 over 1 is above 2.5, so 3 and code 2; the authors' float32 has 2.5, so 2 and code 1."""
    q = [0, 0, -3, -90]
    assert both([q], 0.3, LEVELS)[0, 0] == 2
    single = np.array(oracle.i_exp(q, Fraction(3, 10))).astype(np.float32)
    assert oracle.log_round(int(np.rint(single.sum(dtype=np.float32) / single[0]))) == 1
