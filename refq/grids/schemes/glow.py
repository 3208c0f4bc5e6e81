"""What Glow's four schemes share: the ends of the range as float32, the step between them in float64, the zero point from the end
that leaves the smaller error, as chooseQuantizationParams computes them.

A scale of 0 becomes 0.1. The zero point is 0 where the ends add up to less than the float32 epsilon, 2**-23: so for every range
of so small numbers, of which such a grid then loses what lies beyond its half. Glow does that; so do these.

source   pytorch/glow lib/Quantization/Base/Base.cpp, chooseQuantizationParams, commit c1a47c99; stored scales are float32
"""
import numpy as np

from refq.grids.affine import TINY, Affine
from refq.grids.schemes.ranges import admitted

EPSILON = 2.0 ** -23
MOST = float(np.finfo(np.float32).max)


def float32(x):
    """The nearest float32 within its range, as float64."""
    return np.clip(x, -MOST, MOST).astype(np.float32).astype(np.float64)


def ends(lo, hi, bits):
    """(width, lo, hi): the ends as Glow holds them, float32, with 0 between them."""
    width, lo, hi = admitted(lo, hi, bits)
    return width, float32(lo), float32(hi)


def balanced(width, lo, hi):
    """The range widened on one side so that its ends are the lowest and the highest code of a grid without a zero point."""
    below, above = lo / width.lo, hi / width.hi
    return np.where(below > above, lo, float32(above * width.lo)), np.where(below > above, float32(below * width.hi), hi)


def step(width, lo, hi):
    """The scale in float64."""
    scale = (hi - lo) / (width.hi - width.lo)
    return np.where(scale == 0, 0.1, scale)


def made(width, lo, hi, scale, axis, block, stored=float32):
    """The grid over lo to hi; `stored`: what becomes of its scale behind the zero point."""
    with np.errstate(over="ignore"):
        below, above = lo / scale, hi / scale
    zero = np.where(abs(width.lo) + np.abs(below) < abs(width.hi) + np.abs(above), width.lo - below, width.hi - above)
    zero = np.where(np.abs(float32(hi + lo)) <= EPSILON, 0.0, zero)
    nudged = np.clip(np.trunc(zero + np.copysign(0.5, zero)), width.lo, width.hi)        # std::round: half away from 0
    return Affine(width, np.maximum(stored(scale), TINY), nudged.astype(np.int64), axis, block)
