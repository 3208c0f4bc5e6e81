"""shiftmax: published values, the oracle, the whole 8-bit domain, and the distance to softmax."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import ops
from refq.errors import IllFormed
from refq.ints.exponential import falling_exp, quotient, shift_exp, unit
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I24, U8
from refq.ops import shiftmax
from refq.ops.shiftmax import Row
from tests import oracle_transformer as oracle

SCALES = [2.0 ** (-k / 4) for k in range(33)] + [1 / 3, 0.4, 0.3, 0.1, 0.051] + [1 / (k + 0.001) for k in range(1, 20)]


def by_kernel(q, x0, row):
    p = np.empty(q.shape, row.out.dtype)
    shiftmax.kernel(row)(np.ascontiguousarray(q, row.q.dtype), x0, p)
    return p


def test_published_exponentials():
    """The values of the authors' exponential at S = 1/16."""
    assert unit(1 / 16, "test") == -16
    assert [shift_exp(q, -16, 15) for q in (0, -1, -8, -16, -64, -320)] == [524288, 507904, 344064, 204800, 10240, 16]


@pytest.mark.parametrize(("out", "shares"), [(I8, (61, 40, 24, 1)), (I16, (15856, 10405, 6193, 309))])
def test_published_row(out, shares):
    """The row (0, -8, -16, -64) at S = 1/16."""
    row, q = Row(out=out), np.array([[0, -8, -16, -64]], np.int8)
    assert shiftmax.build(row, 1 / 16, 0) == {"x0": -16}
    assert shiftmax.spec(q, -16, row).tolist() == by_kernel(q, -16, row).tolist() == [list(shares)]


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=12),
       st.integers(1, 2**24) | st.integers(1, 300), st.sampled_from([(15, 8), (15, 16), (14, 8), (16, 16)]))
def test_oracle_agrees(q, x0, form):
    """Spec and kernel are the authors' formula on unbounded integers, up to the clip."""
    n, bits = form
    row = Row(n=n, q=I16, out=I8 if bits == 8 else I16)
    expected = oracle.shiftmax(q, -x0, n, bits)
    codes = np.array([q], np.int16)
    assert shiftmax.spec(codes, -x0, row).tolist() == by_kernel(codes, -x0, row).tolist() == [expected]


@pytest.mark.parametrize("q", [I8, U8])
@pytest.mark.parametrize("x0", [-1, -2, -16, -77, -65536, -(2**24)])
def test_all_pairs(q, x0):
    """Every pair of 8-bit codes: kernel == spec, and the oracle for each distance."""
    codes = np.arange(q.lo, q.hi + 1)
    pairs = np.stack(np.meshgrid(codes, codes), axis=-1).reshape(-1, 2)
    row = Row(q=q)
    p = shiftmax.spec(pairs, x0, row)
    np.testing.assert_array_equal(by_kernel(pairs, x0, row), p)
    known = {d: oracle.shiftmax((0, -d), x0, 15, 8) for d in range(256)}
    for (a, b), shares in zip(pairs[::7].tolist(), p[::7].tolist()):
        assert shares == (known[a - b] if a >= b else known[b - a][::-1])


@pytest.mark.parametrize("scale", SCALES)
def test_near_softmax(scale):
    """Over the 8-bit domain the error against softmax stays below what the docstring states."""
    rng = np.random.default_rng(1)
    rows = [np.stack([np.full(256, 127), np.arange(-128, 128)], axis=1)]
    rows += [np.clip(np.rint(rng.normal(0, sd, (40, c))), -128, 127) for c in (3, 16, 197, 256) for sd in (2, 20, 60)]
    rows += [np.concatenate([np.full((256, 1), 127), np.repeat(rows[0][:, 1:], k, axis=1)], axis=1) for k in (15, 255)]
    for out in (I8, I16):
        row = Row(out=out)
        x0 = shiftmax.build(row, scale, 0)["x0"]
        bound = shiftmax.result(row, scale) + 0.028 + scale / 8 + 1.6 * (-x0 * scale - 1)
        for q in rows:
            p = shiftmax.spec(q.astype(np.int64), x0, row) * shiftmax.result(row, scale)
            assert np.abs(p - shiftmax.real(q, scale)).max() <= bound


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("n", [14, 15, 16])
@pytest.mark.parametrize("x0", [-1, -2, -(2**16), -(2**24)])
def test_registers_hold_at_the_rails(n, x0):
    """No register leaves its declared width, at either end of every operand."""
    rails = np.array([[-(2**15), 2**15 - 1, 0, -1], [-(2**15)] * 4, [2**15 - 1] * 4])
    shiftmax.spec(rails, x0, Row(n=n, q=I16, out=I16), Held())


def test_quotient_is_the_floor():
    """The float64 quotient of the kernels never rounds up to a whole number."""
    rng = np.random.default_rng(2)
    divisors = np.concatenate([np.arange(1, 3000), rng.integers(1, 2**31, 3000), [2**31 - 1]]).tolist()
    for d in divisors:
        near = (2**31 - 1) // d * d
        for a in (2**31 - 1, near, near - 1, d - 1, d):
            assert quotient(a, d) == a // d


def test_falling_exp_is_shift_exp():
    """The form that vectorises gives the same exponentials."""
    for x0 in (-1, -3, -16, -1000, -(2**24)):
        for x in [*range(-600, 1), -(2**16), -(2**17)]:
            assert falling_exp(x, x0, 15) == shift_exp(x, x0, 15)


@pytest.mark.parametrize("scale", [0, -1, 1.0001, 2.0**-25, float("nan")])
def test_scales_without_a_unit_are_refused(scale):
    """A scale above 1 has no code for -1; one below 2**-24 leaves 64 bits; the sentence says what to do."""
    with pytest.raises(IllFormed, match="quantize its input with a scale between"):
        shiftmax.build(Row(), scale, 0)


def test_unit_is_decided_exactly():
    """floor(-1/S) of the exact float: 1/3 in float64 is below a third, so -1/S is below -3."""
    assert unit(1 / 3, "test") == -4
    assert unit(np.nextafter(1 / 3, 1), "test") == -3
    assert unit(float(np.float32(0.1)), "test") == -10


def authors(q, scale, bits=8, n=15):
    """IntSoftmax as published, in float32 throughout."""
    f = np.float32
    x = (q - q.max()).astype(f)
    x = x + np.floor(x / f(2)) - np.floor(x / f(16))
    x0 = np.floor(f(-1) / f(scale))
    x = np.maximum(x, f(n) * x0)
    k = np.floor(x / x0)
    e = np.maximum(np.floor((((x - x0 * k) / f(2)) - x0) * f(2) ** (f(n) - k)), f(0))
    total = np.minimum(e.sum(dtype=f), f(2**31 - 1))
    factor = np.floor(f(2**31 - 1) / total)
    return np.floor(e * factor / f(2 ** (31 - bits + 1)))


def test_where_the_authors_float32_departs():
    """A witness: 2**31 - 1 is 2**31 in float32, so a row of one code has the share 1 that integers do not reach."""
    q = np.array([5])
    assert authors(q, 1 / 16).tolist() == [128]
    assert shiftmax.spec(q[None], -16, Row()).tolist() == [[127]]
    row = np.array([0, -8, -16, -64])
    assert authors(row, 1 / 16).tolist() == shiftmax.spec(row[None], -16, Row())[0].tolist()


@pytest.mark.parametrize("name", ["shiftmax", "shiftgelu", "ilayernorm"])
def test_wide_codes_and_empty_rows_are_refused(name):
    """More than 16 bits leave the registers; a row without codes has no largest and no mean."""
    row = ops.load(name).Row
    with pytest.raises(IllFormed, match=f"{name}: an operand of i24"):
        row(q=I24)
    with pytest.raises(IllFormed, match="axis c is empty"):
        row().sizes({"n": 3, "c": 0})
    assert row().sizes({"n": 0, "c": 1}) == {}
