"""Causes: from what a device showed to a Diagnosis of the first steps that are wrong of themselves."""
from dataclasses import dataclass

import numpy as np

from refq.vectors.diagnosis.diagnose import diagnose
from refq.vectors.diagnosis.place import Place
from refq.vectors.mutants import regions
from refq.vectors.verify import hidden_before

STEPS, RUNS, ELEMENTS = 12, 3, 1 << 21
"""Steps of a run whose causes are looked for, runs that are looked at, and elements of results of one."""


def of_dump(pack, dump, report):
    """The Diagnoses of the first runs of steps in a report that are wrong of themselves, and sentences for those that
    cannot be diagnosed."""
    found, notes = [], []
    for verdict in [v for v in report.wrong if v.kind == "originates" and v.tensor in pack.steps][:RUNS]:
        if len(verdict.hidden) >= STEPS:
            notes.append(f"no cause was looked for in {verdict.unit}: {len(verdict.hidden)} steps before it are not shown; dump "
                         "a tensor between them")
            continue
        found.append(diagnosed(pack, dump, verdict))
    return found, notes


def of_units(program, golden, judged):
    """The Diagnoses of a kernel's units (Judged, judge.py): those of the same operations and rows together, since one device
    did them; and what was never written. `golden`: of each case, tensor to codes."""
    groups, found = {}, []
    for unit in judged:
        groups.setdefault(tuple((s.op, s.row) for s in unit.unit.steps), []).append(unit)
    for units in groups.values():
        found += unwritten(units)
        wrong = [first_wrong(golden, unit) for unit in units if unit.codes]
        depth = min((i for i in wrong if i is not None), default=None)
        if depth is None:
            continue
        trials = [trial_of(program, golden, unit, depth) for unit in units if unit.codes]
        found.append(diagnose(*map(list, zip(*[t for t in trials if t]))))
    return found


def first_wrong(golden, unit):
    """The place in the unit of the first step whose shown result is wrong where it speaks, or None."""
    for i, step in enumerate(unit.unit.steps):
        for tensor in step.outputs.values():
            if tensor in unit.codes:
                right = np.stack([golden[case][tensor] for case in unit.cases])
                if ((unit.codes[tensor] != right) & ~unit.aside[tensor]).any():
                    return i
    return None


def trial_of(program, golden, unit, depth):
    """(place, device, aside) of the first steps of a unit, or None where the last of them is not shown."""
    steps = unit.unit.steps[:depth + 1]
    if not set(steps[-1].outputs.values()) & set(unit.codes):
        return None
    codes = {name: np.stack([golden[case][name] for case in unit.cases]) for name in outside(program, steps)}
    return Place(program, steps, codes), unit.codes, unit.aside


@dataclass(frozen=True)
class Unwritten:
    """Elements that a device never wrote: `count` of `total` in the results named, in a region (or None: no words hold)."""

    step: str
    tensors: tuple
    count: int
    total: int
    where: str | None

    def words(self):
        return {"step": self.step, "never_written": list(self.tensors), "count": self.count, "total": self.total,
                "where": self.where}

    def lines(self):
        more = f" and {len(self.tensors) - 1} more results" if len(self.tensors) > 1 else ""
        where = f", in {self.where}" if self.where else ""
        yield (f"cause: step {self.step}: {self.count:,} of {self.total:,} elements of {self.tensors[0]}{more} are never written"
               f"{where}")


def unwritten(units):
    """What was never written of the last results of units that one device did, in a list; [] where all was."""
    found = {}
    for unit in units:
        for verdict in unit.verdicts:
            if verdict.pack.unwritten and verdict.tensor in unit.unit.steps[-1].outputs.values():
                found[verdict.tensor] = unit.unwritten[verdict.tensor]
    if not found:
        return []
    every = {t: unit.unwritten[t] for unit in units for t in unit.unit.steps[-1].outputs.values() if t in unit.unwritten}
    candidates = (r for mask in found.values() for r in regions.holding(mask, ~mask))
    region = next((r for r in candidates if all(regions.holds(r, mask, ~mask) for mask in every.values())), None)
    count, total = (sum(int(np.size(m) if whole else m.sum()) for m in every.values()) for whole in (False, True))
    return [Unwritten(units[0].unit.name, tuple(found), count, total, region and region.name)]


def diagnosed(pack, dump, verdict):
    """The Diagnosis of one wrong tensor: the hidden steps before it, and its own, at the device's own tensors."""
    own = verdict.own or verdict.pack
    wanted = {w["case"] for w in own.first}
    order = [*sorted(wanted), *(i for i in range(pack.cases) if i not in wanted)]
    steps, codes, got = None, {}, []
    size = pack.program.tensors[verdict.tensor].bytes
    for i in order[:max(1, ELEMENTS // max(1, size))]:
        golden, shown = pack.case(i), dump.case(i)
        if verdict.tensor not in shown:
            continue
        names = hidden_before(pack, shown, pack.steps[verdict.tensor]) | {verdict.step}
        if steps is None:
            steps = [s for s in pack.program.steps if s.name in names]
        if names != {s.name for s in steps}:
            continue
        got.append(shown[verdict.tensor])
        for name in outside(pack.program, steps):
            codes.setdefault(name, []).append(admitted(shown.get(name, golden[name]), golden[name], pack.program.tensors[name]))
    place = Place(pack.program, steps, {name: np.stack(arrays) for name, arrays in codes.items()})
    diagnosis = diagnose(place, {verdict.tensor: np.stack(got)})
    if len(got) < pack.cases:
        diagnosis.notes.append(f"looked at {len(got)} of {pack.cases} cases")
    return diagnosis


def outside(program, steps):
    """The tensors that a run of steps takes and does not make, without constants."""
    made = {t for s in steps for t in s.outputs.values()}
    return list(dict.fromkeys(t for s in steps for t in s.inputs.values() if t not in made and t not in program.constants))


def admitted(codes, golden, tensor):
    """A device's codes, or the pack's where they leave the tensor's width."""
    fits = not codes.size or tensor.width.lo <= codes.min() and codes.max() <= tensor.width.hi
    return codes if fits else golden
