"""Diagnose: which mistake makes of the true operands what a device gave.

Every mutant of the run of steps is a hypothesis. On its result and the device's three numbers are counted: differences
that it explains, differences that are left, and right elements that it would have broken. One that explains all and
breaks none fits; one that explains all and breaks some fits where it acts in a region that can be said in words. If none
fits, two at a time are tried. Those that fit are told apart by an input, where one is found (separate.py).
"""
from dataclasses import dataclass, field

import numpy as np

from refq.vectors.diagnosis import spread
from refq.vectors.diagnosis.place import IMPOSSIBLE, Place, by_kernel, by_spec
from refq.vectors.diagnosis.sample import Cases, sample
from refq.vectors.diagnosis.separate import separate, separation
from refq.vectors.mutants import layouts, of_run, regions

KINDS = ("field", "slip", "row", "unit", "storage", "term", "geometry", "layout", "site")
LEADS, PARTIAL, SHOWN = 12, 3, 3
WORK = 200_000
"""Sums of one product that may be tried for two mutants at a time: fewer pairs where sums are long."""
FEW = 4
"""Fewer differences than this are too few to be sure of a cause."""
MANY = 16
"""Differences that a region of odd tiles has to explain."""


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
    def doubtful(self):
        """Does it fit at some places of one device only, and nobody knows what tells them apart?"""
        return bool(self.where) and self.where.endswith(" only")

    @property
    def name(self):
        return " and ".join(m.name for m in self.mutants) + (f", in {self.where}" if self.where else "")

    def phrase(self):
        return " and ".join(m.phrase for m in self.mutants) + (f", in {self.where}" if self.where else "")

    def words(self):
        return {"mutants": [m.name for m in self.mutants], "phrase": self.phrase(), "where": self.where, "fits": self.fits,
                "doubtful": self.doubtful,
                "explained": self.explained, "left": self.left, "broken": self.broken}


@dataclass
class Diagnosis:
    """Of one run of steps: `causes` that fit, simplest first; `partial`: the best of those that do not; `separating`: an
    input on which the causes that fit differ, or None; `tried`: how many mutants; `spread`: where the wrong elements lie."""

    step: str
    tensor: str
    wrong: int
    equal: int
    causes: list
    partial: list
    tried: int
    spread: dict
    separating: dict | None = None
    notes: list = field(default_factory=list)

    def words(self):
        return {"step": self.step, "tensor": self.tensor, "differences": self.wrong, "equal": self.equal,
                "causes": [c.words() for c in self.causes], "partial": [c.words() for c in self.partial],
                "separating": self.separating, "tried": self.tried, "spread": self.spread, "notes": self.notes}

    def lines(self):
        """One sentence, and what else has to be known of it."""
        if self.causes:
            first, others = self.causes[0], self.causes[1:]
            sure = "" if self.wrong >= FEW else f" (only {self.wrong} differ: too few to be sure)"
            more = f"; {len(others)} other{'s' * (len(others) > 1)} fit{'s' * (len(others) == 1)} too" if others else ""
            perhaps = ", perhaps" if first.doubtful else ""
            yield (f"cause{perhaps}: step {self.step}: {first.phrase()}; explains {first.explained:,} of {self.wrong:,} "
                   f"differences, breaks none of {self.equal:,} equal elements{sure}{more}")
            for cause in others[:SHOWN]:
                yield f"  fits too: {cause.phrase()} [{cause.name}]"
            if len(others) > SHOWN:
                yield f"  ... and {len(others) - SHOWN} more (--json lists them)"
            if others:
                yield f"  {separation(self.separating, self.causes)}"
        else:
            yield (f"cause: step {self.step}: unknown: none of {self.tried:,} mistakes, nor two of them together, gives what the "
                   "device gave")
            for cause in (c for c in self.partial if c.explained > c.broken):
                yield (f"  nearest: {cause.phrase()}; explains {cause.explained:,} of {self.wrong:,} differences, breaks "
                       f"{cause.broken:,} of {self.equal:,} equal elements")
        yield from (f"  {line}" for line in (*spread.lines(self.spread), *self.notes))


@np.errstate(all="ignore")             # a mistake may divide by what the true rules keep above 0
def diagnose(places, devices, aside=None):
    """The Diagnosis of what a device gave. `places`: a Place, or several of the same operations and rows that one device
    did; `devices`: for each, tensor to codes (cases *shape) of its results; `aside`: for each, tensor to the elements
    that were not written, or not twice the same: they speak for nothing. A cause has to fit in all of them."""
    places, devices = ([places], [devices]) if isinstance(places, Place) else (places, devices)
    trials = [Trial(*three) for three in zip(places, devices, aside or [{}] * len(places))]
    inquiry, first = Inquiry(trials), next((t for t in trials if t.wrong.any()), trials[0])
    mutants = inquiry.mutants()
    for mutant in mutants:
        inquiry.single(mutant)
    if not inquiry.causes:
        inquiry.pairs(mutants)
    causes = sorted(inquiry.causes, key=simplicity)
    notes = [] if inquiry.shows else ["no mistake that refq knows changes anything on this data: record vectors that show them"]
    return Diagnosis(first.place.steps[causes[0].mutants[0].place if causes else -1].name, first.name, inquiry.wrong,
                     inquiry.equal, causes, [] if causes else inquiry.nearest(), len(mutants), spread.spread(inquiry.trials),
                     separate(first.place, causes) if len(causes) > 1 else None, notes)


def simplicity(cause):
    """Fewer mutants, everywhere before some place, and the kinds in the order in which people make them."""
    first = cause.mutants[0]
    return (cause.doubtful, len(cause.mutants), bool(cause.where), KINDS.index(first.kind), not first.name.endswith("=none"),
            first.name)


class Trial:
    """What a device gave of one tensor at one place: `got`, beside the `truth`; with a sample of both."""

    def __init__(self, place, device, aside):
        self.place = place
        self.name = next((t for t in place.results if t in device and (device[t] != place.truth[t]).any()), place.results[0])
        self.truth, self.judged = place.truth[self.name], ~aside.get(self.name, np.zeros((), bool))
        self.got = np.where(self.judged, device[self.name], self.truth)
        self.wrong = self.got != self.truth
        self.small = sample(place, self.wrong)
        self.few = Cases(place, np.flatnonzero(self.wrong.reshape(len(self.wrong), -1).any(1))[:2])
        self.whole = Cases(place, np.arange(place.cases))
        self.judged = np.broadcast_to(self.judged, self.truth.shape)

    def sampled(self, mutants, sample):
        """The sample's elements under mutants, or None where the mistake cannot be made here."""
        try:
            return sample.run(mutants)
        except IMPOSSIBLE:
            return None

    def everywhere(self, mutants):
        """The whole result under mutants; the truth where the mistake cannot be made here."""
        try:
            return self.place.run(mutants, by_spec if all(m.local for m in mutants) else by_kernel)[self.name]
        except IMPOSSIBLE:
            return self.truth

    def weighed(self, result):
        """What a result explains, and what it would have broken: bool arrays."""
        return self.wrong & (result == self.got), self.judged & ~self.wrong & (result != self.truth)


class Inquiry:
    """Mutants judged by all trials together: on the samples first, those that may fit on everything.

    `causes`: those that fit; `hopeful`: (share of differences explained less that of elements broken on the samples,
    mutant) of those that explain some; `shows`: does any mutant change anything?"""

    def __init__(self, trials):
        self.trials = sorted(trials, key=lambda t: -np.count_nonzero(t.wrong))      # the most telling first
        self.causes, self.hopeful, self.shows = [], [], False
        self.wrong = sum(int(t.wrong.sum()) for t in trials)
        self.equal = sum(int((t.judged & ~t.wrong).sum()) for t in trials)

    def mutants(self):
        """Every mutant of the runs; of the layouts, those that all of them have."""
        first = self.trials[0].place
        common = [set(m.name for m in layouts.mutants(t.place)) for t in self.trials]
        return [*of_run(first.program, first.steps), *layouts.mixed_up(self.trials),
                *(m for m in layouts.mutants(first) if all(m.name in c for c in common))]

    def single(self, mutant):
        """One mutant: on the samples first (elements where it is local, else cases), and on everything if it may fit."""
        if self.promising(mutant):
            self.admit((mutant,), [t.everywhere((mutant,)) for t in self.trials])

    def promising(self, mutant):
        """Does the mutant explain every difference of the samples? The first trial where it does not ends the question;
        what it explains till then is kept in mind."""
        explained = broken = count = 0
        for t in self.trials:
            sample = t.small if mutant.local else t.whole if mutant.across else t.few
            result, truth, got = t.sampled((mutant,), sample), sample.of(t.truth), sample.of(t.got)
            if result is None:
                if len(self.trials) == 1:
                    return False
                result = truth          # a mistake that cannot be made at this place changes nothing there
            changes, wrong = sample.of(t.judged) & (result != truth), got != truth
            self.shows |= bool(changes.any())
            explained += np.count_nonzero(wrong & (result == got))
            broken += np.count_nonzero(~wrong & changes)
            count += np.count_nonzero(wrong)
            if explained < count:
                break
        if explained:
            self.hopeful.append(((explained - broken) / count, mutant))
        return explained == count > 0

    def admit(self, mutants, results):
        """Keep mutants as a cause where their results fit, everywhere or in a region that all trials have."""
        cause = self.weighed(mutants, results)
        if cause.fits and cause.explained:
            self.causes.append(cause)

    def weighed(self, mutants, results):
        found = [t.weighed(result) for t, result in zip(self.trials, results)]
        explained, broken = (sum(int(f[i].sum()) for f in found) for i in range(2))
        if explained < self.wrong or not broken:
            return Cause(mutants, None if broken else "", explained, self.wrong - explained, broken)
        candidates = (r for f in found if f[1].any() or f[0].any() for r in regions.holding(*f))
        region = next((r for r in candidates if all(regions.holds(r, *f) for f in found)), None)
        where = region.name if region else self.some_places(found) or self.some_tiles(found)
        return Cause(mutants, where, explained, 0, broken if where is None else 0)

    def some_places(self, found):
        """The names of the places that a mistake explains, where it spares nothing in them; None where it does."""
        touched = [t.place.name for t, f in zip(self.trials, found) if f[0].any()]
        clean = not any(f[0].any() and f[1].any() for f in found) and len(self.trials) > 1
        return f"{', '.join(touched)} only" if clean else None

    def some_tiles(self, found):
        """The tiles that a mistake explains, where each is wholly in or out, at every place; None where they are not."""
        touched = [(t, f) for t, f in zip(self.trials, found) if f[0].any()]
        if sum(int(f[0].sum()) for _, f in touched) < MANY:
            return None
        for size in regions.GRIDS:
            made = [next(regions.tiles(*f, (size,)), None) if f[1].any() else regions.everywhere for _, f in touched]
            if all(made):
                first = next(r for r in made if r is not regions.everywhere)
                return first.name
        return None

    def best(self):
        return [m for _, m in sorted(self.hopeful, key=lambda pair: (-pair[0], pair[1].name))]

    def pairs(self, mutants):
        """Two mutants at a time, one that alone explains something and any other, the most hopeful first."""
        best, seen = self.best(), set()
        rest = [m for m in mutants if m not in set(best)]
        tries = WORK // max(length(t.place) for t in self.trials)
        for a in [m for m in best if not m.whole][:LEADS]:
            for b in (*best, *rest):
                if tries <= 0:
                    return
                if b.whole or a is b or (b, a) in seen:
                    continue
                seen.add((a, b))
                tries -= 1
                if all(self.agrees(t, t.small if a.local and b.local else t.few, (a, b)) for t in self.trials):
                    self.admit((a, b), [t.everywhere((a, b)) for t in self.trials])

    def agrees(self, trial, sample, mutants):
        """Is every difference of the sample explained?"""
        result, got, truth = trial.sampled(mutants, sample), sample.of(trial.got), sample.of(trial.truth)
        return result is not None and not (result != got)[got != truth].any()

    def nearest(self):
        """The Causes of the mutants that come nearest, though they do not fit."""
        found = [self.weighed((m,), [t.everywhere((m,)) for t in self.trials]) for m in self.best()[:2 * PARTIAL]]
        return sorted((c for c in found if c.explained), key=lambda c: (bool(c.left), c.broken - c.explained))[:PARTIAL]


def length(place):
    """The longest axis that an operation of the run reads whole: what its spec takes time for."""
    sizes = [operand.shape[axis] for i, step in enumerate(place.steps) for name, operand in place.operands(i).items()
             for axis, word in enumerate(step.row.takes[name].names) if word in step.row.takes[name].whole]
    return max([8, *sizes])
