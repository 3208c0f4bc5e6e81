"""A Python function, judged by a golden pack as a kernel is: in a process of its own, twice, in two orders.

A function of a unit takes what it names of the unit's operands, as NumPy arrays, and of the whole program its inputs (of
one case, without a batch axis). It gives the result as one array, several as a tuple in order, or a dict by name, in
which results of other steps may be too.
"""
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from refq.errors import IllFormed, RefqError
from refq.vectors.kernels.asked import of_program, of_unit
from refq.vectors.kernels.calls import Shown
from refq.vectors.kernels.judge import judge, nothing_judged
from refq.vectors.kernels.kernel import cases_of, report_of
from refq.vectors.kernels.workers import hand_over, run_calls
from refq.vectors.pack import Pack, read
from refq.vectors.report import admit_tolerance
from refq.vectors.units import units
from refq.vectors.verify import verify

TIME_LIMIT = 60                         # seconds for all calls on one unit


def verify_python(pack, function, unit=None, tolerance=0, time_limit=TIME_LIMIT):
    """The Report of a function against a pack.

    `function`: "module:function", or "path/file.py:function"; modules are looked for in the current folder too. `unit`:
    patterns of step names (list of text), as in kernel.toml, every place that fits is judged; None: the whole program.

    Raises IllFormed and RefqError as verify_kernel does.
    """
    module, _, name = str(function).rpartition(":")
    if not module or not name.isidentifier():
        raise IllFormed(f"--python {function}: write module:function, or path/file.py:function")
    job = {"device": "refq.vectors.kernels.worker_python", "module": module, "function": name}
    return verify_arrays(pack, job, f"{name} of {module}", unit, tolerance, time_limit)


def verify_arrays(pack, job, against, unit, tolerance, time_limit):
    """The Report of what a worker calls for `job` on arrays by name; `against`: what it is, in words."""
    admit_tolerance(tolerance)
    pack = pack if isinstance(pack, Pack) else read(pack)
    if unit is None:
        return whole_program(pack, job, against, tolerance, time_limit)
    places = units(pack.program, unit, "--unit")
    golden = cases_of(pack, places)
    judged, notes = [], []
    for place in places:
        found, said = asked_and_judged(of_unit(place, golden), golden, place, job, against, tolerance, time_limit)
        judged.append(found)
        notes += said
    report = report_of(pack, against, tolerance, judged)
    report.notes += notes
    return nothing_judged(report)


def whole_program(pack, job, against, tolerance, time_limit):
    """The Report of a program's outputs, and of what else is shown: what originates is told from what propagates."""
    golden = [pack.case(i) for i in range(pack.cases)]
    asked = of_program(pack, golden)
    judged, notes = asked_and_judged(asked, golden, asked, job, against, tolerance, time_limit)
    seen = report_of(pack, against, tolerance, [judged])
    if not judged.cases:
        return nothing_judged(seen)
    dump = {f"{case:04d}/{name}": array[i].astype(pack.program.tensors[name].width.dtype)
            for name, array in judged.codes.items() for i, case in enumerate(judged.cases)}
    report, marked = verify(pack, dump, "any", tolerance), {v.tensor: v.pack for v in seen.verdicts}
    for verdict in report.verdicts:
        verdict.pack = marked[verdict.tensor]
    report.against, report.faults = against, seen.faults
    report.notes += notes
    return report


def asked_and_judged(asked, golden, unit, job, against, tolerance, time_limit):
    """(the Judged, notes) of one question."""
    with TemporaryDirectory(prefix="refq-function-") as folder:
        device = Arrays(asked, job, f"{against} on unit {asked.name}" if unit is not asked else against, Path(folder),
                        time_limit)
        return judge(golden, device, unit, tolerance), device.notes


class Arrays:
    """What `judge` asks of code that takes arrays by name and gives arrays."""

    def __init__(self, asked, job, where, folder, time_limit):
        self.asked, self.where, self.folder, self.time_limit = asked, where, folder, time_limit
        self.tries, self.results, self.notes = count(), [], []
        self.job = job | {"live": asked.live, "own": asked.own, "shapes": {n: list(a.shape) for n, a in asked.given[0].items()},
                          "results": [w.names for w in asked.wanted], "order": [w.names[0] for w in asked.results]}

    def run(self, turns):
        folder = self.folder / str(next(self.tries))
        folder.mkdir()
        hand_over(folder, [arrays | decoded(arrays, self.asked.grids) for arrays in self.asked.given])
        forth = range(len(self.asked.given))
        calls = [[t.name, case, t.fill] for t in turns for case in (reversed(forth) if t.backward else forth)]
        try:
            faults = run_calls(folder, self.job | {"folder": str(folder)}, calls, self.time_limit)
        except RefqError as e:
            raise RefqError(f"{self.where}: {e}") from None
        if (note := folder / "note").is_file():
            self.notes = note.read_text().splitlines()
        return self.sorted_in(folder, calls, faults), faults

    def sorted_in(self, folder, calls, faults):
        """(turn, case) to {tensor: Shown}; what is no result is one of the faults."""
        shown = {}
        for turn, case, _ in calls:
            if case not in faults:
                try:
                    with np.load(folder / f"{turn}.{case}.npz") as arrays:
                        codes = self.asked.sorted_in(dict(arrays), self.where)
                    self.results = self.results or list(codes)
                    if set(codes) != set(self.results):
                        raise RefqError(f"gives {', '.join(codes)}, and in another case {', '.join(self.results)}; give the same "
                                        "in all")
                    shown[turn, case] = {tensor: Shown(array) for tensor, array in codes.items()}
                except RefqError as e:
                    faults[case] = str(e)
        return {key: found for key, found in shown.items() if key[1] not in faults}

    def poison(self, tensor, turn):
        return None


def decoded(arrays, grids):
    """`real:NAME`: what the codes stand for, float32, of arrays that have a grid."""
    return {f"real:{n}": grids[n].decode(a).astype(np.float32) for n, a in arrays.items() if grids.get(n)}
