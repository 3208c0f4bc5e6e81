"""Layout: the order in which a device keeps the elements of an operand.

    n k -> k n                          transposed
    (n N=16) (k K=4) -> n k N K         tiles of 16 by 4, tile after tile; axes are padded at their end to a multiple

On the left the operand's axes, in its own order; `(n N=16)` splits an axis into an outer part n and an inner part N of
16. On the right all the parts, slowest first. A layout without an arrow is row-major.
"""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed

AXIS = re.compile(r"\s*(?:\(\s*(\w+)\s+(\w+)\s*=\s*(\d+)\s*\)|(\w+))")


@dataclass(frozen=True)
class Layout:
    """`tiles`: the inner size of each axis (1: not split); `order`: the parts, slowest first, as places among all outer
    parts and then all inner ones; `names`: of the parts that have one, in that order (all others are of size 1)."""

    tiles: tuple
    order: tuple
    names: tuple

    def grid(self, shape, where):
        """How many tiles each axis of `shape` is cut into."""
        if len(shape) != len(self.tiles):
            raise IllFormed(f"{where}: a layout of {len(self.tiles)} axes for an operand of shape {tuple(shape)}")
        return tuple(-(-size // tile) for size, tile in zip(shape, self.tiles))

    def sizes(self, shape, where):
        """Of the device's array, one for each name."""
        split = [part for pair in zip(self.grid(shape, where), self.tiles) for part in pair]
        return [split[p] for p in self.parts][:len(self.names)]

    def pack(self, array, pad, where):
        """An operand as the device keeps it, one long axis."""
        cut = self.grid(array.shape, where)
        full = np.full([c * t for c, t in zip(cut, self.tiles)], pad, array.dtype)
        full[tuple(slice(size) for size in array.shape)] = array
        split = full.reshape([part for pair in zip(cut, self.tiles) for part in pair])
        return np.ascontiguousarray(split.transpose(self.parts)).reshape(-1)

    @property
    def parts(self):
        """`order` as places among outer and inner part of the first axis, of the second, and so on."""
        axes = len(self.tiles)
        return [2 * p if p < axes else 2 * (p - axes) + 1 for p in self.order]


def row_major(names):
    """The Layout without tiles of axes so named."""
    axes = len(names)
    return Layout((1,) * axes, (*range(axes), *range(axes, 2 * axes)), tuple(names))


def layout(text, where):
    """The Layout that `text` describes; raises IllFormed, beginning with `where`."""
    left, arrow, right = str(text).partition("->")
    outer, inner, tiles, at = [], [], [], 0
    while left[at:].strip():
        found = AXIS.match(left, at)
        if not found or found[3] and int(found[3]) < 1:
            raise IllFormed(f"{where}: layout {text!r} cannot be read at {left[at:].strip()!r}; "
                            "write n k -> k n, or (n N=16) (k K=4) -> n k N K")
        outer.append(found[1] or found[4])
        inner.append(found[2])
        tiles.append(int(found[3] or 1))
        at = found.end()
    parts = [*outer, *(name for name in inner if name)]
    wanted = right.split() if arrow else parts
    if sorted(wanted) != sorted(parts) or len(set(parts)) != len(parts) or not arrow and any(inner):
        raise IllFormed(f"{where}: layout {text!r} must name each of {', '.join(parts)} once on the right")
    places = {name: i for i, name in enumerate(outer)} | {n: len(outer) + i for i, n in enumerate(inner) if n}
    whole = [len(outer) + i for i, name in enumerate(inner) if not name]
    return Layout(tuple(tiles), (*(places[name] for name in wanted), *whole), tuple(wanted))
