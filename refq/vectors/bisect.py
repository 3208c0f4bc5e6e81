"""Bisect: the first step that a device does wrong by itself, found by feeding it true tensors and asking for later ones.

A device is `device(feed, want) -> dict`: `feed` maps tensors to the codes (cases *shape) that it is to start from, `want`
lists the tensors that it is to show, and the answer maps those to codes. What the steps between two cuts of the
program make of true tensors is either right, or one of these steps is wrong: half of them are asked at a time, so that n
steps take about log2(n) calls. An error that a later step hides altogether (a clip, a coarser grid) is not looked for.
One that came in with its inputs cannot show, since the inputs are the pack's.
A step that is found is confirmed by itself, and the rest of the program is searched from behind it.

A device that cannot start in the middle raises NotImplementedError (a command ends with status 3): then it always runs
from the inputs of the network, and the search ends at its first wrong step, behind which everything may only propagate. A
tensor that it does not show is left out of the answer: then the steps around it are told as one.
"""
from dataclasses import dataclass, field

import numpy as np

from refq.errors import RefqError
from refq.vectors.pack import Pack, read
from refq.vectors.report import Tally


@dataclass
class Origin:
    """A run of steps (one, unless the device hides what is between) that is wrong on true inputs. `fed`: was it fed with
    them? Otherwise the device made them itself, and showed them right. `tallies`: tensor to its differences."""

    steps: list
    fed: bool
    tallies: dict

    def words(self):
        return {"steps": self.steps, "fed": self.fed, "tensors": {k: t.words() for k, t in self.tallies.items()}}

    def __str__(self):
        name = self.steps[0] if len(self.steps) == 1 else \
            f"one of {self.steps[0]} ... {self.steps[-1]} ({len(self.steps)} steps, nothing between them is shown)"
        how = "fed with its true inputs" if self.fed else "on inputs that the device made itself, and made right"
        lines = [f"step {name} is wrong on its own, {how}:"]
        for tensor, tally in self.tallies.items():
            lines += [f"  {tensor}: {tally}", *(f"    {line}" for line in tally.lines())]
        return "\n".join(lines)


@dataclass
class Found:
    """What a search found. `origins`: in program order; `calls`: of the device; `whole`: was the rest searched too?"""

    pack: str
    against: str
    steps: int
    calls: int = 0
    origins: list = field(default_factory=list)
    whole: bool = True

    @property
    def passed(self):
        return not self.origins

    def json(self):
        return {"passed": self.passed, "pack_hash": self.pack, "against": self.against, "steps": self.steps,
                "calls": self.calls, "rest_searched": self.whole, "origins": [o.words() for o in self.origins]}

    def __str__(self):
        asked = f"{self.steps} steps, {self.calls} calls of {self.against}"
        if self.passed:
            return f"PASS: the outputs are right in every case (what a later step hides was not looked for); {asked}"
        ending = "all other differences only propagate" if self.whole else \
            "the device cannot start behind it, so whether later steps are wrong as well is not known"
        count = f"{len(self.origins)} step{'s are' if len(self.origins) > 1 else ' is'} wrong"
        return "\n".join([f"FAIL: {count}; {asked}", *map(str, self.origins), ending])


def bisect(pack, device, against="the device", feeds=True):
    """The Found of a search for the steps that `device` does wrong.

    `pack`: a Pack or its folder, all of whose cases are fed at once; `device`: as above; `against`: its name in the
    report; `feeds`: False where it is known to start at the inputs only. A device is taken to give the same answer to the
    same question. Raises RefqError where it shows arrays of another shape, or neither outputs nor anything before them.
    """
    pack = pack if isinstance(pack, Pack) else read(pack)
    cases = [pack.case(i) for i in range(pack.cases)]
    golden = {name: np.stack([case[name] for case in cases]) for name in pack.recorded}
    found = Found(pack.hash, against, len(pack.program.steps))
    search = Search(pack.program, golden, device, found, feeds)
    last, start = len(pack.program.steps), 0
    while start < last and (origin := search.first(start, last)):
        found.origins.append(origin)
        start = search.index[origin.steps[-1]] + 1
        if not search.feeds:
            found.whole = start == last
            break
    return found


class Search:
    def __init__(self, program, golden, device, found, feeds):
        self.program, self.golden, self.device, self.found, self.feeds = program, golden, device, found, feeds
        self.index = {step.name: i for i, step in enumerate(program.steps)}
        self.made = {name: -1 for name in program.inputs}
        self.made |= {t: i for i, step in enumerate(program.steps) for t in step.outputs.values()}
        self.used = {}
        for i, step in enumerate(program.steps):
            self.used |= {t: i for t in step.inputs.values() if t in self.made}

    def needed(self, cut):
        """What the steps from `cut` on take and those before it make."""
        return [t for t, i in self.made.items() if i < cut <= self.used.get(t, -1)]

    def shown(self, start, stop):
        """What the steps start ... stop - 1 make, and somebody behind them takes."""
        return [t for t, i in self.made.items() if start <= i < stop and (self.used.get(t, -1) >= stop
                                                                         or t in self.program.outputs)]

    def ask(self, start, stop):
        """Tensor to its Tally, of what the steps start ... stop - 1 make of true tensors; None where it is not shown."""
        want = self.shown(start, stop)
        answer = None
        if self.feeds or start == 0:
            try:
                answer = self.call(self.needed(start), want)
            except NotImplementedError:
                self.feeds = False
        if answer is None:
            try:
                answer = self.call(self.program.inputs, want)
            except NotImplementedError:
                raise RefqError(f"{self.found.against}: cannot start from the network's inputs "
                                f"({', '.join(self.program.inputs)}) either; that much it has to do") from None
        if any(name not in answer for name in want):
            return None
        return {name: self.compared(name, answer[name]) for name in want}

    def call(self, feed, want):
        self.found.calls += 1
        answer = self.device({name: self.golden[name].copy() for name in feed}, list(want))
        if not isinstance(answer, dict):
            raise RefqError(f"{self.found.against}: gave {type(answer).__name__}; it gives a dict of tensor to codes")
        return answer

    def compared(self, name, codes):
        codes, true, tally = np.asarray(codes), self.golden[name], Tally(0)
        if codes.shape != true.shape or codes.dtype.kind not in "iu":
            raise RefqError(f"{self.found.against}: {name} is {codes.dtype} of shape {codes.shape}; it is integers of shape "
                            f"(cases, ...) {true.shape}")
        for i in range(len(true)):
            tally.add(i, codes[i], true[i])
        return tally

    def first(self, start, stop):
        """The first Origin among the steps start ... stop - 1, or None where what they make of true tensors is right."""
        tallies = self.ask(start, stop)
        if tallies is None:
            raise RefqError(f"{self.found.against}: shows none of {', '.join(self.shown(start, stop)[:3])}; it has to show the "
                            "outputs at least")
        if not wrong(tallies):
            return None
        while stop - start > 1:
            for cut in nearest_first(start, stop):
                half = self.ask(start, cut)
                if half is not None:
                    break
            else:
                break                               # nothing between the two is shown
            if wrong(half):
                stop, tallies = cut, half
            else:
                start = cut
        fed = self.feeds or start == 0
        tallies = self.ask(start, stop) if fed else tallies
        if not wrong(tallies):
            raise RefqError(f"{self.found.against}: step {self.program.steps[start].name} is wrong in a run and right when it "
                            "is fed by itself; the device does not give the same answer to the same question")
        names = [s.name for s in self.program.steps[start:stop]]
        return Origin(names, self.feeds or start == 0, {k: t for k, t in tallies.items() if t.wrong})


def wrong(tallies):
    return any(t.wrong for t in tallies.values())


def nearest_first(start, stop):
    """The cuts between two, from the middle outwards."""
    middle = (start + stop) // 2
    return sorted(range(start + 1, stop), key=lambda cut: abs(cut - middle))
