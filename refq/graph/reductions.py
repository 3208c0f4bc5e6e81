"""Reductions: the least and the greatest sum of a row of codes, in softmaxes, norms and pools; and rows that attain them.

What an operation says of its registers (refq.ints.spans) is proved for every row of codes; a row of one code all along attains
the sum of a softmax and the total of a norm, and one half at either end comes as near as can be to the sum of squares. Each is
run, and what it reaches is said beside what is proved.
"""
from dataclasses import fields, replace

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.graph import bounds
from refq.ints.sites import Sites
from refq.ints.spans import RULED


class Held(Sites):
    """The ends of what each site was given, before it wraps or saturates."""

    def __init__(self):
        self.ends = {}

    def note(self, name, value):
        lo, hi = self.ends.get(name, (0, 0))
        self.ends[name] = min(lo, int(np.min(value))), max(hi, int(np.max(value)))

    def __call__(self, name, value, width):
        self.note(name, value)
        return value

    def clip(self, name, x, width):
        self.note(name, x)
        return width.clip(x)

    def wrap(self, name, x, width):
        self.note(name, x)
        return width.wrap(x)


def sums(name):
    """Is a register of that name one of a sum of a row?"""
    first = name.split("_")[0]
    return first in RULED or first == "squares"


def reduces(step):
    """Does a step sum a row of codes of its one live operand, and nothing else?"""
    takes = step.row.takes
    return "c" in takes.get("q", takes[next(iter(takes))]).whole and hasattr(ops.load(step.op), "registers")


def registers(program, step, found, row=None):
    """(site, Width, least, most) of the sums of a step, under its row or another; `found`: tensor to (lo, hi, by)."""
    known = {name: (lo, hi) for name, (lo, hi, _) in found.items()}
    return [(name, width, int(np.min(lo)), int(np.max(hi))) for name, width, lo, hi in bounds.asked(program, step, known, row)
            if sums(name)]


def narrow(program, step, found, dialect):
    """Why the register of a dialect that has this operation is too narrow, or None."""
    own = {f.name: getattr(step.row, f.name) for f in fields(step.row) if f.metadata.get("decided")}
    for part in dialect.roles.values():
        if part.op != step.op:
            continue
        try:
            row = replace(part.row, **own)
        except IllFormed:
            continue
        for name, width, least, most in registers(program, step, found, row):
            if least < width.lo or most > width.hi:
                need = max(most, -least - 1, 0).bit_length() + 1
                return f"its {name} of {width} would need {need} bits"
    return None


def witnesses(program, step, found):
    """Rows of codes of the live operand: {"least": {"q": (1 c)}, "most": ..., "apart": one half at either end}."""
    name = step.inputs["q"]
    (lo, hi, _), count = found[name], program.tensors[name].shape[-1]
    dtype = program.tensors[name].width.dtype
    apart = np.where(np.arange(count) < count // 2, lo, hi)
    return {label: {"q": np.asarray(codes, dtype).reshape(1, -1)}
            for label, codes in (("least", np.full(count, lo)), ("most", np.full(count, hi)), ("apart", apart))}


def reached(program, step, found):
    """Site to the ends that the witnesses reach, by the operation's spec."""
    at = Held()
    for given in witnesses(program, step, found).values():
        operands = [given[k] if k in given else program.constants[step.inputs[k]] for k in step.row.takes]
        ops.load(step.op).spec(*(o if o.ndim else o[()] for o in operands), row=step.row, at=at)
    return at.ends


def extremes(program, step, found):
    """(site, Width, least, most, which codes) of the sums of a step: as proved, and what the witnesses reach if that is less."""
    held, (lo, hi, by) = reached(program, step, found), found[step.inputs["q"]]
    codes = f"{lo}..{hi} by {by}" if by else f"every {program.tensors[step.inputs['q']].width}"
    for name, width, least, most in registers(program, step, found):
        far = held.get(name, (0, 0))[1]
        yield name, width, np.array([least]), np.array([most]), codes if far == most else f"{codes}; a row reaches {far:,}"
