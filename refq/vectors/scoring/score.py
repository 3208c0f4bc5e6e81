"""The mutation score of vectors: which bugs they catch, and which would pass unseen.

Every mutant of every operation and row that the vectors show runs in the spec on the vectors' own inputs; it is killed
where its result differs. A mutant that acts element by element is tried in every region as well (the tail of a vector
loop, the last row ...): there it acts inside the region alone. What is not killed is proved to be no bug
(equivalent.py), or named: nobody knows then whether other vectors would kill it.

Runs of steps whose operations and rows are alike are one group: what one of them kills is killed. Rows that only a
geometry tells apart (stride, padding, groups, moves) are alike.
"""
import re
from dataclasses import dataclass, field, fields

import numpy as np

from refq.errors import RefqError
from refq.ints.width import Width
from refq.vectors.diagnosis.place import Place
from refq.vectors.mutants import of_run, of_step
from refq.vectors.mutants.regions import everywhere, named
from refq.vectors.scoring import equivalent

SAMPLE = 2
"""Cases that are tried first: a mutant that shows there needs no more."""


@dataclass(eq=False)
class Group:
    """Runs of steps that are alike. `dead`: (mutant, region), by name, to whether it is killed; `mutants`: name to where
    there is one, pairs (run of steps, Mutant); `equivalent`: mutant to the sentence why it is no bug."""

    name: str
    dead: dict = field(default_factory=dict)
    mutants: dict = field(default_factory=dict)
    equivalent: dict = field(default_factory=dict)

    def join(self, run, mutants, shown):
        """Take in what a run has `shown`: pair to killed or not."""
        for mutant in mutants:
            self.mutants.setdefault(mutant.name, []).append((run, mutant))
        for pair, killed in shown.items():
            self.dead[pair] = self.dead.get(pair, False) or killed

    @property
    def alive(self):
        """The pairs that are neither killed nor proved equivalent."""
        return [pair for pair, killed in self.dead.items() if not killed and pair[0] not in self.equivalent]

    @property
    def counts(self):
        """How many mutants, each with its regions, are killed, proved equivalent, or survive."""
        return counted({pair: "killed" if killed else "equivalent" if pair[0] in self.equivalent else "survivors"
                        for pair, killed in self.dead.items()})

    @property
    def bugs(self):
        """The same of mutants wherever they act: killed is what is seen somewhere."""
        seen = {name for (name, _), killed in self.dead.items() if killed}
        return counted({name: "killed" if name in seen else "equivalent" if name in self.equivalent else "survivors"
                        for name, _ in self.dead})


def counted(fates):
    found = list(fates.values())
    return {"mutants": len(found)} | {fate: found.count(fate) for fate in ("killed", "equivalent", "survivors")}


@dataclass(frozen=True, eq=False)
class Score:
    """The `groups`; `relative_to`: "given constants" or "drawn constants"."""

    groups: tuple
    relative_to: str

    @property
    def counts(self):
        return summed(g.counts for g in self.groups)

    @property
    def complete(self):
        """Is every mutant, in every region, killed or proved equivalent?"""
        return not self.counts["survivors"]

    def json(self):
        """In JSON's kinds, as the manifest holds it under mutation_score."""
        return {"relative_to": self.relative_to, **self.counts, "bugs": summed(g.bugs for g in self.groups), "groups": [
            {"name": g.name, **g.counts, "survivors_by_name": survivors(g), "proved_equivalent": g.equivalent}
            for g in self.groups]}


def summed(counts):
    counts = list(counts)
    return {key: sum(c[key] for c in counts) for key in ("mutants", "killed", "equivalent", "survivors")}


def survivors(group):
    """Names of what would pass unseen: a mutant, or a mutant in the regions where it would."""
    found = {}
    for name, region in group.alive:
        found.setdefault(name, []).append(region)
    return [name if everywhere.name in where else f"{name}, in {' or '.join(where)}" for name, where in found.items()]


def score(program, codes, free=False, progress=None):
    """The Score of vectors: `codes` maps each input of `program` to its codes (cases *shape).

    `free`: the constants are vectors too, drawn like the rest, and a mutant is no bug only where no constants would
    show it; otherwise the constants are the device's own. `progress(done)` is told of every run of steps tried.
    Raises IllFormed for codes that the program does not take.
    """
    everything = values(program, codes)
    groups = {}
    for run in runs(program):
        group = groups.setdefault(key(run), Group(title(run)))
        mutants = mutants_of(program, run)
        group.join(run, mutants, shown(program, run, everything, mutants, group))
        if progress:
            progress(1)
    for group in groups.values():
        judge(program, group, free)
    return Score(tuple(groups.values()), "drawn constants" if free else "given constants")


def judge(program, group, free):
    """Prove of as many of the group's mutants as possible that they are no bugs."""
    for name in dict.fromkeys(name for name, _ in group.alive):
        if (name, everywhere.name) in group.dead and group.dead[name, everywhere.name]:
            continue
        if reason := equivalent.reason(program, group.mutants[name], free):
            group.equivalent[name] = reason


def values(program, codes):
    """Every tensor of some cases by the kernels: name to codes (cases *shape)."""
    found = {name: np.asarray(codes[name]) for name in program.inputs}
    parts = {}
    program.run(codes, threads=1, watch=lambda step, name, array: parts.setdefault(name, []).append(array))
    return found | {name: np.concatenate(arrays) for name, arrays in parts.items()}


def runs(program):
    """Lists of steps that are scored together: of vectors of a unit (steps OP.0, OP2.0, OP.1 ...) each configuration, of
    other programs each step alone."""
    numbered = [re.fullmatch(r"(\w+)\.(\d+)", s.name) for s in program.steps]
    if not all(m and m[1] == s.op for m, s in zip(numbered, program.steps)):
        return [[s] for s in program.steps]
    found = {}
    for match, step in zip(numbered, program.steps):
        found.setdefault(int(match[2]), []).append(step)
    return list(found.values())


def mutants_of(program, run):
    return of_step(run[0]) if len(run) == 1 else of_run(program, run)


def key(run):
    """What runs that are alike have in common."""
    return tuple((s.op, tuple((f.name, getattr(s.row, f.name)) for f in fields(s.row) if not geometry(s.row, f))) for s in run)


def geometry(row, f):
    return bool(f.metadata.get("decided")) and not isinstance(getattr(row, f.name), Width)


def title(run):
    """A group in words: operations, and what their rows say that is not usual."""
    return " + ".join(f"{s.op}({words})" if (words := stated(s.row)) else s.op for s in run)


def stated(row):
    return ", ".join(f"{f.name}={getattr(row, f.name)}" for f in fields(row)
                     if getattr(row, f.name) != f.default and not geometry(row, f))


def shown(program, run, everything, mutants, group):
    """Pair (mutant, region) to whether this run kills it; what the `group` has killed is not tried again."""
    found, dead = {}, group.dead
    made = {t for step in run for t in step.outputs.values()}
    taken = {t for step in run for t in step.inputs.values() if t not in program.constants and t not in made}
    cases = len(next(iter(everything.values())))
    for most in dict.fromkeys((min(SAMPLE, cases), cases)):
        place = Place(program, run, {t: everything[t][:most] for t in taken})
        for mutant in mutants:
            pairs = [(mutant.name, r) for r in region_names(place, mutant)]
            if all(dead.get(p) or found.get(p) for p in pairs):
                continue
            for pair, killed in kills(place, mutant).items():
                found[pair] = found.get(pair, False) or killed
    return found


def masks(place):
    """Of each result of the place's last step: region to mask; one result decides the regions."""
    tensor = place.results[0]
    if "masks" not in place.__dict__:
        shape = place.program.tensors[tensor].shape
        place.__dict__["masks"] = {r.name: r.mask(shape) for r in named(shape)}
    return place.__dict__["masks"]


def region_names(place, mutant):
    return list(masks(place)) if mutant.local else [everywhere.name]


def kills(place, mutant):
    """(mutant, region) to whether the place tells it from the truth; empty where it cannot run there."""
    try:
        with np.errstate(all="ignore"):
            results = place.run(mutant)
    except (RefqError, ValueError, IndexError, KeyError, ZeroDivisionError):
        return {}
    wrong = results[place.results[0]] != place.truth[place.results[0]]
    somewhere = wrong.any(axis=0)
    return {(mutant.name, r): bool((somewhere & masks(place)[r]).any()) for r in region_names(place, mutant)}
