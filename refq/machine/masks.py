"""Masks: an operation on single rows, run over the keys that each query may see.

`seen` is (n g r k): 1 where query r of image n sees key k; one image or one head of it may serve all.
"""
from functools import cache

import numpy as np

from refq.ints.jit import jit


@jit(nogil=True)
def causal(r, k, offset):
    """The mask of queries that each see the keys up to their own place and `offset`."""
    seen = np.empty((1, 1, r, k), np.uint8)
    for i in range(r):
        for j in range(k):
            seen[0, 0, i, j] = j <= i + offset
    return seen


@jit(nogil=True)
def up_to(positions, k):
    """The mask of queries that each see the keys up to a place: `positions` (n r)."""
    n, r = positions.shape
    seen = np.empty((n, 1, r, k), np.uint8)
    for m in range(n):
        for i in range(r):
            for j in range(k):
                seen[m, 0, i, j] = j <= positions[m, i]
    return seen


@cache
def over(inner):
    """over(q, seen, masked, fixed, y): `inner`, a kernel of rows (n k), constants, a result, gets what is seen of `q` (n h r k),
    row by row without gaps; the other places of `y` become `masked`. Jitted where `inner` is."""
    if not hasattr(inner, "py_func"):
        return one_by_one(inner)

    @jit(nogil=True)
    def rows(q, seen, masked, fixed, y):
        count = 0
        for k in range(seen.size):
            count += seen[k]
        if count == 0:
            y[:] = masked
            return
        part, made, place = np.empty((q.shape[0], count), q.dtype), np.empty((q.shape[0], count), y.dtype), 0
        for k in range(seen.size):
            if seen[k]:
                for h in range(q.shape[0]):
                    part[h, place] = q[h, k]
                place += 1
        inner(part, *fixed, made)
        place = 0
        for k in range(seen.size):
            for h in range(q.shape[0]):
                y[h, k] = made[h, place] if seen[k] else masked
            place += seen[k]

    @jit(nogil=True)
    def over(q, seen, masked, fixed, y):
        each = q.shape[1] // max(seen.shape[1], 1)
        for n in range(q.shape[0]):
            for g in range(seen.shape[1]):
                for r in range(q.shape[2]):
                    heads = slice(g * each, (g + 1) * each)
                    rows(q[n, heads, r], seen[n % seen.shape[0], g, r], masked, fixed, y[n, heads, r])

    return over


def one_by_one(inner):
    """The same for a kernel that looks at its operands before it runs."""
    def over(q, seen, masked, fixed, y):
        y[:] = masked
        for n, h, r in np.ndindex(q.shape[:3]):
            keys = np.flatnonzero(seen[n % len(seen), min(h, seen.shape[1] - 1), r])
            if keys.size:
                made = np.empty((1, keys.size), y.dtype)
                inner(np.ascontiguousarray(q[n, h, r, keys][None]), *fixed, made)
                y[n, h, r, keys] = made[0]

    return over
