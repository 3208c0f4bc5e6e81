"""Calls a Python function in the worker, on arrays of its own."""
import inspect
import os
import sys
from importlib import import_module, util
from pathlib import Path

import numpy as np

from refq.vectors.kernels.worker import Refused


def opened(job):
    """call(given, fill) of the function that the job names."""
    function = imported(job["module"], job["function"])
    kinds = inspect.Parameter
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise Refused("its parameters cannot be told; wrap it in a function that names them") from None
    takes = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    everything = any(p.kind is kinds.VAR_KEYWORD for p in parameters)
    known, live = set(job["shapes"]), job["live"]
    lacking = [p.name for p in takes if p.name not in known and p.default is kinds.empty]
    by_place = bool(lacking) and len(takes) == len(live) and len(lacking) == len(takes)
    if lacking and not by_place:
        raise Refused(f"takes {lacking[0]!r}, which is nothing of the unit; there are {', '.join(sorted(known))}")
    named = {p.name for p in takes} & known | (set(job["own"]) if everything else set())

    def call(given, fill):
        arrays = {n: a.copy() if a.ndim else a[()] for n, a in given.items() if not n.startswith("real:")}
        try:
            result = function(*(arrays[n] for n in live)) if by_place else function(**{n: arrays[n] for n in named})
        except Exception as e:
            return {}, f"raised {type(e).__name__}: {' '.join(str(e).split())[:200]}"
        return as_arrays(result)
    return call


def imported(module, name):
    """The function; raises Refused."""
    sys.path.insert(0, os.getcwd())
    try:
        if module.endswith(".py"):
            sys.path.insert(0, str(Path(module).absolute().parent))
            spec = util.spec_from_file_location(Path(module).stem, module)
            found = util.module_from_spec(spec)
            spec.loader.exec_module(found)
        else:
            found = import_module(module)
    except Exception as e:
        raise Refused(f"{module} cannot be imported: {type(e).__name__}: {' '.join(str(e).split())[:200]}") from None
    function = getattr(found, name, None)
    if not callable(function):
        raise Refused(f"{module} has no function {name!r}")
    return function


def as_arrays(result):
    """(name, or place, to array; what is wrong with it or "")."""
    if not isinstance(result, dict):
        result = {str(i): one for i, one in enumerate(result if isinstance(result, (tuple, list)) else (result,))}
    try:
        arrays = {str(name): np.asarray(one) for name, one in result.items()}
    except Exception as e:
        return {}, f"gives what is no array: {type(e).__name__}: {' '.join(str(e).split())[:200]}"
    if strange := [name for name, array in arrays.items() if array.dtype.kind not in "biuf"]:
        return {}, f"gives {result[strange[0]].__class__.__name__} for {strange[0]!r}, which is no array of numbers"
    return arrays, ""
