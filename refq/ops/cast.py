"""cast: integers of one width as integers of another: no grids, no scales.

    y = store(x)

units    integers; what both widths hold stays what it is
R1       x is read with its sign, where its width has one
R2       what y's width does not hold keeps its low bits (wrap) or becomes the nearest that it holds (clip); or y only says
         whether x is not 0 (nonzero), as a truth value does
error    exact while y's width holds x
source   TOSA 1.0 CAST (wrap; nonzero to bool); ONNX Cast; the narrowing instructions of Arm NEON (XTN, SQXTN)
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints.accumulate import holder
from refq.ints.jit import jit, word
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, I32, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    store: str = choice("wrap", "clip", "nonzero")
    x: Width = decided(I32)
    y: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(48, "cast", self.x, self.y)

    @property
    def takes(self):
        return {"x": self.x("n")}

    @property
    def gives(self):
        return {"y": self.y("n")}


def build(row):
    return {}


@word
def truth(x):
    return np.int64(x != 0)


def spec(x, row, at=unwatched):
    x = x.astype(np.int64)                                                         # R1
    if row.store == "nonzero":
        return at("y", truth(x), row.y)                                            # R2
    return (at.wrap if row.store == "wrap" else at.clip)("y", x, row.y)            # R2


@cache
def kernel(row):
    store = truth if row.store == "nonzero" else holder("wrap" if row.store == "wrap" else "saturate", row.y)

    @jit(nogil=True)
    def cast(x, y):
        for n in range(x.shape[0]):
            y[n] = store(np.int64(x[n]))                                           # R1 R2

    return cast


def real(x, row):
    return int(x != 0) if row.store == "nonzero" else x


def sign_lost(run, operands, row):
    """Codes of 1 to 32 bits are read without their sign, or with one that they do not have, and the low bits kept."""
    y, x = run(operands)["y"], operands["x"].astype(np.int64)
    wrong = Width(row.x.bits, not row.x.signed).wrap(x) if row.x.bits > 1 else x
    return {"y": spec(wrong, row).astype(y.dtype)}


slips = (sign_lost, channels_shifted("x", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_what_fits_stays(x, row):
    y = spec(x, row)
    return (y == x) | (x < row.y.lo) | (x > row.y.hi) | (row.store == "nonzero")


def r2_once_is_enough(x, row):
    y = spec(x, row)
    return spec(y, row) == y
