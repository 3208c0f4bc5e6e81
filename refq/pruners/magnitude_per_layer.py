"""magnitude_per_layer: the smallest weights of each layer go, the same share of every one.

The number that goes is exact in each tensor, rounded down; of equal magnitudes those of the lower index stay (row-major).

source   Han et al. 2015, Learning both Weights and Connections for Efficient Neural Networks, section 3; as
         torch.nn.utils.prune.l1_unstructured (which rounds the number to the nearest)
"""
from dataclasses import dataclass

from refq.pruners.ranking import largest, leaving, magnitudes, share


@dataclass(frozen=True)
class Pruner:
    """`sparsity`: the share of each tensor's weights that goes, 0 to 1."""

    sparsity: float

    def __post_init__(self):
        share(self.sparsity)

    @property
    def says(self):
        """The pattern in words."""
        return f"magnitude {self.sparsity}, layer by layer"

    def choose(self, weights):
        """Name to boolean array, True where kept."""
        scores = {name: magnitudes(name, w) for name, w in weights.items()}
        return {name: largest(s.ravel(), s.size - leaving(self.sparsity, s.size)).reshape(s.shape) for name, s in scores.items()}
