"""Bounds: the interval of every register that sums or is raised, from the actual weights; and the refusal of one that
could overflow.

A factor x - zx lies in an interval that holds 0, so every partial sum, in whatever order, lies between the sum of the
smallest products and the sum of the largest: what is proven for the end is proven on the way.
"""
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.multiplier import decode
from refq.ints.width import I32, Width


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
    """The Bound of every register that sums or is raised, in the order of the steps."""
    reach = {}
    for step in program.steps:
        for register, width, (lo, hi) in BOUNDED.get(step.op, nothing)(program, step, reach):
            if register in step.outputs:
                reach[step.outputs[register]] = lo, hi
            yield Bound(step.name, register, width, lo, hi)


def refuse_overflow(program):
    """Raises IllFormed for the first register that could overflow although its row refuses that."""
    rows = {step.name: step.row for step in program.steps}
    for bound in bounds(program):
        if not bound.fits and refuses(rows[bound.step]):
            lo, hi = np.broadcast_arrays(bound.lo, bound.hi)
            channel = int(np.argmax(np.maximum(hi - bound.width.hi, bound.width.lo - lo)))
            raise IllFormed(f"step {bound.step}: its register {bound.register} can reach {int(lo.flat[channel])} to "
                            f"{int(hi.flat[channel])} (channel {channel}), which {bound.width} does not hold and dialect "
                            f"{program.dialect} forbids; {bound.bits} bits would do: take a dialect that has them, or "
                            "smaller weights and biases")


def refuses(row):
    """Does a row leave open what becomes of a register that overflows? A left shift that wraps is as good as undefined;
    a product whose row states a register keeps its low bits."""
    rule = getattr(row, "accumulate", None)
    return rule.overflow == "refuse" if rule else getattr(row, "overflow", "refuse") not in ("saturate", "low")


def nothing(program, step, reach):
    return ()


def factor(program, step, operand, zero):
    """The interval of codes less their zero point, with 0 in it: of all codes that the width holds."""
    width, zero = program.tensors[step.inputs[operand]].width, number(program, step, zero)
    return min(width.lo - zero, 0), max(width.hi - zero, 0)


def number(program, step, operand):
    return int(program.constants[step.inputs[operand]])


def accumulators(row):
    """The widths that a sum has to fit: that of the result, and of a register that is emptied into it."""
    yield "acc", row.acc
    rule = getattr(row, "accumulate", None)
    if rule is not None and rule.width != row.acc:
        yield "partial", rule.width


def weighted(program, step, reach):
    """Constant weights (m ...): the sums of the smallest and of the largest products, and the bias."""
    lo, hi = factor(program, step, "x", "zx")
    w = program.constants[step.inputs["w"]]
    w = w.reshape(len(w), -1).astype(np.int64) - program.constants[step.inputs["zw"]].astype(np.int64)[:, None]
    bias = program.constants[step.inputs["bias"]].astype(np.int64)
    up, down = np.maximum(w, 0).sum(1), np.minimum(w, 0).sum(1)
    least, most = up * lo + down * hi, up * hi + down * lo
    for register, width in accumulators(step.row):
        yield register, width, (np.minimum(least, least + bias), np.maximum(most, most + bias))


def paired(program, step, reach):
    """Two activations: k times the extreme products."""
    (a, b), (c, d) = factor(program, step, "x", "zx"), factor(program, step, "w", "zw")
    count = program.tensors[step.inputs["x"]].shape[-1]
    for register, width in accumulators(step.row):
        yield register, width, (count * min(a * d, b * c), count * max(a * c, b * d))


def summed(program, step, reach):
    """A mean's sum: r times the extreme codes."""
    lo, hi = factor(program, step, "q", "zq")
    count = program.tensors[step.inputs["q"]].shape[-2]
    yield "acc", step.row.acc, (count * lo, count * hi)


def lifted(program, step, reach):
    """What is rescaled in two roundings is first raised by 31 - shift bits, where that is positive; without its zero point."""
    acc, shift = step.inputs["acc"], program.constants[step.inputs["shift"]].astype(np.int64)
    if step.row.high == "none":
        return
    width, zero = program.tensors[acc].width, number(program, step, "zin")
    lo, hi = reach.get(acc, (width.lo, width.hi))
    up = 1 << np.maximum(31 - shift, 0)
    yield "lifted", I32, (np.minimum(lo - zero, 0) * up, np.maximum(hi - zero, 0) * up)


def multiplied(program, step, reach):
    """A product that has a register of its own, between two shifts; with the half that is added for rounding."""
    if step.row.product.bits == 64:
        return
    pre, mult, post = (program.constants[step.inputs[k]].astype(np.int64) for k in ("pre", "mult", "post"))
    width, zero = program.tensors[step.inputs["acc"]].width, number(program, step, "zin")
    half = (np.int64(1) << post) >> 1
    ends = (np.asarray(end, np.int64) - zero for end in reach.get(step.inputs["acc"], (width.lo, width.hi)))
    first = rounding.word(step.row.first)
    lo, hi = (step.row.middle.clip(first(end << np.maximum(-pre, 0), np.maximum(pre, 0))) for end in ends)
    yield "wide", step.row.product, (np.minimum(lo, 0) * mult, np.maximum(hi, 0) * mult + half * step.row.adds_half)


def joined(program, step, reach):
    """Two operands that are raised, rescaled and added, or taken one from the other."""
    total = [0, 0]
    for name, zero, mult, shift in (("a", "za", "ma", "sa"), ("b", "zb", "mb", "sb")):
        ends = [end << step.row.left for end in factor(program, step, name, zero)]
        yield f"{name}_raised", I32, ends
        scale = decode(number(program, step, mult), number(program, step, shift))
        if name == "b" and step.row.join == "minus":
            ends = [-ends[1], -ends[0]]
        total = [total[0] + floor(ends[0] * scale) - 1, total[1] + ceil(ends[1] * scale) + 1]
    if step.row.joined:
        yield "total", I32, total


def paired_codes(program, step, reach):
    """The product of two operands, and what it is raised to where it is rescaled in two roundings."""
    (a, b), (c, d) = factor(program, step, "a", "za"), factor(program, step, "b", "zb")
    lo, hi = min(a * d, b * c), max(a * c, b * d)
    yield "product", I32, (lo, hi)
    if step.row.high != "none":
        up = max(31 - number(program, step, "shift"), 0)
        yield "lifted", I32, (lo << up, hi << up)


def exponentials(program, step, reach):
    """A softmax's sum: as many times exp(0) as a row is long. Beyond its register it saturates, and shares are too large."""
    count, x0 = program.tensors[step.inputs["q"]].shape[-1], number(program, step, "x0")
    yield "total", Width(step.row.reciprocal + 1), (0, count * -x0 << step.row.n)


BOUNDED = {"matmul": weighted, "conv2d": weighted, "conv_transpose2d": weighted, "batch_matmul": paired, "mean": summed,
           "rescale": lifted, "rescale_preshift": multiplied, "add": joined, "mul": paired_codes, "shiftmax": exponentials}
