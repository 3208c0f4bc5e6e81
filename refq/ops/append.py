"""append: new rows into a cache, at positions that an operand says: codes move and none changes.

    y[n, h, p, c] = new[n, h, t, c] where i[n, t] = p, and x[n, h, p, c] elsewhere

x is the cache of image n and head h, i the positions of the new rows: keys and values that a language model keeps.

units    x, new and y lie on one grid; i counts positions, from 0
R1       a new row lies at its position, of two at one position the later one; a position that the cache does not have (a
         context longer than the cache) is refused at the door
R2       every other position keeps what the cache held
error    exact
source   refq's own reading: ONNX TensorScatter (opset 24, linear); Hugging Face StaticCache.update
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, counted_from_the_start, place_off_by, previous_case, transposed
from refq.ints.width import I8, I32, Width


@dataclass(frozen=True)
class Row(Base):
    """`places`: how many positions the cache has, so that the declared range of i refuses any other."""

    width: Width = decided(I8)
    places: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        if self.places < 1:
            raise IllFormed(f"append: a cache of {self.places} positions; there must be at least one")

    @property
    def takes(self):
        return {"x": self.width("n h [p] c"), "new": self.width("n h [t] c"),
                "i": I32("n [t]", 0, self.places - 1)}

    @property
    def gives(self):
        return {"y": self.width("n h p c")}

    def sizes(self, found):
        if found["p"] != self.places:
            raise IllFormed(f"append: the cache has {found['p']} positions, and the row says {self.places}")
        return {}


def build(row):
    return {}


def spec(x, new, i, row, at=unwatched):
    y = x.astype(np.int64)                                                                    # R2
    for t in range(new.shape[2]):
        y[np.arange(len(y)), :, i[:, t].astype(np.int64)] = new[:, :, t]                      # R1
    return y


@cache
def kernel(row):

    @jit(nogil=True)
    def append(x, new, i, y):
        y[:] = x                                                                              # R2
        for n in range(y.shape[0]):
            for h in range(y.shape[1]):
                for t in range(new.shape[2]):
                    place = np.int64(i[n, t])
                    for c in range(y.shape[3]):
                        y[n, h, place, c] = new[n, h, t, c]                                   # R1

    return append


def real(x, new, i):
    """The same of real numbers x (n h p c) and new (n h t c), at positions i (n t)."""
    y = x.copy()
    for t in range(new.shape[2]):
        y[np.arange(len(y)), :, i[:, t]] = new[:, :, t]
    return y


def positions_of_first_image(run, operands, row):
    """Every image takes the positions of the first."""
    i = operands["i"]
    return run({**operands, "i": np.ascontiguousarray(np.broadcast_to(i[:1], i.shape))})


def rest_cleared(run, operands, row):
    """The cache is 0 where nothing new is."""
    return run({**operands, "x": operands["x"] * 0})


def the_first_stays(run, operands, row):
    """Of two rows at one position the earlier one stays."""
    return run({**operands, "new": np.ascontiguousarray(operands["new"][:, :, ::-1]),
                "i": np.ascontiguousarray(operands["i"][:, ::-1])})


slips = (place_off_by("i", 1), place_off_by("i", -1), counted_from_the_start("i"), positions_of_first_image, rest_cleared,
         the_first_stays, previous_case("x"), previous_case("new"), transposed("new"), channels_shifted("y", 1))


def r1_the_last_row_is_there(x, new, i, row):
    if not new.shape[2]:
        return True
    y = spec(x, new, i, row)
    return y[np.arange(len(y)), :, i[:, -1]] == new[:, :, -1]


def r1_twice_is_once(x, new, i, row):
    y = spec(x, new, i, row)
    return spec(y, new, i, row) == y


def r2_the_rest_stays(x, new, i, row):
    y, kept = spec(x, new, i, row), np.ones((len(x), row.places), bool)
    if i.size:
        kept[np.arange(len(x))[:, None], i] = False
    return (y == x) | ~kept[:, None, :, None]
