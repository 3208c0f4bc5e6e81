"""Moves of data as plain tuples: the shape that each makes of a shape, and NumPy doing it.

What each means is said in refq/ops/arrange.py. Shapes and axes leave the batch axis out; arrays have it first.
"""
from math import prod
from operator import index

import numpy as np

from refq.errors import IllFormed


def frozen(value):
    """Lists, as JSON gives them, as tuples; numbers of NumPy as Python's."""
    if isinstance(value, (tuple, list)):
        return tuple(map(frozen, value))
    return value if isinstance(value, str) else index(value)


def replaced(shape, axis, size):
    return shape[:axis] + (size,) + shape[axis + 1:]


def concat_shape(shapes, axis):
    fits = 0 <= axis < len(shapes[0]) and len({replaced(s, axis, 0) for s in shapes}) == 1
    return replaced(shapes[0], axis, sum(s[axis] for s in shapes)) if fits else None


def reshape_shape(shape, sizes):
    return sizes if prod(sizes) == prod(shape) and min(sizes, default=0) >= 0 else None


def transpose_shape(shape, axes):
    return tuple(shape[a] for a in axes) if sorted(axes) == list(range(len(shape))) else None


def slice_shape(shape, axis, start, stop, step):
    fits = 0 <= axis < len(shape) and 0 <= start <= shape[axis] and 0 <= stop <= shape[axis] and step >= 1
    return replaced(shape, axis, len(range(start, stop, step))) if fits else None


def gather_shape(shape, axis, indices):
    fits = 0 <= axis < len(shape) and all(0 <= i < shape[axis] for i in indices)
    return replaced(shape, axis, len(indices)) if fits else None


def repeat_shape(shape, axis, count):
    return replaced(shape, axis, shape[axis] * count) if 0 <= axis < len(shape) and count >= 1 else None


def pad_shape(shape, widths):
    fits = len(widths) == len(shape) and all(len(pair) == 2 and min(pair) >= 0 for pair in widths)
    return tuple(before + size + after for size, (before, after) in zip(shape, widths)) if fits else None


shapes_of = {"reshape": reshape_shape, "transpose": transpose_shape, "slice": slice_shape, "gather": gather_shape,
             "repeat": repeat_shape, "pad": pad_shape}


def split(moves):
    """(axis of a concat or None, the other moves)."""
    return (moves[0][1], moves[1:]) if moves and moves[0][0] == "concat" else (None, moves)


def trail(shapes, moves):
    """The shape before each move, and the last one; raises IllFormed where a move is unknown or does not fit."""
    joined, chain = split(moves)
    if joined is None and len(shapes) != 1:
        raise IllFormed(f"arrange: {len(shapes)} operands; several need (\"concat\", axis) as the first move")
    trail = [shapes[0]] if joined is None else [shapes[0], concat_shape(shapes, joined)]
    if trail[-1] is None:
        raise IllFormed(f"arrange: shapes {shapes} do not join along axis {joined}")
    for move in chain:
        if move[0] not in shapes_of:
            raise IllFormed(f"arrange: the move {move}; it can be {', '.join(shapes_of)}, and concat only as the first")
        shape = shapes_of[move[0]](trail[-1], *move[1:])
        if shape is None:
            raise IllFormed(f"arrange: the move {move} does not fit the shape {trail[-1]}")
        trail.append(shape)
    return trail


def pad_view(x, zero, widths):
    around = ((0, 0), *widths)
    padded = np.full([before + size + after for size, (before, after) in zip(x.shape, around)], zero, x.dtype)
    padded[tuple(slice(before, before + size) for size, (before, _) in zip(x.shape, around))] = x
    return padded


views = {"reshape": lambda x, zero, sizes: x.reshape(len(x), *sizes),
         "transpose": lambda x, zero, axes: x.transpose(0, *(a + 1 for a in axes)),
         "slice": lambda x, zero, axis, start, stop, step: x[(slice(None),) * (axis + 1) + (slice(start, stop, step),)],
         "gather": lambda x, zero, axis, indices: x.take(np.array(indices, np.intp), axis + 1),
         "repeat": lambda x, zero, axis, count: x.repeat(count, axis + 1),
         "pad": pad_view}
