"""Slices: a quantizer along an axis gives what one for each slice or block gives, to the bit."""
import numpy as np
import pytest

from refq import quantizers
from refq.errors import IllFormed, Unsupported
from refq.grids import schemes
from refq.quantizers.slices import Slices
from tests.quantizers.seen import RANGED

PARTS = [np.random.default_rng(i).laplace(size=(4, 6, 10)) for i in range(2)]


def alone(name, values, **options):
    quantizer = quantizers.load(name, **options)
    for part in values:
        quantizer.see(part)
    return quantizer


def sliced(name, axis, block=None, parts=PARTS, **options):
    slices = Slices(name, axis, block, **options)
    for part in parts:
        slices.see(part)
    return slices


def small(name):
    """Options under which few values are enough."""
    return {"bins": 8, "levels": 4} if name == "entropy_ort" else {}


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize("axis", [0, -2])
def test_a_channel_is_as_if_alone(name, axis):
    """Range and grid of every slice."""
    slices = sliced(name, axis, **small(name))
    lo, hi = slices.range()
    grid = slices.grid()
    assert lo.shape == hi.shape == grid.scale.shape == (PARTS[0].shape[axis],) and grid.axis == axis
    for i in range(PARTS[0].shape[axis]):
        one = alone(name, [part.take(i, axis) for part in PARTS], **small(name))
        assert (lo[i], hi[i]) == one.range()
        assert (grid.scale[i], grid.zero[i]) == (float(one.grid().scale), int(one.grid().zero))


@pytest.mark.parametrize("name", ["minmax", "mse", "percentile"])
@pytest.mark.parametrize("axis, block, blocks", [(2, 5, (4, 6, 2)), (-2, 3, (4, 2, 10)), (0, 4, (1, 6, 10))])
def test_a_block_is_as_if_alone(name, axis, block, blocks):
    """Each block along the axis, at every place of the other axes."""
    slices = sliced(name, axis, block, bits=4, scheme="symmetric")
    lo, hi = slices.range()
    grid = slices.grid()
    assert lo.shape == blocks and grid.scale.shape == blocks and grid.block == block
    for place in np.ndindex(blocks):
        where = tuple(slice(p * block, (p + 1) * block) if i == axis % 3 else p for i, p in enumerate(place))
        one = alone(name, [part[where] for part in PARTS], bits=4, scheme="symmetric")
        assert (lo[place], hi[place]) == one.range() and grid.scale[place] == float(one.grid().scale)
    assert grid.decode(grid.encode(PARTS[0])).shape == PARTS[0].shape


@pytest.mark.parametrize("name", ["minmax", "percentile", "mse"])
def test_shards_merge(name):
    """Two that saw a part each, merged; one that saw nothing adds nothing, and takes all."""
    whole = sliced(name, 1)
    merged = Slices(name, 1)
    for part in PARTS:
        merged.merge(sliced(name, 1, parts=[part]))
    merged.merge(Slices(name, 1))
    assert merged.grid().same(whole.grid())


def test_a_merge_leaves_the_other_as_it_was():
    """Also where the first had seen nothing."""
    other = sliced("percentile", 1, parts=PARTS[:1])
    before, empty = other.range(), Slices("percentile", 1)
    empty.merge(other)
    empty.see(100 * PARTS[1])
    np.testing.assert_array_equal(other.range(), before)


@pytest.mark.parametrize("scheme", schemes.names())
def test_every_scheme(scheme):
    """Per channel, a channel of zeros among them."""
    values = PARTS[0].copy()
    values[2] = 0
    grid = sliced("minmax", 0, parts=[values], scheme=scheme).grid()
    assert (grid.decode(grid.encode(values))[2] == 0).all()


@pytest.mark.parametrize("name", ["minmax", "percentile"])
def test_bad_input_is_refused(name):
    with pytest.raises(IllFormed, match="blocks of 4 do not divide the 10 values along axis 2"):
        sliced(name, 2, 4)
    with pytest.raises(IllFormed, match="no such axis"):
        sliced(name, 3)
    with pytest.raises(IllFormed, match="all must be alike"):
        sliced(name, 1, parts=[np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(IllFormed, match="no value was seen"):
        Slices(name, 0).range()
    with pytest.raises(IllFormed, match="no value was seen"):
        sliced(name, 0, parts=[np.zeros((2, 0))]).grid()
    with pytest.raises(IllFormed, match="slice 1"):
        sliced(name, 0, parts=[np.array([[1.0, 2.0], [1.0, np.nan]])])
    for axis, block in ((0.5, None), (0, 0), (0, 2.0), (None, None)):
        with pytest.raises(IllFormed, match="an axis is a whole number"):
            Slices(name, axis, block)
    for other in (Slices(name, 0), Slices("mse", 1), Slices(name, 1, bits=4), sliced(name, 1, parts=[np.zeros((1, 2))]), None):
        with pytest.raises(IllFormed, match="merge two of the same"):
            sliced(name, 1).merge(other)


def test_what_chooses_no_range_has_no_slices():
    for name in ("log2", "minifloat"):
        with pytest.raises(Unsupported, match=f"{name} for slices along axis 0: it chooses no range"):
            Slices(name, 0)


def test_slices_that_would_fill_the_memory_are_refused():
    """Blocks of 32 of a weight are 73,728 histograms; with few bins they fit, and minmax keeps none."""
    weight = np.zeros((768, 3072), np.float32)
    with pytest.raises(Unsupported, match="mse for 73728 slices: their histograms of 32768 bins take 19 GB.*give fewer bins"):
        sliced("mse", 1, 32, parts=[weight])
    assert sliced("minmax", 1, 32, parts=[weight]).grid().scale.shape == (768, 96)
    assert sliced("mse", 1, 32, parts=[weight[:2]], bits=4, bins=256).grid().scale.shape == (2, 96)
