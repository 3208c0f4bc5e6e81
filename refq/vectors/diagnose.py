"""Diagnose: which mistake makes of the true operands what a device gave.

Every mutant of the run of steps is a hypothesis. On its result and the device's three numbers are counted: differences
that it explains, differences that are left, and right elements that it would have broken. One that explains all and
breaks none fits; one that explains all and breaks some fits where it acts in a region that can be said in words. If none
fits, two at a time are tried. Those that fit are told apart by an input, where one is found (separate.py).
"""
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter

import numpy as np

from refq.errors import RefqError
from refq.vectors.mutants import layouts, of_run
from refq.vectors.mutants.regions import described
from refq.vectors.place import by_kernel, by_spec
from refq.vectors.sample import sample
from refq.vectors.separate import separate, separation

KINDS = ("field", "slip", "row", "unit", "storage", "layout", "site")
PAIRS, PARTIAL, SHOWN = 24, 3, 3
PATIENCE = 5
"""Seconds for two mutants at a time."""
FEW = 4
"""Fewer differences than this are too few to be sure of a cause."""
IMPOSSIBLE = (RefqError, ValueError, OverflowError, ZeroDivisionError, IndexError, KeyError)
"""What a run raises where a mistake cannot be made with these operands."""


@dataclass(frozen=True, eq=False)
class Cause:
    """`mutants`: one, or two; `where`: the region in words, "" for everywhere, None where no words hold; `explained`,
    `left`: differences that it makes and does not make; `broken`: right elements that it would have changed in there."""

    mutants: tuple
    where: str | None
    explained: int
    left: int
    broken: int

    @property
    def fits(self):
        return not self.left and not self.broken

    @property
    def name(self):
        return " and ".join(m.name for m in self.mutants) + (f", in {self.where}" if self.where else "")

    def phrase(self):
        return " and ".join(m.phrase for m in self.mutants) + (f", in {self.where}" if self.where else "")

    def words(self):
        return {"mutants": [m.name for m in self.mutants], "phrase": self.phrase(), "where": self.where, "fits": self.fits,
                "explained": self.explained, "left": self.left, "broken": self.broken}


@dataclass
class Diagnosis:
    """Of one run of steps: `causes` that fit, simplest first; `partial`: the best of those that do not; `separating`: an
    input on which the causes that fit differ, or None; `tried`: how many mutants."""

    step: str
    tensor: str
    wrong: int
    equal: int
    causes: list
    partial: list
    tried: int
    separating: dict | None = None
    notes: list = field(default_factory=list)

    def words(self):
        return {"step": self.step, "tensor": self.tensor, "differences": self.wrong, "equal": self.equal,
                "causes": [c.words() for c in self.causes], "partial": [c.words() for c in self.partial],
                "separating": self.separating, "tried": self.tried, "notes": self.notes}

    def lines(self):
        """One sentence, and what else has to be known of it."""
        if self.causes:
            first, others = self.causes[0], self.causes[1:]
            sure = "" if self.wrong >= FEW else f" (only {self.wrong} differ: too few to be sure)"
            more = f"; {len(others)} other{'s' * (len(others) > 1)} fit{'s' * (len(others) == 1)} too" if others else ""
            yield (f"cause: step {self.step}: {first.phrase()}; explains {first.explained:,} of {self.wrong:,} differences, "
                   f"breaks none of {self.equal:,} equal elements{sure}{more}")
            for cause in others[:SHOWN]:
                yield f"  fits too: {cause.phrase()} [{cause.name}]"
            if len(others) > SHOWN:
                yield f"  ... and {len(others) - SHOWN} more (--json lists them)"
            if others:
                yield f"  {separation(self.separating, self.causes)}"
        else:
            yield (f"cause: step {self.step}: unknown: none of {self.tried:,} mistakes, nor two of them together, gives what the "
                   "device gave")
            for cause in self.partial:
                yield (f"  nearest: {cause.phrase()}; explains {cause.explained:,} of {self.wrong:,} differences, breaks "
                       f"{cause.broken:,} of {self.equal:,} equal elements")
        yield from (f"  {note}" for note in self.notes)


def diagnose(place, device):
    """The Diagnosis of what a device gave. `device`: tensor to codes (cases *shape), of the results of `place`."""
    name = next((t for t in place.results if t in device and (device[t] != place.truth[t]).any()), place.results[0])
    trial = Trial(place, name, device[name])
    mutants = [*of_run(place.program, place.steps), *layouts.mutants(place)]
    for mutant in mutants:
        trial.single(mutant)
    if not trial.causes:
        trial.pairs()
    causes = sorted(trial.causes, key=simplicity)
    partial = [] if causes else trial.nearest()
    notes = [] if trial.shows else ["no mistake that refq knows changes anything on this data: record vectors that show them"]
    step = place.steps[causes[0].mutants[0].place if causes else -1].name
    separating = separate(place, causes) if len(causes) > 1 else None
    return Diagnosis(step, name, int(trial.wrong.sum()), int((~trial.wrong).sum()), causes, partial, len(mutants), separating, notes)


def simplicity(cause):
    """Fewer mutants, everywhere before some place, and the kinds in the order in which people make them."""
    first = cause.mutants[0]
    return len(cause.mutants), bool(cause.where), KINDS.index(first.kind), first.name


class Trial:
    """Mutants judged by what a device gave of one tensor: on a sample first, those that may fit on all of it.

    `causes`: those that fit; `hopeful`: (differences explained less elements broken on the sample, mutant) of those
    that explain some; `shows`: does any mutant change anything?"""

    def __init__(self, place, name, got):
        self.place, self.name, self.got, self.truth = place, name, got, place.truth[name]
        self.wrong = got != self.truth
        self.small = sample(place, self.wrong)
        self.expected, self.given = self.small.of(self.truth), self.small.of(got)
        self.causes, self.hopeful, self.shows = [], [], False

    def single(self, mutant):
        """One mutant: local ones go to the sample first, the others are run on everything, by the kernels."""
        if not mutant.local:
            result = self.everywhere((mutant,))
            if result is not None:
                self.note(mutant, result, self.truth, self.got)
                self.admit((mutant,), result)
            return
        result = self.sampled((mutant,))
        if result is not None and self.note(mutant, result, self.expected, self.given):
            self.admit((mutant,), self.everywhere((mutant,)))

    def note(self, mutant, result, truth, got):
        """Does the mutant explain every difference there? Keeps it in mind where it explains some."""
        self.shows |= bool((result != truth).any())
        wrong = got != truth
        explained = np.count_nonzero(wrong & (result == got))
        if explained:
            broken = np.count_nonzero(~wrong & (result != truth))
            self.hopeful.append(((explained - broken) / max(1, np.count_nonzero(wrong)), mutant))
        return explained == np.count_nonzero(wrong)

    def sampled(self, mutants):
        """The sample's elements under mutants, or None where the mistake cannot be made here."""
        try:
            return self.small.run(mutants)
        except IMPOSSIBLE:
            return None

    def everywhere(self, mutants):
        """The whole result under mutants, or None where the mistake cannot be made here."""
        try:
            return self.place.run(mutants, by_spec if all(m.local for m in mutants) else by_kernel)[self.name]
        except IMPOSSIBLE:
            return None

    def admit(self, mutants, result):
        """Keep mutants as a cause where their result fits."""
        if result is not None and (cause := self.weighed(mutants, result)).fits:
            self.causes.append(cause)

    def weighed(self, mutants, result):
        explained = self.wrong & (result == self.got)
        spared = ~self.wrong & (result != self.truth)
        count, broken = int(explained.sum()), int(spared.sum())
        left = int(self.wrong.sum()) - count
        if left or not count:
            return Cause(mutants, None if broken else "", count, left, broken)
        where = described(explained, spared)
        return Cause(mutants, where, count, 0, broken if where is None else 0)

    def best(self):
        return [m for _, m in sorted(self.hopeful, key=lambda pair: (-pair[0], pair[1].name))]

    def pairs(self):
        """Two mutants at a time, of those that alone explain something."""
        begun = perf_counter()
        for a, b in combinations([m for m in self.best() if not m.whole][:PAIRS], 2):
            if perf_counter() - begun > PATIENCE:
                break
            if a.local and b.local:
                result = self.sampled((a, b))
                if result is None or (result != self.given)[self.given != self.expected].any():
                    continue
            self.admit((a, b), self.everywhere((a, b)))

    def nearest(self):
        """The Causes of the mutants that come nearest, though they do not fit."""
        found = [self.weighed((m,), result) for m in self.best()[:PARTIAL] if (result := self.everywhere((m,))) is not None]
        return [c for c in found if c.explained]
