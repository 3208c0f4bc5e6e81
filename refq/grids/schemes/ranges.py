"""Ranges as every scheme takes them: the door that they come through."""
import numpy as np

from refq.errors import IllFormed
from refq.ints.width import Width


def admitted(lo, hi, bits):
    """(signed width, lo, hi): the ends as float64 arrays of one shape, widened to hold 0; raises IllFormed for NaN, infinities,
    ends the wrong way round, and bits other than 2 to 16."""
    if type(bits) is not int or not 2 <= bits <= 16:
        raise IllFormed(f"a grid of {bits!r} bits; a scheme makes them of 2 to 16")
    lo, hi = np.broadcast_arrays(np.asarray(lo, np.float64), np.asarray(hi, np.float64))
    if not (np.isfinite(lo) & np.isfinite(hi)).all():
        raise IllFormed("a range with an end that is NaN or infinite; clean or clip the data")
    if (lo > hi).any():
        at = tuple(np.argwhere(lo > hi)[0])
        raise IllFormed(f"a range from {lo[at]} to {hi[at]}: its ends are the wrong way round")
    return Width(bits), np.minimum(lo, 0), np.maximum(hi, 0)


def farthest(lo, hi):
    """The larger magnitude of both ends."""
    return np.maximum(-lo, hi)
