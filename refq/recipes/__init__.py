"""One quantization method, one file: which widths, grids and calibrator, per role of a tensor and per layer."""
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from refq.errors import IllFormed, nearest


def names():
    return tuple(sorted(m.name for m in iter_modules(__path__) if m.name not in ("base", "custom")))


def load(name):
    """The recipe of that name, or the one that a TOML file describes."""
    if Path(name).suffix == ".toml":
        return import_module(f"{__name__}.custom").load(Path(name))
    if name not in names():
        raise IllFormed(f"no recipe {name!r}; {nearest(name, names())}; or give a .toml file")
    return import_module(f"{__name__}.{name}").recipe
