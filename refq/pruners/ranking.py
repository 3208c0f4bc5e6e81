"""ranking: how many weights go and which, decided exactly, for every pruner.

How many: the share times the number of candidates, rounded down, so never more than was asked for. A share is the decimal that
a person writes: 0.29 of 100 are 29, although the float lies below. Which: those of the smallest scores; of equal scores the
lower index stays (our convention; torch leaves it to topk, which keeps the places 1 and 3 of (0, 1, 1, 1) under 2:4).
"""
from fractions import Fraction
from hashlib import shake_256
from math import isfinite

import numpy as np

from refq.errors import IllFormed

FEW = 16
"""The size of groups up to which every two of a group are compared."""


def share(sparsity):
    """A sparsity as a Fraction from 0 (all stay) to 1 (all go); raises IllFormed for what is none."""
    number = isinstance(sparsity, (int, float, Fraction)) and not isinstance(sparsity, bool)
    if not number or not isfinite(sparsity) or not 0 <= sparsity <= 1:
        raise IllFormed(f"a sparsity of {sparsity!r}: it is the share of the weights that go, from 0 to 1")
    return Fraction(repr(float(sparsity))) if isinstance(sparsity, float) else Fraction(sparsity)


def leaving(sparsity, count):
    """How many of `count` candidates go."""
    return int(share(sparsity) * count)


def magnitudes(name, weight):
    """|w| in float64; raises IllFormed for what is no weight of a layer, and for NaN and infinities."""
    weight = np.asarray(weight)
    if weight.dtype.kind not in "fiu" or weight.ndim not in (2, 4):
        raise IllFormed(f"{name}: {weight.dtype} of shape {weight.shape}; weights to prune are numbers, (m k) or (m d kh kw)")
    if not np.isfinite(weight).all():
        word = "NaN" if np.isnan(weight).any() else "infinite values"
        raise IllFormed(f"{name}: its weights hold {word}; mend them before they are pruned")
    return np.abs(weight.astype(np.float64))


def largest(scores, count):
    """Boolean (n): the `count` largest of scores (n); of equal ones those of the lower index."""
    if not 0 < count < scores.size:
        return np.full(scores.shape, count > 0)
    least = np.partition(scores, scores.size - count)[scores.size - count]
    kept = scores > least
    ties = np.flatnonzero(scores == least)
    kept[ties[:count - int(np.count_nonzero(kept))]] = True
    return kept


def largest_of_each(scores, count):
    """Boolean (... m): the `count` largest of each of the last axis."""
    if scores.shape[-1] <= FEW:                 # six times as fast as sorting groups of 4
        columns = np.ascontiguousarray(np.moveaxis(scores, -1, 0))
        ahead = np.zeros(columns.shape, np.int8)
        for i, one in enumerate(columns):
            ahead[:i] += one > columns[:i]
            ahead[i + 1:] += one >= columns[i + 1:]
        return np.moveaxis(ahead < count, 0, -1)
    order = np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    kept = np.zeros(scores.shape, bool)
    np.put_along_axis(kept, order, True, axis=-1)
    return kept


def words(label, count):
    """`count` uint64 that are the same for ever: shake_256 of the label, read as little-endian."""
    return np.frombuffer(shake_256(label.encode()).digest(8 * count), "<u8")
