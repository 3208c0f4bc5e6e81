"""Runs a device's C function in a process of its own, so that its crash is not refq's. Started by kernel.py.

The job's folder holds job.json (library, symbol, returns, arguments, calls), shared.npz (what is the same in every
call) and <call>.npz; each call leaves <call>.out.npz. `at` names the call that is running. Imports nothing of refq.
"""
import ctypes
import json
import sys
from pathlib import Path

import numpy as np

GUARD, FILL, ALIGN = 64, 0xA5, 64


def room(nbytes):
    """Aligned bytes between two guards, all of one pattern: what was not written shows, and what was written beside."""
    raw = np.full(nbytes + 2 * GUARD + ALIGN, FILL, np.uint8)
    start = -(raw.ctypes.data + GUARD) % ALIGN + GUARD
    return raw[start - GUARD:start + nbytes + GUARD]


def call(function, arguments, given):
    """One call: gives (return code, results by argument, arguments beside which was written)."""
    passed, rooms = [], {}
    for argument in arguments:
        name, dtype = argument["name"], np.dtype(argument["dtype"])
        if argument["way"] == "value":
            passed.append(np.ctypeslib.as_ctypes_type(dtype)(given[name].item()))
            continue
        nbytes = argument["size"] * dtype.itemsize if argument["way"] == "out" else given[name].nbytes
        rooms[name] = room(nbytes)
        if argument["way"] == "in":
            rooms[name][GUARD:GUARD + nbytes] = given[name].reshape(-1).view(np.uint8)
        passed.append(ctypes.c_void_p(rooms[name][GUARD:].ctypes.data))
    code = function(*passed)
    beside = [n for n, r in rooms.items() if (r[:GUARD] != FILL).any() or (r[len(r) - GUARD:] != FILL).any()]
    results = {a["name"]: rooms[a["name"]][GUARD:-GUARD].view(a["dtype"]) for a in arguments if a["way"] == "out"}
    return code, results, beside


def main(folder):
    job = json.loads((folder / "job.json").read_text())
    try:
        library = ctypes.CDLL(job["library"])
    except OSError as e:
        return f"the library cannot be loaded: {e}"
    try:
        function = library[job["symbol"]]
    except AttributeError:
        return f"the library has no function {job['symbol']!r}; export it (extern \"C\"), or mend the prototype's name"
    function.restype = job["returns"] and np.ctypeslib.as_ctypes_type(np.dtype(job["returns"]))
    shared = dict(np.load(folder / "shared.npz"))
    for i in range(job["calls"]):
        (folder / "at").write_text(str(i))
        code, results, beside = call(function, job["arguments"], shared | dict(np.load(folder / f"{i}.npz")))
        if code:
            return f"it returned {code} on case {i:04d}; 0 is success"
        if beside:
            return f"it wrote outside argument {beside[0]!r} on case {i:04d}"
        np.savez(folder / f"{i}.out.npz", **results)
    return ""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "said").write_text(main(place))
