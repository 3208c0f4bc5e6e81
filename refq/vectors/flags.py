"""Flags: of each element of an element-wise step, whether a rounding met a tie, a clip or a wrap changed the value."""
import numpy as np

from refq import ops
from refq.ints import floats
from refq.ints.sites import Sites
from refq.vectors.events import WIDEST, half_divided, half_shifted

TIE, SATURATED, WRAPPED = 1, 2, 4


class Flags(Sites):
    """Gathers flags into `seen`, an array of the shape of the result."""

    def __init__(self, shape):
        self.seen = np.zeros(shape, np.uint8)

    def mark(self, where, flag):
        self.seen |= np.broadcast_to(np.where(where, np.uint8(flag), np.uint8(0)), self.seen.shape)

    def shift(self, name, word, x, s, width):
        self.mark(half_shifted(np.asarray(x, np.int64), np.asarray(s, np.int64)), TIE)
        return super().shift(name, word, x, s, width)

    def divide(self, name, word, x, d, width):
        self.mark(half_divided(np.asarray(x, np.int64), np.asarray(d, np.int64)), TIE)
        return super().divide(name, word, x, d, width)

    def nearest(self, name, word, x, width):
        result, exact = super().nearest(name, word, x, width), np.asarray(x, np.float64)
        inside = np.abs(exact) < 2.0**51
        self.mark(inside & (np.where(inside, exact, 0) % 1 == 0.5), TIE)
        self.mark(result != floats.rounded(x, word, WIDEST), SATURATED)
        return result

    def clip(self, name, x, width):
        clipped = super().clip(name, x, width)
        self.mark(clipped != x, SATURATED)
        return clipped

    def wrap(self, name, x, width):
        wrapped = super().wrap(name, x, width)
        self.mark(wrapped != x, WRAPPED)
        return wrapped


def flags(step, operands, shape):
    """The flags of every element of a step's one result: `operands` as the operation takes them, `shape` as it gives it."""
    at = Flags(shape)
    ops.load(step.op).spec(*operands, row=step.row, at=at)
    return at.seen


def element_wise(step):
    """Is each element of the one result made of the operands at its place alone? Operands along axes that the result
    does not have (the entries of a table) are the same for all."""
    if len(step.outputs) != 1 or any(declared.whole for declared in step.row.takes.values()):
        return False
    axes = set(next(iter(step.row.gives.values())).names)
    return bool(axes) and any(axes <= set(declared.names) for declared in step.row.takes.values())
