"""n_m: of every m weights in a row n stay, those of the largest magnitude (2:4, 1:4, 4:8 ...).

Groups of m lie side by side from the first weight on, along k unless another axis is named. k is the order in which kernels sum
the products of one output: the inputs of a linear layer; (kh kw d) of a convolution, channels last, so that where m divides d a
group is m neighbouring input channels of one pixel of the window. Along an axis of the tensor itself, (m k) or (m d kh kw),
groups lie within that axis; axis 1 is the input channels of both.

A tail of t < m weights keeps the same share, n * t / m of them rounded up: never more than n, so that the pattern holds when a
kernel pads the axis with zeros. In units of u (4:8x2: two of four adjacent pairs) neighbours stay or go together, scored by the
sum of their magnitudes in float64; of a tail the units count, the last of which may hold fewer. Of equal scores the lower
index stays.

source   2:4: Mishra et al. 2021, Accelerating Sparse Deep Neural Networks, section 2; the pairs of 4-bit operands: PTX ISA,
         sparse mma fragments (our reading of it)
"""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.pruners.mask import matrix, unmatrix
from refq.pruners.ranking import largest_of_each, magnitudes


@dataclass(frozen=True)
class Pruner:
    """`pattern`: n:m, or n:mxu in units of u neighbours; `axis`: "k", or an axis of the tensor as an integer."""

    pattern: str
    axis: str | int = "k"

    def __post_init__(self):
        parts(self.pattern)
        if self.axis != "k" and type(self.axis) is not int:
            raise IllFormed(f"groups along {self.axis!r}: it is k, or an axis of the tensor, 0 to 3")

    @property
    def says(self):
        """The pattern in words."""
        return f"{self.pattern} along {'k' if self.axis == 'k' else f'axis {self.axis}'}"

    def choose(self, weights):
        """Name to boolean array, True where kept."""
        return {name: self.of(name, magnitudes(name, w)) for name, w in weights.items()}

    def of(self, name, weight):
        if self.axis == "k":
            return unmatrix(along_last(matrix(weight), *parts(self.pattern)), weight.shape)
        if not 0 <= self.axis < weight.ndim:
            raise IllFormed(f"{name}: groups along axis {self.axis}, and it has axes 0 to {weight.ndim - 1}; leave the layer out")
        moved = np.moveaxis(weight, self.axis, -1)
        kept = along_last(moved.reshape(-1, moved.shape[-1]), *parts(self.pattern)).reshape(moved.shape)
        return np.ascontiguousarray(np.moveaxis(kept, -1, self.axis))


def along_last(weight, n, m, unit):
    """Boolean (rows length), True for the n largest of each m units of the last axis."""
    rows, length = weight.shape
    unit = min(unit, max(length, 1))
    count = -(-length // unit)
    padded = np.pad(weight, ((0, 0), (0, count * unit - length)))
    scores = padded[:, ::unit]
    for i in range(1, unit):
        scores = scores + padded[:, i::unit]
    tail = count % m
    whole = largest_of_each(scores[:, :count - tail].reshape(rows, count // m, m), n).reshape(rows, count - tail)
    rest = largest_of_each(scores[:, count - tail:], -(-n * tail // m))
    return np.concatenate([whole, rest], 1).repeat(unit, 1)[:, :length]


def parts(pattern):
    """(n, m, unit) of "2:4" or "4:8x2", n and m counted in units; raises IllFormed for what is none."""
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})(?:x(\d{1,9}))?", pattern) if isinstance(pattern, str) else None
    if not found:
        raise IllFormed(f"a pattern {pattern!r}: it is n:m, as 2:4, or n:mxu in units of u neighbours, as 4:8x2")
    n, m, unit = int(found[1]), int(found[2]), int(found[3] or 1)
    if not 0 < n <= m or unit < 1 or n % unit or m % unit:
        raise IllFormed(f"a pattern {pattern!r}: n is at least 1 and at most m, and a unit divides both")
    return n // unit, m // unit, unit
