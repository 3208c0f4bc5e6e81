"""topk: the largest codes of a row, or their places, from the largest down.

    i[j] = the place of the j-th largest code,  y[j] = q[i[j]],  0 <= j < k

units    i counts places along the last axis, from 0; y counts what q counts
R1       codes are compared as integers; a grid keeps their order; the largest stand first
R2       of equal codes the one of the lower place stands first
error    exact
source   ONNX TopK, largest and sorted ("given two equivalent values, the indices along the axis are used as a tiebreaker: the
         element with the lower index appears first"); TFLite TOPK_V2, which says the same
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, tile_leaks
from refq.ints.width import I8, I32, Width
from refq.ops.argmax import sign_lost, tail_forgotten


@dataclass(frozen=True)
class Row(Base):
    q: Width = decided(I8)
    k: int = decided(1)
    shows: str = decided("places")

    def __post_init__(self):
        super().__post_init__()
        if type(self.k) is not int or self.k < 1 or self.shows not in ("places", "codes"):
            raise IllFormed(f"topk: k is {self.k!r} and shows {self.shows!r}; k is 1 or more, and it shows places or codes")

    @property
    def takes(self):
        return {"q": self.q("n [c]")}

    @property
    def gives(self):
        return {"i": I32("n k", 0)} if self.shows == "places" else {"y": self.q("n k")}

    def sizes(self, found):
        if found["c"] < self.k:
            raise IllFormed(f"topk: rows of {found['c']} codes, of which the largest {self.k} are asked for; ask for fewer")
        return {"k": self.k}


def build(row):
    return {}


def spec(q, row, at=unwatched):
    row.sizes({"c": q.shape[1]})        # a mutant may have shortened the rows
    q = q.astype(np.int64)
    places = np.argsort(-q, axis=1, kind="stable")[:, :row.k]                      # R1 R2
    codes = at("largest", np.take_along_axis(q, places, 1), row.q)
    return places if row.shows == "places" else codes


@cache
def kernel(row):
    k, codes = row.k, row.shows == "codes"

    @jit(nogil=True)
    def topk(q, y):
        best = np.zeros(k, np.int64)
        for n in range(q.shape[0]):
            count = 0
            for c in range(q.shape[1]):
                j = min(count, k - 1) if count < k or q[n, c] > q[n, best[k - 1]] else k
                while 0 < j < k and q[n, best[j - 1]] < q[n, c]:                   # R1 R2
                    best[j] = best[j - 1]
                    j -= 1
                if j < k:
                    best[j] = c
                    count = min(count + 1, k)
            for j in range(k):
                y[n, j] = q[n, best[j]] if codes else best[j]

    return topk


def real(q, row):
    """The same of real rows (n c)."""
    places = np.argsort(-q, axis=1, kind="stable")[:, :row.k]
    return places if row.shows == "places" else np.take_along_axis(q, places, 1)


def later_first(run, operands, row):
    """Of equal codes the one of the higher place stands first (>= for >)."""
    backwards = run({**operands, "q": np.ascontiguousarray(operands["q"][:, ::-1])})
    return {k: operands["q"].shape[1] - 1 - v if k == "i" else v for k, v in backwards.items()}


def smallest_first(run, operands, row):
    """They are the largest, and stand the other way round."""
    return {k: np.ascontiguousarray(v[:, ::-1]) for k, v in run(operands).items()}


def slot_shared(run, operands, row):
    """The last place of the list is never replaced once it is filled: it keeps the k-th code that came."""
    q = operands["q"].astype(np.int64)
    if row.k < 2 or q.shape[1] <= row.k:
        return run(operands)
    kept = run({**operands, "q": np.ascontiguousarray(operands["q"][:, :row.k])})
    whole = run(operands)
    return {k: np.concatenate([v[:, :-1], kept[k][:, -1:]], 1) for k, v in whole.items()}


slips = (later_first, smallest_first, slot_shared, sign_lost, channels_shifted("q", 1), tail_forgotten(8), tile_leaks("c", 8))


def places_of(q, row):
    return spec(q, Row(row.q, row.k)), q.astype(np.int64)


def r1_codes_fall(q, row):
    i, q = places_of(q, row)
    y = np.take_along_axis(q, i, 1)
    return y[:, :-1] >= y[:, 1:]


def r1_what_is_left_out_is_no_larger(q, row):
    i, q = places_of(q, row)
    out = np.ones(q.shape, bool)
    np.put_along_axis(out, i, False, 1)
    return np.where(out, q, row.q.lo) <= np.take_along_axis(q, i[:, -1:], 1)


def r2_equal_codes_stand_in_order(q, row):
    i, q = places_of(q, row)
    y = np.take_along_axis(q, i, 1)
    return (y[:, :-1] > y[:, 1:]) | (i[:, :-1] < i[:, 1:])
