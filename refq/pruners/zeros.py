"""zeros: the weights that are 0 already go, and no other: the mask of a network that comes pruned.

Whoever pruned it, in training or by a tool, left zeros where weights went; -0 is one.
"""
from dataclasses import dataclass

from refq.pruners.ranking import magnitudes


@dataclass(frozen=True)
class Pruner:
    """No parameter."""

    @property
    def says(self):
        """The pattern in words."""
        return "zeros of the network"

    def choose(self, weights):
        """Name to boolean array, True where kept."""
        return {name: magnitudes(name, w) > 0 for name, w in weights.items()}
