"""Slips: the structural mistakes that kernels make, as small functions around a computation that is right.

    slip(run, operands, row) -> results

`run(operands, row=row, at=unwatched)` computes an operation, perhaps under another row: `operands` maps each name of
`row.takes` to an array (or an integer) and the answer maps each name of `row.gives` to an array. A slip calls it
with altered operands or another row, alters the answer, or passes a site that lies: it needs no second implementation.
It has a `__name__` that says what went wrong; it alters copies, never what it was given, and where the shape leaves no
room for the mistake it gives the right answer. Below, `name` is an operand or a result.
"""
import numpy as np

from refq.ints.sites import Sites


def named(slip, text):
    slip.__name__ = slip.__qualname__ = text
    return slip


def bias_dropped(run, operands, row):
    """The bias is never added."""
    return run({**operands, "bias": np.zeros_like(operands["bias"])})


def dropped(name):
    """The scalar or array `name` is taken as 0."""
    def slip(run, operands, row):
        return run({**operands, name: operands[name] * 0})
    return named(slip, f"{name}_dropped")


def halved(name):
    """Every shift of the array `name` is one more, where its range has room."""
    def slip(run, operands, row):
        more = np.minimum(operands[name] + 1, row.takes[name].hi).astype(operands[name].dtype)
        return run({**operands, name: more})
    return named(slip, f"{name}_off_by_one")


def first_for_all(*names):
    """Every channel takes the values of the first: what is per channel is read as per tensor."""
    def slip(run, operands, row):
        return run({**operands, **{n: np.repeat(operands[n][:1], len(operands[n])) for n in names}})
    return named(slip, f"first_for_all({', '.join(names)})")


def negated(name):
    """`name` is added where it should be taken off, or the other way round; wraps in its container."""
    def slip(run, operands, row):
        value = operands[name]
        return run({**operands, name: np.negative(value) if isinstance(value, np.ndarray) else -value})
    return named(slip, f"{name}_negated")


def axis_of(declared, axis):
    return declared.names.index(axis)


def along(axis, operands, row):
    """The operands that have `axis`, and where."""
    return {name: axis_of(d, axis) for name, d in row.takes.items() if axis in d.names and name in operands}


def tail_lost(axis, t):
    """A loop in steps of t over `axis` forgets what is left at its end."""
    def slip(run, operands, row):
        short = {}
        for name, at in along(axis, operands, row).items():
            keep = operands[name].shape[at] // t * t
            short[name] = np.ascontiguousarray(operands[name].take(range(keep), at))
        return run({**operands, **short})
    return named(slip, f"tail_lost({axis}, {t})")


def tile_leaks(axis, t):
    """The last step of a loop in steps of t over the last axis reads on into what lies behind the row in memory."""
    def slip(run, operands, row):
        longer = {}
        for name, at in along(axis, operands, row).items():
            array = operands[name]
            size = array.shape[at]
            if at != array.ndim - 1 or not array.size:
                return run(operands)
            start = np.arange(array.size // size)[:, None] * size
            index = (start + np.arange(-(-size // t) * t)) % array.size
            longer[name] = array.reshape(-1)[index].reshape(array.shape[:-1] + (-1,))
        return run({**operands, **longer})
    return named(slip, f"tile_leaks({axis}, {t})")


def channels_shifted(name, d):
    """`name` is read or written d channels (places of its last axis) too far."""
    def slip(run, operands, row):
        if name in operands:
            return run({**operands, name: np.roll(operands[name], -d, -1)})
        results = run(operands)
        return {**results, name: np.roll(results[name], d, -1)}
    return named(slip, f"channels_shifted({name}, {d})")


def transposed(name):
    """`name` is read or written with its last two axes in the other order in memory."""
    def turn(array):
        return np.ascontiguousarray(np.swapaxes(array, -1, -2)).reshape(array.shape)

    def slip(run, operands, row):
        if name in operands:
            return run({**operands, name: turn(operands[name])})
        results = run(operands)
        return {**results, name: turn(results[name])}
    return named(slip, f"transposed({name})")


def not_cleared(name, t):
    """The registers of a tile of t rows of the result start with what the tile before left; they wrap."""
    def slip(run, operands, row):
        results = run(operands)
        array = results[name].astype(np.int64)
        for first in range(t, len(array), t):
            rows = array[first:first + t]
            rows += array[first - t:first][:len(rows)]
        return {**results, name: row.gives[name].width.wrap(array).astype(results[name].dtype)}
    return named(slip, f"not_cleared({name}, {t})")


def previous_case(name):
    """`name` is still that of the image before: the first image gets that of the last."""
    def slip(run, operands, row):
        return run({**operands, name: np.roll(operands[name], 1, 0)})
    return named(slip, f"{name}_of_previous_case")


def last_tile_lost(name, t):
    """The last len % t rows of the result are never written: they stay 0."""
    def slip(run, operands, row):
        results = run(operands)
        array = results[name].copy()
        array[len(array) // t * t:] = 0
        return {**results, name: array}
    return named(slip, f"last_tile_lost({name}, {t})")


def row_tail_lost(axis, t):
    """As tail_lost, where the results have the axis too: the forgotten places stay 0. Rows shorter than t are right."""
    lost = tail_lost(axis, t)

    def slip(run, operands, row):
        if min(operands[name].shape[at] for name, at in along(axis, operands, row).items()) < t:
            return run(operands)
        results = lost(run, operands, row)
        size = operands[next(iter(along(axis, operands, row)))].shape[-1]
        return {name: np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, size - y.shape[-1])]) for name, y in results.items()}
    return named(slip, f"row_tail_lost({axis}, {t})")


def row_tile_leaks(axis, t):
    """As tile_leaks, where the results have the axis too: what was read too much is not written."""
    leaks = tile_leaks(axis, t)

    def slip(run, operands, row):
        size = operands[next(iter(along(axis, operands, row)))].shape[-1]
        return {name: np.ascontiguousarray(y[..., :size]) for name, y in leaks(run, operands, row).items()}
    return named(slip, f"row_tile_leaks({axis}, {t})")


def largest_forgotten(run, operands, row):
    """The largest code of a softmax is not reset between rows: each takes that of all rows before it."""
    q = operands["q"].astype(np.int64)
    largest = q.max(axis=1, keepdims=True)

    class Kept(Sites):
        def __call__(self, name, value, width):
            return value + largest - np.maximum.accumulate(largest, axis=0) if name == "lowered" else value

    return run(operands, at=Kept())


def not_shifted(site):
    """What is shifted at that site stays as it is."""
    class Kept(Sites):
        def shift(self, name, word, x, s, width):
            return x if name == site else super().shift(name, word, x, s, width)

    def slip(run, operands, row):
        return run(operands, at=Kept())
    return named(slip, f"{site}_not_shifted")


def place_off_by(name, d):
    """Every place that `name` says is d further on, as far as there are any."""
    def slip(run, operands, row):
        declared = row.takes[name]
        return run({**operands, name: np.clip(operands[name] + d, declared.lo, declared.hi).astype(operands[name].dtype)})
    return named(slip, f"{name}_off_by({d})")


def counted_from_the_start(name):
    """The places along the last axis are 0, 1, 2 ..., whatever `name` says."""
    def slip(run, operands, row):
        places = operands[name]
        start = np.arange(places.shape[-1]) % (row.takes[name].hi + 1)
        return run({**operands, name: np.ascontiguousarray(np.broadcast_to(start, places.shape), places.dtype)})
    return named(slip, f"{name}_counted_from_the_start")
