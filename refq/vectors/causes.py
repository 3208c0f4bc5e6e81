"""Causes: from what a device showed to a Diagnosis of the first steps that are wrong of themselves."""
import numpy as np

from refq.vectors.diagnose import diagnose
from refq.vectors.place import Place
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
