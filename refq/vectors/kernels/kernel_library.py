"""A C function out of a shared library, called in a worker."""
from itertools import count

import numpy as np

from refq.errors import RefqError
from refq.vectors.kernels.calls import Calls
from refq.vectors.kernels.workers import hand_over, run_calls

ALIGN = 16                              # what malloc grants
PROBED = 8                              # of so many crashes it is asked which argument they have to do with


class Library:
    """The calls of one unit; `folder`: a temporary one for what goes to the worker and back."""

    def __init__(self, kernel, unit, golden, folder):
        self.calls, self.kernel, self.folder, self.tries = Calls(kernel, unit, golden), kernel, folder, count()
        self.probes, self.past = count(), []
        self.poison, self.results = self.calls.poison, list(self.calls.results)
        self.where = f"{kernel.path}: {kernel.prototype.name} on unit {unit.name}"
        arguments = [{"name": a.name, "dtype": a.dtype.str, "way": a.way,
                      "align": kernel.arguments.get(a.name, {}).get("align", max(ALIGN, a.dtype.itemsize))}
                     for a in kernel.prototype.arguments]
        pointers = [a["name"] for a in arguments if a["way"] != "value"]
        self.job = {"device": "refq.vectors.kernels.worker_library", "library": str(kernel.library),
                    "symbol": kernel.prototype.name, "returns": kernel.prototype.returns and kernel.prototype.returns.str,
                    "success": kernel.success, "arguments": arguments, "guarded": pointers}

    def run(self, turns):
        """Make the calls of some turns in one worker: as Calls.by_case gives it."""
        folder = self.fresh()
        hand_over(folder, [{g.argument.name: handed(g) for g in call} for call in self.calls.given])
        calls = [[t.name, group, t.fill] for t in turns for group in self.calls.order(t)]
        try:
            faults = run_calls(folder, self.job, calls, self.kernel.time_limit, self.crashed)
        except RefqError as e:
            raise RefqError(f"{self.where}: {e}") from None
        raws = {}
        for turn, group, _ in calls:
            if group not in faults:
                with np.load(folder / f"{turn}.{group}.npz") as arrays:
                    raws[turn, group] = dict(arrays)
        return self.calls.by_case(raws, faults)

    def fresh(self):
        folder = self.folder / str(next(self.tries))
        folder.mkdir()
        return folder

    def crashed(self, call, status, words):
        """What a crash was: where the call lives without guard pages, it went past the end of an argument."""
        group, pointers = call[1], self.job["guarded"]
        rest = [p for p in pointers if p not in self.past] if self.past else []
        if status < 0 and next(self.probes) < PROBED and self.survives(group, rest):
            self.past = self.past or [p for p in pointers if not self.survives(group, [p])]
            if self.past:
                return f"reads or writes far outside argument {' and '.join(map(repr, self.past))}, and crashes there"
        return f"{words}; check sizes and layouts in kernel.toml"

    def survives(self, group, guarded):
        folder = self.fresh()
        hand_over(folder, [{g.argument.name: handed(g) for g in self.calls.given[group]}])
        try:
            return not run_calls(folder, self.job | {"guarded": guarded}, [["first", 0, 0xAA]], self.kernel.time_limit)
        except RefqError:
            return False


def handed(given):
    """What the worker gets of an argument: bytes, a number, or the size of a result."""
    if given.argument.way == "out":
        return np.int64(given.nbytes)
    return given.packed if given.storage else given.codes.astype(given.argument.dtype)
