"""Regions: where on a result a mistake shows, as a mask over its elements (of one case).

A kernel is often wrong only in the tail of a vector loop, in the last tile, in some channels, or beside the padding.
`named` lists the regions that mistakes have; `described` finds the words for a mask that a device showed.
"""
from dataclasses import dataclass, field

import numpy as np

LOOPS = (4, 8, 16, 32)


@dataclass(frozen=True, eq=False)
class Region:
    """`name`: unique text; `mask(shape)`: bool array of a result's shape, without the case axis."""

    name: str
    mask: object = field(repr=False)


def along(axis, chosen):
    """A mask that looks at one axis: `chosen(index array, size)`."""
    def mask(shape):
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
    last, flat = len(shape) - 1, int(np.prod(shape))
    for t in LOOPS:
        made.append(Region(f"the tail of a loop of {t} over the last axis", along(last, lambda i, n, t=t: i >= n // t * t)))
        made.append(Region(f"the body of a loop of {t} over the last axis", along(last, lambda i, n, t=t: i < n // t * t)))
        made.append(Region(f"the tail of a loop of {t} over all elements",
                           lambda shape, t=t: (np.arange(flat) >= flat // t * t).reshape(shape)))
        if len(shape) > 1:
            made.append(Region(f"rows past the first {t}", along(last - 1, lambda i, n, t=t: i >= t)))
    made.append(Region("the last channel", along(last, lambda i, n: i == n - 1)))
    made.append(Region("channels past the first", along(last, lambda i, n: i > 0)))
    if len(shape) > 1:
        made.append(Region("the first row", along(last - 1, lambda i, n: i == 0)))
        made.append(Region("the last row", along(last - 1, lambda i, n: i == n - 1)))
    if len(shape) > 2:
        made.append(Region("the outermost ring", ring))
    return [r for r in made if r is everywhere or (m := r.mask(shape)).any() and not m.all()]


def ring(shape):
    """The first and last places along the two axes before the channels."""
    mask = np.zeros(shape, bool)
    mask[..., :1, :, :] = mask[..., -1:, :, :] = mask[..., :1, :] = mask[..., -1:, :] = True
    return mask


def described(explained, spared):
    """Words for where a mistake shows, or None where nothing simple holds.

    `explained`, `spared`: bool arrays (cases *shape): elements that the mistake explains, and elements that it would
    have changed and that are right. The words hold for all of both: "" is everywhere."""
    if not spared.any():
        return ""
    shape = explained.shape[1:]
    for region in named(shape)[1:]:
        mask = region.mask(shape)
        if explained[:, mask].any() and not explained[:, ~mask].any() and not spared[:, mask].any():
            return region.name
    for axis in range(explained.ndim):
        found = one_axis(explained, spared, axis)
        if found:
            return found
    return None


def one_axis(explained, spared, axis):
    """A region that one axis decides: a range of its places, a stride, or a few of them."""
    others = tuple(a for a in range(explained.ndim) if a != axis)
    yes, no = explained.any(axis=others), spared.any(axis=others)
    if (yes & no).any() or not no.any() or explained.sum() < 2:
        return None
    places, size = np.flatnonzero(yes), len(yes)
    name = axis_name(axis, explained.ndim)
    lo, hi = places[0], places[-1]
    if not no[lo:hi + 1].any():
        before = np.flatnonzero(no[:lo])
        after = np.flatnonzero(no[hi + 1:])
        if not len(after):
            return f"{name} past the first {before[-1] + 1}" if before[-1] + 1 == lo else f"{name} from {lo}"
        return f"{name} before {hi + 1}" if not len(before) else f"{name} {lo} to {hi}" if hi > lo else f"{name[:-1]} {lo}"
    for t in (2, 4, 8, 16, 32):
        rest = np.unique(places % t)
        if 2 * t <= size and rest[-1] - rest[0] == len(rest) - 1 < t - 1 and not np.isin(np.flatnonzero(no) % t, rest).any():
            return f"{name} whose index modulo {t} is {rest[0]}" + (f" to {rest[-1]}" if len(rest) > 1 else "")
    return f"{name} {' and '.join(map(str, places))}" if len(places) <= 2 else None


def axis_name(axis, ndim):
    """What an axis of (cases *shape) is called in a sentence."""
    if axis == 0:
        return "cases"
    if axis == ndim - 1:
        return "channels"
    return "rows" if axis == ndim - 2 else f"places of axis {axis - 1}"
