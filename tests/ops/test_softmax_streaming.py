"""softmax_streaming: published values, the oracle, what tiles and order change, the distance to softmax."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I8, I16, U32
from refq.ops import softmax_streaming
from refq.ops.softmax_streaming import Row
from tests import oracle_halvings as oracle

ITA = {"mult": 1 << 14, "shift": 19}
"""Codes of log(2) / 32."""
PLAIN = Row()
FORMS = (Row(tile=1, acc=U32), Row(acc=U32), Row(tile=8, peak=127, out=I8), Row(tile=64, ties="half_even"), Row(ties="floor"))


def both(q, made=ITA, row=PLAIN):
    """What kernel and spec agree on."""
    q = np.ascontiguousarray(q, row.q.dtype)
    y = np.empty(q.shape, row.out.dtype)
    softmax_streaming.kernel(row)(q, *made.values(), y)
    np.testing.assert_array_equal(y, softmax_streaming.spec(q, *made.values(), row=row))
    return y.astype(np.int64)


def drawn(length, count=60, seed=0):
    rng = np.random.default_rng(seed)
    spread = rng.choice([5, 30, 90], (count, 1))
    return np.clip(np.rint(rng.normal(0, spread, (count, length))), -128, 127).astype(np.int64)


def test_scales_of_the_accelerator_are_shifts():
    """log(2) / 2**k, as calibration chooses it, is a pure shift; the least such scale not below is taken, and kept."""
    for k in range(-2, 9):
        scale = softmax_streaming.fitting(float(np.float32(np.log(2) / 2.0 ** k)))
        assert scale == float(np.float32(np.log(2) / 2.0 ** k))
        assert softmax_streaming.build(Row(), scale, 0) == {"mult": 1 << 14, "shift": 14 + k}
    assert softmax_streaming.fitting(0.02) == softmax_streaming.fitting(0.0216) == float(np.float32(np.log(2) / 32))


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=70), st.sampled_from(FORMS), st.integers(1, 32767),
       st.integers(13, 24))
def test_oracle_agrees(q, row, mult, shift):
    """Tile after tile, on unbounded integers, with any multiplier."""
    expected = oracle.softmax_streaming(q, Fraction(mult, 2 ** shift), row.tile, row.peak, row.out.lo, row.ties)
    assert both(np.array([q]), {"mult": mult, "shift": shift}, row).tolist() == [expected]


@pytest.mark.parametrize("length", [1, 2, 3, 197, 4096])
def test_lengths_and_wide_codes(length):
    """Rows of many lengths, of 8 and 16 bits."""
    rng = np.random.default_rng(1)
    for width in (I8, I16):
        q = np.sort(rng.integers(width.lo, width.hi, (5, length), endpoint=True), axis=1)
        both(q, softmax_streaming.build(Row(), 0.01, 0), Row(q=width, acc=U32))


@pytest.mark.parametrize("tile", [16, 64])
def test_one_tile_is_the_plain_form(tile):
    """A row of one tile: exponentials below the largest code of all, summed, one division (Deeploy's ITAMax)."""
    q = drawn(tile)
    steps = (q.max(axis=1, keepdims=True) - q + 16) >> 5
    whole = 65280 // (256 >> steps).sum(axis=1, keepdims=True)
    y = both(q, row=Row(tile=tile))
    np.testing.assert_array_equal(y, whole >> steps)
    assert (y.sum(axis=1) <= 255).all() and (y.sum(axis=1) >= 255 - 2 * tile).all()


def test_order_of_tiles_changes_bits():
    """Witness: 15 codes more round to no halving, twice, so that a rising row and the same row falling differ."""
    rising = np.array([[0] * 16 + [15] * 16 + [30] * 16])
    assert both(rising).max() == 5 and both(rising[:, ::-1]).max() == 6


def test_rows_of_the_accelerator():
    """Rows of PyITA's streamingPartialSoftmax."""
    assert both(np.array([[0] * 4])).tolist() == [[63] * 4] and both(np.array([[127, 95, 63]])).tolist() == [[145, 72, 36]]


def test_near_softmax():
    """The bounds that the docstring states, over rows whose largest code comes late or early."""
    for row in (Row(), Row(tile=1), Row(peak=127, out=I8)):
        for length in (1, 3, 16, 40, 197):
            for q in (drawn(length), np.sort(drawn(length), axis=1)):
                for made, s in ((ITA, np.log(2) / 32), (softmax_streaming.build(row, 0.1, 0), 0.1)):
                    y, p = (both(q, made, row) - row.out.lo) / row.peak, softmax_streaming.real(q, s)
                    tops = np.maximum.accumulate([q[:, i:i + row.tile].max(axis=1) for i in range(0, length, row.tile)], axis=0)
                    g = (np.diff(tops, axis=0) > 0).sum(axis=0)[:, None] if len(tops) > 1 else 0
                    e = np.exp((q - q.max(axis=1, keepdims=True)) * s)
                    assert (y >= p / 2.0 ** (1 + g / 2) * (1 - 1e-3) - 1 / row.peak).all()
                    assert (y <= np.sqrt(2) * e * (1 + 1e-3)).all()
                    assert (np.abs(y - p) <= softmax_streaming.bound(row, s, length)).all()


def test_the_accelerators_register_ends_at_2047_codes():
    """19 bits, "up to 2048": that many codes alike sum to 2**19, one too many."""
    row = Row()
    assert softmax_streaming.holds(row, 0.1, 2047) and not softmax_streaming.holds(row, 0.1, 2048)
    with pytest.raises(IllFormed, match="wider acc"):
        row.sizes({"n": 1, "c": 2048})
    assert both(np.zeros((1, 2048)), row=Row(acc=U32)).tolist() == [[0] * 2048] and both(np.zeros((1, 2)))[0, 0] == 127


def test_refusals_say_what_to_do():
    """Empty rows, scales out of reach, results of other widths."""
    with pytest.raises(IllFormed, match="axis c is empty"):
        Row().sizes({"n": 1, "c": 0})
    for scale in (2.0 ** -40, 2.0 ** 30):
        with pytest.raises(IllFormed, match="rescale it first"):
            softmax_streaming.build(Row(), scale, 0)
    with pytest.raises(IllFormed, match="8 bits"):
        Row(out=I16)
