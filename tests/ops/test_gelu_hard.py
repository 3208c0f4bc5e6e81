"""gelu_hard: the oracle, the whole 8-bit domain, the distance to the straight gate and to GELU."""
from fractions import Fraction
from math import erf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I8, I16, U8
from refq.ops import gelu_hard
from refq.ops.gelu_hard import Row
from tests import oracle_halvings as oracle

SCALES = [2.0 ** -k for k in range(9)] + [0.3, 0.051, 0.0123]


PLAIN = Row()


def both(q, made, row=PLAIN):
    """What kernel and spec agree on."""
    q = np.ascontiguousarray(q, row.q.dtype)
    y = np.empty(q.shape, row.out.dtype)
    gelu_hard.kernel(row)(q, *made.values(), y)
    np.testing.assert_array_equal(y, gelu_hard.spec(q, *made.values(), row=row))
    return y.astype(np.int64)


@given(st.integers(-128, 127), st.integers(-128, 127), st.integers(1, 1 << 20), st.integers(0, 2**31 - 1), st.integers(0, 62),
       st.integers(-128, 127), st.integers(-128, 127), st.integers(-128, 127), st.sampled_from(["half_up", "half_even", "floor"]))
def test_oracle_agrees(q, zq, half, mult, shift, zo, a, b, ties):
    made = {"zq": zq, "half": half, "mult": mult, "shift": shift, "zo": zo, "lo": min(a, b), "hi": max(a, b)}
    expected = oracle.gelu_hard(q, zq, half, Fraction(mult, 2 ** shift), zo, min(a, b), max(a, b), ties)
    assert both([q], made, Row(ties=ties)).tolist() == [expected]


@pytest.mark.parametrize("row", [Row(), Row(reach=3.0), Row(q=U8, out=U8), Row(out=I16)])
def test_every_code_is_near_the_gate(row):
    """All 256 codes at many scales and zero points: kernel == spec, and the bound that the docstring states."""
    codes = np.arange(row.q.lo, row.q.hi + 1)
    for s_in in SCALES:
        for zq in (0, row.q.lo, row.q.hi, 5):
            s_out, zo = (s_in, 0) if zq else (s_in / 3, row.out.lo // 2)
            y = both(codes, gelu_hard.build(row, s_in, zq, s_out, zo), row)
            real = gelu_hard.real(codes, s_in, zq, s_out, zo, row.reach)
            ends = zo + np.ceil(-10 / s_out), zo + np.floor(10 / s_out)
            real = np.clip(real, max(ends[0], row.out.lo), min(ends[1], row.out.hi))
            assert (np.abs(y - real) <= 0.5 + s_in / (2 * s_out) + 1e-6).all()


def test_how_far_from_gelu():
    """0.0648 at a reach of 1.8, 0.2954 at 3, hard swish: over every 8-bit code at scales from 2**-8 to 1, in reals."""
    most = {1.8: 0.0, 3.0: 0.0}
    for reach in most:
        for s in 2.0 ** -np.linspace(0, 8, 65):
            x = np.arange(-128, 128) * s
            gelu = np.array([v * (1 + erf(v / 2 ** 0.5)) / 2 for v in x])
            most[reach] = max(most[reach], np.abs(gelu_hard.real(np.arange(-128, 128), s, 0, 1.0, 0, reach) - gelu).max())
    assert 0.0640 < most[1.8] <= 0.0648 and 0.2950 < most[3.0] <= 0.2954


def test_the_lower_end_of_the_clip_is_never_met():
    """-10 (the code) and -1 (the summary) give the same codes: the gate lets through no less than -reach/8."""
    codes = np.arange(-128, 128)
    for reach in (1.8, 3.0):
        for s_in in SCALES:
            y = [both(codes, gelu_hard.build(Row(reach=reach, lowest=lowest), s_in, 0, s_in, 0)) for lowest in (-10, -1)]
            assert (y[0] == y[1]).all() and y[0].min() * s_in >= -reach / 8 - s_in


def test_refusals_say_what_to_do():
    """A scale so coarse that the gate has no code inside, one so fine that it has no end, results on too fine a grid, 16 bits."""
    for s_in, s_out, words in ((4.0, 1.0, "another scale"), (2.0 ** -24, 1.0, "another scale"), (1.0, 2.0 ** -50, "too fine")):
        with pytest.raises(IllFormed, match=words):
            gelu_hard.build(Row(), s_in, 0, s_out, 0)
    with pytest.raises(IllFormed, match="gelu_hard"):
        Row(q=I16)
    assert gelu_hard.build(Row(), 0.5, 3, 0.25, -7)["hi"] == 33 and I8.hi == 127
