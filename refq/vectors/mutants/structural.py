"""Slip mutants: the structural mistakes that an operation lists, and those that its axes make possible."""

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
    if len(given.names) > 1:
        yield slips.transposed(result)


def channels_lost(name, t):
    """The last len % t channels (places of the last axis) of the result are never written: they stay 0."""
    def slip(run, operands, row):
        results = run(operands)
        array = results[name].copy()
        array[..., array.shape[-1] // t * t:] = 0
        return {**results, name: array}
    return slips.named(slip, f"channels_lost({name}, {t})")

