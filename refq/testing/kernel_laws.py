"""Laws of a kernel: each is a function of (kernel, operation, row, operands) that gives None, or a text of what it saw.

    kernel(*operands, *results) -> nothing; it fills the results, as kernels of refq.ops do (`returning` makes one of a function)

A law's docstring is its sentence. `operation` is a name of refq.ops; `operands` a dict in the order of `row.takes`.
"""
import numpy as np

from refq import ops
from refq.ints.operand import sizes

GUARD = 192
"""Bytes on either side of every array, a multiple of any vector."""
FILLS = (0xAA, 0x55)


def guarded(array, fill):
    """(a copy of `array` with guard bytes around it, the whole buffer); the copy begins at a multiple of 64 bytes."""
    buffer = np.full(array.nbytes + 2 * GUARD + 64, fill, np.uint8)
    start = GUARD + -(buffer.ctypes.data + GUARD) % 64
    inside = buffer[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
    inside[...] = array
    return inside, buffer, start


def untouched(held, fill):
    """Are the bytes around an array what they were?"""
    inside, buffer, start = held
    return bool((buffer[:start] == fill).all() and (buffer[start + inside.nbytes:] == fill).all())


def shapes(row, operands):
    """Result to shape."""
    found = sizes({k: d for k, d in row.takes.items() if d.names}, operands, "testing")
    found |= row.sizes(found)
    return {name: tuple(found[axis] for axis in declared.names) for name, declared in row.gives.items()}


def called(kernel, row, operands, fill=FILLS[0], around=FILLS[0]):
    """(results, operands afterwards), each name to what `guarded` gave: one call, with `fill` in and around the results, and
    `around` around the operands."""
    given = {k: guarded(v, around) if isinstance(v, np.ndarray) else v for k, v in operands.items()}
    results = {}
    for name, shape in shapes(row, operands).items():
        dtype = row.gives[name].width.dtype
        empty = np.full(int(np.prod(shape)) * dtype.itemsize, fill, np.uint8).view(dtype).reshape(shape)
        results[name] = guarded(empty, fill)
    kernel(*(v[0] if isinstance(v, tuple) else v for v in given.values()), *(r[0] for r in results.values()))
    return results, given


def computed(kernel, row, operands, **options):
    """Result to array."""
    return {name: held[0] for name, held in called(kernel, row, operands, **options)[0].items()}


def expected(operation, row, operands):
    """Result to array, by the spec."""
    out = ops.load(operation).spec(*operands.values(), row=row)
    results = zip(row.gives, out if isinstance(out, tuple) else (out,))
    return {name: np.asarray(y).astype(row.gives[name].width.dtype) for name, y in results}


def unlike(one, two, first, second):
    """None, or the first element of a result that differs; `first`, `second`: whose it is."""
    for name in one:
        a, b = one[name], two[name]
        wrong = np.atleast_1d((a != b) & ~((a != a) & (b != b)))
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])[:a.ndim]
            more = f"({int(wrong.sum())} differ)"
            return f"{name}{list(place)} of {list(a.shape)}: {first} {a[place]!s}, {second} {b[place]!s} {more}"
    return None


def equals_the_spec(kernel, operation, row, operands):
    """Every result is that of the operation's spec, bit for bit, whatever the shape."""
    return unlike(expected(operation, row, operands), computed(kernel, row, operands), "expected", "kernel")


def writes_every_element(kernel, operation, row, operands):
    """Results do not depend on what lay in their memory before."""
    one, two = (computed(kernel, row, operands, fill=fill) for fill in FILLS)
    return unlike(one, two, "over 0xAA", "over 0x55")


def writes_nothing_else(kernel, operation, row, operands):
    """No byte before or behind a result is written, nor around an operand."""
    for fill in FILLS:
        results, given = called(kernel, row, operands, fill, fill)
        for name, held in (*results.items(), *given.items()):
            if isinstance(held, tuple) and not untouched(held, fill):
                place = np.flatnonzero(held[1] != fill)
                outside = place[(place < held[2]) | (place >= held[2] + held[0].nbytes)]
                at = int(outside[0]) - held[2]
                where = f"{-at} bytes before" if at < 0 else f"{at - held[0].nbytes} bytes behind the end of"
                return f"a byte {where} {name} {list(held[0].shape)} is written"
    return None


def leaves_its_operands(kernel, operation, row, operands):
    """No operand is written to."""
    for name, held in called(kernel, row, operands)[1].items():
        if isinstance(held, tuple) and held[0].tobytes() != operands[name].tobytes():
            place = tuple(int(i) for i in np.argwhere(np.atleast_1d(held[0] != operands[name]))[0])
            return f"{name}{list(place)} was {operands[name][place]!s} and is {held[0][place]!s}"
    return None


def reads_nothing_else(kernel, operation, row, operands):
    """Results do not depend on what lies around an operand in memory: no tail, tile or padding reads beyond it."""
    one, two = (computed(kernel, row, operands, around=around) for around in FILLS)
    return unlike(one, two, "beside 0xAA", "beside 0x55")


def is_deterministic(kernel, operation, row, operands):
    """Equal operands give equal results, also after a call with others."""
    one = {k: v.copy() for k, v in computed(kernel, row, operands).items()}
    other = {k: v[..., ::-1].copy() if row.takes[k].joins else v for k, v in operands.items()}
    computed(kernel, row, other)
    return unlike(one, computed(kernel, row, operands), "first", "then")


def takes_rows_alone(kernel, operation, row, operands):
    """A row of the batch gets what it gets alone, and in another order."""
    joined = [name for name, declared in row.takes.items() if declared.joins]
    whole = {axis for declared in row.takes.values() for axis in declared.whole}
    if not joined or "n" in whole or any(d.names[:1] != ("n",) for d in row.gives.values()):
        return None
    count, made = len(operands[joined[0]]), computed(kernel, row, operands)
    for rows in ([i] for i in sorted({0, count // 2, count - 1}) if count):
        part = computed(kernel, row, {k: v[rows] if k in joined else v for k, v in operands.items()})
        if told := unlike({k: v[rows] for k, v in made.items()}, part, f"row {rows[0]} of {count} is", "alone"):
            return told
    turned = computed(kernel, row, {k: np.ascontiguousarray(v[::-1]) if k in joined else v for k, v in operands.items()})
    return unlike(made, {k: v[::-1] for k, v in turned.items()}, "in order", "backwards")


LAWS = (equals_the_spec, writes_every_element, writes_nothing_else, leaves_its_operands, reads_nothing_else, is_deterministic,
        takes_rows_alone)
