"""Report: what a comparison with a pack found, as text lines and as JSON."""
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from refq.errors import IllFormed
from refq.vectors.manifest import shortened

FIRST, BARS, NAMED = 10, 16, 4
DETAILED, LINES, MISSING = 3, 12, 6             # of the text; JSON holds all

MARKS = {
    "unwritten": "elements were never written: they hold what the buffer was filled with",
    "leftover": "elements depend on what the result held before the call: they are added to it, or only partly written",
    "stateful": "elements depend on the calls before, or on their order: something is kept from case to case",
    "nondeterministic": "elements differ between two equal runs: they depend on chance (threads, memory never set)",
    "unknown": "elements are X or Z",
}
"""Why an element is wrong whatever it holds, as a device shows it in two runs; judge.py tells them apart."""


def admit_tolerance(tolerance):
    """IllFormed for what is no number of codes."""
    if isinstance(tolerance, bool) or not isinstance(tolerance, int) or tolerance < 0:
        raise IllFormed(f"a tolerance of {tolerance!r}; it is a number of codes, 0 or more")


class Tally:
    """Differences of one tensor over all cases: `total` elements, `wrong` ones (beyond the tolerance), `near` ones (not
    equal, but within it), the `largest` difference, a `histogram` of got - expected, the `first` ten wrong places.
    `marked`: how many of the wrong ones are wrong for each of MARKS; `padding`: how many are no elements but padding that
    does not hold what it should."""

    def __init__(self, tolerance):
        self.tolerance = tolerance
        self.total = self.wrong = self.near = self.largest = self.padding = 0
        self.histogram, self.first, self.marked = Counter(), [], Counter()

    @property
    def unwritten(self):
        """How many elements were never written."""
        return self.marked["unwritten"]

    @property
    def unsteady(self):
        """How many elements were written, and not the same each time."""
        return sum(self.marked[kind] for kind in ("leftover", "stateful", "nondeterministic"))

    def add(self, case, got, expected, again=None, marks=None):
        """Compare the codes of one case, all of the tensor's shape. `again`: what a second run gave; an element that
        is not the same there is wrong, however near; `marks`: kind of MARKS to the elements that are of it."""
        self.total += got.size
        shape, got, expected = got.shape, got.reshape(-1), expected.reshape(-1)
        again = got if again is None else again.reshape(-1)
        unknown = (marks or {}).get("unknown", np.zeros(shape, bool)).reshape(-1)
        for mark, elements in (marks or {}).items():
            self.marked[mark] += int(np.count_nonzero(elements))
        where = np.flatnonzero((got != expected) | (again != got) | unknown)
        if not len(where):
            return
        other, differs, lost = expected[where], (again != got)[where] | unknown[where], unknown[where]
        one = np.where(got[where] == other, again[where], got[where])
        kind = np.int64 if fits(one) and fits(other) else object        # a difference of int64 codes may not fit int64
        apart = one.astype(kind) - other.astype(kind)
        wrong = (np.abs(apart) > self.tolerance).astype(bool) | differs
        self.wrong += int(np.count_nonzero(wrong))
        self.near += int(np.count_nonzero(~wrong))
        self.largest = max(self.largest, int(np.abs(apart[~lost]).max(initial=0)))
        self.histogram.update({int(d): int(c) for d, c in zip(*np.unique(apart[~lost], return_counts=True))})
        for i in np.flatnonzero(wrong)[:FIRST - len(self.first)]:
            place = [int(p) for p in np.unravel_index(where[i], shape)]
            self.first.append({"case": case, "place": place, "got": None if lost[i] else int(one[i]),
                               "expected": int(other[i])})

    def add_padding(self, case, lanes, unknown, pad):
        """Compare lanes of padding with what they must hold; they are no elements, and count where they are wrong."""
        wrong = (lanes != pad) | (False if unknown is None else unknown)
        self.padding += int(np.count_nonzero(wrong))
        self.total += int(np.count_nonzero(wrong))
        self.wrong += int(np.count_nonzero(wrong))

    def words(self):
        return {"total": self.total, "wrong": self.wrong, "within_tolerance": self.near,
                "largest_difference": self.largest, "unwritten": self.unwritten, "unsteady": self.unsteady,
                **{kind: self.marked[kind] for kind in MARKS if kind != "unwritten"}, "padding": self.padding,
                "first": self.first,
                "histogram": [{"difference": d, "count": c} for d, c in sorted(self.histogram.most_common(64))],
                "other_differences": max(0, len(self.histogram) - 64)}

    def __str__(self):
        near = f", {self.near} within the tolerance" if self.near else ""
        return f"{self.wrong} of {self.total} elements wrong{near}, largest difference {self.largest}"

    def lines(self):
        """Histogram and first places, as columns."""
        if not self.wrong:
            return
        for kind, said in MARKS.items():
            if self.marked[kind]:
                yield f"{self.marked[kind]} {said}"
        if self.padding:
            yield f"{self.padding} of the wrong ones are padding that does not hold its pad value, counted in each run"
        if not self.first:
            return
        yield "difference       count"
        for difference, count in sorted(self.histogram.most_common(BARS)):
            yield f"{difference:+10d}  {count:10d}"
        if len(self.histogram) > BARS:
            yield f"... and {len(self.histogram) - BARS} other differences"
        yield "case  place                    got    expected"
        for w in self.first:
            yield f"{w['case']:04d}  {str(w['place']):18s}{'X' if w['got'] is None else w['got']:>10}  {w['expected']:10d}"


def fits(codes):
    return codes.dtype.itemsize < 8 or bool(np.abs(codes.astype(np.float64)).max() < 2**62)


@dataclass
class Verdict:
    """Of one tensor of one step (or unit): `pack`: against the pack; `own`: against what follows from the device's own
    inputs (None where that is the same question). `hidden`: the steps before it whose results were not shown."""

    step: str
    op: str
    tensor: str
    pack: Tally
    own: Tally | None = None
    hidden: tuple = ()

    @property
    def kind(self):
        """right; originates: wrong, and its own inputs do not explain it; propagates: wrong inputs explain it."""
        if not self.pack.wrong:
            return "right"
        return "originates" if self.own is None or self.own.wrong else "propagates"

    @property
    def unit(self):
        """The step with the hidden ones before it; of more than a few the ends and the number."""
        if len(self.hidden) > NAMED:
            return f"{self.hidden[0]} ... {self.hidden[-1]} ({len(self.hidden)} steps, none shown) + {self.step}"
        return " + ".join((*self.hidden, self.step))

    def words(self):
        return {"step": self.step, "op": self.op, "tensor": self.tensor, "verdict": self.kind,
                "hidden": list(self.hidden), "pack": self.pack.words(), "own": self.own and self.own.words()}


@dataclass
class Report:
    """`verdicts` in program order; `hash` of the pack, `against` what; `cases` compared; `left_out`: tensors (or cases
    of them) that the device did not show; `notes`: sentences; `diagnoses`: why, of what is wrong of itself; `faults`:
    sentences of cases that could not be judged. The text is short whatever is wrong; `json` has all."""

    hash: str
    against: str
    cases: int
    tolerance: int
    verdicts: list
    left_out: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    diagnoses: list = field(default_factory=list)
    faults: list = field(default_factory=list)

    @property
    def passed(self):
        """Is there an element that was compared, does every one equal the pack's (within the tolerance), and was every
        case judged?"""
        return self.total > 0 and not self.wrong and not self.faults

    @property
    def total(self):
        """How many elements were compared."""
        return sum(v.pack.total for v in self.verdicts)

    @property
    def wrong(self):
        """The Verdicts of wrong tensors, in program order."""
        return [v for v in self.verdicts if v.pack.wrong]

    @property
    def accepted(self):
        """The Verdict of the tensor whose differences lie within the tolerance while the first wrong one follows from
        them; None where there is no such."""
        if self.wrong and self.wrong[0].kind == "propagates":
            return next((v for v in self.verdicts[:self.verdicts.index(self.wrong[0])] if v.pack.near), None)
        return None

    @property
    def first(self):
        """The Verdict of the first step that is wrong of itself; where all that is wrong follows from differences
        within the tolerance, of the step that made those; None where nothing is wrong."""
        own = (v for v in self.wrong if v.kind == "originates")
        return next(own, self.accepted or next(iter(self.wrong), None))

    def json(self):
        """The report in JSON's own kinds."""
        return {"passed": self.passed, "faults": self.faults, "pack": self.hash, "against": self.against, "cases": self.cases,
                "tolerance": self.tolerance, "first_wrong_step": self.first and self.first.step,
                "diagnoses": [d.words() for d in self.diagnoses], "not_compared": self.left_out, "notes": self.notes,
                "tensors": [v.words() for v in self.verdicts]}

    def __str__(self):
        return "\n".join(self.lines())

    def lines(self):
        wrong, first, accepted = self.wrong, self.first, self.accepted
        yield from few(self.faults)
        verdict = "PASS" if self.passed else "INCOMPLETE" if self.faults and not wrong else "FAIL"
        yield (f"{verdict}: {self.against} against pack {self.hash[:16]}: "
               f"{len(self.verdicts) - len(wrong)} of {len(self.verdicts)} tensors right, {self.total} elements, "
               f"{self.cases} cases, tolerance {self.tolerance}")
        if not self.total:
            yield "nothing was compared"
        if first:
            within = f"; it differs within the tolerance, {wrong[0].tensor} by more" if first is accepted else ""
            yield f"first wrong step: {first.step} ({first.op}), tensor {first.tensor}{within}"
        for diagnosis in self.diagnoses:
            yield from diagnosis.lines()
        if accepted and first is not accepted:
            yield (f"{wrong[0].tensor}, before it, follows from differences within the tolerance; the first are in "
                   f"{accepted.tensor}")
        detailed = [v for v in wrong if v is first]
        detailed += [v for v in wrong if v.kind == "originates" and v is not first][:DETAILED]
        for v in detailed:
            yield from self.block(v)
        yield from few([self.line(v) for v in wrong if not any(v is d for d in detailed)])
        yield from few([f"{v.tensor}: {v.pack}" for v in self.verdicts if v.pack.near and not v.pack.wrong])
        yield from self.missing()
        yield from few(self.notes)

    def block(self, v):
        """One wrong tensor with its verdict, its histogram and its first places."""
        yield f"{v.step} ({v.op}), tensor {v.tensor}: {v.pack}"
        if v.own is not None:
            yield (f"  originates in {v.unit}: recomputed from the device's own inputs, {v.own}" if v.kind == "originates"
                   else f"  propagates: it is what follows from the device's own inputs{within(v)}")
            yield "  against the pack:"
        yield from (f"  {line}" for line in v.pack.lines())

    def line(self, v):
        """One wrong tensor with its verdict."""
        verdict = f"; originates in {v.unit}" if v.kind == "originates" else f"; propagates{within(v)}"
        return f"{v.step} ({v.op}), tensor {v.tensor}: {v.pack}{verdict if v.own is not None else ''}"

    def missing(self):
        """The line of what was not compared: by name, or where that is much by number."""
        if len(self.left_out) > MISSING:
            shown = {v.tensor for v in self.verdicts}
            partly = sum(name.split(" (cases ")[0] in shown for name in self.left_out)
            some = f", {partly} of them in some cases only" if partly else ""
            yield (f"not compared: {len(self.left_out)} of {len(shown) + len(self.left_out) - partly} tensors{some} "
                   "(--json lists them)")
        elif self.left_out:
            names = ", ".join(shortened(name) for name in self.left_out)
            yield f"not compared, the device does not show them: {names}"


def few(lines):
    """The first lines, and how many more there are."""
    yield from lines[:LINES]
    if len(lines) > LINES:
        yield f"... and {len(lines) - LINES} more (--json lists them)"


def within(v):
    return f", {v.own.near} elements only within the tolerance" if v.own.near else ""
