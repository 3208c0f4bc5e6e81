"""argmax: the place of the largest code.

    i = first c with q[c] == max(q)

units    i counts places along the last axis, from 0
R1       codes are compared as integers; a grid keeps their order
R2       of several largest codes the first one counts
error    exact
source   ONNX ArgMax, select_last_index = 0; TOSA 1.0 ARGMAX
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, named, tail_lost, tile_leaks
from refq.ints.width import I8, I32, Width


@dataclass(frozen=True)
class Row(Base):
    q: Width = decided(I8)

    @property
    def takes(self):
        return {"q": self.q("n [c]")}

    @property
    def gives(self):
        return {"i": I32("n", 0)}

    def sizes(self, found):
        return never_empty("c", found, "argmax")


def build(row):
    return {}


def spec(q, row, at=unwatched):
    q = q.astype(np.int64)
    largest = at("largest", q.max(axis=1), row.q)                                  # R1
    places = np.where(q == largest[:, None], np.arange(q.shape[1]), q.shape[1])
    return places.min(axis=1)                                                      # R2


@cache
def kernel(row):
    @jit(nogil=True)
    def argmax(q, i):
        for n in range(q.shape[0]):
            first = 0
            for c in range(1, q.shape[1]):
                if q[n, c] > q[n, first]:                                          # R1 R2
                    first = c
            i[n] = first

    return argmax


def real(q):
    """The place of the largest of real rows (n c), the first of several."""
    return q.argmax(axis=1)


def last_instead_of_first(run, operands, row):
    """Of several largest codes the last one is taken (>= for >)."""
    backwards = run({**operands, "q": np.ascontiguousarray(operands["q"][:, ::-1])})
    return {"i": operands["q"].shape[1] - 1 - backwards["i"]}


def sign_lost(run, operands, row):
    """Signed codes are compared as if they were unsigned, or the other way round."""
    q = operands["q"]
    bits = 8 * q.dtype.itemsize
    return run({"q": q ^ np.array(1 << bits - 1, f"u{bits // 8}").view(q.dtype)})


def tail_forgotten(t):
    """A loop in steps of t forgets what is left at its end; rows shorter than t are right."""
    def slip(run, operands, row):
        return run(operands) if operands["q"].shape[1] < t else tail_lost("c", t)(run, operands, row)
    return named(slip, f"tail_forgotten({t})")


slips = (last_instead_of_first, sign_lost, channels_shifted("q", 1), tail_forgotten(8), tile_leaks("c", 8))


def r1_no_code_is_larger(q, row):
    i = spec(q, row)
    return q[np.arange(len(q)), i] >= q.max(axis=1)


def r2_codes_before_it_are_smaller(q, row):
    i = spec(q, row)
    return np.where(np.arange(q.shape[1]) < i[:, None], q < q[np.arange(len(q)), i][:, None], True)
