"""Rounded: an affine grid, and the rounding by which what makes a tensor gets onto it, where a file says that itself.

The codes mean what they mean on the affine grid, so it describes itself as one; `ties` matters where codes are made.
"""
from dataclasses import dataclass

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints import rounding


@dataclass(frozen=True, eq=False)
class Rounded(Affine):
    """`ties`: a name of refq.ints.rounding; raises IllFormed for another word."""

    ties: str = "half_even"

    def __post_init__(self):
        super().__post_init__()
        if self.ties not in rounding.names:
            raise IllFormed(f"a grid that is rounded onto by {self.ties!r}; it is one of {', '.join(rounding.names)}")
