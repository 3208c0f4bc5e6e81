"""Mutants: the ways in which a step can be wrong, each a change around a computation that is right.

    field     one field of the row has another value (fields.py)
    row       the whole row is another dialect's (fields.py)
    site      one register, rounding, clip or wrap inside the operation is altered (altered.py)
    slip      a structural mistake that the operation lists, or that its axes or constants make possible (structural.py,
              constants.py)
    term      one of the terms of a sum of products (products.py), or words that several channels share (lanes.py)
    geometry  a window that slides otherwise (geometry.py)
    storage   codes are read or written in another representation (storage.py)
    unit      steps of a run are dropped, repeated or swapped, or a bias joins behind its rescale (steps.py)
    layout    all values are right, and stand in the wrong places of the result (layouts.py)

A mutant wraps `run(operands, row, at) -> results` into one that goes wrong; so two of them compose. They run in the
spec and are never compiled. Where on the result a mutant acts is a region (regions.py).
"""
from dataclasses import dataclass, field
from functools import cache

from refq.vectors.diagnosis.place import held


@dataclass(frozen=True, eq=False)
class Mutant:
    """`place`: of the step in its run; `name`: unique text; `phrase`: what goes wrong, in words; `local`: each element
    can be computed alone; `across`: it goes wrong between cases; `wrap`: run to run; `whole`: instead of it, a function of a
    Place that gives all results."""

    place: int
    kind: str
    name: str
    phrase: str
    local: bool = True
    wrap: object = field(default=None, repr=False)
    whole: object = field(default=None, repr=False)

    @property
    def across(self):
        return self.name.endswith(("_of_previous_case", " of the previous case"))

    def around(self, run):
        """`run` gone wrong."""
        return self.wrap(run)

    def __str__(self):
        return self.name


@cache
def of_step(step, place=0):
    """All mutants of one step (a tuple of Mutant); none of another run does the same by construction."""
    from refq.vectors.mutants import altered, constants, fields, geometry, lanes, products, storage, structural
    found = {}
    for family in (fields, structural, constants, products, lanes, geometry, storage, altered):
        for kind, name, phrase, local, wrap in family.mutants(step):
            found.setdefault(name, Mutant(place, kind, name, phrase, local, contained(wrap, step.row)))
    return tuple(found.values())


def contained(wrap, row):
    """`wrap` whose results lie in the containers of their widths, as those of a right run do."""
    def around(run):
        made = wrap(run)
        return lambda operands, **how: {k: held(v, row.gives[k]) for k, v in made(operands, **how).items()}
    return around


def of_run(program, run):
    """All mutants of a run of steps: those of each, and those of the run as a whole."""
    from refq.vectors.mutants import steps
    return (*(m for place, step in enumerate(run) for m in of_step(step, place)), *steps.mutants(program, run))
