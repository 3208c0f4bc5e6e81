"""Domain: every input of an operation, numbered; and the operands that so many of them are.

What varies is what a network computes: operands that have the axis n, and weights. The others (zero points,
multipliers, shifts, tables, biases) are constants of the domain. Operands that share their axis vary together (all
pairs of codes of an addition); operands that each have one of their own meet in every combination (all activations by
all weights of a product). Axes that a result reads whole make tuples: of k = 2 codes of 4 bits there are 256.
The number of an input counts up from the lowest codes, the last code of the last operand fastest.
"""
from dataclasses import dataclass, field
from math import prod

import numpy as np

from refq import ops
from refq.errors import IllFormed
from refq.ints.operand import sizes as sizes_of

OWN = 1 << 16
"""At most so many inputs lie along the second axis, since all of them are computed at once."""


def varied(row):
    """The names of the operands that vary."""
    return [name for name, d in row.takes.items() if d.width.dtype.kind != "f" and (d.joins or (d.whole and len(d.names)))]


def groups(row):
    """Axis to the operands that vary along it."""
    live, found = varied(row), {}
    cut = {name: [a for a in row.takes[name].names if a not in row.takes[name].whole] for name in live}
    for name in live:
        own = [a for a in cut[name] if not any(a in cut[other] for other in live if other != name)]
        found.setdefault((own or ["n"])[0], []).append(name)
    return found


def free_axes(row):
    """The axes that the shape of a domain gives a size: those of operands that vary, but the ones they vary along."""
    along = groups(row)
    return list(dict.fromkeys(a for name in varied(row) for a in row.takes[name].names if a not in along and a != "n"))


def count(row, sizes):
    """How many inputs there are."""
    return prod(prod(codes(row, name) ** digits(row, name, axis, sizes) for name in names)
                for axis, names in groups(row).items())


def codes(row, name):
    return row.takes[name].hi - row.takes[name].lo + 1


def digits(row, name, axis, sizes):
    """How many codes of an operand belong to one input."""
    return prod(sizes.get(a, 1) for a in row.takes[name].names if a != axis)


@dataclass(frozen=True)
class Domain:
    """All inputs of `op` under `row` where the free axes have these `sizes`; `constants`: the other operands, arrays
    whose axes that are not free have one element, or integers."""

    op: str
    row: object
    sizes: dict
    constants: dict
    total: int = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "total", count(self.row, self.sizes))
        if self.inner > OWN:
            raise IllFormed(f"{self.op}: {self.inner:,} inputs along its second axis; at most {OWN:,} are possible: take a "
                            "smaller shape (--shape) or narrower codes (--row)")

    @property
    def inner(self):
        """The inputs along the second axis, where there is one: all of them belong to one along the first."""
        (first, names), *rest = groups(self.row).items()
        return self.total // prod(codes(self.row, n) ** digits(self.row, n, first, self.sizes) for n in names)

    def operands(self, start, stop):
        """The operands of the inputs start ... stop - 1, as the operation takes them; both are multiples of `inner`."""
        row, live = self.row, {}
        outer = True
        for axis, names in groups(row).items():
            index = np.arange(start // self.inner, stop // self.inner) if outer else np.arange(self.inner)
            for name in reversed(names):
                tuples = codes(row, name) ** digits(row, name, axis, self.sizes)
                live[name] = self.laid(name, axis, index % tuples if len(names) > 1 else index)
                index = index // tuples
            outer = False
        found = {a: s for name, array in live.items() for a, s in zip(row.takes[name].names, array.shape)}
        return {name: live[name] if name in live else self.constant(name, found) for name in row.takes}

    def laid(self, name, axis, index):
        """The tuples of those numbers as an array with the axes of the operand."""
        declared, radix = self.row.takes[name], codes(self.row, name)
        others = tuple(self.sizes.get(a, 1) for a in declared.names if a != axis)
        array = np.empty((len(index), prod(others)), declared.width.dtype)
        for place in reversed(range(array.shape[1])):
            array[:, place] = index % radix + declared.lo
            index = index // radix
        where = declared.names.index(axis)
        return np.ascontiguousarray(np.moveaxis(array.reshape(len(array), *others), 0, where))

    def constant(self, name, found):
        value, declared = self.constants[name], self.row.takes[name]
        if not declared.names:
            return value
        shape = tuple(found.get(a, size) for a, size in zip(declared.names, np.shape(value)))
        return np.ascontiguousarray(np.broadcast_to(value, shape), declared.width.dtype)

    def results(self, operands):
        """Empty arrays for what the operation gives, by name."""
        found = sizes_of({k: d for k, d in self.row.takes.items() if d.names}, operands, self.op)
        found |= self.row.sizes(found)
        return {k: np.empty([found[a] for a in d.names], d.width.dtype) for k, d in self.row.gives.items()}

    def spec(self, operands):
        """What the spec gives, by name, in the containers of the declared widths."""
        given = ops.load(self.op).spec(*operands.values(), row=self.row)
        given = given if isinstance(given, tuple) else (given,)
        return {k: np.asarray(y).astype(d.width.dtype) for (k, d), y in zip(self.row.gives.items(), given)}

    def kernel(self, operands):
        """What the kernel gives, by name."""
        results = self.results(operands)
        ops.load(self.op).kernel(self.row)(*operands.values(), *results.values())
        return results

    def input(self, number):
        """One input: operand to its code, or to a list of them."""
        along, found = groups(self.row), {}
        operands = self.operands(number // self.inner * self.inner, (number // self.inner + 1) * self.inner)
        place = dict.fromkeys(along, 0)
        if len(along) > 1:
            place[list(along)[1]] = number % self.inner
        for axis, names in along.items():
            for name in names:
                array = operands[name].take(place[axis], self.row.takes[name].names.index(axis)).reshape(-1)
                found[name] = array.tolist() if array.size > 1 else int(array[0])
        return {name: found[name] for name in self.row.takes if name in found}
