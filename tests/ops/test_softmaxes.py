"""softmax_gemmlowp, softmax_table, softmax_table_integer, _table16: published rows, the oracle, the distance to softmax."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I8, I16, I24, U8
from refq.ops import softmax_gemmlowp, softmax_table, softmax_table16, softmax_table_integer
from tests import oracle_nonlinear as oracle

SCALES = [2.0 ** -k for k in range(-2, 9)] + [0.3, 0.1, 0.051, 0.013]


def single(x):
    return float(np.float32(x))


def both(op, row, q, constants):
    """What kernel and spec agree on."""
    q = np.ascontiguousarray(q, row.q.dtype)
    y = np.empty(q.shape, row.out.dtype)
    op.kernel(row)(q, *constants.values(), y)
    np.testing.assert_array_equal(y, op.spec(q, *constants.values(), row=row))
    return y.astype(np.int64)


def rows(width):
    """Pairs, rows alike, and normal ones of many lengths and spreads."""
    rng, span = np.random.default_rng(1), width.hi - width.lo
    found = [np.stack([np.full(256, width.hi), np.linspace(width.lo, width.hi, 256).astype(np.int64)], axis=1),
             np.full((2, 300), width.lo), np.full((2, 1), width.hi)]
    return found + [np.clip(np.rint(rng.normal(0, span * sd, (40, c))), width.lo, width.hi).astype(np.int64)
                    for c in (3, 16, 197, 1000) for sd in (0.01, 0.1, 0.3)]


@pytest.mark.parametrize(("scale", "q", "shares", "constants"), [
    (0.0625, [-128, 0, 127, 50, 100, 126], [-128, -128, -8, -127, -106, -15], (1073741824, 23, -248)),
    (0.1, [0, 0, 0], [-43, -43, -43], (1717986918, 23, -248)),
    (0.25, [10, 20, 30, 40], [-128, -126, -109, 107], None),
    (0.2, [127, -128], [127, -128], None),
    (0.03125, [5, 4, 3, 2, 1, 0, -1, -2], [-92, -93, -95, -96, -97, -98, -98, -99], None)])
def test_published_rows(scale, q, shares, constants):
    """Rows of TFLite's reference, with the constants that it makes."""
    made = softmax_gemmlowp.build(softmax_gemmlowp.Row(), scale, 0)
    assert constants is None or tuple(made.values()) == constants
    assert both(softmax_gemmlowp, softmax_gemmlowp.Row(), np.array([q]), made).tolist() == [shares]


def test_scales_beyond_are_cut_off():
    """A scale of 64 has the largest multiplier that the build knows: 2**31 - 1, or 2**30 - 1 with one rounding."""
    for most, constants in ((31, ((1 << 31) - 1, 31)), (30, ((1 << 31) - 2, 30))):
        made = softmax_gemmlowp.build(softmax_gemmlowp.Row(most=most), 64.0, 0)
        assert (made["mult"], made["left"]) == constants


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=12), st.integers(0, 2 ** 31 - 1), st.integers(0, 31),
       st.integers(-300, 0), st.sampled_from(["half_away", "half_up", "floor"]), st.sampled_from([I8, I16, U8]))
def test_gemmlowp_is_the_oracle(q, mult, left, least, ties, out):
    """Any constants, those that wrap among them."""
    row = softmax_gemmlowp.Row(ties=ties, out=out)
    expected = oracle.softmax_gemmlowp(q, mult, left, least, ties, out.bits, out.lo)
    assert both(softmax_gemmlowp, row, np.array([q]), {"mult": mult, "left": left, "least": least}).tolist() == [expected]


@pytest.mark.parametrize("out", [I8, I16])
def test_gemmlowp_is_near_softmax(out):
    """The error that the docstring states, over pairs of all distances and long rows."""
    row = softmax_gemmlowp.Row(out=out)
    for scale in SCALES:
        constants = softmax_gemmlowp.build(row, scale, 0)
        for q in rows(I8):
            y, p = both(softmax_gemmlowp, row, q, constants) - out.lo, softmax_gemmlowp.real(q, scale)
            bound = 2.0 ** -(out.bits + 1) + p * 2.0 ** -out.bits + 2.0 ** -19 + q.shape[1] * 2.0 ** -20
            assert (np.abs(y * 2.0 ** -out.bits - p) <= bound).all()
            assert (np.abs(y.sum(axis=1) - 2 ** out.bits) <= 1 + q.shape[1] * (0.5 + 2.0 ** (out.bits - 20))).all()


@pytest.mark.parametrize("row", [
    softmax_table.Row(), softmax_table.Row(normalized="quotient", ties="half_even", exponentials="raised"),
    softmax_table.Row(normalized="quotient", ties="half_even", exponentials="raised", q=U8, out=U8)])
def test_float_tables_are_near_softmax(row):
    """Half a unit beside what float32 loses, where nothing clips."""
    for scale in SCALES[::3]:
        for q in rows(row.q):
            if row.normalized == "quotient" and q.shape[1] == 1:
                continue
            constants = softmax_table.build(row, scale, q.shape[1], 2.0 ** -8, row.out.lo)
            y = (both(softmax_table, row, q, constants) - row.out.lo) * 2.0 ** -8
            p = np.minimum(softmax_table.real(q, scale), 255 / 256)
            assert np.abs(y - p).max() <= 2.0 ** -9 + 2.0 ** -22 + q.shape[1] * 2.0 ** -24
            assert (np.abs(y.sum(axis=1) - 1) <= 2.0 ** -8 + q.shape[1] * (2.0 ** -9 + 2.0 ** -22)).all()


def test_a_share_of_one():
    """A code that leaves its range: clipped by TFLite and ONNX Runtime 1.31; its low bits in older sources of the latter."""
    q = np.array([[127, -128]])
    for store, codes in (("clip", [127, -128]), ("wrap", [-128, -128])):
        row = softmax_table.Row(normalized="quotient", ties="half_even", store=store, exponentials="raised")
        assert both(softmax_table, row, q, softmax_table.build(row, 0.5, 2, 2.0 ** -8, -128)).tolist() == [codes]


def test_what_float32_does_not_hold_is_refused():
    """floor(1 / s_y) times the largest exponential of a row of one code: ONNX Runtime makes 0 or 127 of infinity."""
    row = softmax_table.Row(normalized="quotient", exponentials="raised")
    with pytest.raises(IllFormed, match="float32 does not hold them"):
        both(softmax_table, row, np.array([[5]]), softmax_table.build(row, 0.5, 1, 2.0 ** -8, -128))


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20), st.sampled_from(SCALES), st.integers(1, 2000))
def test_integer_table_is_the_oracle(q, scale, count):
    """QNNPACK's table, for rows of any length."""
    row = softmax_table_integer.Row()
    made = {k: np.array(v, np.int64) for k, v in softmax_table_integer.build(row, scale, max(count, len(q))).items()}
    expected = oracle.softmax_table_integer(q, made["t"].tolist())
    assert both(softmax_table_integer, row, np.array([q]), made).tolist() == [expected]


def test_integer_table_is_near_softmax():
    """The error that the docstring states."""
    row = softmax_table_integer.Row()
    for scale in SCALES:
        for q in rows(U8):
            made = {k: np.array(v, np.int64) for k, v in softmax_table_integer.build(row, scale, q.shape[1]).items()}
            y, p = both(softmax_table_integer, row, q, made) / 256, softmax_table_integer.real(q, scale)
            assert (np.abs(y - p) <= 2.0 ** -9 + p * 2.0 ** -8 + (q.shape[1] + 1) / (2 * made["t"][0])).all()
            assert (np.abs(y.sum(axis=1) - 1) <= 2.0 ** -8 + q.shape[1] * 2.0 ** -9).all()


def test_table16_entries():
    """exp from -10 to 0 and 1 / (1 + x) from 0 to 1, at their ends."""
    e, r = softmax_table16.tables("float64")
    assert (e[0], e[-1], r[0], r[-1]) == (2, 32767, 32767, 16384) and (np.diff(e) >= 0).all() and (np.diff(r) <= 0).all()


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=12), st.integers(0, 2 ** 31 - 1), st.integers(16, 62))
def test_table16_is_the_oracle(q, mult, shift):
    """Any multiplier, those that wrap among them."""
    tables = [t.tolist() for t in softmax_table16.tables("float64")]
    expected = oracle.softmax_table16(q, mult, shift, tables)
    assert both(softmax_table16, softmax_table16.Row(), np.array([q]), {"mult": mult, "shift": shift}).tolist() == [expected]


def test_table16_is_near_softmax():
    """The error that the docstring states."""
    row = softmax_table16.Row()
    for scale in (2.0 ** -k for k in range(4, 17)):
        constants = softmax_table16.build(row, scale, 0)
        for q in rows(I16):
            p = softmax_table16.real(q, scale)
            y = both(softmax_table16, row, q, constants) * 2.0 ** -15
            most = np.exp((q - q.max(axis=1, keepdims=True)) * scale).sum(axis=1, keepdims=True)
            assert (np.abs(y - p) <= 2.0 ** -13 + q.shape[1] * 2.0 ** -14 / most).all()
            assert (np.abs(y.sum(axis=1) - 1) <= 2.0 ** -13 + q.shape[1] * 2.0 ** -16).all()


def test_refusals_say_what_to_do():
    """Rows that are empty or too long, tables of other lengths, wide codes."""
    for op, count in ((softmax_gemmlowp, 4096), (softmax_table16, 65537), (softmax_table_integer, (1 << 24) + 1)):
        with pytest.raises(IllFormed, match=op.__name__.split(".")[-1]):
            op.Row().sizes({"n": 1, "c": count, "i": 256})
        assert op.holds(op.Row(), 0.1, count - 1) and not op.holds(op.Row(), 0.1, count)
    for op in (softmax_gemmlowp, softmax_table, softmax_table16, softmax_table_integer):
        with pytest.raises(IllFormed, match="axis c is empty"):
            op.Row().sizes({"n": 3, "c": 0, "i": 256})
        with pytest.raises(IllFormed, match="of up to"):
            op.Row(q=I24)
    with pytest.raises(IllFormed, match="255 entries"):
        softmax_table.Row().sizes({"n": 1, "c": 1, "i": 255})
    with pytest.raises(IllFormed, match="rescale it first"):
        softmax_gemmlowp.build(softmax_gemmlowp.Row(), 2.0 ** -40, 0)
    assert single(0.1) == softmax_table.build(softmax_table.Row(), 0.1, 5, single(0.1), 0)["unit"]
