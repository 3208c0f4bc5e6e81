"""Words hold codes at their true width, in the order declared, and give the same codes back."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.width import I4, I8, I32, I48, U4, Width
from refq.vectors.exchange.words import Words


def numbers(words):
    return [int("".join(map(str, row[::-1])), 2) for row in words.tolist()]


@pytest.mark.parametrize("first,width,codes,word,expected", [
    ("low", I4, [1, -1, 7, -8], 8, [0xf1, 0x87]),
    ("high", I4, [1, -1, 7, -8], 8, [0x1f, 0x78]),
    ("low", I4, [1, 2, 3], 8, [0x21, 0x03]),
    ("high", I4, [1, 2, 3], 8, [0x12, 0x30]),
    ("low", I8, [-1, 2, 3, 4, 5], 32, [0x040302ff, 5]),
    ("low", U4, [9, 15], 7, [9, 15]),
    ("low", I8, [-2], 12, [0xfe]),
    ("low", I32, [-2], 16, [0xfffe, 0xffff]),
    ("high", I32, [1], 16, [0, 1]),
    ("low", I48, [-(1 << 47)], 32, [0, 0x8000]),
])
def test_known_words(first, width, codes, word, expected):
    """Lanes fill from bit 0, or the first code lies highest; wide codes take several words."""
    assert numbers(Words(word, first).pack(np.array(codes, width.dtype), width)) == expected


@given(st.data())
def test_there_and_back(data):
    """Any width in any word: the same codes; a bit that is unknown makes its own code unknown, and no other."""
    width = Width(data.draw(st.integers(2, 63)), data.draw(st.booleans()))
    words = Words(data.draw(st.integers(1, 130)), data.draw(st.sampled_from(["low", "high"])))
    codes = np.array(data.draw(st.lists(st.integers(width.lo, width.hi), max_size=40)), width.dtype)
    packed = words.pack(codes, width)
    assert len(packed) == words.count(len(codes), width.bits)
    again, unknown = words.unpack(packed, len(codes), width, np.zeros_like(packed))
    assert np.array_equal(again, codes) and again.dtype == codes.dtype and unknown is None
    if packed.size:
        lost = np.zeros_like(packed)
        place = data.draw(st.integers(0, packed.size - 1))
        lost.reshape(-1)[place] = 1
        mine = words.pack(np.arange(len(codes)) * 0 - 1, width).reshape(-1)[place]
        unknown = words.unpack(packed, len(codes), width, lost)[1]
        assert (0 if unknown is None else unknown.sum()) == mine


def test_refused():
    """A word without bits, an order that is none, a file of too few words."""
    with pytest.raises(IllFormed, match="--word 0"):
        Words(0)
    with pytest.raises(IllFormed, match="--first left"):
        Words(8, "left")
    with pytest.raises(IllFormed, match="1 words of 8 bits; 3 codes of 4 bits take 2"):
        Words(8).unpack(np.zeros((1, 8), np.uint8), 3, I4)
