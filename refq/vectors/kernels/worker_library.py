"""Calls a C function in the worker: every array between guards, so that what is written or read beside it shows.

Behind each array (and in front of it) lies a page that nobody may touch; the few bytes up to it, which alignment leaves,
hold a pattern that must still be there afterwards.
"""
import ctypes
import mmap

import numpy as np

from refq.vectors.kernels.worker import Refused

PAGE, SLACK = mmap.PAGESIZE, 64
libc = ctypes.CDLL(None)


def room(nbytes, fill, align, guarded):
    """(an array of `nbytes`, what lies before and behind it): all of one pattern; guarded: pages that crash around it."""
    size = -(-nbytes // align) * align
    behind = -(-(SLACK if not guarded else 0) // align) * align
    pages = -(-(size + behind + SLACK) // PAGE) * PAGE
    memory = mmap.mmap(-1, pages + 2 * PAGE)
    whole = np.frombuffer(memory, np.uint8)
    if guarded:
        for at in (0, PAGE + pages):
            libc.mprotect(ctypes.c_void_p(whole.ctypes.data + at), ctypes.c_size_t(PAGE), 0)
    inner = whole[PAGE:PAGE + pages]
    inner[:] = fill
    start = pages - size - behind
    return inner[start:start + nbytes], (inner[:start], inner[start + nbytes:])


def called(function, job, given, fill):
    """One call: gives (results by argument, what it did wrong or "")."""
    passed, rooms = [], {}
    for argument in job["arguments"]:
        name, way = argument["name"], argument["way"]
        if way == "value":
            passed.append(np.ctypeslib.as_ctypes_type(np.dtype(argument["dtype"]))(given[name].item()))
            continue
        nbytes = int(given[name]) if way == "out" else given[name].nbytes           # of a result its size is given
        rooms[name] = room(nbytes, fill, argument["align"], name in job["guarded"])
        if way == "in":
            rooms[name][0][:] = given[name]
        passed.append(ctypes.c_void_p(rooms[name][0].ctypes.data))
    if (code := function(*passed)) is not None and code != job["success"]:
        return {}, f"returned {code} ({job['success']} is success)"
    for argument in job["arguments"]:
        name, way = argument["name"], argument["way"]
        if way == "value":
            continue
        if any((beside != fill).any() for beside in rooms[name][1]):
            return {}, f"wrote outside argument {name!r}"
        if way == "in" and not np.array_equal(rooms[name][0], given[name]):
            return {}, f"changed its const argument {name!r}"
    return {a["name"]: rooms[a["name"]][0] for a in job["arguments"] if a["way"] == "out"}, ""


def opened(job):
    """call(given, fill) of the function that the job names."""
    try:
        library = ctypes.CDLL(job["library"])
    except OSError as e:
        raise Refused(f"the library cannot be loaded: {e}") from None
    try:
        function = library[job["symbol"]]
    except AttributeError:
        raise Refused(f"the library has no function {job['symbol']!r}; export it (extern \"C\"), or mend the prototype's "
                      "name") from None
    function.restype = job["returns"] and np.ctypeslib.as_ctypes_type(np.dtype(job["returns"]))
    return lambda given, fill: called(function, job, given, fill)
