"""Subject: a quantizer of an engine, the grids that it is asked on, and what its documentation promises."""
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from refq.grids.affine import Affine
from refq.ints.width import I4, I8, I16, U4, U8, U16

SHAPES = 512
"""Models are kept for so many shapes and grids."""


@dataclass(frozen=True, eq=False)
class Subject:
    """`name`: the function, as its documentation calls it; `quantize`, `dequantize`: as refq.testing has them; `grids`: those
    that it is asked on; `claims`, `ties_are`: what is documented; `group`: those of one group should give equal codes;
    `waived`: laws that it does not claim."""

    name: str
    quantize: object
    dequantize: object
    grids: tuple
    claims: tuple = ()
    ties_are: str | None = None
    group: str = ""
    waived: tuple = ()
    dtype: str = "float32"


def single(value):
    """The float32 number next to `value`, as a float."""
    return float(np.float32(value))


WIDTHS = {"int8": I8, "uint8": U8, "int16": I16, "uint16": U16, "int4": I4, "uint4": U4}


def per_tensor(*names):
    """Grids of these widths: a scale that is no power of two with an odd zero point, and one that is with none."""
    grids = []
    for name in names:
        width = WIDTHS[name]
        middle = 0 if width.signed else 1 << width.bits - 1
        grids += [Affine(width, single(0.1), middle + 3), Affine(width, 0.25, middle)]
    return tuple(grids)


def per_axis(*names, axes=(0, -1)):
    """Grids along the first and along the last axis."""
    return tuple(Affine(WIDTHS[n], [single(0.1), 0.25, single(1 / 3)], [3, -5, 0] if WIDTHS[n].signed else [3, 100, 0], axis)
                 for n in names for axis in axes)


def kept(build):
    """`build(key)` for each key once; keys are hashable."""
    return lru_cache(SHAPES)(build)


def key(grid):
    """The contents of an affine grid as something to keep by."""
    return (str(grid.width), tuple(np.ravel(grid.scale).tolist()), tuple(np.ravel(grid.zero).tolist()), grid.axis)
