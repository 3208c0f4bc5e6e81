"""Codes lie in words, lanes and pitches as a device's loops read them, and come back."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.vectors.kernels.layout import layout, row_major
from refq.vectors.kernels.storage import Storage

I8, U8, U32 = (np.dtype(kind) for kind in ("int8", "uint8", "uint32"))
CODES = np.array([[1, -2, 3], [-4, 5, -6]])


def test_nibbles():
    """Two codes a byte: the first in the low or in the high bits; along an axis every line begins anew."""
    low = Storage((2, 3), row_major("nk"), U8, 4, 8)
    assert low.pack(CODES).tolist() == [0xE1, 0xC3, 0xA5]
    assert Storage((2, 3), row_major("nk"), U8, 4, 8, order="high_first").pack(CODES).tolist() == [0x1E, 0x3C, 0x5A]
    assert Storage((2, 3), row_major("nk"), U8, 4, 8, axis="k", pad=7).pack(CODES).tolist() == [0xE1, 0x73, 0x5C, 0x7A]
    assert Storage((2, 3), row_major("nk"), U8, 4, 8, axis="n").pack(CODES).tolist() == [0xC1, 0x5E, 0xA3]
    assert Storage((2, 3), row_major("nk"), U32, 4, 32).pack(CODES).view("<u4").tolist() == [0xA5C3E1]


@given(st.data())
def test_what_is_kept_comes_back(data):
    """Any order, axis, width and pitch: the codes come back, and so does the padding."""
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    names = "nkm"[:len(shape)]
    bits = data.draw(st.sampled_from([1, 2, 4, 8]))
    signed = bits > 1 and data.draw(st.booleans())
    lo, hi = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    size = int(np.prod(shape))
    codes = np.array(data.draw(st.lists(st.integers(lo, hi), min_size=size, max_size=size))).reshape(shape)
    strides = data.draw(st.sampled_from([None, tuple(np.cumprod([1, *(s + 1 for s in shape[:0:-1])])[::-1].tolist())]))
    axis = None if strides else data.draw(st.sampled_from([None, *names]))
    kept = Storage(shape, row_major(names), I8 if signed else U8, bits, data.draw(st.sampled_from([8, 16, 24])), signed,
                   data.draw(st.sampled_from(["low_first", "high_first"])), axis, strides, pad=0)
    lanes, unknown = kept.read(kept.pack(codes))
    assert unknown is None and np.array_equal(kept.elements(lanes), codes) and not kept.padding(lanes).any()
    assert len(kept.pack(codes)) == kept.nbytes


def test_strides():
    """A pitch wider than the row leaves padding between the rows, and none behind the last."""
    kept = Storage((2, 3), row_major("nk"), I8, 8, 8, strides=(5, 1), pad=9)
    assert kept.pack(CODES).view(np.int8).tolist() == [1, -2, 3, 9, 9, -4, 5, -6]
    assert kept.padding(kept.read(kept.pack(CODES))[0]).tolist() == [9, 9]


@pytest.mark.parametrize("more,words", [
    ({"axis": "q"}, "axis 'q' is none of n, k"), ({"strides": (1,)}, "1 strides for the axes n k"),
    ({"strides": (2, 1)}, "two elements of .* in one place"), ({"strides": (2**31, 1)}, "make an array of")])
def test_storage_refused(more, words):
    with pytest.raises(IllFormed, match=words):
        Storage((2, 3), row_major("nk"), I8, 8, 8, where="here", **more).pack(CODES)


def test_unknown_bits():
    """An element with an unknown bit is unknown; padding is told apart."""
    kept = Storage((3,), layout("(n N=4) -> n N", "here"), U8, 4, 16)
    bits, lost = np.zeros((1, 16), np.uint8), np.zeros((1, 16), np.uint8)
    lost[0, [5, 15]] = 1
    _, unknown = kept.read((bits, lost))
    assert kept.elements(unknown).tolist() == [False, True, False] and kept.padding(unknown).tolist() == [True]
