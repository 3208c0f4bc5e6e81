"""magnitude: the smallest weights of the whole network go, whatever layer they lie in.

The number that goes is exact over all tensors together; a layer of small weights may lose all of them. Of equal magnitudes the
earlier tensor's stay, in it those of the lower index.

source   Han et al. 2015, Learning both Weights and Connections for Efficient Neural Networks, section 3; one threshold for the
         whole network as in torch.nn.utils.prune.global_unstructured (which rounds the number to the nearest)
"""
from dataclasses import dataclass

import numpy as np

from refq.pruners.ranking import largest, leaving, magnitudes, share


@dataclass(frozen=True)
class Pruner:
    """`sparsity`: the share of all weights that goes, 0 to 1."""

    sparsity: float

    def __post_init__(self):
        share(self.sparsity)

    @property
    def says(self):
        """The pattern in words."""
        return f"magnitude {self.sparsity}, over all layers"

    def choose(self, weights):
        """Name to boolean array, True where kept."""
        scores = {name: magnitudes(name, w) for name, w in weights.items()}
        ends = np.cumsum([s.size for s in scores.values()])
        every = np.concatenate([s.ravel() for s in scores.values()])
        kept = largest(every, every.size - leaving(self.sparsity, every.size))
        return {name: part.reshape(s.shape) for (name, s), part in zip(scores.items(), np.split(kept, ends[:-1]))}
