"""logistic_fixed, logistic_table16, table16, leaky_relu, hard_swish: published values, the oracle on every 8-bit code, errors."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import fixedpoint, functions, functions32, interpolated, libm, rounding
from refq.ints.width import I8, I16, I24, U8, Width
from refq.ops import hard_swish, leaky_relu, logistic_fixed, logistic_table16, table, table16
from tests import oracle_nonlinear as oracle

CODES = np.arange(-128, 128, dtype=np.int8)
SHORTS = np.arange(-32768, 32768, dtype=np.int16)
SCALES = (2.0 ** -7, 2.0 ** -4, 0.25, 1.0, 0.01, 0.03, 0.1, 0.37, 0.003)


def single(x):
    return float(np.float32(x))


def by_kernel(op, row, q, constants):
    y = np.empty(q.shape, row.gives["y"].width.dtype)
    op.kernel(row)(q, *constants.values(), y)
    return y


def both(op, row, q, constants):
    """What kernel and spec agree on."""
    y = by_kernel(op, row, q, constants)
    np.testing.assert_array_equal(y, op.spec(q, *constants.values(), row=row))
    return y.astype(np.int64)


def test_published_fixed_point():
    """exp_neg and the reciprocal at the values that others have checked against the real functions."""
    exps = [fixedpoint.exp_neg(a << 25, 5) for a in (0, -1, -2, -4)]
    assert exps == [2147483647, 1302515042, 790015308, 290630390]
    assert [fixedpoint.reciprocal(a) for a in (0, 1 << 30, 2 ** 31 - 1)] == [2147483647, 1431655762, 1073741820]


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    a, small = rng.integers(-2 ** 31, 2 ** 31, (2, count))
    rails = [0, -1, 1, -2 ** 31, 2 ** 31 - 1, 2 ** 30, -2 ** 30, -2 ** 26, 2 ** 24 - 1]
    return np.concatenate([rails, a, small >> rng.integers(0, 31, count)])


def test_fixed_point_is_the_oracle():
    """Words of arrays and of Python integers, at the rails and at all magnitudes."""
    a = drawn(400)
    for k in range(6):
        falling = -np.abs(a)
        assert fixedpoint.exp_neg(falling, k).tolist() == [oracle.exp_neg(v, k) for v in falling.tolist()]
    positive = np.minimum(np.abs(a), 2 ** 31 - 1)
    assert fixedpoint.reciprocal(positive).tolist() == [oracle.reciprocal(v) for v in positive.tolist()]
    assert fixedpoint.one_minus_over(positive).tolist() == [oracle.one_minus_over(v) for v in positive.tolist()]


def test_fixed_point_is_near_the_real_functions():
    """The errors that refq.ints.fixedpoint states."""
    a = drawn(200_000)
    for k in range(6):
        falling = -np.abs(a)
        assert np.abs(fixedpoint.exp_neg(falling, k) / 2 ** 31 - np.exp(falling / 2.0 ** (31 - k))).max() <= 2.0 ** -22
    x = np.minimum(np.abs(a), 2 ** 31 - 1)
    assert np.abs(fixedpoint.reciprocal(x) / 2 ** 31 - 1 / (1 + x / 2 ** 31)).max() <= 2.0 ** -28
    assert np.abs(fixedpoint.one_minus_over(x) / 2 ** 31 - (1 - x / 2 ** 31) / (1 + x / 2 ** 31)).max() <= 2.0 ** -27
    assert np.abs(fixedpoint.logistic(a, 4) / 2 ** 31 - 1 / (1 + np.exp(-a / 2.0 ** 27))).max() <= 2.0 ** -23
    assert np.abs(fixedpoint.tanh(a, 4) / 2 ** 31 - np.tanh(a / 2.0 ** 27)).max() <= 2.0 ** -22


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("ties", ["half_away", "half_even", "floor"])
def test_logistic_fixed_of_every_code(function, ties):
    """All codes, zero points and scales: the oracle; and the error against the real function."""
    row = logistic_fixed.Row(function=function, ties=ties)
    for s in SCALES:
        for z in (-128, -3, 0, 127):
            constants = logistic_fixed.build(row, single(s), z, *logistic_fixed.result(row))
            y = both(logistic_fixed, row, CODES, constants)
            expected = [oracle.logistic_fixed(q, *constants.values(), function == "tanh", ties) for q in CODES.tolist()]
            assert y.tolist() == expected
            near = np.clip(logistic_fixed.real(CODES, single(s), z, row), -128, 127)
            assert np.abs(y - near).max() <= (0.5 + 2.0 ** -14 if "half" in ties else 1 + 2.0 ** -14)


def test_published_logistic_fixed():
    """256 * sigmoid - 128, half up, of every code at four scales; sigmoid of unsigned codes is the same, 128 higher."""
    row = logistic_fixed.Row()
    for s in (0.01, 0.03, 0.0625, 0.1):
        y = both(logistic_fixed, row, CODES, logistic_fixed.build(row, single(s), 0, 2.0 ** -8, -128))
        expected = [min(math.floor(256 / (1 + math.exp(-single(s) * q)) + 0.5) - 128, 127) for q in CODES.tolist()]
        assert y.tolist() == expected
    unsigned, codes = logistic_fixed.Row(q=U8, out=U8), np.arange(256, dtype=np.uint8)
    u = both(logistic_fixed, unsigned, codes, logistic_fixed.build(unsigned, single(0.1), 128, 2.0 ** -8, 0))
    assert (u - 128).tolist() == y.tolist()


def test_published_table_of_sigmoids():
    """The entries of TFLite's table that others have printed, from both of its ends."""
    table = logistic_table16.entries()
    assert table[:8].tolist() == [32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513]
    assert table[-4:].tolist() == [65534, 65534, 65534, 65535] and len(table) == 256 and (np.diff(table) >= 0).all()


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_logistic_table16_of_every_code(function):
    """All 65,536 codes: the oracle at every 37th, the error everywhere."""
    row = logistic_table16.Row(function=function)
    bound = 2.8 if function == "sigmoid" else 5.3
    for s in (2.0 ** -12, 2.0 ** -11, 0.0003, 1e-5, 0.01, 2.0 ** -14):
        constants = logistic_table16.build(row, single(s), 0, 2.0 ** -15, 0)
        y = both(logistic_table16, row, SHORTS, constants)
        entries = logistic_table16.entries().tolist()
        expected = [oracle.logistic_table16(q, *constants.values(), entries, function == "tanh") for q in SHORTS[::37].tolist()]
        assert y[::37].tolist() == expected
        lost = 2.0 ** 15 * 2.0 ** -14 * (0.23 if function == "sigmoid" else 0.45) if constants["right"] else 0
        assert np.abs(y - logistic_table16.real(SHORTS, single(s), row)).max() <= bound + lost


def test_a_scale_beside_a_power_of_two_is_taken_for_it():
    """As TFLite's CheckedLog2: within a thousandth of a power."""
    row = logistic_table16.Row()
    assert logistic_table16.build(row, 2.0 ** -12 * 1.0005, 0, 2.0 ** -15, 0) == {"mult": 3, "right": 0}
    assert logistic_table16.build(row, 2.0 ** -12 * 1.001, 0, 2.0 ** -15, 0)["right"] > 0


@pytest.mark.parametrize("reading", ["rounded", "raised"])
@given(data=st.data())
def test_table16_is_the_oracle(reading, data):
    """Entries at the rails and codes at every place between them."""
    row = table16.Row(reading=reading)
    rng = np.random.default_rng(data.draw(st.integers(0, 2 ** 32 - 1)))
    t = rng.choice([-32768, 32767, 0, 1, *rng.integers(-32768, 32768, 8)], 513).astype(np.int16)
    q = np.concatenate([SHORTS[:3], SHORTS[-3:], rng.choice(SHORTS, 200)])
    expected = [oracle.interpolated(t.tolist(), v, reading == "raised") for v in q.tolist()]
    assert both(table16, row, q, {"t": t}).tolist() == expected


@pytest.mark.parametrize("evaluated", ["float32", "float64"])
@pytest.mark.parametrize(("name", "f", "s", "unit", "slope", "bend"), [
    ("sigmoid", lambda x: 0.5 + 0.5 * np.tanh(x / 2), 2.0 ** -12, 2.0 ** -15, 0.25, 0.097),
    ("tanh", np.tanh, 2.0 ** -13, 2.0 ** -15, 1.0, 0.77),
    ("exp", np.exp, 2.0 ** -14, 2.0 ** -12, 7.4, 7.4)])
def test_table16_is_near_the_real_function(evaluated, name, f, s, unit, slope, bend):
    """Every code, within the bound that the docstring states."""
    row = table16.Row(evaluated=evaluated)
    y = both(table16, row, SHORTS, {"t": np.array(table16.build(row, name, s, 0, unit, 0)["t"], np.int16)})
    error = np.abs(y - np.clip(table16.real(SHORTS, f, s, 0, unit, 0), -32768, 32767))
    assert error.max() <= 128 ** 2 / 16 * bend * s ** 2 / unit + slope * s / unit + 2


ROWS = {"tflite": leaky_relu.Row(), "neon": leaky_relu.Row(ties="half_up"), "single": leaky_relu.Row(high="none", ties="half_up"),
        "xnnpack": leaky_relu.Row(multiplier="fraction8", high="none", ties="half_up")}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_leaky_relu_of_every_code(row):
    """All codes, zero points, factors and scales, ties among them."""
    for s, unit in ((0.5, 0.25), (0.1, 0.07), (0.03, 0.5), (1.0, 1.0), (0.25, 1.0)):
        for alpha in (0.0, 0.125, 0.3, 1.0, 1.7):
            for z, zero in ((-128, 127), (3, -5), (127, -128)):
                constants = leaky_relu.build(row, alpha, single(s), z, single(unit), zero)
                expected = [oracle.leaky_relu(q, *constants.values(), row.high, row.ties, 8) for q in CODES.tolist()]
                assert both(leaky_relu, row, CODES, constants).tolist() == expected


def test_hard_swish_of_every_code():
    """All codes at scales from 2**-10 to 8: the oracle, and the error against the real function."""
    row = hard_swish.Row()
    for s in (2.0 ** -10, 2.0 ** -6, 0.01, 0.047, 0.1, 0.25, 1.0, 8.0):
        for ratio in (0.02, 0.5, 1.0, 1.7):
            for z, zero in ((-128, 127), (0, 0), (5, -100)):
                unit = single(s * ratio)
                constants = hard_swish.build(row, single(s), z, unit, zero)
                y = both(hard_swish, row, CODES, constants)
                assert y.tolist() == [oracle.hard_swish(q, *constants.values()) for q in CODES.tolist()]
                exact = np.clip(hard_swish.real(CODES, single(s), z, unit, zero), -128, 127)
                assert np.abs(y - exact).max() <= 1.5


def test_refusals_say_what_to_do():
    """Results on other grids, scales out of reach, wide codes."""
    for op, fine in ((logistic_fixed, 100.0), (logistic_table16, 3.0)):
        row = op.Row()
        with pytest.raises(IllFormed, match="a result of"):
            op.build(row, 0.1, 0, 0.1, 0)
        with pytest.raises(IllFormed, match="rescale it first"):
            op.build(row, fine, 0, *op.result(row))
        with pytest.raises(IllFormed, match="defined for codes of up to"):
            op.Row(q=I24)
    with pytest.raises(IllFormed, match="alpha is"):
        leaky_relu.build(leaky_relu.Row(), -0.1, 1.0, 0, 1.0, 0)
    with pytest.raises(IllFormed, match="coarsen the result's grid"):
        leaky_relu.build(ROWS["xnnpack"], 0.1, 128.0, 0, 1.0, 0)
    with pytest.raises(IllFormed, match="up to 128 units"):
        hard_swish.build(hard_swish.Row(), 200.0, 0, 1.0, 0)
    with pytest.raises(IllFormed, match="sixteen bits"):
        table16.Row(q=I8)
    with pytest.raises(IllFormed, match="513 are read"):
        table16.Row().sizes({"n": 1, "i": 512})
    assert leaky_relu.Row(q=I16, out=I16).gives["y"].width == I16 and table16.Row(reading="raised").gives["y"].width == Width(23)


def test_expf_is_the_nearest_but_for_a_few():
    """glibc's exp differs from the nearest float32 in the last place, and seldom: 13 of 20,000 here."""
    x = -np.random.default_rng(0).uniform(0, 30, 20_000).astype(np.float32)
    near = np.exp(x.astype(np.float64)).astype(np.float32)
    apart = libm.expf(x) != near
    assert 0 < apart.sum() < 40
    assert (np.abs(libm.expf(x).view(np.int32) - near.view(np.int32)) <= 1).all()
    assert (libm.nearest(x[:500]) == near[:500]).all()


@pytest.mark.parametrize("name", functions.names)
def test_tables_by_float32(name):
    """Entries evaluated in float32 are those of the real function but beside ties; a function without a form is the nearest."""
    exact, float32 = (table.Row(ties="half_away", evaluated=e) for e in ("exact", "reciprocal_float32"))
    apart = 0
    for s, z, unit, zero in ((0.05, 3, 0.03, -122), (0.02, -100, 0.013, 3), (2.0 ** -6, 0, 2.0 ** -5, 1)):
        grids = single(s), z, single(unit), zero
        apart += np.count_nonzero(np.subtract(table.build(exact, name, *grids)["t"], table.build(float32, name, *grids)["t"]))
    assert apart <= (2 if name in functions32.WRITTEN else 1)


def test_a_callable_is_rounded_to_float32():
    """A tenth of x, of float32 and of the real number: 0.1 of float32 is a little more, so that -5 / 10 is beyond the tie."""
    tenth = float(np.float32(0.1))
    rows = [table.Row(ties="half_even", evaluated=e) for e in ("exact", "float32")]
    made = [table.build(r, lambda x: x * 1, tenth, 0, 1.0, 0)["t"] for r in rows]
    assert [t[128 - 5] for t in made] == [-1, 0]


def test_a_zero_point_inside_moves_ties():
    """-1.5 + 123 is a tie whose even neighbour is 122; rounded first it is -2, which gives 121 (torch's strided tensors)."""
    rows = [table.Row(evaluated="reciprocal_float32", zero_point=z) for z in ("after", "inside")]
    assert [table.build(r, "identity", 0.5, 0, 1.0, 123)["t"][128 - 3] for r in rows] == [121, 122]
    with pytest.raises(IllFormed, match="a zero point inside"):
        table.Row(zero_point="inside")


def test_roundings_of_entries():
    """A float32 made of a Decimal is the nearest, where float64 in between rounds twice."""
    from decimal import Decimal
    value = Decimal(1) + Decimal(2) ** -24 + Decimal(2) ** -60
    assert interpolated.single(value) == np.float32(1 + 2.0 ** -23) and np.float32(float(value)) == 1
    assert set(rounding.names) >= {"half_up", "half_away"}
