"""Worker: runs somebody's code in a process of its own, so that its crash is not refq's.

    python -P -m refq.vectors.kernels.worker FOLDER

FOLDER holds job.json (`device`: the module below that opens the code, `calls`: [turn, group, fill] in order, and what
the device needs), shared.npz (what is the same in every group) and <group>.npz. Each call leaves <turn>.<group>.npz, or
what was wrong with it in <group>.fault, after which the group is not called again. `at` holds the number of the call
that is running, `said` why no call can be made (empty: all were).
"""
import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np


class Refused(Exception):
    """The code cannot be called at all; says why."""


def main(folder):
    job = json.loads((folder / "job.json").read_text())
    try:
        call = import_module(job["device"]).opened(job)
    except Refused as e:
        return str(e)
    with np.load(folder / "shared.npz") as arrays:
        shared = dict(arrays)
    for number, (turn, group, fill) in enumerate(job["calls"]):
        fault = folder / f"{group}.fault"
        if fault.exists():
            continue
        (folder / "at").write_text(str(number))
        with np.load(folder / f"{group}.npz") as arrays:
            results, wrong = call(shared | dict(arrays), fill)
        if wrong:
            fault.write_text(wrong)
        else:
            np.savez(folder / f"{turn}.{group}.npz", **results)
    return ""


if __name__ == "__main__":
    from refq.vectors.kernels import worker  # the module that devices know; this one is named __main__

    place = Path(sys.argv[1])
    (place / "said").write_text(worker.main(place), errors="replace")
