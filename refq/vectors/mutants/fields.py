"""Field mutants: a row with one field changed, and the rows of other dialects for the same operation."""
from dataclasses import fields, is_dataclass, replace
from math import frexp, ldexp
from typing import get_args

import numpy as np

from refq import dialects
from refq.errors import IllFormed
from refq.ints import multiplier
from refq.ints.accumulate import Accumulate
from refq.ints.row import alternatives, differences, stated
from refq.ints.width import I16, I24, I32
from refq.vectors.mutants import phrases

PAIRS = (("mult", "shift"), ("ma", "sa"), ("mb", "sb"), ("mo", "so"))
"""The operands that together are a multiplier."""


def mutants(step):
    """(kind, name, phrase, local, wrap) of every mutant of the step's row."""
    built = {f.name for f in fields(step.row) if f.metadata.get("acts") == "build"}
    for name, row in [*alternatives(step.row), *joins(step.row)]:
        if name not in built:
            old, new = value(step.row, name), value(row, name)
            yield "field", f"{name}={said(new)}", phrases.field(name, said(old), said(new)), True, with_row(row)
    if hasattr(step.row, "multiplier") and any(mult in step.row.takes for mult, _ in PAIRS):
        for form in forms:
            if form != step.row.multiplier:
                yield "field", f"multiplier={form}", phrases.multiplier[form], True, encoded(form)
    for name, row in others(step):
        changed = ", ".join(f"{k}={said(getattr(row, k))}" for k in stated(type(row)) if getattr(row, k) != getattr(step.row, k))
        yield "row", f"row {changed}", f"it computes as {name} does ({changed})", True, with_row(row)


def value(row, name):
    for part in name.split("."):
        row = getattr(row, part)
    return row


def said(held):
    """What a field holds, as text without spaces at its ends; a row in a row by what differs from its defaults."""
    if is_dataclass(held) and isinstance(held, Accumulate):
        return f"{held.order}({', '.join(f'{k}={v}' for k, v in differences(held).items() if k != 'order')})"
    return str(held)


def with_row(other):
    def wrap(run):
        return lambda operands, row=None, **how: run(operands, row=other, **how)
    return wrap


def joins(row):
    """Other ways in which products and codes join: in pairs and tiles that 16 bits hold, and in narrow registers."""
    for f in fields(row):
        if Accumulate in get_args(f.type):
            for rule in products(row) if hasattr(row, "acc") else sums(getattr(row, f.name)):
                if rule != getattr(row, f.name):
                    try:
                        yield f.name, replace(row, **{f.name: rule})
                    except IllFormed:       # another result than the row's register
                        continue


def products(row):
    return (Accumulate("pairs", 1, "saturate", I16, 1, row.acc), Accumulate("pairs", 1, "wrap", I16, 1, row.acc),
            Accumulate("sequential", 1, "saturate", I16, 8, row.acc), Accumulate("sequential", 1, "wrap", I16, 8, row.acc),
            Accumulate("tiles", 4, "saturate", row.acc if row.acc.bits < 64 else I24),
            Accumulate("exact", overflow="wrap", width=row.acc), Accumulate("sequential", 1, "saturate", row.acc))


def sums(rule):
    """Of sums whose register the row itself does not name: narrow ones, and what one that is joined as `rule` says may become."""
    others = (Accumulate("pairs", 1, "saturate", I16, 1, I32), Accumulate("exact", overflow="wrap", width=I16))
    if rule is None:
        return others
    turned = {"wrap": "saturate", "saturate": "wrap", "refuse": "wrap"}[rule.overflow]
    return None, *others, replace(rule, overflow=turned), Accumulate(overflow=rule.overflow, width=rule.width)


def others(step):
    """The rows that other dialects have for this operation, where they differ in more than one field."""
    built = {f.name for f in fields(step.row) if f.metadata.get("acts") == "build"}
    known, seen = [k for k in stated(type(step.row)) if k not in built], set()
    joined = [f.name for f in fields(step.row) if Accumulate in get_args(f.type)]
    for name in dialects.names():
        for role in dialects.load(name).roles.values():
            if type(role.row) is not type(step.row):
                continue
            try:
                row = replace(step.row, **{k: getattr(role.row, k) for k in known if k not in joined})
            except IllFormed:
                continue
            if row not in seen and sum(getattr(row, k) != getattr(step.row, k) for k in known) > 1:
                seen.add(row)
                yield name, row


def encoded(form):
    """Multipliers of another form: of the real number that each pair stands for."""
    def wrap(run):
        def altered(operands, **how):
            changed = dict(operands)
            for mult, shift in PAIRS:
                if mult in operands:
                    changed[mult], changed[shift] = again(form, operands[mult], operands[shift])
            return run(changed, **how)
        return altered
    return wrap


def again(form, mult, shift):
    """(mult, shift) in another form; of arrays or of numbers."""
    pairs = [forms[form](ldexp(float(m), -int(s))) for m, s in zip(np.atleast_1d(mult), np.atleast_1d(shift))]
    pairs = [pair if 0 <= pair[1] <= 62 else old for pair, old in zip(pairs, zip(np.atleast_1d(mult), np.atleast_1d(shift)))]
    if not isinstance(mult, np.ndarray):
        return int(pairs[0][0]), int(pairs[0][1])
    return (np.array([m for m, _ in pairs], mult.dtype), np.array([s for _, s in pairs], shift.dtype))


def nearest_power(scale):
    mantissa, exponent = frexp(scale)
    return (1, (1 if mantissa < 0.75 else 0) - exponent) if scale else (0, 31)


def truncated(scale):
    """A q31 mantissa that is cut off where it should be rounded."""
    mantissa, exponent = frexp(scale)
    return int(ldexp(mantissa, 31)) & ~1, 31 - exponent


forms = {form: (lambda scale, form=form: multiplier.pair(scale, form)) for form in ("q31", "q15", "mantissa24", "dyadic")}
forms |= {"pow2": nearest_power, "truncated": truncated}
