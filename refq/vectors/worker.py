"""Runs a device's C function in a process of its own, so that its crash is not refq's. Started by kernel.py.

The job's folder holds job.json (library, symbol, returns, arguments, calls), shared.npz (what is the same in every
call) and <call>.npz; each call runs twice and leaves <call>.first.npz and <call>.again.npz. `at` names the call that is
running. Imports nothing of refq.
"""
import ctypes
import json
import sys
from pathlib import Path

import numpy as np

GUARD, ALIGN = 64, 64
FILLS = {"first": 0xAA, "again": 0x55}


def room(nbytes, fill):
    """Aligned bytes between two guards, all of one pattern: what was not written shows, and what was written beside."""
    raw = np.full(nbytes + 2 * GUARD + ALIGN, fill, np.uint8)
    start = -(raw.ctypes.data + GUARD) % ALIGN + GUARD
    return raw[start - GUARD:start + nbytes + GUARD]


def call(function, arguments, given, fill):
    """One call: gives (results by argument, what it did wrong or "")."""
    passed, rooms = [], {}
    for argument in arguments:
        name, dtype = argument["name"], np.dtype(argument["dtype"])
        if argument["way"] == "value":
            passed.append(np.ctypeslib.as_ctypes_type(dtype)(given[name].item()))
            continue
        nbytes = argument["size"] * dtype.itemsize if argument["way"] == "out" else given[name].nbytes
        rooms[name] = room(nbytes, fill)
        if argument["way"] == "in":
            rooms[name][GUARD:GUARD + nbytes] = given[name].reshape(-1).view(np.uint8)
        passed.append(ctypes.c_void_p(rooms[name][GUARD:].ctypes.data))
    if code := function(*passed):
        return {}, f"returned {code} (0 is success)"
    results = {}
    for argument in arguments:
        name, way = argument["name"], argument["way"]
        if way == "value":
            continue
        raw = rooms[name]
        inside = raw[GUARD:-GUARD]
        if (raw[:GUARD] != fill).any() or (raw[-GUARD:] != fill).any():
            return {}, f"wrote outside argument {name!r}"
        if way == "in" and not np.array_equal(inside, given[name].reshape(-1).view(np.uint8)):
            return {}, f"changed its const argument {name!r}"
        if way == "out":
            results[name] = inside.view(argument["dtype"])
    return results, ""


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
    forth = range(job["calls"])
    for turn, order in (("first", forth), ("again", reversed(forth))):      # in two orders: what is kept between calls shows
        for i in order:
            (folder / "at").write_text(str(i))
            given = shared | dict(np.load(folder / f"{i}.npz"))
            results, fault = call(function, job["arguments"], given, FILLS[turn])
            if fault:
                return f"it {fault} in case {i:04d}"
            np.savez(folder / f"{i}.{turn}.npz", **results)
    return ""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "said").write_text(main(place))
