"""Judge: what a device shows of a unit, against the cases of a pack.

Every case runs twice: results are filled with 0xAA before the first run and, from the last case to the first, with 0x55
before the second. Where the two differ it runs again, each time in a process of its own:

    unwritten         holds the fill both times
    nondeterministic  the first run, repeated, gives something else anywhere in the unit
    leftover          with the other fill, in the same order, it gives something else: it reads what its result held
    stateful          what remains: it depends on the calls before
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import RefqError
from refq.vectors.kernels.calls import AGAIN, FIRST, REFILLED, SAME
from refq.vectors.report import Tally, Verdict


@dataclass(frozen=True, eq=False)
class Judged:
    """`verdicts` of a unit's results; `faults`: sentences of what could not be judged; `cases`: those that could;
    `codes`: tensor to (cases *shape), as the device showed them in the first run, unknown ones as 0; `unwritten`, `aside`:
    tensor to the elements (cases *shape) that were never written, and to all that are wrong whatever they hold."""

    unit: object
    verdicts: list
    faults: list
    cases: list
    codes: dict
    unwritten: dict
    aside: dict


def judge(golden, device, unit, tolerance):
    """The Judged of a unit. `golden`: of each case, tensor to codes. `device`: has `results` (the tensors that it shows),
    `run(turns)` (gives (turn name, case) to {tensor: Shown}, and case to what was wrong), `poison(tensor, turn)` (the codes
    never written, or None), and `where`, which begins its sentences."""
    shown, faults = device.run((FIRST, AGAIN))
    if any(unsteady(device, shown, i, t).any() for i in range(len(golden)) if i not in faults for t in device.results):
        for turn in (SAME, REFILLED):
            more, wrong = device.run((turn,))
            shown, faults = shown | more, faults | wrong
    cases = [i for i in range(len(golden)) if i not in faults]
    chance = any((shown["first", i][t].codes != shown["same", i][t].codes).any()
                 for i in cases if ("same", i) in shown for t in device.results)
    verdicts, codes, never, aside = [], {}, {}, {}
    for tensor in device.results if cases else ():
        tally, marked = Tally(tolerance), [marks(device, shown, i, tensor, chance) for i in cases]
        for i, mark in zip(cases, marked):
            one, two = shown["first", i][tensor], shown["again", i][tensor]
            tally.add(i, one.codes, golden[i][tensor], two.codes, mark)
            for part in (one, two):
                if part.padding:
                    tally.add_padding(i, *part.padding, part.pad)
        verdicts.append(Verdict(unit.name, " + ".join(s.op for s in unit.steps), tensor, tally))
        codes[tensor] = np.stack([shown["first", i][tensor].codes for i in cases])
        never[tensor] = np.stack([mark["unwritten"] for mark in marked])
        aside[tensor] = np.stack([np.logical_or.reduce(list(mark.values())) for mark in marked])
    return Judged(unit, verdicts, list(sentences(device.where, faults)), cases, codes, never, aside)


def marks(device, shown, case, tensor, chance):
    """Kind to the elements (*shape) of a case that are wrong whatever they hold; `chance`: do equal runs differ?"""
    one, two = shown["first", case][tensor], shown["again", case][tensor]
    found, rest = {"unwritten": unwritten(device, one, two, tensor)}, unsteady(device, shown, case, tensor)
    if chance:
        found["nondeterministic"] = rest
    elif rest.any():
        filled = shown["refilled", case][tensor].codes != one.codes
        found |= {"leftover": rest & filled, "stateful": rest & ~filled}
    unknown = [part.unknown for part in (one, two) if part.unknown is not None]
    return found | ({"unknown": np.logical_or.reduce(unknown)} if unknown else {})


def unwritten(device, one, two, tensor):
    fills = [device.poison(tensor, turn) for turn in (FIRST, AGAIN)]
    if fills[0] is None:
        return np.zeros(one.codes.shape, bool)
    return (one.codes == fills[0]) & (two.codes == fills[1])


def unsteady(device, shown, case, tensor):
    """The elements of a case that two runs gave differently, though they were written and known."""
    one, two = shown["first", case][tensor], shown["again", case][tensor]
    found = (one.codes != two.codes) & ~unwritten(device, one, two, tensor)
    for part in (one, two):
        if part.unknown is not None:
            found = found & ~part.unknown
    return found


def sentences(where, faults):
    """One sentence for each kind of fault, with the cases that it befell."""
    kinds = {}
    for case, words in sorted(faults.items()):
        kinds.setdefault(words, []).append(f"{case:04d}")
    for words, cases in kinds.items():
        more = f" and {len(cases) - 4} more" if len(cases) > 4 else ""
        yield f"{where}, case{'s' * (len(cases) > 1)} {', '.join(cases[:4])}{more}: {words}"


def nothing_judged(report):
    """The report, unless nothing in it could be judged: then RefqError, with the first fault."""
    if report.faults and not report.total:
        more = len(report.faults) - 1
        raise RefqError(report.faults[0] + (f" (and {more} more fault{'s' * (more > 1)})" if more else ""))
    return report
