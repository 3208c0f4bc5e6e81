"""gather: places along an axis, named by an operand: codes move and none changes.

    y[n, w, c] = x[n, i[n, w], c]

units    y counts what x counts; i counts places, from 0
R1       each image has places of its own, in any order and as often as wanted; one that is not there is refused at the door
R2       a negative place counts from the end, where the row says so
error    exact
source   TOSA 1.0 GATHER; ONNX Gather and GatherND (negative indices count from the end)
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, named, previous_case
from refq.ints.width import I8, I32, Width


@dataclass(frozen=True)
class Row(Base):
    """`places`: how many x has along its middle axis, so that the declared range of i refuses any other; `negative` is part
    of that range as well."""

    negative: str = choice("refuse", "from_end", acts="build")
    width: Width = decided(I8)
    places: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        if self.places < 1:
            raise IllFormed(f"gather: {self.places} places; there must be at least one to gather from")

    @property
    def takes(self):
        least = -self.places if self.negative == "from_end" else 0
        return {"x": self.width("n [r] c"), "i": I32("n w", least, self.places - 1)}

    @property
    def gives(self):
        return {"y": self.width("n w c")}

    def sizes(self, found):
        if found["r"] != self.places:
            raise IllFormed(f"gather: x has {found['r']} places, and the row gathers from {self.places}")
        return {}


def build(row):
    return {}


def spec(x, i, row, at=unwatched):
    place = i.astype(np.int64)
    place += row.places * (place < 0)                                              # R2
    return np.take_along_axis(x.astype(np.int64), place[:, :, None], axis=1)       # R1


@cache
def kernel(row):
    places = row.places

    @jit(nogil=True)
    def gather(x, i, y):
        for n in range(y.shape[0]):
            for w in range(y.shape[1]):
                place = np.int64(i[n, w])
                place += places * (place < 0)                                      # R2
                for c in range(y.shape[2]):
                    y[n, w, c] = x[n, place, c]                                    # R1

    return gather


def real(x, i):
    """The same of real numbers x (n r c) and places i (n w)."""
    return np.take_along_axis(x, i[:, :, None], axis=1)


def moved_by(d):
    def slip(run, operands, row):
        declared = row.takes["i"]
        return run({**operands, "i": np.clip(operands["i"] + d, declared.lo, declared.hi).astype(np.int32)})
    return named(slip, f"places_off_by({d})")


def places_of_first_image(run, operands, row):
    """Every image takes the places of the first."""
    i = operands["i"]
    return run({**operands, "i": np.ascontiguousarray(np.broadcast_to(i[:1], i.shape))})


slips = (moved_by(1), moved_by(-1), places_of_first_image, previous_case("x"), channels_shifted("y", 1))


def r1_no_code_is_new(x, i, row):
    return np.isin(spec(x, i, row), x)


def r1_all_places_in_order_give_x(x, i, row):
    every = np.broadcast_to(np.arange(row.places), (len(x), row.places))
    return spec(x, every, row) == x


def r2_the_last_place_has_two_names(x, i, row):
    last = np.full_like(i, row.places - 1)
    return (spec(x, last - row.places, row) == spec(x, last, row)) | (row.negative == "refuse")
