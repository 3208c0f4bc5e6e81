"""random: weights go by lot, the same share of every layer, and the same ones for ever.

Each weight of a tensor draws a 64-bit word, shake_256 of `<seed>:<tensor>`, and those of the smallest words go: the lot
depends on the seed and the tensor's name and size alone, not on values, other layers, libraries or machines.
"""
from dataclasses import dataclass
from math import prod

from refq.errors import IllFormed
from refq.pruners.ranking import largest, leaving, magnitudes, share, words


@dataclass(frozen=True)
class Pruner:
    """`sparsity`: the share of each tensor's weights that goes, 0 to 1; `seed`: an integer."""

    sparsity: float
    seed: int = 0

    def __post_init__(self):
        share(self.sparsity)
        if type(self.seed) is not int:
            raise IllFormed(f"a seed of {self.seed!r}: it is an integer")

    @property
    def says(self):
        """The pattern in words."""
        return f"random {self.sparsity}, seed {self.seed}"

    def choose(self, weights):
        """Name to boolean array, True where kept."""
        sizes = {name: magnitudes(name, w).shape for name, w in weights.items()}
        return {name: self.lot(name, shape) for name, shape in sizes.items()}

    def lot(self, name, shape):
        drawn = words(f"{self.seed}:{name}", prod(shape))
        return largest(drawn, drawn.size - leaving(self.sparsity, drawn.size)).reshape(shape)
