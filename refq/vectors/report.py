"""Report: what a comparison with a pack found, as text lines and as JSON."""
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

FIRST, BARS = 10, 16


class Tally:
    """Differences of one tensor over all cases: `total` elements, `wrong` ones (beyond the tolerance), `near` ones (not
    equal, but within it), the `largest` difference, a `histogram` of got - expected, the `first` ten wrong places."""

    def __init__(self, tolerance):
        self.tolerance = tolerance
        self.total = self.wrong = self.near = self.largest = 0
        self.histogram, self.first = Counter(), []

    def add(self, case, got, expected):
        """Compare the codes of one case; both of the tensor's shape."""
        self.total += got.size
        where = np.flatnonzero(got.reshape(-1) != expected.reshape(-1))
        if not len(where):
            return
        one, other = got.reshape(-1)[where], expected.reshape(-1)[where]
        kind = np.int64 if fits(one) and fits(other) else object        # a difference of int64 codes may not fit int64
        apart = one.astype(kind) - other.astype(kind)
        wrong = np.abs(apart) > self.tolerance
        self.wrong += int(np.count_nonzero(wrong))
        self.near += int(np.count_nonzero(~wrong.astype(bool)))
        self.largest = max(self.largest, int(np.abs(apart).max()))
        self.histogram.update({int(d): int(c) for d, c in zip(*np.unique(apart, return_counts=True))})
        for i in np.flatnonzero(wrong)[:FIRST - len(self.first)]:
            place = [int(p) for p in np.unravel_index(where[i], got.shape)]
            self.first.append({"case": case, "place": place, "got": int(one[i]), "expected": int(other[i])})

    def words(self):
        return {"total": self.total, "wrong": self.wrong, "within_tolerance": self.near,
                "largest_difference": self.largest, "first": self.first,
                "histogram": [{"difference": d, "count": c} for d, c in sorted(self.histogram.most_common(64))],
                "other_differences": max(0, len(self.histogram) - 64)}

    def __str__(self):
        near = f", {self.near} within the tolerance" if self.near else ""
        return f"{self.wrong} of {self.total} elements wrong{near}, largest difference {self.largest}"

    def lines(self):
        """Histogram and first places, as columns."""
        if not self.wrong:
            return
        yield "difference       count"
        for difference, count in sorted(self.histogram.most_common(BARS)):
            yield f"{difference:+10d}  {count:10d}"
        if len(self.histogram) > BARS:
            yield f"... and {len(self.histogram) - BARS} other differences"
        yield "case  place                    got    expected"
        for w in self.first:
            yield f"{w['case']:04d}  {str(w['place']):18s}{w['got']:10d}  {w['expected']:10d}"


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
        return " + ".join((*self.hidden, self.step))

    def words(self):
        return {"step": self.step, "op": self.op, "tensor": self.tensor, "verdict": self.kind,
                "hidden": list(self.hidden), "pack": self.pack.words(), "own": self.own and self.own.words()}


@dataclass
class Report:
    """`verdicts` in program order; `hash` of the pack, `against` what; `cases` compared; `left_out`: tensors (or cases
    of them) that the device did not show; `unknown`: arrays that are no tensor of the pack; `notes`: sentences."""

    hash: str
    against: str
    cases: int
    tolerance: int
    verdicts: list
    left_out: list = field(default_factory=list)
    unknown: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def passed(self):
        """Does every compared element equal the pack's (within the tolerance)?"""
        return not any(v.pack.wrong for v in self.verdicts)

    @property
    def first(self):
        """The Verdict of the first wrong step, or None."""
        return next((v for v in self.verdicts if v.pack.wrong), None)

    def json(self):
        """The report in JSON's own kinds."""
        return {"passed": self.passed, "pack": self.hash, "against": self.against, "cases": self.cases,
                "tolerance": self.tolerance, "first_wrong_step": self.first and self.first.step,
                "not_compared": self.left_out, "unknown": self.unknown, "notes": self.notes,
                "tensors": [v.words() for v in self.verdicts]}

    def __str__(self):
        return "\n".join(self.lines())

    def lines(self):
        wrong = [v for v in self.verdicts if v.pack.wrong]
        total = sum(v.pack.total for v in self.verdicts)
        yield (f"{'PASS' if self.passed else 'FAIL'}: {self.against} against pack {self.hash[:16]}: "
               f"{len(self.verdicts) - len(wrong)} of {len(self.verdicts)} tensors right, {total} elements, "
               f"{self.cases} cases, tolerance {self.tolerance}")
        if wrong:
            yield f"first wrong step: {wrong[0].step} ({wrong[0].op}), tensor {wrong[0].tensor}"
        for v in wrong:
            yield from self.block(v, v is wrong[0])
        near = [v for v in self.verdicts if v.pack.near and not v.pack.wrong]
        for v in near:
            yield f"{v.tensor}: {v.pack}"
        if self.left_out:
            yield f"not compared, the device does not show them: {', '.join(self.left_out)}"
        if self.unknown:
            yield f"not in the pack: {', '.join(self.unknown)}"
        yield from self.notes

    def block(self, v, first):
        yield f"{v.step} ({v.op}), tensor {v.tensor}: {v.pack}"
        if v.own is not None and v.kind == "originates":
            yield f"  originates in {v.unit}: recomputed from the device's own inputs, {v.own}"
        elif v.own is not None:
            yield "  propagates: it is what follows from the device's own inputs"
        if first or v.kind == "originates":
            yield from (f"  {line}" for line in v.pack.lines())
