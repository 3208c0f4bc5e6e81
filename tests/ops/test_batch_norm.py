"""batch_norm: the oracle over every code, its constants decided exactly, and its distance to the real function."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I8, I16, I48, U8
from refq.ops import batch_norm
from tests import oracle_norms as oracle
from tests.ops.test_exact_norms import both, made

RNG = np.random.default_rng(10)


@pytest.mark.parametrize("ties", ["half_up", "half_even", "half_away", "floor"])
@pytest.mark.parametrize("q, out", [(I8, I8), (U8, I16)])
def test_every_code_is_the_oracle_s(q, out, ties):
    """All 256 codes under multipliers of both signs, shifts of any length, and biases at the ends of what is taken."""
    row, zero = batch_norm.Row(q=q, out=out, ties=ties), q.lo + 5
    shift = np.array([0, 1, 7, 16, 24, 30, 9, 3])
    mult = np.array([1, -3, 65536, -65536, 12345, 1, 0, 77])
    bias = np.array([0, 1, -(2**29), 2**29, -5, 2**29, 1000, -1])
    codes = np.repeat(np.arange(q.lo, q.hi + 1)[:, None], 8, 1).astype(q.dtype)
    got = both("batch_norm", row, {"q": codes, "zq": zero, "mult": mult.astype(np.int32), "bias": bias.astype(np.int32),
                                   "shift": shift.astype(np.int8), "zo": 3})
    for codes_of, y in zip(codes.tolist(), got.tolist()):
        assert y == oracle.batch_norm(codes_of, zero, mult.tolist(), bias.tolist(), shift.tolist(), 3, ties, out.bits)


def test_all_codes_of_16_bits():
    """Spec and kernel over all 2**16 codes."""
    row = batch_norm.Row(q=I16, out=I16, acc=I48)
    codes = np.repeat(np.arange(I16.lo, I16.hi + 1)[:, None], 3, 1).astype(np.int16)
    factor, offset = np.array([0.7, -1.3, 1e-4]), np.array([0.1, 300.0, -2.0])
    y = both("batch_norm", row, made(row, batch_norm, codes, factor, offset, s_in=0.01, z_in=0, s_out=0.013, z_out=0))
    exact = np.clip((codes * 0.01 * factor + offset) / 0.013, I16.lo, I16.hi)
    assert np.abs(y - exact).max() <= 0.5 + 65535 / 2**16


ratio = st.floats(-1000, 1000, width=32)


@given(ratio, ratio)
def test_constants_are_the_longest_that_fit(factor, offset):
    """Rounded, ties up; one bit more would leave the multiplier or the bias."""
    row = batch_norm.Row()
    mult, bias, shift = batch_norm.channel(row, Fraction(factor), Fraction(offset))

    def at(bits):
        return [(Fraction(v) * 2**bits + Fraction(1, 2)).__floor__() for v in (factor, offset)]

    assert [mult, bias] == at(shift)
    more = at(shift + 1)
    assert shift == 30 or abs(more[0]) >= 2**16 or abs(more[1]) > row.acc.hi >> 2


def test_what_saturates_and_what_is_refused():
    """An offset beyond every code saturates, as the code does; a factor beyond the multiplier's bits is refused."""
    row = batch_norm.Row()
    assert batch_norm.channel(row, Fraction(1), Fraction(2**40)) == (1, 2**29 - 1, 0)
    with pytest.raises(IllFormed, match="coarsen the grid of the result"):
        batch_norm.channel(row, Fraction(2**17), Fraction(0))
    with pytest.raises(IllFormed, match="signed and has 34"):
        batch_norm.Row(q=I16)
