"""Layout mutants: all values are right, and stand in the wrong places of the result."""
from itertools import combinations

import numpy as np

from refq.vectors.mutants import Mutant

SHIFTS = (1, 2, 3, 4, 8, 16)
TILES = (2, 4, 8, 16)


def mutants(place):
    """Every Mutant of where the elements of the run's first result lie."""
    last = len(place.steps) - 1
    shape = place.shape(place.results[0])
    for name, move in moves(shape):
        yield Mutant(last, "layout", f"layout: {name}", f"the result is {name}", local=False, whole=moved(move))


def mixed_up(trials):
    """The Mutants of rows, or channels, that hold what belongs in others, found by looking for it; trials as diagnose has
    them: each with `place`, `got` and `truth` (cases *shape)."""
    for axis, what in ((-2, "rows"), (-1, "channels")):
        maps = {}
        for t in trials:
            if t.truth.ndim >= 3 and t.truth.shape[axis] > 1:
                found = where_from(np.moveaxis(t.truth, axis, 0), np.moveaxis(t.got, axis, 0))
                if found is None:
                    break
                maps[t.place.name] = found
        else:
            moved_ones = [(i, int(j)) for m in maps.values() for i, j in enumerate(m) if i != j]
            if moved_ones:
                i, j = moved_ones[0]
                yield Mutant(len(trials[0].place.steps) - 1, "layout", f"layout: {what} mixed up",
                             f"{what} of the result are mixed up ({what[:-1]} {i} holds what belongs in {what[:-1]} {j})",
                             local=False, whole=taken(axis, maps))


def where_from(truth, got):
    """For each place along the first axis of `got`, the place of `truth` that it holds; None where one holds none."""
    truth, got = truth.reshape(len(truth), -1), got.reshape(len(got), -1)
    index = np.arange(len(got))
    for i in np.flatnonzero((truth != got).any(1)):
        same = np.flatnonzero((truth == got[i]).all(1))
        if not len(same) or truth.shape[1] < 4:
            return None
        index[i] = same[0]
    return index


def taken(axis, maps):
    def function(place):
        name = place.results[0]
        truth = place.truth[name]
        return {**place.truth, name: truth.take(maps[place.name], axis) if place.name in maps else truth}
    return function


def moved(move):
    def function(place):
        name = place.results[0]
        truth = place.truth[name]
        return {**place.truth, name: np.stack([move(case).reshape(case.shape) for case in truth])}
    return function


def moves(shape):
    """(words, function of one case's array to an array of as many elements)."""
    for a, b in combinations(range(len(shape)), 2):
        if shape[a] > 1 and shape[b] > 1:
            yield f"written with axes {a} and {b} exchanged", lambda x, a=a, b=b: np.swapaxes(x, a, b)
    for axis, size in enumerate(shape):
        if size > 1:
            yield f"reversed along axis {axis}", lambda x, axis=axis: np.flip(x, axis)
            for d in SHIFTS:
                if d < size:
                    for sign in (d, -d):
                        yield f"shifted by {sign} along axis {axis}", lambda x, axis=axis, sign=sign: np.roll(x, sign, axis)
    flat = int(np.prod(shape))
    for d in SHIFTS:
        if len(shape) > 1 and d < flat:
            for sign in (d, -d):
                yield f"shifted by {sign} elements in memory", lambda x, sign=sign: np.roll(x.reshape(-1), sign)
    for axis, size in enumerate(shape):
        if size % 2 == 0 and size > 2:
            yield f"interleaved: the halves of axis {axis} alternate", lambda x, axis=axis: halves(x, axis)
            yield f"de-interleaved: even places of axis {axis} before odd ones", lambda x, axis=axis: alternate(x, axis)
    if len(shape) > 1:
        n, k = shape[-2:]
        for i in (1, *TILES):
            for j in (1, *TILES):
                if (i, j) != (1, 1) and n % i == 0 and k % j == 0 and not (i == n and j == k) and not (i == 1 and j == k):
                    yield f"written in tiles of {i} by {j}", lambda x, i=i, j=j: tiled(x, i, j)


def halves(x, axis):
    x = np.moveaxis(x, axis, 0)
    return np.moveaxis(np.ascontiguousarray(x.reshape(2, len(x) // 2, *x.shape[1:]).swapaxes(0, 1)).reshape(x.shape), 0, axis)


def alternate(x, axis):
    x = np.moveaxis(x, axis, 0)
    return np.moveaxis(np.concatenate([x[::2], x[1::2]]), 0, axis)


def tiled(x, i, j):
    *lead, n, k = x.shape
    return np.ascontiguousarray(x.reshape(*lead, n // i, i, k // j, j).swapaxes(-3, -2))
