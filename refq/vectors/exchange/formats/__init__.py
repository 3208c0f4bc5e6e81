"""Formats: what a pack is handed over as; one format, one file; the folder is the registry.

Each module: `export(chosen, folder, **options)` writes files into an empty folder and gives the entries of its index
(refq/vectors/exchange/exported.py says what they are); `read(path, entry)` gives (codes, unknown) of one entry out of a file of
the same make, where a device can be asked to write one. The keywords of `export` are the format's options.
"""
from functools import cache
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules

from refq.errors import IllFormed, nearest


@cache
def names():
    return tuple(sorted(m.name for m in iter_modules(__path__)))


def load(name):
    """The module of a format; raises IllFormed for one that is not there."""
    if name not in names():
        raise IllFormed(f"no format {name!r}; {nearest(name, names())}")
    return import_module(f"{__name__}.{name}")


def options(module):
    """The options that a format takes, with their defaults."""
    return {k: p.default for k, p in signature(module.export).parameters.items() if p.kind is p.KEYWORD_ONLY}
