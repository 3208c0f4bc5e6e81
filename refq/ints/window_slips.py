"""Slips of operations whose window slides over an image; they have the form that slips.py says."""
from dataclasses import replace

import numpy as np

from refq.errors import IllFormed


def padding_swapped(run, operands, row):
    """Padding is put before the image that belongs behind it, and the other way round."""
    return run(operands, row=replace(row, padding=row.padding[2:] + row.padding[:2]))


def strides_swapped(run, operands, row):
    """The vertical stride is the horizontal one; what the result has no place for is lost, what it lacks is 0."""
    try:
        made = run(operands, row=replace(row, stride=row.stride[::-1]))["y"]
    except IllFormed:
        return run(operands)
    y = np.zeros_like(run(operands)["y"])
    part = tuple(slice(0, min(a, b)) for a, b in zip(made.shape, y.shape))
    y[part] = made[part]
    return {"y": y}
