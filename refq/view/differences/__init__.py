"""differences: in which fields two dialects differ, on which input each difference shows, and how often on random data.

A field of a dialect (grids, registers) is compared as it stands; a role by playing it from the same real scales: once whole,
and once for every field of its row that differs, changed alone.
"""
from dataclasses import dataclass, fields, replace

import numpy as np

from refq.dialects.base import Role
from refq.errors import IllFormed
from refq.graph.play import play
from refq.ints.accumulate import Accumulate
from refq.ints.row import differences as plain_differences
from refq.ints.row import stated
from refq.view.differences import trials

TEXTS = ("name", "title", "source", "date", "roles", "checks")


@dataclass(frozen=True)
class Difference:
    """`role`: "" for a field of the dialect; `field`: what differs ("operation", "whole row" or a field of the row);
    `left`, `right`: what each says; `witness`: an input and both results, or why there is none; `share`: of random results,
    those that differ, or None where none were drawn."""

    role: str
    field: str
    left: str
    right: str
    witness: str = ""
    share: float | None = None


def differences(a, b):
    """Every Difference between the dialects `a` and `b`, in the order of their fields and roles."""
    found = [Difference("", f.name, said(getattr(a, f.name)), said(getattr(b, f.name))) for f in fields(a)
             if f.name not in TEXTS and getattr(a, f.name) != getattr(b, f.name)]
    powers = "pow2" in (getattr(a, "scales", "any"), getattr(b, "scales", "any"))
    for role in dict.fromkeys((*a.roles, *b.roles)):
        found += of_role(role, a.roles.get(role), b.roles.get(role), powers)
    return found


def said(value):
    if isinstance(value, Accumulate):
        return f"{value.order}({', '.join(f'{k}={v}' for k, v in plain_differences(value).items() if k != 'order')})"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def of_role(role, left, right, powers):
    if left is None or right is None:
        return [Difference(role, "operation", left.op if left else "absent", right.op if right else "absent")]
    if (left.op, left.row) == (right.op, right.row):
        return []
    if left.op != right.op:
        return [compared(role, "operation", left.op, right.op, left, right, powers)]
    changed = [k for k in stated(type(left.row)) if getattr(left.row, k) != getattr(right.row, k)]
    found = []
    for field in changed:
        old, new = (said(getattr(side.row, field)) for side in (left, right))
        try:
            alone = Role(left.op, replace(left.row, **{field: getattr(right.row, field)}))
        except IllFormed:
            found.append(Difference(role, field, old, new, "cannot be changed alone"))
            continue
        found.append(compared(role, field, old, new, left, alone, powers))
    return found if len(changed) < 2 else [*found, compared(role, "all of these", "", "", left, right, powers)]


def compared(role, field, old, new, left, right, powers):
    """The Difference that trials show between two Roles."""
    witness, share = "", None
    tried = False
    for trial in trials.simple(role):
        results = both(left, right, trial)
        if results is None:
            continue
        tried = True
        apart = np.argwhere(results[0] != results[1])
        if len(apart):
            at = tuple(apart[0].tolist())
            witness = f"{trial.tell(at)}: {results[0][at]} and {results[1][at]}"
            break
    random = trials.random(role, np.random.default_rng(0), powers)
    results = random and both(left, right, random)
    if results:
        share = float(np.mean(results[0] != results[1]))
    return Difference(role, field, old, new, witness or ("no input tried shows it" if tried else ""), share)


def both(left, right, trial):
    """The results of two Roles, or None where one of them does not take the trial."""
    try:
        results = [play(side, trial.widths, trial.tensors, **trial.build) for side in (left, right)]
    except (IllFormed, TypeError):
        return None
    return results if results[0].shape == results[1].shape else None
