"""Where the codes of a chain of moves come from, as arithmetic on places: the chain is walked backwards.

The moves are those of refq/ops/arrange.py, without concat. Places are int64 arrays, one for each axis, of one shape:
that of the last result.
"""
import numpy as np


def reshape_before(places, shape, after, sizes):
    flat = 0
    for place, size in zip(places, after):
        flat = flat * size + place
    back = []
    for size in reversed(shape):
        back.append(flat % max(size, 1))
        flat = flat // max(size, 1)
    return back[::-1]


def transpose_before(places, shape, after, axes):
    return [places[axes.index(axis)] for axis in range(len(shape))]


def slice_before(places, shape, after, axis, start, stop, step):
    return [start + step * place if a == axis else place for a, place in enumerate(places)]


def gather_before(places, shape, after, axis, indices):
    table = np.array((*indices, 0))         # no indices: what a pad put around them still looks somewhere
    return [table[place] if a == axis else place for a, place in enumerate(places)]


def repeat_before(places, shape, after, axis, count):
    return [place // count if a == axis else place for a, place in enumerate(places)]


def pad_before(places, shape, after, widths):
    return [place - before for place, (before, _) in zip(places, widths)]


befores = {"reshape": reshape_before, "transpose": transpose_before, "slice": slice_before, "gather": gather_before,
           "repeat": repeat_before, "pad": pad_before}


def origins(chain, shapes, final):
    """(places, outside): the place that each code of the result, of shape `final`, is read from, and whether a pad put
    it there instead. `shapes`: the shape before each move."""
    places, outside, after = list(np.indices(final)), np.zeros(final, bool), final
    for move, shape in zip(reversed(chain), reversed(shapes)):
        places, after = befores[move[0]](places, shape, after, *move[1:]), shape
        for axis, size in enumerate(shape):
            outside = outside | (places[axis] < 0) | (places[axis] >= size)
            places[axis] = np.clip(places[axis], 0, max(size - 1, 0))
    return places, outside
