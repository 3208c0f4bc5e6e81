"""Regions: where on a result a mistake shows, as a mask over its elements (of one case).

A kernel is often wrong only in the tail of a vector loop, in the last tile, in some channels, or beside the padding.
`named` lists the regions that mistakes have; `holding` finds those that fit what a device showed.
"""
from dataclasses import dataclass, field

import numpy as np

LOOPS = (4, 8, 16, 32)
GRIDS = ((16, 16), (8, 16), (16, 8), (8, 8), (4, 16), (16, 4), (4, 8), (8, 4), (4, 4))


@dataclass(frozen=True, eq=False)
class Region:
    """`name`: unique text; `mask(shape)`: bool array of a result's shape, without the case axis."""

    name: str
    mask: object = field(repr=False)


def along(axis, chosen):
    """A mask that looks at one axis, counted from the last (-1): `chosen(index array, size)`. What has no such axis has one
    place along it."""
    def mask(shape):
        if -axis > len(shape):
            return np.broadcast_to(chosen(np.zeros(1, int), 1), shape)
        index = np.arange(shape[axis])
        at = [1] * len(shape)
        at[axis] = shape[axis]
        return np.broadcast_to(chosen(index, shape[axis]).reshape(at), shape)
    return mask


everywhere = Region("all", lambda shape: np.ones(shape, bool))


def named(shape):
    """The regions of a result of `shape` that are neither empty nor all of it."""
    made = [everywhere]
    if not shape or 0 in shape:
        return made
    last, rows = -1, -2
    for t in LOOPS:
        made.append(Region(f"the tail of a loop of {t} over the last axis", along(last, lambda i, n, t=t: i >= n // t * t)))
        made.append(Region(f"the body of a loop of {t} over the last axis", along(last, lambda i, n, t=t: i < n // t * t)))
        made.append(Region(f"the tail of a loop of {t} over all elements",
                           lambda shape, t=t: (np.arange(np.prod(shape)) >= np.prod(shape) // t * t).reshape(shape)))
        if len(shape) > 1:
            made.append(Region(f"rows past the first {t}", along(rows, lambda i, n, t=t: i >= t)))
    made.append(Region("the last channel", along(last, lambda i, n: i == n - 1)))
    made.append(Region("channels past the first", along(last, lambda i, n: i > 0)))
    if len(shape) > 1:
        made.append(Region("the first row", along(rows, lambda i, n: i == 0)))
        made.append(Region("the last row", along(rows, lambda i, n: i == n - 1)))
    if len(shape) > 2:
        made.append(Region("the outermost ring", ring))
    return [r for r in made if r is everywhere or (m := r.mask(shape)).any() and not m.all()]


def ring(shape):
    """The first and last places along the two axes before the channels."""
    mask = np.zeros(shape, bool)
    if len(shape) < 3:
        return mask
    mask[..., :1, :, :] = mask[..., -1:, :, :] = mask[..., :1, :] = mask[..., -1:, :] = True
    return mask


def holding(explained, spared):
    """The regions in which a mistake explains all that it explains and spares nothing; the simplest first.

    `explained`, `spared`: bool arrays (cases *shape): elements that the mistake explains, and elements that it would
    have changed and that are right."""
    shape = explained.shape[1:]
    some = [*named(shape)[1:], *(r for axis in range(len(shape)) for r in one_axis(explained, spared, axis))]
    return [r for r in some if holds(r, explained, spared)]


def holds(region, explained, spared):
    """Does a region hold all that is explained, and nothing that is spared?"""
    mask = region.mask(explained.shape[1:])
    return not explained[:, ~mask].any() and not spared[:, mask].any()


def one_axis(explained, spared, axis):
    """The regions that one axis decides: a range of its places, a stride, or one or two of them."""
    others, ndim = tuple(a for a in range(explained.ndim) if a != axis + 1), explained.ndim - 1
    yes, no = explained.any(axis=others), spared.any(axis=others)
    if (yes & no).any() or not no.any() or explained.sum() < 2:
        return
    places, spares, name = np.flatnonzero(yes), np.flatnonzero(no), axis_name(axis, ndim)
    axis -= ndim
    lo, hi = places[0], places[-1]
    if not no[lo:hi + 1].any():
        if not no[hi + 1:].any():
            first = spares[-1] + 1
            yield Region(f"{name} past the first {first}", along(axis, lambda i, n: i >= first))
        elif not no[:lo].any():
            yield Region(f"{name} before {spares[0]}", along(axis, lambda i, n: i < spares[0]))
        else:
            words = f"{name} {lo} to {hi}" if hi > lo else f"{name} {lo} alone"
            yield Region(words, along(axis, lambda i, n: (i >= lo) & (i <= hi)))
    for t in (2, 4, 8, 16, 32):
        rest = np.unique(places % t)
        if 2 * t <= len(yes) and rest[-1] - rest[0] == len(rest) - 1 < t - 1 and not np.isin(spares % t, rest).any():
            yield Region(f"{name} whose index modulo {t} is {rest[0]}" + (f" to {rest[-1]}" if len(rest) > 1 else ""),
                         along(axis, lambda i, n, t=t, rest=rest: np.isin(i % t, rest)))
    if len(places) == 2:
        yield Region(f"{name} {lo} and {hi}", along(axis, lambda i, n: (i == lo) | (i == hi)))


def tiles(explained, spared, sizes):
    """Some tiles of a grid over rows and channels, where each tile is wholly in or out, for each of the `sizes`."""
    if explained.ndim < 3:
        return
    axes = tuple(range(explained.ndim - 2))
    yes, no = explained.any(axis=axes), spared.any(axis=axes)
    for rows, columns in sizes:
        if rows >= yes.shape[0] and columns >= yes.shape[1]:
            continue
        inside, outside = grid(yes, rows, columns), grid(no, rows, columns)
        if outside.any() and inside.any() and not (inside & outside).any() and 2 * inside.sum() <= yes.sum():
            first = np.argwhere(inside)[0]
            name = f"{inside.sum()} of {inside.size} tiles of {rows} by {columns}, the first at row {first[0] * rows}, channel " \
                f"{first[1] * columns}"
            yield Region(name, lambda shape, inside=inside, rows=rows, columns=columns: np.broadcast_to(
                np.repeat(np.repeat(inside, rows, 0), columns, 1)[:shape[-2], :shape[-1]], shape) if inside.shape == (
                    -(-shape[-2] // rows), -(-shape[-1] // columns)) else np.zeros(shape, bool))


def grid(marked, rows, columns):
    """Is anything marked in each tile of that size?"""
    high, wide = marked.shape
    full = np.pad(marked, ((0, -high % rows), (0, -wide % columns)))
    return full.reshape(len(full) // rows, rows, -1, columns).any(axis=(1, 3))


def axis_name(axis, ndim):
    """What an axis of a result is called in a sentence."""
    if axis == ndim - 1:
        return "channels"
    return "rows" if axis == ndim - 2 else f"places of axis {axis}"
