"""places: the reals at which quantizers go wrong, on any grid: codes, middles between them, the next floats beside, the rails.

A grid per tensor is one part; along an axis or in blocks, each slice is a part, with places of its own. `cells(grid, shape)` says
to which part each element of an array belongs; `arrays(grid, rows)` lays a list of reals for each part out as arrays that the
grid takes.
"""
import re
from dataclasses import dataclass, replace

import numpy as np

from refq import grids
from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.grids.minifloat import Minifloat
from refq.ints import minifloat
from refq.ints.width import I8

MOST = 24
ALL = 600
"""A grid of at most so many codes is met in every code; of a larger one, the codes about 0, at both rails, and some between."""


def affine(grid):
    """The affine form of a grid that has one (its scale and zero point may differ from slice to slice), else None."""
    form = getattr(grid, "affine", grid)
    return form if isinstance(form, Affine) else None


def sliced(grid):
    """Does the grid have slices or blocks?"""
    return getattr(grid, "axis", None) is not None


@dataclass(frozen=True)
class Layout:
    """How slices lie: `counts`: the shape of the scales; `axis`; `block`: elements along it that share one, or None; `whole`: may
    a last block not be a short one?"""

    counts: tuple
    axis: int
    block: int | None = None
    whole: bool = False


def layout(grid):
    """The Layout of a grid with slices."""
    if hasattr(grid, "scales"):
        return Layout(grid.scales.shape, grid.scales.ndim - 1, grid.block, True)
    form = affine(grid) or grid
    axis = form.axis % form.scale.ndim if form.block is not None else form.axis
    return Layout(form.scale.shape, axis, form.block)


def parts(grid):
    """A grid per tensor with the levels of each slice or block, in the order of `cells`."""
    if not sliced(grid):
        return [grid]
    if hasattr(grid, "scales"):
        return [of_block(grid, float(scale)) for scale in grid.reals.ravel()]
    form = affine(grid)
    if form is None:
        return [replace(grid, scale=scale, axis=None) for scale in grid.scale]
    return [Affine(form.width, s, z, narrow=form.narrow) for s, z in zip(form.scale.ravel(), form.zero.ravel())]


def of_block(grid, scale):
    """The levels of one block of a block-scaled grid, as a grid per tensor."""
    scale = scale if np.isfinite(scale) and scale > 0 else 1.0
    if grid.element in minifloat.formats:
        return Minifloat(grid.element, scale)
    step = float(grid.elements[-1] - grid.elements[-2]) * scale
    zero = int(np.flatnonzero(grid.elements == 0)[0]) + grid.lo
    return Affine(grid.width, step, zero, narrow=grid.width.signed)


def alone(grid, number):
    """The grid of the elements of one part, as a list of their own."""
    if hasattr(grid, "scales"):
        return replace(grid, scales=grid.scales.ravel()[number:number + 1])
    return parts(grid)[number]


def cells(grid, shape):
    """The number of the part of every element of an array of `shape`: int64 of that shape; raises IllFormed where the grid has
    no such arrays."""
    if not sliced(grid):
        return np.zeros(shape, np.int64)
    laid = layout(grid)
    numbers = np.arange(np.prod(laid.counts), dtype=np.float64).reshape(laid.counts) + 1
    held = Affine(I8, numbers, 0, laid.axis, laid.block).over(shape)[0]
    return np.broadcast_to(held, shape).astype(np.int64) - 1


def shape(grid, count):
    """A shape of an array with at least `count` elements of each part, or as many as a part can have."""
    if not sliced(grid):
        return (count,)
    laid = layout(grid)
    if laid.block is not None:
        return tuple(size * (laid.block if i == laid.axis else 1) for i, size in enumerate(laid.counts))
    (size,) = laid.counts
    if laid.axis < 0:
        return (count, size, *(1 for _ in range(-1 - laid.axis)))
    return (*(1 for _ in range(laid.axis)), size, count)


def arrays(grid, rows):
    """Arrays that the grid takes in which the reals of `rows` (parts count) lie in their parts, in order, the first ones again at
    the end: all of them, but where blocks are so short that it would take more than MOST arrays, which then are spread evenly."""
    count = rows.shape[1]
    member = cells(grid, shape(grid, count))
    each = np.array([np.flatnonzero(member.ravel() == p) for p in range(len(rows))])
    room = each.shape[1]
    starts = range(0, count, room)
    for start in starts[::-(-len(starts) // MOST)]:
        x = np.zeros(member.size, rows.dtype)
        x[each] = rows[:, (start + np.arange(room)) % count]
        yield x.reshape(member.shape)


def codes(grid):
    """Codes of a grid per tensor (int64): all where they are few, else those about 0, at the rails, and some between."""
    lo, hi = grid.lo, grid.hi
    if hi - lo < ALL:
        return np.arange(lo, hi + 1)
    middle = int(np.clip(grids.zero_code(grid), lo, hi))
    steps = [k for b in range((hi - lo).bit_length()) for k in ((1 << b) - 1, 1 << b)]
    some = [*range(-40, 41), *steps, *(-s for s in steps)]
    ends = [end for k in range(20) for end in (lo + k, hi - k)]
    between = [lo + (hi - lo) * i // 97 for i in range(97)]
    return np.unique(np.clip([middle + k for k in some] + ends + between, lo, hi))


def neighbours(x, dtype):
    """The next numbers of `dtype` below and above each."""
    x = x.astype(dtype)
    with np.errstate(over="ignore"):
        return np.concatenate([np.nextafter(x, dtype(-np.inf)), np.nextafter(x, dtype(np.inf))])


def of_part(grid, dtype):
    """Finite reals of one grid per tensor as numbers of `dtype`, the simplest first: 0, codes, middles, the floats beside them, a
    quarter off, beyond the rails, far beyond, subnormal."""
    here = codes(grid)
    reals = grid.decode(here)
    reals = np.unique(reals[np.isfinite(reals)])
    middles, quarters = reals[:-1] / 2 + reals[1:] / 2, reals[:-1] * 0.75 + reals[1:] * 0.25
    step = np.diff(reals) if reals.size > 1 else np.abs(reals)
    low, high = reals[0], reals[-1]
    beyond = [end for k in (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 40) for end in (low - k * step[0], high + k * step[-1])]
    far = [s * v for v in (2.0 ** 31, 2.0 ** 31 * 1.5, 2.0 ** 33, 2.0 ** 70) for s in (step[-1], -step[-1])]
    off = (reals[1:] - reals[:-1]) * 2.0 ** -(4 + np.arange(middles.size) % 10)
    numbers = np.finfo(dtype)
    ends = [s * float(v) for v in (numbers.smallest_subnormal, numbers.tiny, numbers.tiny / 2, numbers.max, 1.0) for s in (1, -1)]
    with np.errstate(over="ignore", under="ignore"):
        nearest = (part[np.argsort(np.abs(part), kind="stable")] for part in (reals, middles, quarters, np.array(beyond)))
        near = [part.astype(dtype) for part in nearest]
        found = np.concatenate([[dtype(0)], *near, neighbours(middles, dtype), neighbours(reals, dtype),
                                *(np.array(v).astype(dtype) for v in (middles - off, middles + off, far, ends)), [dtype(-0.0)]])
    found = found[np.isfinite(found)]
    _, kept = np.unique(found.view(f"u{dtype().itemsize}"), return_index=True)
    return found[np.sort(kept)]


def places(grid, dtype=np.float32):
    """The critical reals of every part (parts count), finite numbers of `dtype`, the simplest first; short lists begin again."""
    each = [of_part(part, np.dtype(dtype).type) for part in parts(grid)]
    count = max(map(len, each))
    return np.array([np.resize(reals, count) for reals in each])


def finite(x):
    """`x` with 0 in place of infinities and NaN."""
    return np.where(np.isfinite(x), x, x.dtype.type(0))


HEX = re.compile(r"^-?0x[01]\.?[0-9a-f]*p[+-]\d+$")


def scaled(grid, power):
    """The grid whose reals are 2**power times those of `grid`, or None where its kind has no scale to change."""
    def changed(key, value):
        if isinstance(value, list):
            return [changed(key, v) for v in value]
        if isinstance(value, str) and HEX.match(value):
            return (float.fromhex(value) * 2.0 ** power).hex()
        return value + power if key == "exponent" else value
    try:
        other = grids.from_description({k: changed(k, v) for k, v in grid.describe().items()})
        here = [grid.encode(np.full(shape(grid, 1), real)) for real in (-1e300, 0.0, 1e300)]
        if all((other.decode(q) == grid.decode(q) * 2.0 ** power).all() for q in here):
            return other
    except IllFormed:
        pass
    return None


def free_axis(grid, shape):
    """An axis of an array of `shape` that can be cut without leaving a part, or None."""
    if not sliced(grid):
        return 0 if shape else None
    laid = layout(grid)
    return next((i for i in range(len(shape)) if i != laid.axis % len(shape)), None) if laid.block is None else None


def shapes(grid):
    """Some shapes of arrays that the grid takes: without elements, without axes, one, odd, of several axes."""
    if not sliced(grid):
        return ((), (0,), (1,), (3,), (2, 3), (2, 0, 3), (1, 5, 1))
    laid, whole = layout(grid), shape(grid, 1)
    if laid.block is not None:
        last = tuple(size - (laid.block - 1) * (i == laid.axis and not laid.whole) for i, size in enumerate(whole))
        return tuple(dict.fromkeys((whole, last)))
    (size,), before, behind = laid.counts, laid.axis if laid.axis >= 0 else 1, -1 - laid.axis if laid.axis < 0 else 1
    sizes = ((1, 1), (0, 1), (1, 0), (3, 1), (2, 3))
    return tuple(dict.fromkeys((*(a,) * before, size, *(b,) * behind) for a, b in sizes))
