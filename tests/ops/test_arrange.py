"""arrange against places renamed one by one in a dictionary."""
import json
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ops import arrange
from tests import oracle_linear as oracle


@st.composite
def moves(draw, shape):
    """One move that fits `shape`."""
    rank = len(shape)
    kinds = ["reshape", "transpose", "pad"] + ["slice", "gather", "repeat"] * (rank > 0)
    kind = draw(st.sampled_from(kinds))
    if kind == "reshape":
        return kind, draw(st.sampled_from([(prod(shape),), (1, *shape), (*shape[::-1],), (*shape, 1)]))
    if kind == "transpose":
        return kind, tuple(draw(st.permutations(range(rank))))
    if kind == "pad":
        return kind, tuple((draw(st.integers(0, 2)), draw(st.integers(0, 1))) for _ in shape)
    axis = draw(st.integers(0, rank - 1))
    size = shape[axis]
    if kind == "repeat":
        return kind, axis, draw(st.integers(1, 3))
    if kind == "slice":
        return kind, axis, draw(st.integers(0, size)), draw(st.integers(0, size)), draw(st.integers(1, 3))
    return kind, axis, tuple(draw(st.lists(st.integers(0, size - 1), max_size=4))) if size else ()


@st.composite
def chains(draw):
    """(shapes, moves): up to three operands, up to four moves."""
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    shapes, chain = [shape], []
    if shape and draw(st.booleans()):
        axis = draw(st.integers(0, len(shape) - 1))
        sizes = draw(st.lists(st.integers(0, 2), max_size=2))
        shapes += [(*shape[:axis], size, *shape[axis + 1:]) for size in sizes]
        chain.append(("concat", axis))
    for _ in range(draw(st.integers(0, 4))):
        chain.append(draw(moves(arrange.Row(shapes=shapes, moves=chain).shape)))
    return shapes, chain


def by_oracle(row, arrays, zero):
    images = [dict(zip(oracle.places(shape), array.ravel().tolist(), strict=True))
              for shape, array in zip(row.shapes, arrays, strict=True)]
    image, shape, chain = images[0], row.shapes[0], row.moves
    if chain[:1] and chain[0][0] == "concat":
        (image, shape), chain = oracle.concatenated(images, row.shapes, chain[0][1]), chain[1:]
    for move in chain:
        image, shape = oracle.moved(image, shape, move, zero)
    return np.array([image[p] for p in oracle.places(shape)], np.int64).reshape(shape)


@settings(max_examples=150)
@given(chains())
def test_any_chain_of_moves(drawn):
    """Kernel, spec and oracle agree on chains of all moves; codes are numbered, so that none can stand for another."""
    row = arrange.Row(shapes=drawn[0], moves=drawn[1])
    arrays, count = [], 0
    for shape in row.shapes:
        arrays.append(np.arange(count, count + 2 * prod(shape)).astype(np.int8).reshape(2, *shape))
        count += 2 * prod(shape)
    zero = [-1] if "zero" in row.takes else []
    expected = np.stack([by_oracle(row, [a[i] for a in arrays], -1) for i in range(2)])
    got = np.empty((2, *row.shape), np.int8)
    arrange.kernel(row)(*arrays, *zero, got)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(arrange.spec(*arrays, *zero, row=row), expected)
    np.testing.assert_array_equal(arrange.real(*(a / 8 for a in arrays), *(z / 8 for z in zero), row=row), expected / 8)


def test_rows_travel_as_json():
    """A row read back from JSON, lists for tuples, is the same row."""
    row = arrange.Row(shapes=((2, 3),), moves=(("transpose", (1, 0)), ("pad", ((0, 1), (2, 0)))))
    back = json.loads(json.dumps({"shapes": row.shapes, "moves": row.moves}))
    assert arrange.Row(**back) == row and hash(arrange.Row(**back)) == hash(row)


@pytest.mark.parametrize("shapes, chain", [
    (((2,), (2,)), ()), (((2, 3), (3, 3)), (("concat", 1),)), (((2,),), (("reverse", 0),)),
    (((2,),), (("reshape", (3,)),)), (((2, 2),), (("transpose", (0, 0)),)), (((2,),), (("slice", 0, 0, 3, 1),)),
    (((2,),), (("slice", 0, 0, 2, 0),)), (((2,),), (("gather", 0, (2,)),)), (((2,),), (("pad", ((1, 1), (0, 0))),)),
    (((2,),), (("reshape", (2, 1)), ("concat", 0)))])
def test_moves_that_do_not_fit_are_refused(shapes, chain):
    """A chain that cannot be walked is refused when the row is born."""
    with pytest.raises(IllFormed, match="arrange"):
        arrange.Row(shapes=shapes, moves=chain)
