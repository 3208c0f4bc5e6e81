"""Codes of an operand in the styles that expose mistakes: each is style(stream, declared, shape) -> int64 array.

`declared` is an Operand: every code lies within its `lo` and `hi`.
"""
import numpy as np


def uniform(stream, declared, shape):
    """Every code alike."""
    return stream.integers(declared.lo, declared.hi, shape)


def rails(stream, declared, shape):
    """The ends of the range, their neighbours, and what lies around 0."""
    lo, hi = declared.lo, declared.hi
    ends = np.clip(np.array([lo, lo, lo + 1, -1, 0, 1, hi - 1, hi, hi]), lo, hi)
    return ends[stream.integers(0, len(ends) - 1, shape)]


def small(stream, declared, shape):
    """A few codes around 0."""
    return np.clip(stream.integers(-4, 4, shape), declared.lo, declared.hi)


def magnitudes(stream, declared, shape):
    """All lengths in bits alike, both signs."""
    longest = max(abs(declared.lo), abs(declared.hi)).bit_length()
    bits = stream.integers(0, longest, shape)
    values = stream.integers(0, 2 ** 62, shape) >> (62 - bits)
    return np.clip(np.where(stream.integers(0, 1, shape) == 1, values, -values), declared.lo, declared.hi)


def one_hot(stream, declared, shape):
    """Zeros, but for one place of each row: another in every row."""
    flat = np.zeros((int(np.prod(shape[:-1], dtype=int)), shape[-1]), np.int64)
    places = (np.arange(len(flat)) + stream.integer(0, shape[-1] - 1)) % max(shape[-1], 1)
    flat[np.arange(len(flat)), places] = stream.integers(1, 3, len(flat))
    return np.clip(flat.reshape(shape), declared.lo, declared.hi)


def highest(stream, declared, shape):
    """The upper end everywhere."""
    return np.full(shape, declared.hi)


def lowest(stream, declared, shape):
    """The lower end everywhere."""
    return np.full(shape, declared.lo)


def ends(stream, declared, shape):
    """Every row (along the first axis) at one end of the range."""
    chosen = stream.integers(0, 1, shape[:1]).reshape(-1, *(1 for _ in shape[1:]))
    return np.broadcast_to(np.where(chosen, declared.hi, declared.lo), shape)


def rising(stream, declared, shape):
    """Consecutive codes from somewhere, so that neighbours differ."""
    start, span = stream.integer(declared.lo, declared.hi), declared.hi - declared.lo + 1
    return (np.arange(int(np.prod(shape, dtype=int))).reshape(shape) + start - declared.lo) % span + declared.lo


def each_its_own(stream, declared, shape):
    """Every row (along the first axis) in a style of its own."""
    rows = [stream.pick(MIXED)(stream, declared, shape[1:]) for _ in range(shape[0])]
    return np.array(rows, np.int64).reshape(shape)


def either(stream, declared, shape):
    """Every element in the style `uniform` or `rails`, `small` or `magnitudes`."""
    made = np.stack([style(stream, declared, shape) for style in (uniform, rails, small, magnitudes)])
    return np.take_along_axis(made, stream.integers(0, 3, shape)[None], 0)[0]


MIXED = (uniform, rails, small, magnitudes, one_hot, highest, lowest)
STYLES = (either, uniform, each_its_own, small, rails, magnitudes, one_hot, rising)
"""In the order in which configurations take them; `one_hot` and `each_its_own` need an axis."""


def drawn(stream, declared, shape, style):
    """Codes of `shape` as an array of the declared dtype; a style that needs an axis is `either` where there is none."""
    if not shape and style in (one_hot, each_its_own):
        style = either
    if len(shape) == 1 and style is each_its_own:
        style = either
    return np.asarray(style(stream, declared, shape), declared.width.dtype, order="C")
