"""Slip mutants: the structural mistakes that an operation lists, and those that its axes make possible."""
import numpy as np

from refq import ops
from refq.ints import slips
from refq.vectors.mutants import phrases

TILES = (2, 4, 8, 16, 32)


def mutants(step):
    """(kind, name, phrase, local, wrap) of every slip of the step's operation."""
    row = step.row
    for slip in (*ops.load(step.op).slips, *by_axes(row)):
        yield "slip", f"slip {slip.__name__}", phrases.slip(slip, row), False, wrapped(slip, row)


def wrapped(slip, named):
    def wrap(run):
        return lambda operands, row=named, **how: slip(with_how(run, how, row), operands, row)
    return wrap


def with_how(run, how, named):
    """`run` as a slip calls it: with the row and the sites of whoever called the mutant."""
    def again(operands, row=named, **own):
        return run(operands, row=row, **(how | own))
    return again


def by_axes(row):
    """Slips in parameters that an operation does not list: other tiles, neighbours, per-tensor constants."""
    takes, gives = row.takes, row.gives
    (main, declared), (result, given) = next(iter(takes.items())), next(iter(gives.items()))
    shared = [axis for axis in declared.names[-1:] if axis in declared.whole]
    for t in TILES:
        for axis in shared:
            if axis in given.names:
                yield slips.row_tail_lost(axis, t)
                yield slips.row_tile_leaks(axis, t)
            else:
                yield slips.tail_lost(axis, t)
                yield slips.tile_leaks(axis, t)
        yield slips.last_tile_lost(result, t)
        if len(given.names) > 1:
            yield channels_lost(result, t)
        if "k" in takes.get("w", declared).names and "k" in declared.whole:
            yield slips.not_cleared(result, t)
    yield altered_array(result, f"all_zero({result})", np.zeros_like)
    for d in (1, -1):
        yield slips.channels_shifted(result, d)
        yield slips.channels_shifted(main, d)
    for name, operand in takes.items():
        constant = operand.names and operand.names[0] != "n"
        if len(operand.names) > 1 and not (operand.names[0] == "n" and len(operand.names) == 2 and len(given.names) == 1):
            yield slips.transposed(name)
        if constant and len(operand.names) == 1 and name != "t":
            for d in (1, -1):
                yield slips.channels_shifted(name, d)
            yield slips.first_for_all(name)
            yield slips.dropped(name)
        if not operand.names and operand.width.dtype.kind != "f" and operand.lo <= 0 <= operand.hi:
            yield slips.dropped(name)
            if operand.lo < 0:
                yield slips.negated(name)
        if operand.names[:1] == ("n",):
            yield slips.previous_case(name)
    for name, operand in takes.items():
        yield from axes_confused(name, len(operand.names))
    if len(given.names) > 1:
        yield slips.transposed(result)
        yield rows_overwritten(result)
        for t in TILES[1:]:
            for name in (*(k for k, d in takes.items() if len(d.names) > 1), result):
                yield pitch(name, t)
                yield pitch_forgotten(name, t)
            if "k" in declared.whole:
                for rows in (1, 2, 4, 8):
                    yield stale_tiles(result, rows, t)
                    if "bias" in takes:
                        yield stale_sums(result, rows, t)


def channels_lost(name, t):
    """The last len % t channels (places of the last axis) of the result are never written: they stay 0."""
    def slip(run, operands, row):
        results = run(operands)
        array = results[name].copy()
        array[..., array.shape[-1] // t * t:] = 0
        return {**results, name: array}
    return slips.named(slip, f"channels_lost({name}, {t})")



def axes_confused(name, ndim):
    """The operand lies with two of its axes exchanged and is read as if it did not."""
    for a in range(ndim):
        for b in range(a + 1, ndim):
            def change(array, a=a, b=b):
                shape = list(array.shape)
                shape[a], shape[b] = shape[b], shape[a]
                return np.swapaxes(array.reshape(shape), a, b)
            yield altered_array(name, f"stored_exchanged({name}, {a}, {b})", change)
            if ndim > 2:
                yield altered_array(name, f"read_exchanged({name}, {a}, {b})", lambda array, a=a, b=b: np.ascontiguousarray(
                    np.swapaxes(array, a, b)).reshape(array.shape))


def altered_array(name, text, change):
    """A slip that makes `change(array)` of an operand or a result."""
    def slip(run, operands, row):
        if name in operands:
            return run({**operands, name: np.ascontiguousarray(change(operands[name]))})
        results = run(operands)
        return {**results, name: np.ascontiguousarray(change(results[name]))}
    return slips.named(slip, text)


def pitch(name, t):
    """Rows lie at multiples of t elements, padded with 0, and are read as if they lay without gaps."""
    def change(array):
        size = array.shape[-1]
        rows = array.reshape(-1, size) if array.size else array
        padded = np.pad(rows, ((0, 0), (0, -size % t)))
        return padded.reshape(-1)[:array.size].reshape(array.shape)
    return altered_array(name, f"pitch_ignored({name}, {t})", change)


def pitch_forgotten(name, t):
    """Rows lie without gaps, and are read as if they lay at multiples of t elements; behind the end are zeros."""
    def change(array):
        size = array.shape[-1]
        step = -(-size // t) * t
        flat = np.concatenate([array.reshape(-1), np.zeros(step * (array.size // max(1, size) + 1), array.dtype)])
        return np.stack([flat[i * step:i * step + size] for i in range(array.size // max(1, size))]).reshape(array.shape)
    return altered_array(name, f"pitch_invented({name}, {t})", change)


def rows_overwritten(name):
    """Every row of the result is written over the first, and the others are never written: they stay 0."""
    def change(array):
        made = np.zeros_like(array)
        if len(array):
            made[0] = array[-1]
        return made
    return altered_array(name, f"rows_overwritten({name})", change)


def stale_tiles(name, rows, columns):
    """The registers of a tile of `rows` by `columns` start with what the tile before left; tiles go along the columns."""
    def slip(run, operands, row):
        results = run(operands)
        array = results[name].astype(np.int64)
        return {**results, name: row.gives[name].width.wrap(array + left_before(array, rows, columns))}
    return slips.named(slip, f"stale_tiles({name}, {rows}, {columns})")


def stale_sums(name, rows, columns):
    """As stale_tiles, of a kernel that adds the bias behind: it is not among what is left."""
    def slip(run, operands, row):
        results, bare = run(operands), run({**operands, "bias": np.zeros_like(operands["bias"])})
        left = left_before(bare[name].astype(np.int64), rows, columns)
        return {**results, name: row.gives[name].width.wrap(results[name].astype(np.int64) + left)}
    return slips.named(slip, f"stale_sums({name}, {rows}, {columns})")


def left_before(array, rows, columns):
    """What the tiles before each have summed up in its registers."""
    flat = array.reshape(-1, array.shape[-1])
    full = np.pad(flat, ((0, -len(flat) % rows), (0, -flat.shape[1] % columns)))
    tiles = full.reshape(len(full) // rows, rows, -1, columns).transpose(0, 2, 1, 3)
    line = tiles.reshape(-1, rows, columns)
    before = (np.cumsum(line, 0) - line).reshape(tiles.shape).transpose(0, 2, 1, 3).reshape(full.shape)
    return before[:len(flat), :flat.shape[1]].reshape(array.shape)
