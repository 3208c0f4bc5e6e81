"""softmax_masked: a softmax operation over the keys that each query may see.

    y[.., k] = inner(q of the seen keys)[place of k among them],  masked where k is hidden

units    those of the inner operation; `masked` is its code of 0
R1       `causal`: query r sees the keys 0 .. r + offset; `positions`: those from 0 to a place of its own, given while running,
         the same for all heads; `given`: those whose mask is 1, the same for all heads (g = 1) or not (g = h)
R2       hidden keys take no part, neither in the largest nor in the sum: the inner operation sees the others as one row
R3       a hidden key gets the code of 0
R4       a query that sees no key gets nothing but that
error    that of the inner operation for rows as long as the keys that are seen
source   Vaswani et al. 2017, section 3.2.3, where logits that are hidden are minus infinity; the same bits for every target whose
         masked logits give shares of 0
"""
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.ints.mask_slips import mask_ignored, masked_afterwards, one_key_fewer, visible
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided, from_plain
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped
from refq.ints.width import I32, U1
from refq.machine import masks

FORMS = ("causal", "positions", "given")


@dataclass(frozen=True)
class Row(Base):
    inner: str = decided("shiftmax")
    row: Base | None = decided(None)
    mask: str = decided("causal")
    offset: int = decided(0)
    last: int = decided(15)

    def __post_init__(self):
        super().__post_init__()
        if self.row is None or isinstance(self.row, dict):
            object.__setattr__(self, "row", from_plain(ops.load(self.inner).Row, self.row or {}))
        joined = [declared.axes for declared in self.row.takes.values() if declared.joins]
        if joined != ["n [c]"] or "q" not in self.row.takes or len(self.row.gives) != 1:
            raise IllFormed(f"softmax_masked: {self.inner} is no operation on single rows of codes; name a softmax")
        if self.mask not in FORMS:
            raise IllFormed(f"softmax_masked: a mask {self.mask!r}; it can be {', '.join(FORMS)}")

    @property
    def q(self):
        """The width of the logits."""
        return self.row.takes["q"].width

    @property
    def accumulate(self):
        return getattr(self.row, "accumulate", None)

    @property
    def overflow(self):
        return getattr(self.row, "overflow", "refuse")

    @property
    def rounds(self):
        return getattr(self.row, "rounds", getattr(self.row, "ties", "exact"))

    @property
    def takes(self):
        fixed, made = dict(self.row.takes), next(iter(self.row.gives.values()))
        q = with_axes(fixed.pop("q"), "n h r [k]")
        mask = {"positions": {"positions": I32("n r", 0, self.last)}, "given": {"seen": U1("n g r k")}}.get(self.mask, {})
        return {"q": q, **mask, "masked": with_axes(made, ""), **fixed}

    @property
    def gives(self):
        return {name: with_axes(declared, "n h r k") for name, declared in self.row.gives.items()}

    def sizes(self, found):
        if found.get("g", 1) not in (1, found["h"]):
            raise IllFormed(f"softmax_masked: masks for {found['g']} heads of {found['h']}; give one for all, or each its own")
        self.row.sizes(found | {"c": found["k"]})
        return {}


def with_axes(declared, axes):
    return Operand(declared.width, axes, declared.lo, declared.hi)


def build(row, masked, seen=None, **inner):
    """The constants of a step: `masked`, the code of 0, a mask that is given (n g r k), and those of the inner operation."""
    return ({} if seen is None else {"seen": seen}) | {"masked": masked} | ops.load(row.inner).build(row.row, **inner)


def registers(row, ends, sizes, constants):
    inner = getattr(ops.load(row.inner), "registers", None)
    return () if inner is None else inner(row.row, ends, sizes | {"c": sizes["k"]}, constants)


def spec(q, *others, row, at=unwatched):
    count = q.shape[0] * q.shape[1] * q.shape[2]
    module, seen = ops.load(row.inner), visible(q.shape, others, row).reshape(count, q.shape[3])              # R1
    masked, *fixed = others[row.mask != "causal":]
    flat, counts = q.reshape(seen.shape), seen.sum(axis=1)
    y = np.full(seen.shape, masked, np.int64)                                                                 # R3 R4
    for count in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == count)
        some = seen[rows]
        made = module.spec(flat[rows][some].reshape(-1, count), *fixed, row=row.row, at=at)                   # R2
        part = y[rows]
        part[some] = made.reshape(-1)
        y[rows] = part
    return y.reshape(q.shape)


@cache
def kernel(row):
    over = masks.over(ops.load(row.inner).kernel(row.row))                                                    # R2 R3 R4

    seen_by = {"causal": lambda q: masks.causal(q.shape[2], q.shape[3], row.offset),                          # R1
               "positions": lambda q, places: masks.up_to(places, q.shape[3]),                                # R1
               "given": lambda q, seen: seen}[row.mask]                                                       # R1
    own = int(row.mask != "causal")

    def softmax_masked(q, *rest):
        masked, *fixed, y = rest[own:]
        over(q, seen_by(q, *rest[:own]), masked, tuple(fixed), y)

    return softmax_masked


def reach(operands, row, result, index):
    """One query, at its own place."""
    n, h, r, k = index
    places = {"q": (n, h, r), "positions": (n, r), "seen": (n, min(h, operands.get("seen", np.empty((1, 1))).shape[1] - 1), r)}
    part = {name: np.ascontiguousarray(held[tuple(slice(i, i + 1) for i in places[name])]) if name in places else held
            for name, held in operands.items()}
    return part, replace(row, offset=row.offset + r), (0, 0, 0, k)


slips = (mask_ignored, one_key_fewer, masked_afterwards, dropped("masked"), channels_shifted("q", 1))


def r2_hidden_keys_play_no_part(q, *others, row):
    """What a hidden key's logit is makes no difference."""
    loud = np.where(visible(q.shape, others, row), q, q.dtype.type(row.row.takes["q"].hi))
    return spec(loud, *others, row=row) == spec(q, *others, row=row)


def r3_hidden_keys_get_the_code_of_zero(q, *others, row):
    return visible(q.shape, others, row) | (spec(q, *others, row=row) == others[row.mask != "causal"])
