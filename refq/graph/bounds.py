"""Bounds: the interval of every register that sums, from the actual weights; and the refusal of one that could overflow.

A factor x - zx lies in an interval that holds 0, so every partial sum, in whatever order, lies between the sum of the
smallest products and the sum of the largest: what is proven for the end is proven on the way.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed


@dataclass(frozen=True)
class Bound:
    """`lo`, `hi`: the ends that a register can reach, one for each channel (int64 arrays, or single numbers)."""

    step: str
    register: str
    width: object
    lo: object
    hi: object

    @property
    def bits(self):
        """The signed width that the register needs."""
        return max(int(np.max(self.hi)), -int(np.min(self.lo)) - 1).bit_length() + 1

    @property
    def fits(self):
        return bool(np.min(self.lo) >= self.width.lo and np.max(self.hi) <= self.width.hi)


def bounds(program):
    """The Bound of every accumulator of the program, in the order of its steps."""
    return [Bound(step.name, "acc", step.row.acc, *BOUNDED[step.op](program, step))
            for step in program.steps if step.op in BOUNDED]


def refuse_overflow(program):
    """Raises IllFormed for the first accumulator that could overflow although its row refuses that."""
    rows = {step.name: step.row for step in program.steps}
    for bound in bounds(program):
        rule = getattr(rows[bound.step], "accumulate", None)
        if not bound.fits and (rule is None or rule.step == "refuse"):
            lo, hi = np.broadcast_arrays(bound.lo, bound.hi)
            channel = int(np.argmax(np.maximum(hi - bound.width.hi, bound.width.lo - lo)))
            raise IllFormed(f"step {bound.step}: its accumulator can reach {int(lo.flat[channel])} to {int(hi.flat[channel])} "
                            f"(channel {channel}), which {bound.width} does not hold and dialect {program.dialect} forbids; "
                            f"a register of {bound.bits} bits would do")


def factor(program, step, operand, zero):
    """The interval of codes less their zero point."""
    tensor = program.tensors[step.inputs[operand]]
    zero = int(program.constants[step.inputs[zero]])
    lo, hi = (tensor.grid.lo, tensor.grid.hi) if tensor.grid else (tensor.width.lo, tensor.width.hi)
    return min(lo - zero, 0), max(hi - zero, 0)


def weighted(program, step):
    """Constant weights (m ...): the sums of the smallest and of the largest products, and the bias."""
    lo, hi = factor(program, step, "x", "zx")
    w = program.constants[step.inputs["w"]].astype(np.int64)
    w = (w.reshape(len(w), -1) - program.constants[step.inputs["zw"]].astype(np.int64)[:, None])
    bias = program.constants[step.inputs["bias"]].astype(np.int64)
    up, down = np.maximum(w, 0).sum(1), np.minimum(w, 0).sum(1)
    least, most = up * lo + down * hi, up * hi + down * lo
    return np.minimum(least, least + bias), np.maximum(most, most + bias)


def paired(program, step):
    """Two activations: k times the extreme products."""
    (a, b), (c, d) = factor(program, step, "x", "zx"), factor(program, step, "w", "zw")
    count = program.tensors[step.inputs["x"]].shape[-1]
    return count * min(a * d, b * c), count * max(a * c, b * d)


def summed(program, step):
    """A mean's sum: r times the extreme codes."""
    lo, hi = factor(program, step, "q", "zq")
    count = program.tensors[step.inputs["q"]].shape[-2]
    return count * lo, count * hi


BOUNDED = {"matmul": weighted, "conv2d": weighted, "batch_matmul": paired, "mean": summed}
