"""One rule by which a range becomes a grid, one file: `grid(lo, hi, bits, axis=None, block=None)`.

`lo`, `hi`: numbers, or arrays as an Affine grid's scale has them (one for each slice along `axis`, or for each block along it);
`bits`: 2 to 16. The range is widened to hold 0, which is always a code, and a range of zeros has a grid too. Raises IllFormed for
NaN, infinities and ends the wrong way round. Codes are signed; `unshifted` and `powers` say what is so for every range.
"""
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from refq.errors import IllFormed, nearest

PROBES = ((0.0, 0.0), (0.0, 1.0), (0.0, 0.7), (-1.0, 0.0), (-1.0, 3.0), (-3.0, 1.0), (-0.3, 0.31), (-5.0, 5.0))
"""Ranges that tell rules apart."""


@cache
def names():
    """The names of all schemes: the modules here that have a `grid`."""
    modules = ((m.name, import_module(f"{__name__}.{m.name}")) for m in iter_modules(__path__))
    return tuple(sorted(name for name, module in modules if hasattr(module, "grid")))


def load(name):
    """The module of a scheme; raises IllFormed for another name."""
    if name not in names():
        raise IllFormed(f"a scheme named {name!r}: {nearest(name, names())}")
    return import_module(f"{__name__}.{name}")


def probed(name, bits):
    """Grids of the scheme, over ranges of every sign."""
    return [load(name).grid(lo, hi, bits) for lo, hi in PROBES]


def unshifted(name, bits):
    """Whether the scheme gives every range the zero point 0."""
    return not any(int(made.zero) for made in probed(name, bits))


def powers(name, bits):
    """Whether the scheme's scales are powers of two, but for a range of zeros, of which any scale will do."""
    return all(np.frexp(made.scale)[0] == 0.5 for made in probed(name, bits)[1:])


def narrow(name, bits):
    """Whether the scheme leaves out the lowest code."""
    return all(made.narrow for made in probed(name, bits))
