"""Registers: what an operation says that they reach is what its spec reaches, at the rails and drawn."""
from itertools import product

import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.graph.bounds import refuses
from refq.ints.sites import Sites
from tests.ops import strategies

NAMES = [name for name in ops.names() if hasattr(ops.load(name), "registers")]
RUNS, DRAWN = 12, 4


class Ends(Sites):
    """The least and the largest value that each site has held; of a clip or wrap, before it."""

    def __init__(self):
        self.seen = {}

    def note(self, name, value):
        value = np.asarray(value)
        if value.size:
            lo, hi = self.seen.get(name, (int(value.max()), int(value.min())))
            self.seen[name] = min(lo, int(value.min())), max(hi, int(value.max()))

    def __call__(self, name, value, width):
        self.note(name, value)
        return value

    def clip(self, name, x, width):
        self.note(name, x)
        return width.clip(x)

    def wrap(self, name, x, width):
        self.note(name, x)
        return width.wrap(x)


def runs(name, row, rng):
    """Operands with every operand at one of its rails, and drawn ones."""
    def draw(options):
        return options.elements[int(rng.integers(len(options.elements)))]
    ends = list(product(("lo", "hi"), repeat=len(row.takes)))
    picked = ends if len(ends) <= RUNS else [ends[0], ends[-1], *(ends[i] for i in rng.integers(len(ends), size=RUNS))]
    for rails in [*picked, *[None] * DRAWN]:
        found = strategies.drawn_sizes(name, row, draw)
        try:
            row.sizes(found)
        except IllFormed:
            continue
        if 0 in found.values():
            continue
        at = iter(rails or ())
        yield found, {k: strategies.filled(rng, d, tuple(found[a] for a in d.names), rail(d, next(at)) if rails else
                                           strategies.styles[int(rng.integers(5))]) for k, d in row.takes.items()}


def rail(declared, end):
    return lambda rng, d, shape: np.full(shape, getattr(declared, end))


def compared(name, row, rng):
    """Site to (how near its bound the spec came, of 1) of every register of the row; and in how many runs it was looked at."""
    module, near, looked = ops.load(name), {}, 0
    for found, operands in runs(name, row, rng):
        ends = {k: (int(d.lo), int(d.hi)) for k, d in row.takes.items() if d.width.dtype.kind != "f"}
        said = list(module.registers(row, ends, found, {k: np.asarray(v) for k, v in operands.items()}))
        fits = {r: np.min(lo) >= width.lo and np.max(hi) <= width.hi for r, width, lo, hi in said}
        if any(not fit and refuses(row, "lifted" if r.endswith("_lifted") else r) for r, fit in fits.items()):
            continue                # such a program is refused, or build does not make it
        at = Ends()
        try:
            module.spec(*operands.values(), row=row, at=at)
        except IllFormed:
            continue
        looked += 1
        for register, _width, lo, hi in said:
            if register in at.seen:
                least, most = at.seen[register]
                lo, hi = int(np.min(lo)), int(np.max(hi))
                assert not fits[register] or lo <= least and most <= hi, (register, operands)
                share = max(most / hi if hi > 0 else 0, least / lo if lo < 0 else 0, float(lo == hi == 0))
                near[register] = max(near.get(register, 0), share)
    return near, looked


ATTAINED = ("acc", "total", "sum", "product", "lifted", "wide")
"""Registers whose ends the runs come to within a hundredth; the ends of others are told apart from what is half as far."""


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_stays_within_what_its_operation_says(name):
    """Every site lies within the interval of its register, and comes near to one of its ends."""
    rng, nearest, looked = np.random.default_rng(3), {}, 0
    for row in strategies.rows(name):
        near, count = compared(name, row, rng)
        looked += count
        if all(getattr(row, field, None) is None for field in ("accumulate", "squares")):       # else a sum is held on its way
            for register, share in near.items():
                nearest[register] = max(nearest.get(register, 0), share)
    assert looked
    assert {r: s for r, s in nearest.items() if s < (0.99 if r in ATTAINED else 0.5)} == {}
