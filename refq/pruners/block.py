"""block: whole blocks of a layer's weights go, the least of them first.

A weight is a matrix (m k) as kernels walk it: a row for each output, k in the order in which products are summed; of a
convolution k is (kh kw d), channels last. It is cut into blocks of rows x columns from the first element on. Blocks at the far
edges hold what is left there, and count as blocks, as a kernel fills them with zeros. A block's score is the sum of |w|, or of
w*w, over what it holds, in float64, element after element in row-major order, so that it is the same on every machine. The
number of blocks that go is exact in each tensor, rounded down; of equal scores the blocks of the lower index stay
(row-major).

source   1x4 and 8x1: pytorch/pytorch's sparse QNNPACK linear (PR 50590), pytorch/FBGEMM include/fbgemm/FbgemmSparse.h; the sum
         of magnitudes as score: Narang et al. 2017, Block-Sparse Recurrent Neural Networks, which takes the largest of a block
"""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.pruners.mask import matrix, unmatrix
from refq.pruners.ranking import largest, leaving, magnitudes, share

SCORES = {"sum": lambda w: w, "squares": lambda w: w * w}


@dataclass(frozen=True)
class Pruner:
    """`pattern`: a block, rows x columns, as "4x4"; `sparsity`: the share of each tensor's blocks that goes, 0 to 1; `score`:
    sum (of magnitudes) or squares."""

    pattern: str
    sparsity: float
    score: str = "sum"

    def __post_init__(self):
        share(self.sparsity)
        sides(self.pattern)
        if self.score not in SCORES:
            raise IllFormed(f"a score {self.score!r}; blocks are scored by {' or '.join(SCORES)}")

    @property
    def says(self):
        """The pattern in words."""
        return f"blocks of {self.pattern}, {self.sparsity} by {self.score}"

    def choose(self, weights):
        """Name to boolean array, True where kept."""
        return {name: self.of(magnitudes(name, w)) for name, w in weights.items()}

    def of(self, weight):
        m, k = matrix(weight).shape
        rows, columns = (min(max(most, 1), side) for most, side in zip((m, k), sides(self.pattern)))
        padded = np.zeros((-(-m // rows) * rows, -(-k // columns) * columns))
        padded[:m, :k] = SCORES[self.score](matrix(weight))
        blocks = padded.reshape(len(padded) // rows, rows, padded.shape[1] // columns, columns)
        scores = np.zeros((blocks.shape[0], blocks.shape[2]))
        for row in range(rows):
            for column in range(columns):
                scores = scores + blocks[:, row, :, column]
        kept = largest(scores.ravel(), scores.size - leaving(self.sparsity, scores.size)).reshape(scores.shape)
        return unmatrix(kept.repeat(rows, 0).repeat(columns, 1)[:m, :k], weight.shape)


def sides(pattern):
    """(rows, columns) of a block; raises IllFormed for what is none."""
    found = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", pattern) if isinstance(pattern, str) else None
    if not found:
        raise IllFormed(f"a block of {pattern!r}: it is rows x columns, as 4x4, 1x4 or 8x1")
    return int(found[1]), int(found[2])
