"""Mutants: the ways in which a step can be wrong, each a change around a computation that is right.

    field     one field of the row has another value (fields.py)
    row       the whole row is another dialect's (fields.py)
    site      one register, rounding, clip or wrap inside the operation is altered (altered.py)
    slip      a structural mistake that the operation lists, or that its axes make possible (structural.py)
    storage   codes are read or written in another representation (storage.py)
    unit      steps of a run are dropped, repeated or swapped, or a bias joins behind its rescale (steps.py)

A mutant wraps `run(operands, row, at) -> results` into one that goes wrong; so two of them compose. They run in the
spec and are never compiled. Where on the result a mutant acts is a region (regions.py).
"""
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True, eq=False)
class Mutant:
    """`place`: of the step in its run; `name`: unique text; `phrase`: what goes wrong, in words; `local`: each element
    can be computed alone; `wrap`: run to run; `whole`: instead of it, a function of a Place that gives all results."""

    place: int
    kind: str
    name: str
    phrase: str
    local: bool = True
    wrap: object = field(default=None, repr=False)
    whole: object = field(default=None, repr=False)

    def around(self, run):
        """`run` gone wrong."""
        return self.wrap(run)

    def __str__(self):
        return self.name


@cache
def of_step(step, place=0):
    """All mutants of one step (a tuple of Mutant); none of another run does the same by construction."""
    from refq.vectors.mutants import altered, fields, storage, structural
    found = {}
    for make in (fields.mutants, altered.mutants, structural.mutants, storage.mutants):
        for kind, name, phrase, local, wrap in make(step):
            found.setdefault(name, Mutant(place, kind, name, phrase, local, wrap))
    return tuple(found.values())


def of_run(program, run):
    """All mutants of a run of steps: those of each, and those of the run as a whole."""
    from refq.vectors.mutants import steps
    return (*(m for place, step in enumerate(run) for m in of_step(step, place)), *steps.mutants(program, run))
