"""What a step can be given, and what its registers can reach."""
from dataclasses import replace
from functools import lru_cache

import numpy as np

from refq import ops
from refq.graph.bounds import bounds
from refq.ints.width import I32, I40, I64, U16, U32, Width
from refq.vectors.scoring.equivalent import norms, packed
from refq.vectors.scoring.equivalent.stated import STATED
from refq.vectors.scoring.intervals import Interval, Reached, of

LEAST = -(1 << 63)


def proved(row):
    """Sites of a row's operation to (the least that they hold, the width that they stay within, None: their own): what
    graph/bounds.py proves of registers, since it refuses a program in which one could overflow; both summands of a joined
    add stay within what holds for their sum, each exponential within what holds for the sum of all. And a softmax's sum
    is at least what the largest code of a row adds, 2**n."""
    op = type(row).__module__.rpartition(".")[2]
    if op == "add":
        names = ("a_raised", "b_raised", *(("a_scaled", "b_scaled", "total") if row.joined else ()))
        return {name: (LEAST, I32) for name in names}
    if op == "mul" and row.overflow == "wrap":
        return {name: (LEAST, I32) for name in ("product", "lifted")}
    if op == "elementwise" and row.overflow == "refuse":
        return {name: (LEAST, row.y) for name in ("raw", "y")}
    if op == "shiftmax":
        return {"e": (1, Width(row.reciprocal + 1)), "total": (1 << row.n, None)}
    if op == "layernorm_ibert" and row.squares is None:
        roots = {"root": (1, U16)} if row.root == "exact" else {}
        return roots | {"squares": (0, U32), "u": (LEAST, I32)}           # d * F < 2**32: d is below twice root << sh
    return {"acc": (LEAST, None)} if op == "mean" else {}

REALS = {"add_float32": "zo", "mul_float32": "zo", "rescale_float32_bias": "zp", "add_ratio_float32": "", "quantize": "zp",
         "rescale_double": "zp", "requantize_float32": "zp"}
"""Operations by way of float32, and the zero point that may join what they round."""

SUMS = ("matmul", "conv2d", "conv_transpose2d", "batch_matmul", "batch_matmul_log2", "batch_matmul_adalog", "batch_matmul_twin",
        "matmul_two_four", "matmul_blocks", "matmul_bitmap")
POOLS = ("average_pool", "average_pool_float32")


class Domain:
    """What one step can be given: `reach`, an Interval of each operand; `zeros`: operands that are 0 there."""

    def __init__(self, program, step, free, zeros=()):
        self.zeros = [name for name in zeros if name in step.row.takes]
        self.program, self.step, self.free, self.row = program, step, free, step.row
        self.constants = {} if free else {k: program.constants[t] for k, t in step.inputs.items() if t in program.constants}

    def inside(self):
        """The domain of the operation that a mask wraps: it sees shorter rows of the same codes."""
        row = self.row
        inner = replace(self.step, op=row.inner, row=row.row, inputs={k: self.step.inputs[k] for k in row.row.takes})
        return Domain(self.program, inner, self.free, self.zeros)

    @property
    def reach(self):
        made = {}
        for name, declared in self.row.takes.items():
            if name in self.zeros:
                made[name] = Interval(0, 0)
            elif name in self.constants:
                made[name] = of(self.constants[name])
            elif declared.width.dtype.kind == "f":
                made[name] = Interval(np.float32(declared.lo), np.float32(declared.hi))
            else:
                made[name] = self.known(name) or Interval(declared.lo, declared.hi)
        return made

    def known(self, operand):
        """What bounds prove of the register that a step before has made."""
        return None if self.free else self.bound(self.step.inputs[operand])

    def bound(self, tensor):
        for step in self.program.steps:
            if tensor in step.outputs.values():
                found = [b for b in proven(self.program) if b.step == step.name and step.outputs.get(b.register) == tensor]
                return Interval(int(np.min(found[0].lo)), int(np.max(found[0].hi))) if found else None
        return None

    def sums(self):
        """What every sum of some of the products, bias or not, stays within."""
        known = None if self.free else self.bound(next(iter(self.step.outputs.values())))
        return known or Interval(self.row.acc.lo, self.row.acc.hi)

    def trace(self, row=None, forced=None):
        """What each site reaches, as Reached notes it, and the result's Interval; None where the spec does not run on
        intervals."""
        row = row or self.row
        if self.step.op in SUMS:
            total, width = self.sums(), self.row.acc
            return [(name, "register", "", total, None, width, total) for name in ("partial", "acc")], total
        if self.step.op in packed.STATED:
            sites = packed.STATED[self.step.op](row)
            return sites, sites[-1][6]
        if self.step.op in POOLS:               # what follows the sum is not looked at
            most = row.kernel[0] * row.kernel[1] * (row.q.hi - row.q.lo)
            total = Interval(-most, most)
            sums = [(name, "register", "", total, None, I32, total) for name in ("partial", "acc")]
            return (sums, None) if getattr(row, "multiplier", "") != "none" else divided(row, sums, total)
        parts = [self.traced(reach, row, forced) for reach in self.pieces()]
        seen = [joined(sites) for sites in zip(*(seen for seen, _ in parts))]
        if self.step.op in STATED and not any(getattr(self.row, name, None) for name in ("accumulate", "squares")):
            known = {site[0] for site in seen}
            said = STATED[self.step.op](row)
            return seen + [site for site in said if site[0] not in known], said[-1][6]
        results = [of(result) for _, result in parts if result is not None]
        return seen, union(results) if len(results) == len(parts) else None

    def traced(self, reach, row, forced):
        at = Reached(proved(row), forced)
        joins = getattr(row, "zero_point", "after")
        unlike = getattr(row, "far", "") == "lowest_int32" and self.step.op != "quantize"
        if (self.step.op in REALS or joins == "folded") and not unlike:      # what is rounded is a float, and anything
            name = REALS.get(self.step.op) if joins == "after" else ""
            zero = reach[name] if name else Interval(0, 0)
            if "zin" in reach:
                at("centred", reach["acc"] - reach["zin"], I64)
            whole = at("rounded", Interval(I40.lo, I40.hi), I40)
            if self.step.op == "quantize" and row.far == "lowest_int32":
                whole, zero = at.wrap("joined", at("converted", Interval(I32.lo, I32.hi), I32) + zero, I32), Interval(0, 0)
            return at.seen, at.clip("y", whole + zero, row.out)
        if self.step.op in norms.TRACED:
            return at.seen, norms.TRACED[self.step.op](self.step.op, row, reach, at)
        try:
            with np.errstate(all="ignore"):
                return at.seen, ops.load(self.step.op).spec(*reach.values(), row=row, at=at)
        except (TypeError, AttributeError, ValueError, IndexError, OverflowError):
            return at.seen, None

    def pieces(self):
        """`reach`, cut where x0 doubles: how often a code goes into it hangs together with how large it is; and at every shift
        of a product, which says how far it is raised first."""
        reach = self.reach
        if self.step.op == "l2_norm":
            return norms.pieces(reach)
        if self.step.op in ("mul", "layernorm_lstm") and reach["shift"].lo != reach["shift"].hi:
            return [reach | {"shift": Interval(s, s)} for s in range(reach["shift"].lo, reach["shift"].hi + 1)]
        if "x0" not in reach or reach["x0"].lo == reach["x0"].hi:
            return [reach]
        return [reach | {"x0": Interval(-(1 << b), -(1 << b - 1))} for b in range(1, 25) if -(1 << b - 1) >= reach["x0"].lo]


def divided(row, sums, total):
    """Sums of a pool that are divided by how many there are: means stay among the codes, and among their differences."""
    span = row.q.hi - row.q.lo
    mean = Interval(row.q.lo, row.q.hi) if row.zero_point == "kept" else Interval(-span, span)
    code = mean if row.zero_point == "kept" else Interval(-span + row.out.lo, span + row.out.hi)
    scaled = ("scaled", "divide", row.ties, total, Interval(1, row.kernel[0] * row.kernel[1]), I32, mean)
    held = Interval(max(code.lo, row.out.lo), min(code.hi, row.out.hi))
    return [*sums, scaled, ("y", "clip", "", code, None, row.out, held)], held


@lru_cache(maxsize=2)
def proven(program):
    """The bounds of a program: they are the same for every mutant."""
    return tuple(bounds(program))


def union(intervals):
    return Interval(min(i.lo for i in intervals), max(i.hi for i in intervals))


def joined(sites):
    """One site of several traces: what it meets and gives in all of them."""
    name, method, word, _, _, width, _ = sites[0]
    by = union([s[4] for s in sites]) if sites[0][4] is not None else None
    return name, method, word, union([s[3] for s in sites]), by, width, union([s[6] for s in sites])
