"""A grid is a finite map from code to exact real; one kind, one file.

Each kind's class has `kind` (the name of its file), `width`, `lo` and `hi` (the codes in use), `encode(x, ties)` (reals to codes,
decided exactly), `decode(q)` (codes to float64, exact), `describe()` (plain data) and `same(other)`; its file has
`from_description`.
"""
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from refq.errors import IllFormed, nearest


@cache
def kinds():
    """The names of all kinds: the modules here that can read a description."""
    modules = ((m.name, import_module(f"{__name__}.{m.name}")) for m in iter_modules(__path__))
    return tuple(sorted(name for name, module in modules if hasattr(module, "from_description")))


def load(kind):
    """The module of a kind; raises IllFormed for another name."""
    if kind not in kinds():
        raise IllFormed(f"a grid of kind {kind!r}: {nearest(kind, kinds())}")
    return import_module(f"{__name__}.{kind}")


def zero_code(grid):
    """The code that stands for 0 in all of a tensor, or the one that comes nearest; without a grid it is 0."""
    if grid is None:
        return 0
    return int(grid.zero) if hasattr(grid, "zero") else int(grid.encode(np.array(0.0)))


def from_description(text):
    """The grid of any kind that `describe` gave; raises IllFormed for an unknown kind or a damaged description."""
    if not isinstance(text, dict) or "kind" not in text:
        raise IllFormed("the description of a grid says no kind; write it with describe()")
    return load(text["kind"]).from_description(text)
