"""Verify: a device's tensors against a golden pack, step by step.

Each tensor that the device shows gets two verdicts: against the pack, and against what the steps before it give when
they are fed with the device's own tensors. Where the first is wrong and the second right, the error came in with the
inputs; where both are wrong, it was made there. Inputs of the network that the device does not show are the pack's.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints.sites import unwatched
from refq.vectors import watch
from refq.vectors.dump import Dump
from refq.vectors.pack import Pack, read
from refq.vectors.report import Report, Tally, Verdict, admit_tolerance


def verify(pack, against, require="any", tolerance=0, progress=None):
    """The Report of a dump against a pack.

    `pack`: a Pack or its folder; every case of it is read and checked. `against`: a folder of .npy, a .npz, a
    .safetensors, another pack, or a dict of arrays, as refq/vectors/dump.py says. `require`: "any": tensors that the
    device does not show are listed as not compared; "all": they are refused. `tolerance`: differences up to it count as
    right. `progress(done)` is told of every case compared.

    Raises IllFormed for a dump that shows no result of any step, shows one twice, holds an array that is no tensor of
    the pack, has a wrong dtype or shape, or lacks what `require` asks for; Corrupt for a pack or a dump that is damaged.

    >>> import refq, tempfile
    >>> from refq import embedded
    >>> images = embedded.as_input(embedded.calibration()[:8])
    >>> program = refq.quantize(refq.load(embedded.network()), images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pack = refq.record(program, images, f"{folder}/pack", cases=2)
    ...     device = program.run(program.encode(images[pack.manifest["images"]]))
    ...     right = refq.verify(pack, device)
    ...     wrong = refq.verify(pack, {name: codes ^ 1 for name, codes in device.items()})
    >>> right.passed, wrong.passed, wrong.first.tensor in program.outputs, wrong.first.pack.largest
    (True, False, True, 1)
    """
    if require not in ("any", "all"):
        raise IllFormed(f"require is {require!r}; it can be 'any' or 'all'")
    admit_tolerance(tolerance)
    pack = pack if isinstance(pack, Pack) else read(pack)
    dump = Dump(against, pack)
    left_out = list(unshown(dump, pack))
    if left_out and require == "all":
        raise IllFormed(f"{dump.where}: {len(left_out)} tensors are required and not shown: {', '.join(left_out[:8])}"
                        f"{' ...' if len(left_out) > 8 else ''}; dump them, or require 'any'")
    report = compare(pack, dump, left_out, tolerance, progress)
    if dump.partials:
        partial, said = watch.judged(pack, dump, tolerance)
        report.verdicts = watch.inserted(report.verdicts, partial, pack.program)
        report.notes, report.cases = said + report.notes, max(report.cases, watch.cases(dump))
    if report.wrong:
        from refq.vectors.diagnosis.causes import of_dump  # here: a device that is right needs no mutants
        report.diagnoses, unknown = of_dump(pack, dump, report)
        report.notes += unknown
    return report


def verify_itself(pack, progress=None):
    """The Report of a pack against its own program: every file checked, every case run anew by the kernels.

    Raises Corrupt with a sentence that says which file, and which tensor in it, was changed.
    """
    pack = pack if isinstance(pack, Pack) else read(pack)
    tallies, program = {name: Tally(0) for name in pack.steps}, pack.program
    for i in range(pack.cases):
        golden = pack.case(i)
        program.run({name: golden[name][None] for name in program.inputs}, watch=lambda step, name, codes, i=i,
                    golden=golden: tallies[name].add(i, codes[0], golden[name]))
        if progress:
            progress(i + 1)
    verdicts = [Verdict(pack.steps[name].name, pack.steps[name].op, name, tally) for name, tally in tallies.items()]
    return Report(pack.hash, "its own program", pack.cases, 0, verdicts)


def unshown(dump, pack):
    """The tensors that are not shown, and those that are shown in some cases only, with the cases that are missing."""
    for name in pack.recorded:
        missing = [i for i in range(pack.cases) if not dump.shows(name, i)]
        if len(missing) == pack.cases:
            yield name
        elif missing:
            yield f"{name} (cases {', '.join(f'{i:04d}' for i in missing)})"


def compare(pack, dump, left_out, tolerance, progress):
    against_pack = {name: Tally(tolerance) for name in pack.recorded if name in dump.names}
    own = {name: Tally(tolerance) for name in against_pack if name in pack.steps}
    outside, hidden, compared = {}, {}, set()
    for i in range(pack.cases):
        golden, shown = pack.case(i), dump.case(i)
        if shown:
            compared.add(i)
        for name, codes in shown.items():
            against_pack[name].add(i, codes, golden[name])
        before = {name: (tally.wrong, tally.near) for name, tally in own.items()}
        follow(pack, i, golden, shown, own, outside)
        for name, (wrong, near) in before.items():
            if own[name].wrong > wrong or own[name].near > near:
                steps = hidden_before(pack, shown, pack.steps[name])
                hidden.setdefault((name, own[name].wrong > wrong), set()).update(steps)
        if progress:
            progress(i + 1)
    verdicts = []
    for name in against_pack:
        step = pack.steps.get(name)
        steps = hidden.get((name, True), hidden.get((name, False), ()))     # of the cases that are wrong; else of the near
        verdicts.append(Verdict(step.name if step else "input", step.op if step else "input", name, against_pack[name],
                                own.get(name), tuple(s.name for s in pack.program.steps if s.name in steps)))
    notes = [f"{name} holds codes outside {pack.program.tensors[name].width}; what follows from it was recomputed from "
             "refq's own codes" for name in outside]
    notes += dump.notes()
    return Report(pack.hash, dump.where, len(compared), tolerance, verdicts, left_out, notes)


def follow(pack, case, golden, shown, own, outside):
    """Run the steps on the device's own tensors; a step whose inputs are all the pack's need not run again."""
    live, program = {}, pack.program

    def take(name, follows):
        codes = shown.get(name, follows)
        width = program.tensors[name].width
        if codes is not follows and codes.size and not (width.lo <= codes.min() and codes.max() <= width.hi):
            outside[name] = codes = follows
        if not np.array_equal(codes, golden[name]):
            live[name] = codes[None]

    for name in program.inputs:
        take(name, golden[name])
    for call in program.plan("kernel"):
        results = {name: golden[name] for name in call.step.outputs.values()}
        taken = [t for t in call.step.inputs.values() if t not in program.constants]
        if any(t in live for t in taken):
            arrays = {t: live.get(t, golden[t][None]) for t in taken}
            call(arrays, 1, unwatched)
            results = {name: arrays[name][0] for name in results}
        for name, follows in results.items():
            if name in shown:
                own[name].add(case, shown[name], follows)
            take(name, follows)


def hidden_before(pack, shown, step):
    """The names of the steps before `step`, up to tensors that the device shows of a case, whose results it does not."""
    found, ask = set(), [step]
    while ask:
        for name in ask.pop().inputs.values():
            maker = pack.steps.get(name)
            if maker and name not in shown and maker.name not in found:
                found.add(maker.name)
                ask.append(maker)
    return found
