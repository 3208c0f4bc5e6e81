"""Workers: the calls of a job, made in processes of their own; a call that ends its process costs only its own group."""
import json
import signal
import sys
from os import environ, pathsep

import numpy as np

from refq.errors import RefqError
from refq.vectors.kernels import process

HANGS, CRASHES = 2, 16                  # so many calls may take too long, or end their process; the rest is then not run


def hand_over(folder, groups):
    """Write the arrays of each group (a dict by name); what is the same in all groups once."""
    same = [n for n in groups[0] if all(g[n] is groups[0][n] or np.array_equal(g[n], groups[0][n]) for g in groups)]
    np.savez(folder / "shared.npz", **{n: groups[0][n] for n in same})
    for i, group in enumerate(groups):
        np.savez(folder / f"{i}.npz", **{n: array for n, array in group.items() if n not in same})


def run_calls(folder, job, calls, limit, crashed=None):
    """Make `calls`: [turn, group, fill], for what was handed over into `folder`; gives group to what was wrong with it.

    `limit`: seconds for all of them. `crashed(call, status, words)` may say more of a call that ended its process.
    Raises RefqError where the code cannot be called at all."""
    faults, hangs, todo = {}, 0, list(calls)
    while todo:
        for stale in ("at", "said"):
            (folder / stale).unlink(missing_ok=True)
        ended = work(folder, job | {"calls": todo}, limit)
        if (folder / "said").is_file():
            if said := (folder / "said").read_text(errors="replace"):
                raise RefqError(said)
            break
        if not (folder / "at").is_file():
            raise RefqError(f"could not be started: {ended.last}")
        at = int((folder / "at").read_text() or 0)
        turn, group, fill = todo[at]
        faults[group] = words(ended, limit)
        if ended.status is not None and crashed:
            faults[group] = crashed(todo[at], ended.status, faults[group])
        todo = [call for call in todo[at + 1:] if call[1] not in faults]
        hangs += ended.status is None
        if hangs == HANGS or len(faults) == CRASHES:
            said = "ran too long" if hangs == HANGS else "crashed"
            faults |= {call[1]: f"not run, since other cases {said}" for call in todo}
            break
    return {int(f.stem): f.read_text(errors="replace") for f in folder.glob("*.fault")} | faults


def work(folder, job, limit):
    """One worker, on one job."""
    (folder / "job.json").write_text(json.dumps(job))
    paths = pathsep.join(p for p in sys.path if p)
    return process.run([sys.executable, "-P", "-m", "refq.vectors.kernels.worker", str(folder)], limit,
                       env=environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"})


def words(ended, limit):
    """What was wrong with a call that ended its process."""
    if ended.status is None:
        return f"ran longer than {limit} s; raise the time limit, or mend it"
    if ended.status < 0:
        return f"crashed with signal {-ended.status}{named(-ended.status)}"
    return f"ended its process with status {ended.status}: {ended.last}"


def named(number):
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""
