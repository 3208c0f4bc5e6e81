"""softmax_base2: the oracle, the released float form, the whole 8-bit domain, the distance to softmax and to its logarithm."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I8, I16, I48, U4, U8, U16, Width
from refq.ops import softmax_base2
from refq.ops.softmax_base2 import Row
from tests import oracle_halvings as oracle

U5 = Width(5, False)
FORMS = [Row(), Row(shares="geometric", out=U5, ties="floor"), Row(shares="linear", out=U8), Row(curve="flat", out=U8),
         Row(fraction=4, n=8, ties="half_even"), Row(shares="linear", out=U8, fraction=4, ties="half_even"),
         Row(shares="linear", out=U16, q=I16, acc=I48), Row(q=I16, acc=I48)]


def both(q, made, row):
    """What kernel and spec agree on."""
    q = np.ascontiguousarray(q, row.q.dtype)
    y = np.empty(q.shape, row.out.dtype)
    softmax_base2.kernel(row)(q, *made.values(), y)
    np.testing.assert_array_equal(y, softmax_base2.spec(q, *made.values(), row=row))
    return y.astype(np.int64)


def drawn(width, length, count=50):
    rng = np.random.default_rng(length)
    spread = rng.choice([0.02, 0.1, 0.35], (count, 1)) * (width.hi - width.lo)
    return np.clip(np.rint(rng.normal(0, spread, (count, length))), width.lo, width.hi).astype(np.int64)


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=12), st.sampled_from(FORMS[:6]), st.integers(0, 32767),
       st.integers(0, 20))
def test_oracle_agrees(q, row, mult, shift):
    """Any multiplier, every form, on fractions."""
    expected = oracle.softmax_base2(q, Fraction(mult, 2 ** shift), row.fraction, row.n, row.shares, row.curve == "chord", row.top,
                                    row.ties)
    assert both(np.array([q]), {"mult": mult, "shift": shift}, row).tolist() == [expected]


@pytest.mark.parametrize("row", FORMS)
@pytest.mark.parametrize("length", [1, 2, 3, 197])
def test_near_softmax(row, length):
    """The bounds that the docstring states, for shares to either base."""
    for base, scale in (("e", 2.0 ** -8), ("e", 0.05), ("e", 1.0), ("two", 2.0 ** -4), ("two", 0.3)):
        row = Row(**{**row.__dict__, "base": base})
        scale = scale / (256 if row.q == I16 else 1)
        q = drawn(row.q, length)
        y, p = both(q, softmax_base2.build(row, scale, 0), row), softmax_base2.real(q, scale, 2.0 if base == "two" else np.e)
        if row.base == "e":
            assert (np.abs(softmax_base2.grid(row).decode(y) - p) <= softmax_base2.bound(row, scale, length)).all()
        g = (0.0615 if row.curve == "chord" else 1) + 2.0 ** -row.fraction + row.n * 2.0 ** -14
        if row.shares == "linear":
            assert (np.abs(y.sum(axis=1) - (1 << row.out.bits)) <= 1 + length / 2).all()
            assert (np.abs(y * 2.0 ** -row.out.bits - p) <= 2.0 ** -row.out.bits + g * p + length * 2.0 ** -row.n).all()
            continue
        told = (y < row.top) & (p >= 2.0 ** (2 - row.n))
        edge = 0.5 if row.shares == "geometric" else np.log2(1.5)
        assert (np.abs(y + np.log2(p))[told] <= edge + np.log2((1 + g) * (1 + length * 2.0 ** (1 - row.n))) + 1e-4).all()


def test_long_rows():
    for row, count in (Row(acc=I48), 4096), (FORMS[-2], 4096), (Row(), 255):
        both(drawn(row.q, count, 4), softmax_base2.build(row, 0.02, 0), row)
        assert softmax_base2.holds(row, 0.1, 255) and row.sizes({"c": 255}) == {}


def test_all_pairs():
    """Every 8-bit code beside every other, every form of 8-bit codes: kernel == spec."""
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), axis=-1).reshape(-1, 2)
    for row in FORMS[:6]:
        both(pairs, softmax_base2.build(row, 0.0431, 0), row)


def test_released_rows():
    """Whole exponents: shares of 1/4, of 4/7 and so on, and one beyond the cut, as codes of the 17 levels."""
    row = Row(base="two", shares="geometric", out=U5)
    for q, codes in ([7] * 4, [2] * 4), ([5, 4, 3], [1, 2, 3]), ([100, 84, 84], [0, 16, 16]):
        assert both(np.array([q]), softmax_base2.build(row, 1.0, 0), row).tolist() == [codes]


def test_the_released_float_form():
    """2**x over their sum and rne(-log2), 0 from 2**-15 on: the 17-level codes are its codes but where the chord, or that cut,
    decides; here at whole exponents, where the chord is exact."""
    rng, row = np.random.default_rng(3), Row(base="two", shares="geometric", out=U5)
    made = softmax_base2.build(row, 1.0, 0)
    assert made["mult"] * 2.0 ** -made["shift"] == 1 << row.fraction
    q = -rng.integers(0, 14, (500, 9))
    p = softmax_base2.real(q, 1.0, 2.0)
    theirs = np.where(p > 2.0 ** -15, np.rint(-np.log2(p)), 16)
    ours = both(q, made, row)
    assert ((ours == theirs) | ((theirs == 16) & (ours == 15))).all() and (ours == theirs).mean() > 0.95


def test_grids_say_what_codes_mean():
    """Four bits: 2**0 to 2**-14, and 0; five: the released 17 levels; linear codes count 2**-bits."""
    four, five = softmax_base2.grid(Row()), softmax_base2.grid(Row(out=U5, shares="geometric"))
    assert (four.width, four.hi, four.levels[-1], four.levels[14], four.switch) == (U4, 15, 0.0, 2.0 ** -14, "inverse")
    assert (five.hi, len(five.levels), five.levels[15], five.switch) == (16, 17, 2.0 ** -15, "geometric")
    assert softmax_base2.grid(Row(shares="linear", out=U8)).scale == 1 / 256


def test_logarithms_are_the_grids():
    """An exact share on a switch, 1 / 3: the next code, as the grid has it; and one over 5 the same."""
    row = Row()
    for count in range(1, 40):
        code = both(np.zeros((1, count)), softmax_base2.build(row, 0.1, 0), row)[0, 0]
        assert code == softmax_base2.grid(row).encode(np.array([1 / count]))[0]


def test_refusals_say_what_to_do():
    with pytest.raises(IllFormed, match="wider acc"):
        Row().sizes({"c": 256})
    with pytest.raises(IllFormed, match="axis c is empty"):
        Row().sizes({"c": 0})
    with pytest.raises(IllFormed, match="unsigned"):
        Row(out=I8)
    with pytest.raises(IllFormed, match="rescale it first"):
        softmax_base2.build(Row(), 2.0 ** 9, 0)
    with pytest.raises(IllFormed, match="unsigned"):
        Row(shares="linear", out=U4)
