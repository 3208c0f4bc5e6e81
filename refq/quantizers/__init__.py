"""One way of choosing a range from data, one file; each is a class with `see(values)` and `range()`, in one pass."""
from importlib import import_module
from pkgutil import iter_modules

from refq.errors import IllFormed


def names():
    return tuple(sorted(m.name for m in iter_modules(__path__)))


def load(name):
    """The quantizer of that name, ready to see values."""
    if name not in names():
        raise IllFormed(f"a calibrator named {name!r}; there are {', '.join(names())}")
    return import_module(f"{__name__}.{name}").Quantizer()
