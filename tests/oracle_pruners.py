"""What pruners choose, one weight at a time: Python's own sort on exact fractions; shares no code with refq."""
from fractions import Fraction
from itertools import product


def places(shape):
    return list(product(*map(range, shape)))


def walk(shape):
    """For each output the indices of its weights in the order in which a kernel sums: (kh kw d) of a convolution."""
    if len(shape) == 2:
        return [[(m, k) for k in range(shape[1])] for m in range(shape[0])]
    m, d, kh, kw = shape
    return [[(o, c, y, x) for y in range(kh) for x in range(kw) for c in range(d)] for o in range(m)]


def weight(array, at):
    return abs(Fraction(float(array[at])))


def going(decimal, count):
    """How many of `count` go at a share written as a decimal text."""
    return Fraction(decimal) * count // 1


def least(scores, count):
    """The indices of the `count` least scores; of equal ones the higher index goes."""
    return set(sorted(range(len(scores)), key=lambda i: (scores[i], -i))[:count])


def groups(array, n, m, unit, axis):
    """The places that n:m in units keeps, along k (axis None) or an axis of the tensor."""
    if axis is None:
        lines = walk(array.shape)
    else:
        rest = [range(s) if i != axis else (None,) for i, s in enumerate(array.shape)]
        lines = [[tuple(k if at is None else at for at in fixed) for k in range(array.shape[axis])] for fixed in product(*rest)]
    kept = set()
    for line in lines:
        units = [line[i:i + unit] for i in range(0, len(line), unit)]
        for first in range(0, len(units), m // unit):
            group = units[first:first + m // unit]
            stays = -(-(n // unit) * len(group) // (m // unit))
            gone = least([sum(weight(array, at) for at in u) for u in group], len(group) - stays)
            kept |= {at for i, u in enumerate(group) if i not in gone for at in u}
    return kept


def blocks(array, rows, columns, decimal, power):
    """The places that the pruning of blocks keeps."""
    lines = walk(array.shape)
    high, wide = len(lines), len(lines[0])
    cells = [[lines[r][c] for r in range(i, min(i + rows, high)) for c in range(j, min(j + columns, wide))]
             for i in range(0, high, rows) for j in range(0, wide, columns)]
    gone = least([sum(weight(array, at) ** power for at in cell) for cell in cells], going(decimal, len(cells)))
    return {at for i, cell in enumerate(cells) if i not in gone for at in cell}


def smallest(arrays, decimal):
    """For each array the places that stay when the least weights of all together go."""
    every = [(name, at) for name, array in arrays.items() for at in places(array.shape)]
    gone = least([weight(arrays[name], at) for name, at in every], going(decimal, len(every)))
    return {name: {at for i, (of, at) in enumerate(every) if of == name and i not in gone} for name in arrays}
