"""shares: what softmax operations have in common: the real function, the registers of their sum, rows moved or put in order.

q (n c) are codes, y their shares.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints import spans
from refq.ints.operand import never_empty


def real(q, s, base=np.e):
    """softmax of the real row, to a base: q (n c) codes of scale s; float64."""
    e = np.power(base, (q.astype(np.float64) - q.max(axis=1, keepdims=True)) * s)
    return e / e.sum(axis=1, keepdims=True)


def registers(row, width, count, most):
    """The registers of the sum of `count` exponentials of at most `most` in `width`, joined as the row says."""
    yield from spans.summed(row.accumulate, "sum" if row.accumulate else "total", width, count, (0, most))


def at_the_top(q, row):
    """Each row with a constant added, so that its largest code is the highest there is."""
    q = q.astype(np.int64)
    return q + row.q.hi - q.max(axis=1, keepdims=True)


def zero_point_plays_no_part(spec):
    """The law of that name: adding a constant to a whole row changes nothing."""
    def law(q, *others, row):
        return spec(at_the_top(q, row), *others, row=row) == spec(q, *others, row=row)
    return law


def rising(q, y):
    """Whether larger codes (or exponentials) have no smaller shares, and equal ones equal shares: a bool for each two
    neighbours in order."""
    order = np.argsort(q, axis=1, kind="stable")
    apart = np.take_along_axis(q, order, 1)
    steps = np.diff(np.take_along_axis(y, order, 1))
    return (steps >= 0) & ((apart[:, 1:] > apart[:, :-1]) | (steps == 0))


def short(found, longest, where):
    """For a row's `sizes`: refuses rows without codes, and those whose sum 32 bits do not hold."""
    if found["c"] > longest:
        raise IllFormed(f"{where}: rows of {found['c']} codes; their sum fits 32 bits up to {longest}")
    return never_empty("c", found, where)


def held(found, width, most, where):
    """For a row's `sizes`: refuses rows without codes, and those of whose exponentials, at most `most` each, `width` may not
    hold the sum."""
    if found["c"] * most > width.hi:
        raise IllFormed(f"{where}: rows of {found['c']} codes; {width} holds the sum of {width.hi // most} exponentials of up to "
                        f"{most}: shorten the rows, or give the row a wider acc")
    return never_empty("c", found, where)


def lowest(row):
    """zero(row) of an operation whose y counts from its lowest code."""
    return row.out.lo


def held_to(longest):
    """holds(row, scale, count): does the sum of a row of `count` codes fit its register?"""
    def holds(row, scale, count):
        return count <= longest
    return holds


def up_to(width, most):
    """registers(row, ends, sizes, constants) of a softmax whose terms are at most `most`, in a sum of `width`."""
    def of_row(row, ends, sizes, constants):
        return registers(row, width, sizes["c"], most)
    return of_row
