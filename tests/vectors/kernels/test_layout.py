"""A layout puts every element where the device's loops look for it."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.vectors.kernels.layout import layout
from refq.vectors.kernels.storage import Storage


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.data())
def test_layouts_come_back(shape, data):
    """What any layout packs holds every element once, comes back as it was, and is padding else."""
    names = "nkm"[:len(shape)]
    tiles = [data.draw(st.sampled_from([None, 1, 2, 4])) for _ in shape]
    left = " ".join(f"({n} {n.upper()}={t})" if t else n for n, t in zip(names, tiles))
    parts = [*names, *(n.upper() for n, t in zip(names, tiles) if t)]
    order = layout(f"{left} -> {' '.join(data.draw(st.permutations(parts)))}", "here")
    array = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)
    flat = order.pack(array, -1, "here")
    kept = Storage(tuple(shape), order, np.dtype(np.int16), 16, 16, pad=-1)
    lanes, unknown = kept.read(kept.pack(array))
    assert unknown is None and np.array_equal(lanes, flat) and np.array_equal(kept.elements(lanes), array)
    assert (kept.padding(lanes) == -1).all() and len(kept.padding(lanes)) == flat.size - array.size
    assert sorted(flat[flat > 0]) == sorted(array.ravel())


def test_layout_places():
    """A tiled layout puts every element where loops over the parts would."""
    array = np.arange(1, 5 * 3 + 1).reshape(5, 3)
    flat = layout("(n N=4) (k K=2) -> n k N K", "here").pack(array, 0, "here").reshape(2, 2, 4, 2)
    for i in range(5):
        for j in range(3):
            assert flat[i // 4, j // 2, i % 4, j % 2] == array[i, j]
    assert np.array_equal(layout("n k -> k n", "here").pack(array, 0, "here"), array.T.ravel())


@pytest.mark.parametrize("text", ["n k -> k", "n k -> k n n", "n n -> n n", "(n N) -> n N", "(n N=0) -> n N", "n, k",
                                  "-> n", "(n N=2) k"])
def test_layouts_refused(text):
    with pytest.raises(IllFormed, match="layout"):
        layout(text, "here").pack(np.zeros((2, 2)), 0, "here")
