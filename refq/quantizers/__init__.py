"""One way of choosing a grid from data, one file; each has a class `Quantizer`.

`see(values)` takes an array into account, `merge(other)` what another one saw, `range()` gives (lo, hi) where a range is what
it chooses, `grid()` the grid. The data pass once, and memory does not grow with their number. `Slices` does the same for each
slice or block along an axis.
"""
from functools import cache
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules

from refq.errors import IllFormed, nearest


@cache
def names():
    """The names of all: the modules here that have a Quantizer."""
    modules = ((m.name, import_module(f"{__name__}.{m.name}")) for m in iter_modules(__path__))
    return tuple(sorted(name for name, module in modules if hasattr(module, "Quantizer")))


def load(name, **options):
    """The quantizer of that name, ready to see values; raises IllFormed for an unknown name or option."""
    kind = named(name)
    known = list(signature(kind).parameters)
    for option in options:
        if option not in known:
            raise IllFormed(f"calibrator {name}: it has no {option!r}: {nearest(option, known)}")
    return kind(**options)


def named(name):
    """The class of the quantizer of that name."""
    if name not in names():
        raise IllFormed(f"a calibrator named {name!r}; there are {', '.join(names())}")
    return import_module(f"{__name__}.{name}").Quantizer
