"""A layout is a way of storing codes in words, exact both ways; one layout, one file.

A file has `Layout`, a frozen dataclass over its parameters, and

    pack(codes)            codes (rows k), any integers the layout holds -> {part: array}
    unpack(parts, shape)   the same codes back, int8 or int16; raises Corrupt for truncated words, non-zero padding and codes
                           that it does not have
    PARTS                  (of the class) the names of the parts
    EVERY                  (of the file) the layouts with the parameters that are in use: what `identify` tries
    CHECK                  (of the file) published bytes: tuples (layout, codes (rows k) as lists, {part: array})

The folder is the registry.
"""
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from refq.errors import Corrupt, IllFormed, nearest


@cache
def names():
    """The names of all layouts: the modules here that have a `Layout`."""
    modules = ((m.name, import_module(f"{__name__}.{m.name}")) for m in iter_modules(__path__))
    return tuple(sorted(name for name, module in modules if hasattr(module, "Layout")))


def load(name):
    """The module of a layout; raises IllFormed for another name."""
    if name not in names():
        raise IllFormed(f"a layout {name!r}: {nearest(name, names())}")
    return import_module(f"{__name__}.{name}")


def every():
    """(name, layout) of every layout in use, with its parameters."""
    return tuple((name, layout) for name in names() for layout in load(name).EVERY)


def said(name, layout):
    """The name of a layout with its parameters, as messages say it."""
    return f"{name}{repr(layout).removeprefix('Layout')}"


def identify(parts, codes):
    """The names, with parameters, of the layouts under which `parts` hold the codes (rows k), and hold nothing else.

    `parts`: a dictionary of arrays under the names of a layout's parts; or one array of words, which is read as the one part of
    every layout that has one.
    """
    codes = np.asarray(codes)
    return tuple(said(name, layout) for name, layout in every() if holds(layout, parts, codes))


def holds(layout, parts, codes):
    """Whether `parts` are what the layout makes of the codes."""
    if not isinstance(parts, dict):
        if len(layout.PARTS) != 1:
            return False
        parts = {layout.PARTS[0]: np.asarray(parts)}
    if set(parts) != set(layout.PARTS):
        return False
    try:
        made = layout.pack(codes)
    except (Corrupt, IllFormed):
        return False
    return all(made[part].tobytes() == np.ascontiguousarray(parts[part]).tobytes() for part in made)


def probe(layout, shape, seed=0):
    """Codes (rows k) = `shape` on which every other layout in use makes other words, but for those that make the same ones of all
    codes of this shape (`alike` names them)."""
    found, tried = alike(layout, shape, seed), iter(draws(layout, shape, seed))
    return next(codes for codes in tried if set(rivals(layout, codes)) == set(found))


def alike(layout, shape, seed=0):
    """The names of other layouts in use that make the same words of codes of `shape`, whatever they are."""
    left = None
    for codes in draws(layout, shape, seed):
        now = rivals(layout, codes)
        left = now if left is None else tuple(name for name in left if name in now)
    return left


TRIES = 3


def draws(layout, shape, seed):
    """Codes of a shape, TRIES times."""
    for attempt in range(TRIES):
        stream = np.random.Generator(np.random.PCG64(seed + attempt))
        codes = layout.drawn(stream, shape) if hasattr(layout, "drawn") else stream.integers(layout.lo, layout.hi + 1, shape)
        yield codes.astype(np.int8 if layout.hi < 128 else np.int16)


def rivals(layout, codes):
    """The names of the other layouts that make the same words of these codes."""
    made = layout.pack(codes)
    words = next(iter(made.values())) if len(made) == 1 else made
    return tuple(said(name, other) for name, other in every() if other != layout and holds(other, words, codes))
