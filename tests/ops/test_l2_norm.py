"""l2_norm and layernorm_lstm: TensorFlow Lite's formulas, by an oracle that writes them out, and their distance to real ones."""
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import inverse_root
from refq.ints.width import I8, I16, U8
from refq.ops import l2_norm, layernorm_lstm
from tests import oracle_norms as oracle
from tests.ops.test_exact_norms import LENGTHS, both, rows

RNG = np.random.default_rng(9)


def test_one_over_a_root():
    """The oracle's multiplier and shift, near 1 / sqrt(v): for small v, powers of two and what is beside them, and drawn ones."""
    some = [*range(300), *(2**k + d for k in range(9, 31) for d in (-1, 0, 1)), 2**31 - 1, *RNG.integers(2, 2**31, 500).tolist()]
    found = zip(some, inverse_root.multiplier(np.array(some)).tolist(), inverse_root.exponent(np.array(some)).tolist())
    for v, mult, e in found:
        assert (mult, e) == oracle.inverse_root(v) == (inverse_root.multiplier(v), inverse_root.exponent(v))
        if v > 1:
            assert abs(Decimal(mult) / 2 ** (31 + e) * Decimal(v).sqrt() - 1) < Decimal(2) ** -19
    assert inverse_root.multiplier(2) == 1518498372 and inverse_root.multiplier(1) == 2**31 - 1


@given(st.sampled_from((I8, U8)).flatmap(lambda w: st.tuples(st.just(w), st.integers(w.lo, w.hi), st.lists(
    st.integers(w.lo, w.hi), min_size=1, max_size=40))))
def test_l2_norm_is_the_oracle(drawn):
    width, zero, q = drawn
    got = both("l2_norm", l2_norm.Row(q=width), {"q": np.array([q], width.dtype), "zq": zero})
    assert got.tolist() == [oracle.l2_norm(q, zero)]


@pytest.mark.parametrize("count", LENGTHS)
def test_l2_norm_is_near_the_real_one(count):
    q, zero = rows(I8, count), -3
    y = both("l2_norm", l2_norm.Row(), {"q": q, "zq": zero})
    assert np.abs(y / 128 - l2_norm.real(q.astype(np.int64) - zero)).max() <= l2_norm.bound(l2_norm.Row(), 1, count)


def test_a_sum_beyond_the_register_counts_as_one():
    """33,026 squares of 255 leave 32 bits: the engine's register is then negative, and so is the oracle's."""
    q = np.full((1, 33100), 127, np.int8)
    assert both("l2_norm", l2_norm.Row(), {"q": q, "zq": -128}).max() == 127 == max(oracle.l2_norm([127] * 33100, -128))


@given(st.lists(st.integers(I16.lo, I16.hi), min_size=1, max_size=9), st.data())
def test_layernorm_lstm_is_the_oracle(q, data):
    """Constant rows too, products that leave 32 bits, and any multiplier."""
    q = data.draw(st.sampled_from((q, q[:1] * len(q))))
    w, bias = (data.draw(st.lists(st.integers(lo, -lo - 1), min_size=len(q), max_size=len(q))) for lo in (-(2**15), -(2**31)))
    guard, mult, left = data.draw(st.integers(1, 9999)), data.draw(st.integers(2**30, 2**31 - 1)), data.draw(st.integers(-20, 4))
    operands = {"q": np.array([q], np.int16), "w": np.array(w, np.int16), "bias": np.array(bias, np.int32), "guard": guard,
                "mult": mult, "shift": 31 - left}
    got = both("layernorm_lstm", layernorm_lstm.Row(), operands)
    assert got.tolist() == [oracle.layernorm_lstm(q, w, bias, guard, mult, left)]


@pytest.mark.parametrize("count", [16, 256, 4096])
def test_layernorm_lstm_from_real_weights(count):
    """With constants as the converter makes them, near LayerNorm where the row's length is a power of two."""
    row, gamma, beta = layernorm_lstm.Row(), RNG.normal(1, 0.4, count), RNG.normal(0, 0.5, count)
    q = np.clip(np.rint(RNG.normal(200, 900, (20, count))), -32768, 32767).astype(np.int16)
    built = layernorm_lstm.build(row, 0.01, 0, gamma, beta, 0.0)
    operands = {"q": q} | {k: np.array(v, row.takes[k].width.dtype) if row.takes[k].names else v for k, v in built.items()}
    y = both("layernorm_lstm", row, operands) * layernorm_lstm.result(row, 0.01, gamma, beta)
    assert np.abs(y - layernorm_lstm.real(q.astype(np.int64), gamma, beta)).max() < 0.01


def test_layernorm_lstm_of_other_lengths_is_off():
    """A witness: for 1000 codes 2**20 / 1000 is cut, so a mean beside a small deviation makes the variance too small."""
    row, q = layernorm_lstm.Row(), (8000 + RNG.integers(-300, 301, (5, 1000))).astype(np.int16)
    w, bias = np.full(1000, 2**14, np.int16), np.zeros(1000, np.int32)
    y = both("layernorm_lstm", row, {"q": q, "w": w, "bias": bias, "guard": 1, "mult": 2**30, "shift": 33})
    assert y[0].tolist() == oracle.layernorm_lstm(q[0].tolist(), [2**14] * 1000, [0] * 1000, 1, 2**30, -2)
    assert np.abs(y / 2**12 - layernorm_lstm.real(q.astype(np.int64), 1, 0)).max() > 0.3


def test_what_is_refused():
    with pytest.raises(IllFormed, match="gamma is 0 everywhere"):
        layernorm_lstm.build(layernorm_lstm.Row(), 1.0, 0, np.zeros(3), np.ones(3), 0.0)
    with pytest.raises(IllFormed, match="rows of 65537 codes"):
        layernorm_lstm.Row().sizes({"n": 1, "c": 65537})
    with pytest.raises(IllFormed, match="at most 8 bits"):
        l2_norm.Row(q=I16)
