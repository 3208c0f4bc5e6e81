"""softmax_tosa and TOSA's 16-bit row of softmax_table16: what Arm's tools give, the oracle, the distance to softmax."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.sites import Sites
from refq.ints.width import I16, U8
from refq.ops import softmax_gemmlowp, softmax_table16, softmax_tosa
from refq.ops.softmax_tosa import Row
from tests import oracle_halvings as oracle

LENGTHS = (1, 2, 3, 197, 4095)


def table(scale, **fields):
    return np.array(softmax_tosa.build(Row(**fields), scale, 0)["t"], np.int32)


PLAIN = Row()


def both(q, t, row=PLAIN):
    """What kernel and spec agree on."""
    q = np.ascontiguousarray(q, row.q.dtype)
    y = np.empty(q.shape, row.out.dtype)
    softmax_tosa.kernel(row)(q, t, y)
    np.testing.assert_array_equal(y, softmax_tosa.spec(q, t, row))
    return y.astype(np.int64)


def drawn(length, count=40, seed=0):
    rng = np.random.default_rng(seed)
    spread = rng.choice([3, 20, 80], (count, 1))
    return np.clip(np.rint(rng.normal(0, spread, (count, length))), -128, 127).astype(np.int64)


@pytest.mark.parametrize(("scale", "q", "y"), [
    (0.0625, [-128, 0, 127, 50, 100, 126], [-128, -128, -8, -127, -106, -15]),
    (0.0625, [5, 4, 3, 2, 1, 0], [-78, -81, -84, -87, -89, -92]),
    (0.3, [10, 20, 30, 40, 10, 20], [-128, -127, -116, 115, -128, -127]),
    (0.3, [5, 4, 3, 2, 1, 0], [-49, -69, -84, -96, -104, -110])])
def test_rows_of_arms_tools(scale, q, y):
    """A TFLite SOFTMAX through tosa-converter-for-tflite 2026.2.0 and the reference model of tosa-tools 2026.8.0."""
    for exponentials in ("fixed", "rounded"):
        assert both(np.array([q]), table(float(np.float32(scale)), exponentials=exponentials)).tolist() == [y]


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=12), st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1))
def test_oracle_agrees(q, largest, seed):
    """Any table whose first entry is worth something, one operator after the other."""
    t = np.random.default_rng(seed).integers(0, largest, 256, np.int64, endpoint=True).astype(np.int32)
    t[0] = max(t[0], 1 << 12)
    assert both(np.array([q]), t).tolist() == [oracle.softmax_tosa(q, t.tolist(), -128)]


@pytest.mark.parametrize("length", LENGTHS)
def test_same_bits_as_tflite(length):
    """Where the table is made of gemmlowp's exponential, the chain gives what gemmlowp's softmax gives."""
    row = softmax_gemmlowp.Row()
    for scale in (2.0 ** -6, 0.1, 0.31, 2.0):
        q, made = drawn(length, 40 if length < 1000 else 4), softmax_gemmlowp.build(row, scale, 0)
        theirs = softmax_gemmlowp.spec(q.astype(np.int8), *made.values(), row=row)
        np.testing.assert_array_equal(both(q, table(scale)), theirs)


@pytest.mark.parametrize("exponentials", ["fixed", "rounded"])
@pytest.mark.parametrize("row", [Row(), Row(q=U8, out=U8)])
def test_near_softmax(exponentials, row):
    """The bound that the docstring states; shares are in order, and sum to one within half a unit each."""
    for scale in [2.0 ** -k for k in range(9)] + [0.3, 0.051]:
        for length in LENGTHS[:4]:
            q, t = drawn(length) + (128 if row.q == U8 else 0), table(scale, exponentials=exponentials)
            y, p = both(q, t, row) - row.out.lo, softmax_tosa.real(q, scale)
            total = np.exp((q - q.max(axis=1, keepdims=True)) * scale).sum(axis=1, keepdims=True)
            assert (np.abs(y / 256 - p) <= 2.0 ** -9 + p * 2.0 ** -8 + 2.0 ** -19 + length * 2.0 ** -20 / total).all()
            assert (np.abs(y / 256 - p) <= softmax_tosa.bound(row, scale, length)).all()
            assert (np.abs(y.sum(axis=1) - 256) <= length / 2 + 1 + length * 2.0 ** -10).all()


def test_all_pairs():
    """Every 8-bit code beside every other: kernel == spec."""
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), axis=-1).reshape(-1, 2)
    both(pairs, table(0.1))


LOST = ([0, -20000, -20479, -20480, -20481, -20600, -30000, -32768], [11088, 1, 1, 1, 11085, 10459, 106, 27])


def wide(store, q, scale):
    row, q = softmax_table16.Row(store=store), np.ascontiguousarray(q, np.int16)
    made, y = softmax_table16.build(row, scale, 0), np.empty(q.shape, np.int16)
    softmax_table16.kernel(row)(q, *made.values(), y)
    np.testing.assert_array_equal(y, softmax_table16.spec(q, *made.values(), row=row))
    return y


def test_16_bit_codes_far_below_get_a_share_of_nothing():
    """Witness, from the same tools: behind a CAST that keeps low bits a code 10 below the largest weighs as much as that one;
    TFLite saturates, and agrees as far as 10."""
    q, theirs = LOST
    assert wide("wrap", [q], 2.0 ** -11).tolist() == [theirs]
    assert wide("clip", [q], 2.0 ** -11).tolist() == [[32753, 2, 2, 2, 2, 2, 2, 2]]
    assert (wide("clip", [q[:4]], 2.0 ** -11) == wide("wrap", [q[:4]], 2.0 ** -11)).all()


def test_a_sum_of_leading_ones_halves_its_reciprocal_or_not():
    """Exponentials that sum to 2**18 - 1: rounded to 16 bits the sum's fraction is 1, of which low bits keep 0."""
    row, codes = softmax_table16.Row(), np.arange(0, -32768, -1, np.int16)
    seen = Seen()
    softmax_table16.spec(codes[None], *softmax_table16.build(row, 2.0 ** -11, 0).values(), row=row, at=seen)
    far = int(np.argmax(seen.e[0] == (1 << 18) - 1 - 8 * seen.e[0, 0]))
    q = np.array([[0] * 8 + [-far]], np.int16)
    assert far and (wide("clip", q, 2.0 ** -11)[0, 0], wide("wrap", q, 2.0 ** -11)[0, 0]) == (4095, 8190)


class Seen(Sites):
    """Keeps the exponentials of a spec."""

    def __call__(self, name, value, width):
        self.e = value if name == "e" else getattr(self, "e", None)
        return value


def test_refusals_say_what_to_do():
    """Tables of other lengths, rows that are empty or too long, wide codes, scales too fine."""
    for sizes, words in (({"n": 1, "c": 1, "i": 255}, "255 entries"), ({"n": 1, "c": 4096, "i": 256}, "4096 codes"),
                         ({"n": 1, "c": 0, "i": 256}, "axis c is empty")):
        with pytest.raises(IllFormed, match=words):
            Row().sizes(sizes)
    assert softmax_tosa.holds(Row(), 0.1, 4095) and not softmax_tosa.holds(Row(), 0.1, 4096)
    with pytest.raises(IllFormed, match="of up to 8 bits"):
        Row(q=I16)
    with pytest.raises(IllFormed, match="rescale it first"):
        softmax_tosa.build(Row(), 2.0 ** -40, 0)
    assert softmax_tosa.result(Row(), 0.1) == 1 / 256 and softmax_tosa.zero(Row()) == -128
