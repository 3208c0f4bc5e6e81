"""Calls: a kernel's calls on all cases of a unit, in two orders, and what it showed as the tensors of each case."""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.vectors.kernels.arguments import BATCHED, Binder


@dataclass(frozen=True)
class Turn:
    """One run of all cases: `fill`: what results hold before it; `backward`: from the last case to the first."""

    name: str
    fill: int
    backward: bool


FIRST, AGAIN = Turn("first", 0xAA, False), Turn("again", 0x55, True)
SAME, REFILLED = Turn("same", 0xAA, False), Turn("refilled", 0x55, False)


@dataclass(frozen=True)
class Shown:
    """A tensor of one case as a device showed it: `codes` (*shape); `unknown`: which of them are X or Z, or None;
    `padding`: the lanes that must hold `pad`, and which of them are X or Z, or None."""

    codes: np.ndarray
    unknown: np.ndarray | None = None
    padding: tuple | None = None
    pad: int = 0


class Calls:
    """`groups`: the cases of each call; `given`: its arguments; `results`: tensor to its argument in the first call."""

    def __init__(self, kernel, unit, golden):
        self.kernel, self.unit, n = kernel, unit, len(golden)
        joined = kernel.batch == BATCHED
        self.groups = [tuple(range(n)), tuple(reversed(range(n)))] if joined else [(i,) for i in range(n)]
        binder = Binder(kernel, unit)
        self.given = [binder.call([golden[i] for i in group]) for group in self.groups]
        self.results = {g.tensor: g for g in self.given[0] if g.tensor}
        self.refuse_partial()

    def refuse_partial(self):
        """IllFormed where the kernel shows less than the unit ends in: the rest of it would pass unseen."""
        for operand, tensor in self.unit.steps[-1].outputs.items():
            if tensor not in self.results:
                raise IllFormed(f"{self.kernel.path}: {self.kernel.prototype.name} gives no {operand!r} ({tensor}), in which "
                                f"unit {self.unit.name} ends; add an argument for it, or name only the steps that the "
                                "kernel does")

    def order(self, turn):
        """The groups that a turn calls, in order."""
        if self.kernel.batch == BATCHED:
            return [int(turn.backward)]
        groups = range(len(self.groups))
        return list(reversed(groups) if turn.backward else groups)

    def shown(self, group, raws):
        """Case to {tensor: Shown}, of what the arguments held after a call on a group."""
        found = {case: {} for case in self.groups[group]}
        for given in self.given[group]:
            if given.tensor:
                parts = self.decoded(given, raws[given.argument.name], len(found))
                for case, part in zip(self.groups[group], parts):
                    found[case][given.tensor] = part
        return found

    def decoded(self, given, raw, cases):
        """A Shown for each of the cases that were joined; padding is told of the first."""
        storage, shape = given.storage, self.unit.program.tensors[given.tensor].shape
        lanes, lost = storage.read(raw)
        codes = storage.elements(lanes).reshape(cases, *shape)
        unknown = [None] * cases if lost is None else storage.elements(lost).reshape(cases, *shape)
        padding = None
        if storage.pad is not None:
            padding = storage.padding(lanes), None if lost is None else storage.padding(lost)
        return [Shown(codes[i], unknown[i], None if i else padding, storage.pad or 0) for i in range(cases)]

    def poison(self, tensor, turn):
        """The codes (*shape) of a tensor that was never written."""
        given = self.results[tensor]
        raw = np.full(given.nbytes, turn.fill, np.uint8)
        return self.decoded(given, raw, len(self.groups[0]))[0].codes

    def by_case(self, raws, faults):
        """(turn, case) to {tensor: Shown}, and case to what was wrong, of (turn, group) to arrays and group to words."""
        wrong = {case: words for group, words in faults.items() for case in self.groups[group]}
        found = {}
        for (turn, group), arrays in raws.items():
            for case, tensors in self.shown(group, arrays).items() if group not in faults else ():
                found[turn, case] = tensors
        return found, wrong
