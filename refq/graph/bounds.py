"""Bounds: the interval of every register that sums or is raised, from the actual weights; and the refusal of one that
could overflow.

A factor x - zx lies in an interval that holds 0, so every partial sum, in whatever order, lies between the sum of the
smallest products and the sum of the largest: what is proven for the end is proven on the way.
"""
from dataclasses import dataclass

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.spans import RULED


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
    """The Bound of every register that sums, is raised or multiplied, in the order of the steps: as the operations'
    `registers` say (refq.ints.spans)."""
    known = {}
    for step in program.steps:
        for register, width, lo, hi in asked(program, step, known):
            if register in step.outputs:
                known[step.outputs[register]] = held(width, lo, hi)
            yield Bound(step.name, register, width, lo, hi)


def asked(program, step, known, row=None):
    """What the step's operation says of its registers, under its row or another. `known`: tensor to the ends that are proved."""
    registers = getattr(ops.load(step.op), "registers", None)
    return () if registers is None else registers(row or step.row, *operands(program, step, known))


def operands(program, step, known):
    """(ends, sizes, constants) of a step, as `registers` take them."""
    ends, sizes, constants = {}, {}, {}
    for operand, declared in step.row.takes.items():
        tensor = program.tensors[step.inputs[operand]]
        ends[operand] = known.get(tensor.name, (tensor.width.lo, tensor.width.hi))
        axes = declared.names[1:] if declared.joins else declared.names
        sizes |= zip(axes, tensor.shape[len(tensor.shape) - len(axes):])
        if tensor.name in program.constants:
            constants[operand] = program.constants[tensor.name]
    return ends, sizes, constants


def held(width, lo, hi):
    """The ends of what is left in a register after what does not fit has wrapped or saturated."""
    fits = (np.asarray(lo) >= width.lo) & (np.asarray(hi) <= width.hi)
    return np.where(fits, lo, width.lo), np.where(fits, hi, width.hi)


def refuse_overflow(program):
    """Raises IllFormed for the first register that could overflow although its row refuses that."""
    rows = {step.name: step.row for step in program.steps}
    for bound in bounds(program):
        if not bound.fits and refuses(rows[bound.step], bound.register):
            lo, hi = np.broadcast_arrays(bound.lo, bound.hi)
            channel = int(np.argmax(np.maximum(hi - bound.width.hi, bound.width.lo - lo)))
            raise IllFormed(f"step {bound.step}: its register {bound.register} can reach {int(lo.flat[channel])} to "
                            f"{int(hi.flat[channel])} (channel {channel}), which {bound.width} does not hold and dialect "
                            f"{program.dialect} forbids; {bound.bits} bits would do: take a dialect that has them, or "
                            "smaller weights and biases")


def refuses(row, register="acc"):
    """Does a row leave open what becomes of a register that overflows? A left shift that wraps is as good as undefined;
    a product whose row states a register keeps its low bits."""
    if register.endswith("_lifted"):    # of an add: only constants that build never makes, of scales of 1 and more, lift there
        return False
    first = register.split("_")[0]
    rule = getattr(row, "accumulate" if first in RULED else first, None)
    if isinstance(rule, Accumulate):
        return rule.overflow == "refuse"
    return getattr(row, "overflow", "refuse") not in ("saturate", "low")
