"""One operation, one file; the folder is the registry: `names()` lists it and `load(name)` gives the module.

Each module: a docstring with rules R1.., `Row`, `spec`, `kernel`, `real` where there is a real function to be near to,
`slips` (their signature is in refq/ints/slips.py) and laws: every function named r<k>_... is one about rule k,
`law(*operands, row)` -> a bool or an array of bools, true for every row and all operands. PUBLISHED, where it is there: name
to row, of rows that are no dialect's; `operation:name` means one of them wherever an operation is asked for. SHARED, where it
is there: operands of which one element holds several elements of a result.
"""
import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from refq.errors import IllFormed


@cache
def names():
    return tuple(sorted(m.name for m in iter_modules(__path__)))


@cache
def load(name):
    if name not in names():
        raise IllFormed(f"an operation named {name!r}; there are {', '.join(names())}")
    return import_module(f"{__name__}.{name}")


def laws(name):
    """The laws of an operation by name."""
    return {k: f for k, f in vars(load(name)).items() if re.match(r"r\d+_", k) and callable(f)}


def published(name):
    """Rows of an operation that sources state one by one, by name, where no dialect holds them: its file's PUBLISHED."""
    return getattr(load(name), "PUBLISHED", {})


def reach(name, operands, row, result, index):
    """What one element of a result is made of: (operands, row, index), such that the operation under that row makes of
    these operands, at that index, the same element. By the declared axes, or by an operation's own `reach`."""
    module = load(name)
    if hasattr(module, "reach"):
        return module.reach(operands, row, result, index)
    axes = row.gives[result].names
    cut = set(axes) - {axis for declared in row.takes.values() for axis in declared.whole}
    place, part = dict(zip(axes, index)), {}
    for operand, declared in row.takes.items():
        one = tuple(slice(place[a], place[a] + 1) if a in cut else slice(None) for a in declared.names)
        part[operand] = np.ascontiguousarray(operands[operand][one]) if one else operands[operand]
    given = {axis for declared in row.takes.values() for axis in declared.names}
    return part, row, tuple(0 if axis in cut & given else i for axis, i in zip(axes, index))
