"""softmax_ibert: published exponentials, the oracle, the whole 8-bit domain, and the distance to softmax."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import polynomial
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I24, U8, U16
from refq.ops import softmax_ibert
from refq.ops.softmax_ibert import Row
from tests import oracle_ibert as oracle

SCALES = [2.0 ** (-k / 3) for k in range(2, 25)] + [0.6931 / k for k in (1, 2, 3, 7, 19, 100)] + [1 / 3, 0.3, 0.1, 0.051]


def by_kernel(q, constants, row):
    p = np.empty(q.shape, row.out.dtype)
    softmax_ibert.kernel(row)(np.ascontiguousarray(q, row.q.dtype), *constants.values(), p)
    return p


def by_spec(q, constants, row, **sites):
    return softmax_ibert.spec(np.asarray(q), *constants.values(), row, **sites)


def ratio(constants):
    """Of a unit of the authors' e to one of the 16-bit exponents."""
    return oracle.Fraction(constants["mult"], 2 ** (constants["shift"] + 30))


def test_published_exponentials():
    """The values of i-exp at S = 1/16."""
    made = polynomial.constants(1 / 16, "test")
    assert made == oracle.exp_constants(1 / 16) == (-12, 43, 714)
    for x, e in zip((0, -1, -8, -16, -64, -320), (766651662336, 721554505728, 466003951616, 299573968896, 18723373056, 6944)):
        p, z = polynomial.parts(x, *made)
        assert p << 30 - z == oracle.i_exp(x, *made) == e


@given(st.floats(2.0**-14, 0.6931) | st.floats(2.0**-14, 0.5, width=32))
def test_constants_are_decided_exactly(scale):
    """floor(-0.6931 / S) and the others of the exact float, within what the operation takes; the parabola ends at c."""
    x0, b, c = polynomial.constants(scale, "test")
    assert (x0, b, c) == oracle.exp_constants(scale)
    assert polynomial.X0.lo <= x0 <= -1 and 0 <= b <= polynomial.B.hi and 1 <= c <= polynomial.C.hi
    assert all(2 <= polynomial.parts(x, x0, b, c)[0] <= c for x in {x0 + 1, x0 // 2, -1 if x0 < -1 else 0, 0})
    fit = polynomial.fitting(scale)
    assert fit >= scale and 0 <= -polynomial.constants(fit, "test")[0] * fit / 0.6931 - 1 < 2e-3 * (1 + fit / scale)


@pytest.mark.parametrize(("out", "bits", "shares"), [(U8, 8, (126, 76, 49, 3)), (U16, 16, (32395, 19690, 12658, 790))])
def test_one_row(out, bits, shares):
    """The row (0, -8, -16, -64) at S = 1/16, by hand: exponents 32767, 19917, 12804, 800 of a sum of 66288."""
    row, q = Row(bits=bits, out=out), np.array([[0, -8, -16, -64]], np.int8)
    constants = softmax_ibert.build(row, 1 / 16, 0)
    assert by_spec(q, constants, row).tolist() == by_kernel(q, constants, row).tolist() == [list(shares)]


@settings(max_examples=60)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=12), st.floats(2.0**-14, 0.6931),
       st.sampled_from([(U8, 8), (U16, 8), (U16, 16)]))
def test_oracle_agrees(q, scale, form):
    """Spec and kernel are the authors' formula on unbounded integers, with a dyadic multiplier to 16 bits."""
    row, codes = Row(bits=form[1], q=I16, out=form[0]), np.array([q], np.int16)
    constants = softmax_ibert.build(row, scale, 0)
    x0, b, c = (constants[k] for k in ("x0", "b", "c"))
    expected = oracle.softmax(q, x0, b, c, ratio(constants), form[1])
    assert by_spec(codes, constants, row).tolist() == by_kernel(codes, constants, row).tolist() == [expected]


@pytest.mark.parametrize("length", [1, 2, 3, 197, 4096])
@pytest.mark.parametrize("scale", [0.6931, 1 / 16, 2.0**-9])
def test_rows_of_every_length(length, scale):
    """Kernel, spec and oracle agree, and the largest exponent is 32767 in every row."""
    rng, row = np.random.default_rng(length), Row()
    q = np.clip(np.rint(rng.normal(0, 30, (3, length))), -128, 127).astype(np.int8)
    constants = softmax_ibert.build(row, scale, 0)
    p = by_spec(q, constants, row)
    np.testing.assert_array_equal(by_kernel(q, constants, row), p)
    assert p[0].tolist() == oracle.softmax(q[0].tolist(), *(constants[k] for k in ("x0", "b", "c")), ratio(constants), 8)


@pytest.mark.parametrize(("q", "scale"), [(I8, 0.6931), (I8, 0.5), (I8, 1 / 16), (I8, 2.0**-14), (U8, 2.0**-8)])
def test_all_pairs(q, scale):
    """Every pair of 8-bit codes: kernel == spec, and the oracle for each distance."""
    codes, row = np.arange(q.lo, q.hi + 1), Row(q=q)
    pairs, constants = np.stack(np.meshgrid(codes, codes), axis=-1).reshape(-1, 2), softmax_ibert.build(Row(), scale, 0)
    p = by_spec(pairs, constants, row)
    np.testing.assert_array_equal(by_kernel(pairs, constants, row), p)
    known = {d: oracle.softmax((0, -d), *oracle.exp_constants(scale), ratio(constants), 8) for d in range(256)}
    for (a, b), shares in zip(pairs[::7].tolist(), p[::7].tolist()):
        assert shares == (known[a - b] if a >= b else known[b - a][::-1])


@pytest.mark.parametrize("scale", SCALES)
def test_near_softmax(scale):
    """Over the 8-bit domain the error against softmax stays below what the docstring states."""
    rng = np.random.default_rng(1)
    rows = [np.stack([np.full(256, 127), np.arange(-128, 128)], axis=1)]
    rows += [np.clip(np.rint(rng.normal(0, sd, (40, c))), -128, 127) for c in (3, 16, 197, 256) for sd in (2, 20, 60)]
    rows += [np.concatenate([np.full((256, 1), 127), np.repeat(rows[0][:, 1:], k, axis=1)], axis=1) for k in (15, 255, 999)]
    for row in (Row(), Row(bits=16, out=U16)):
        constants = softmax_ibert.build(row, scale, 0)
        for q in rows:
            p = by_kernel(q, constants, row) * softmax_ibert.result(row, scale)
            assert np.abs(p - softmax_ibert.real(q, scale)).max() <= softmax_ibert.bound(row, scale, q.shape[1])


def test_order_is_kept_to_one_unit():
    """The parabola ends at 0.499999, below the half that follows it, so on some scales a smaller code has the larger exponent, by
    one; on the scales of 8-bit codes it never shows."""
    scale, row = 0.000529083968936565, Row(bits=16, q=I16, out=U16)
    shares = by_spec(np.array([[0, -1310, -1311]]), softmax_ibert.build(row, scale, 0), row)
    assert shares.tolist() == [[32767, 16383, 16384]] and shares[0, 1] < shares[0, 2]
    codes = np.arange(-128, 128)[None]
    for k in range(2, 60):
        for row in (Row(), Row(bits=16, out=U16)):
            assert (np.diff(by_spec(codes, softmax_ibert.build(row, 1 / k, 0), row)) >= 0).all()


def test_a_share_of_one():
    """What the authors' float32 makes 2**b is 2**b - 1 in integers; where constants let a sum divide 2**32 it is 2**b, which a
    wider result keeps and 8 bits clip."""
    q, constants = np.array([[5, -128, -128]], np.int8), softmax_ibert.build(Row(), 0.5, 0)
    assert by_spec(q, constants, Row()).tolist() == [[255, 0, 0]]
    halved = constants | {"c": 1 << 14, "mult": 1 << 30, "shift": 30}
    for row, share in ((Row(), 255), (Row(out=U16), 256)):
        assert by_spec(q[:, :1], halved, row).tolist() == by_kernel(q[:, :1], halved, row).tolist() == [[share]]


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


def test_registers_hold_at_the_rails():
    """No register leaves its declared width, at every corner of the constants."""
    rails, row = np.array([[-(2**15), 2**15 - 1, 0, -1], [-(2**15)] * 4, [2**15 - 1] * 4]), Row(bits=16, q=I16, out=U16)
    takes = row.takes
    for corner in np.ndindex(2, 2, 2, 2, 2):
        names = ("x0", "b", "c", "mult", "shift")
        constants = {k: (takes[k].lo, takes[k].hi)[end] for k, end in zip(names, corner)}
        np.testing.assert_array_equal(by_spec(rails, constants, row, at=Held()), by_kernel(rails, constants, row))


@pytest.mark.parametrize("scale", [0, -1, 0.6932, 1.0, 2.0**-14.1, float("nan")])
def test_scales_without_a_code_of_ln2_are_refused(scale):
    """A coarser scale has no code for -ln 2 (its floor would be -1 all the same, and halve at every code); a finer one leaves 64
    bits."""
    with pytest.raises(IllFormed, match="no code for -0.6931.*quantize its input with a scale between"):
        softmax_ibert.build(Row(), scale, 0)


def test_what_a_row_refuses():
    """Wide codes, results that hold no share, rows without codes."""
    with pytest.raises(IllFormed, match="operand of i24"):
        Row(q=I24)
    with pytest.raises(IllFormed, match="does not hold shares of 8 bits"):
        Row(out=I8)
    with pytest.raises(IllFormed, match="axis c is empty"):
        Row().sizes({"n": 3, "c": 0})
    assert softmax_ibert.holds(Row(), 0.1, 1 << 17) and not softmax_ibert.holds(Row(), 0.1, 1 << 18)
