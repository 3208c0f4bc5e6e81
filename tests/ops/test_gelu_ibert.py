"""gelu_ibert: published values, the oracle, moves of coarse and fine scales, the distance to GELU, and what 8 bits would lose."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I32, I48, I64
from refq.ops import gelu_ibert
from refq.ops.gelu_ibert import Row
from tests import oracle_ibert as oracle

WIDE = Row(out=I64)
NAMES = ("b", "c", "one", "up", "down", "fall")


def arrays(constants, row):
    return [constants["zp"], *(np.array(constants[k], row.takes[k].width.dtype) for k in NAMES)]


def by_kernel(q, constants, row):
    y = np.empty(q.shape, row.out.dtype)
    gelu_ibert.kernel(row)(np.ascontiguousarray(q, row.q.dtype), *arrays(constants, row), y)
    return y


def by_spec(q, constants, row, **sites):
    return gelu_ibert.spec(np.asarray(q), *arrays(constants, row), row, **sites)


def test_published_values():
    """x = -1, -0.5, 0.5, 1, 2 at S = 2**-18, all bits of the product kept; the authors' sign is the other."""
    constants = gelu_ibert.build(WIDE, 2.0**-18, 0)
    assert {k: constants[k] for k in NAMES} == {"b": [-655811], "c": [-475887525599], "one": [-29045870], "up": [0],
                                                "down": [0], "fall": [0]}
    q = np.array([[-262144], [-131072], [131072], [262144], [524288]], np.int32)
    published = [2479579463680, 2202808221696, -5411392454656, -12748821889024, -29903256813568]
    assert (-by_spec(q, constants, WIDE))[:, 0].tolist() == published
    np.testing.assert_array_equal(by_kernel(q, constants, WIDE), by_spec(q, constants, WIDE))
    assert [round(v, 4) for v in by_spec(q, constants, WIDE)[:, 0] * gelu_ibert.result(WIDE, 2.0**-18)] == [
        -0.1628, -0.1447, 0.3553, 0.8372, 1.9637]


@given(st.floats(2.0**-21, 2.0**-10))
def test_constants_are_the_authors(scale):
    """On scales as accumulators have them nothing is moved, and the constants are the published floors."""
    made, unit = gelu_ibert.channel(WIDE, scale)
    b, c, one, theirs = oracle.gelu_constants(scale)
    assert (made["b"], made["c"], made["one"], made["up"], made["down"], made["fall"]) == (b, c, one, 0, 0, 0)
    assert unit == float(-theirs)
    lowered, unit = gelu_ibert.channel(Row(), scale)
    assert lowered["b"] == b and scale <= unit < 2 * scale


@given(st.floats(2.0**-60, 2.0**4), st.sampled_from([I8, I16, I32, I48]))
def test_moved_scales_take_the_constants_of_theirs(scale, q):
    """A scale that is moved has the constants of the moved one, within what the operation takes, or is refused."""
    row = Row(q=q)
    try:
        made, unit = gelu_ibert.channel(row, scale)
    except IllFormed:
        assert scale > 2.0**-10 and q.bits > 32
        return
    t = Fraction(scale) * 2 ** made["down"] / 2 ** made["up"]
    assert Fraction(1, 2**21) <= t <= Fraction(1, 2**10) and not (made["up"] and made["down"])
    assert (made["b"], made["c"], made["one"]) == oracle.gelu_constants(t)[:3]
    for name in NAMES:
        assert row.takes[name].lo <= made[name] <= row.takes[name].hi
    assert float(t) <= unit < 2 * float(t) and gelu_ibert.result(row, scale) == unit


@settings(max_examples=80)
@given(st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-(10**6), 10**6), min_size=1, max_size=6),
       st.integers(-(2**31), 2**31 - 1) | st.just(0), st.floats(2.0**-30, 2.0**-6), st.sampled_from([I32, I64]))
def test_oracle_agrees(q, zp, scale, out):
    """Spec and kernel are the published formula on unbounded integers, with refq's moves around it."""
    row, codes = Row(out=out), np.array([q], np.int32).T.copy()
    constants = gelu_ibert.build(row, scale, zp)
    made = [constants[k][0] for k in NAMES]
    expected = [[oracle.gelu(x, zp, *made, out.bits)] for x in q]
    assert by_spec(codes, constants, row).tolist() == by_kernel(codes, constants, row).tolist() == expected


@pytest.mark.parametrize("q", [I8, I16])
@pytest.mark.parametrize("scale", [1.0, 0.05, 2.0**-9, 2.0**-13, 2.0**-24])
def test_all_codes(q, scale):
    """Every code of 8 and of 16 bits: kernel == spec, and the oracle for many."""
    codes, row = np.arange(q.lo, q.hi + 1)[:, None], Row(q=q)
    constants = gelu_ibert.build(row, scale, 3)
    y = by_spec(codes, constants, row)
    np.testing.assert_array_equal(by_kernel(codes, constants, row), y)
    made = [constants[k][0] for k in NAMES]
    assert all(v == oracle.gelu(x, 3, *made, 32) for x, v in zip(codes[::97, 0].tolist(), y[::97, 0].tolist()))


@pytest.mark.parametrize("scale", [2.0**-10, 0.7 * 2.0**-10, 2.0**-13, 2.0**-16, 2.0**-21, 2.0**-25, 2.0**-9, 0.05, 1.0])
def test_near_gelu(scale):
    """From -16 to 16 the error stays below what the docstring states, on scales of accumulators and of codes."""
    row, q = Row(), np.unique(np.rint(np.linspace(-16, 16, 4001) / scale))[:, None].astype(np.int64)
    y = by_spec(q, gelu_ibert.build(row, scale, 0), row) * gelu_ibert.result(row, scale)
    assert (np.abs(y - gelu_ibert.real(q, 0, scale)) <= gelu_ibert.bound(row, scale, 1, np.abs(q * scale))).all()


def test_the_curve_is_off_by_0_0182():
    """The parabola's own error, as published: 0.0182 at most."""
    q = np.arange(-(1 << 18), (1 << 18) + 1, 37)[:, None]
    y = by_spec(q, gelu_ibert.build(WIDE, 2.0**-16, 0), WIDE) * gelu_ibert.result(WIDE, 2.0**-16)
    assert 0.0180 < np.abs(y - gelu_ibert.real(q, 0, 2.0**-16)).max() < 0.0183


def test_what_becomes_of_8_bit_scales_unmoved():
    """A witness: at S = 1/16 the published integers are left without a bit of the curve, and give 4.6 * x below 0 and 9.2 * x
    above; so refq moves codes onto a finer scale first."""
    b, c, one, unit = oracle.gelu_constants(1 / 16)
    assert (b, c, one) == (-41, -1773, -1)
    x = np.array([-16, -8, 8, 16])
    published = [float(oracle.i_gelu(v, b, c, one) * unit) * 16 / v for v in x.tolist()]
    assert [round(v, 2) for v in published] == [4.62, 4.62, 9.24, 9.24]
    row = Row(q=I8)
    moved = by_spec(x[:, None], gelu_ibert.build(row, 1 / 16, 0), row) * gelu_ibert.result(row, 1 / 16)
    assert np.abs(moved - gelu_ibert.real(x[:, None], 0, 1 / 16)).max() < 0.0187


class Held(Sites):
    """Refuses a register that does not fit its declared width."""

    def __call__(self, name, value, width):
        assert np.size(value) == 0 or width.lo <= np.min(value) and np.max(value) <= width.hi, name
        return value


@pytest.mark.parametrize("q", [I8, I32, I48])
def test_registers_hold_at_the_rails(q):
    """No register leaves its declared width, at every corner of the constants and both ends of the codes."""
    row = Row(q=q, out=I64)
    corners = list(np.ndindex(*(2,) * 6))
    constants = {k: [(row.takes[k].lo, row.takes[k].hi)[corner[i]] for corner in corners] for i, k in enumerate(NAMES)}
    for zp in (q.lo, 0, q.hi):
        codes = np.array([[v] * len(corners) for v in (q.lo, -1, 0, 1, q.hi)])
        np.testing.assert_array_equal(by_spec(codes, constants | {"zp": zp}, row, at=Held()),
                                      by_kernel(codes, constants | {"zp": zp}, row))


def test_each_channel_has_its_own_scale():
    """Constants for every channel are those of its scale alone."""
    scales, row = np.array([2.0**-12, 3.3e-6, 0.01, 2.0**-23]), Row()
    joint, q = gelu_ibert.build(row, scales, 0, 4), np.arange(-3000, 3000, 7)[:, None] * np.array([1, 40, 1, 1000])
    y = by_kernel(q, joint, row)
    for i, scale in enumerate(scales.tolist()):
        assert y[:, i].tolist() == by_spec(q[:, i:i + 1], gelu_ibert.build(row, scale, 0), row)[:, 0].tolist()
    assert gelu_ibert.result(row, scales).shape == (4,)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), 5000.0, 2.0**-90])
def test_scales_that_are_refused(scale):
    with pytest.raises(IllFormed, match="gelu_ibert: .*scale"):
        gelu_ibert.build(Row(q=I48), scale, 0)


def test_widths_that_are_refused():
    with pytest.raises(IllFormed, match="registers of 32 or of 64 bits"):
        Row(out=I16)
    with pytest.raises(IllFormed, match="at most 48 bits"):
        Row(q=I64)
