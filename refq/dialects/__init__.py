"""One target, one file: its arithmetic contract. `names()` lists the folder; `load` takes a name or a TOML file."""
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from refq.errors import IllFormed, nearest


@cache
def names():
    return tuple(sorted(m.name for m in iter_modules(__path__) if m.name not in ("base", "custom")))


NONE = {
    "tosa_inexact": "TOSA's INEXACT_ROUND bounds the error of a RESCALE and leaves the result open, so no device is right or "
                    "wrong to the bit; tosa (SINGLE_ROUND) and tosa_double (DOUBLE_ROUND) are exact",
    "qnn": "the accumulators and roundings of Qualcomm's HTP are not published",
    "hailo": "the accumulators and roundings of Hailo's devices are not published",
}
"""Targets that have no dialect, and why."""


def load(name):
    """The dialect of that name, or the one that a TOML file describes."""
    if name in NONE:
        raise IllFormed(f"no dialect {name!r}: {NONE[name]}; describe what you know of yours in a .toml file")
    if Path(name).suffix == ".toml":
        return import_module(f"{__name__}.custom").load(Path(name))
    if name not in names():
        raise IllFormed(f"no dialect {name!r}; {nearest(name, names())}; or give a .toml file")
    return import_module(f"{__name__}.{name}").dialect
