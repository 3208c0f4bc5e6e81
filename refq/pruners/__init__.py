"""One way of choosing which weights stay, one file; each has a class `Pruner(<its parameters>)` with `choose(weights)`.

`weights`: tensor name to float array, (m k) of a linear layer or (m d kh kw) of a convolution; `choose` gives name to a boolean
array of the same shape, True where a weight is kept. A `Pruner` is a value: its `says` is the pattern in words.
"""
from dataclasses import MISSING, fields
from importlib import import_module
from pkgutil import iter_modules

from refq.errors import IllFormed, nearest


def names():
    """The names of all ways: the modules here that have a `Pruner`."""
    modules = ((m.name, import_module(f"{__name__}.{m.name}")) for m in iter_modules(__path__))
    return tuple(sorted(name for name, module in modules if hasattr(module, "Pruner")))


def load(name, **parameters):
    """The pruner of that name; raises IllFormed for another name, and for a parameter that it has not or that it lacks."""
    if name not in names():
        raise IllFormed(f"a pruner named {name!r}: {nearest(name, names())}")
    kind = import_module(f"{__name__}.{name}").Pruner
    known = {f.name: f.default for f in fields(kind)}
    if strange := [word for word in parameters if word not in known]:
        raise IllFormed(f"pruner {name} takes no {strange[0]}; it takes {', '.join(known) or 'nothing'}")
    if lacking := [word for word, default in known.items() if default is MISSING and word not in parameters]:
        raise IllFormed(f"pruner {name} needs its {lacking[0]}; it takes {', '.join(known)}")
    return kind(**parameters)
