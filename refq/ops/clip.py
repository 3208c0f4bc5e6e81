"""clip: keep codes within a range.

    y = min(max(q, lo), hi)

units    y counts what q counts
R1       the lower bound acts first, so an empty range (lo > hi) gives hi
error    exact
source   ONNX Clip; the fused activations of tensorflow/tflite-micro; TOSA 1.0 CLAMP
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, Width


@dataclass(frozen=True)
class Row(Base):
    q: Width = decided(I8)

    @property
    def takes(self):
        return {"q": self.q("n"), "lo": self.q(), "hi": self.q()}

    @property
    def gives(self):
        return {"y": self.q("n")}


def build(row, lo, hi):
    """The constants of a step: both bounds as codes."""
    return {"lo": lo, "hi": hi}


def spec(q, lo, hi, row, at=unwatched):
    return at("y", np.minimum(at("raised", np.maximum(q.astype(np.int64), lo), row.q), hi), row.q)     # R1


@cache
def kernel(row):
    @jit(nogil=True)
    def clip(q, lo, hi, y):
        for n in range(q.shape[0]):
            y[n] = min(max(np.int64(q[n]), lo), hi)                                                    # R1

    return clip


def real(q, lo, hi):
    return min(max(q, lo), hi)


def lower_forgotten(run, operands, row):
    """Only the upper bound acts."""
    return run({**operands, "lo": row.q.lo})


def upper_forgotten(run, operands, row):
    """Only the lower bound acts."""
    return run({**operands, "hi": row.q.hi})


def bounds_swapped(run, operands, row):
    """The bounds change places."""
    return run({**operands, "lo": operands["hi"], "hi": operands["lo"]})


slips = (lower_forgotten, upper_forgotten, bounds_swapped, channels_shifted("q", 1), last_tile_lost("y", 16))


def r1_stays_in_range(q, lo, hi, row):
    y = spec(q, lo, hi, row)
    return (y <= hi) & ((y >= lo) | (lo > hi))


def r1_once_is_enough(q, lo, hi, row):
    y = spec(q, lo, hi, row)
    return spec(y, lo, hi, row) == y
