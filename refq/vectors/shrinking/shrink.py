"""shrink: of what a device does wrong, the smallest case that still shows it, as a pack of that one unit.

A kernel is asked again until nothing more can be left out (shrink_search.py). A dump cannot be asked: of it remains what the
first wrong element is made of.
"""
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from refq.errors import IllFormed, RefqError
from refq.vectors.dump import Dump
from refq.vectors.kernels.kernel import prepare, verify_kernel
from refq.vectors.kernels.kernel_toml import read_toml
from refq.vectors.pack import Pack, read
from refq.vectors.record import record, refuse_occupied
from refq.vectors.shrinking.excerpt import cut, excerpt, windowed
from refq.vectors.shrinking.shrink_search import Failure, Search, failure_of
from refq.vectors.units import units
from refq.vectors.verify import hidden_before, verify

SHOWN = 48                      # codes of a tensor that the text shows


@dataclass(frozen=True)
class Shrunk:
    """`pack`: the one that remains; `unit`: its steps; `text`: what it says; `tries`: how often the device was asked."""

    pack: Pack
    unit: str
    failure: Failure
    text: str
    tries: int

    def json(self):
        shapes = {name: list(t.shape) for name, t in self.pack.program.tensors.items()}
        return {"pack": str(self.pack.folder), "pack_hash": self.pack.hash, "unit": self.unit, "text": self.text,
                "tries": self.tries, "failure": asdict(self.failure), "shapes": shapes}


def shrink_kernel(pack, toml, out, progress=None):
    """The Shrunk of a kernel that fails on a pack; written to the folder `out`. `progress(tries)` is told of every try.

    Raises IllFormed for a kernel that does not fail; what verify_kernel raises; RefqError where the failure does not last.
    """
    pack, out = pack if isinstance(pack, Pack) else read(pack), Path(out)
    refuse_occupied(out)
    report = verify_kernel(pack, toml)
    if not report.wrong:
        raise IllFormed(f"{toml}: {report.faults[0] if report.faults else 'the kernel is right on every case of the pack'}; "
                        "shrink takes a kernel that gives wrong codes")
    verdict, kernel = report.wrong[0], read_toml(toml)
    prepare(kernel)
    unit = next(u for u in units(pack.program, kernel.unit, str(toml)) if u.name == verdict.step)
    search = Search(kernel, excerpt(pack.program, unit.steps, pack.case(verdict.pack.first[0]["case"])), progress)
    if not search.better(search.best):
        raise RefqError(f"{toml}: on unit {unit.name} alone, with one case, the kernel no longer fails: it depends on the calls "
                        "before, or on chance; refq verify tells which")
    search.run()
    text = described(search.best, search.failure, "kernel")
    small = written(search.best, out, pack, f"{text}\n\nrefq verify {out} --kernel {toml}\n")
    again = verify_kernel(small, toml)
    if not again.wrong:
        raise RefqError(f"{out}: was written, but the kernel passes it now: it depends on chance; refq verify --kernel tells "
                        "more")
    return Shrunk(small, unit.name, failure_of(again.wrong[0].tensor, again.wrong[0].pack.first[0]), text, search.tries)


def shrink_dump(pack, against, out):
    """The Shrunk of a dump that differs from a pack: what its first wrong element is made of, in the folder `out`, with
    the device's own codes in `dump.npz` there. Raises IllFormed for a dump in which no step is wrong of itself."""
    pack, out = pack if isinstance(pack, Pack) else read(pack), Path(out)
    refuse_occupied(out)
    report, dump = verify(pack, against), Dump(against, pack)
    verdict = next((v for v in report.wrong if v.kind == "originates" and v.tensor in pack.steps), None)
    if verdict is None:
        raise IllFormed(f"{dump.where}: no step of it is wrong of itself; there is nothing to shrink")
    first = verdict.own.first[0]
    golden, shown, place = pack.case(first["case"]), dump.case(first["case"]), first["place"]
    names = hidden_before(pack, shown, pack.steps[verdict.tensor]) | {verdict.step}
    steps = [s for s in pack.program.steps if s.name in names]
    fitting = {n: c for n, c in shown.items() if n not in pack.steps or pack.steps[n] not in steps}
    ex, got = around(excerpt(pack.program, steps, golden | {n: c for n, c in fitting.items() if fits(c, pack, n)}),
                     {verdict.tensor: shown[verdict.tensor]}, verdict.tensor, place)
    expected = ex.truth()[verdict.tensor]
    at = tuple(int(i) for i in np.argwhere(got[verdict.tensor] != expected)[0])
    failure = Failure(verdict.tensor, at, int(expected[at]), int(got[verdict.tensor][at]))
    text = described(ex, failure, "device")
    small = written(ex, out, pack, f"{text}\n\nrefq verify {out} --against {out / 'dump.npz'}\n")
    np.savez(out / "dump.npz", **got)
    if verify(small, out / "dump.npz").passed:
        raise RefqError(f"{out}: internal error: the smaller case does not fail; please report this")
    return Shrunk(small, verdict.unit, failure, text, 0)


def fits(codes, pack, name):
    width = pack.program.tensors[name].width
    return not codes.size or width.lo <= codes.min() and codes.max() <= width.hi


def around(ex, got, tensor, place):
    """(Excerpt, the device's codes) of what the element of a result at `place` is made of, as far as axes can be cut."""
    for dim, at in enumerate(place):
        axis = ex.axis(tensor, dim)
        if axis is not None and not axis.whole and not axis.fixed:
            ex, got = cut(ex, axis, [at]), {n: taken(a, [d for t, d in axis.slots if t == n], at) for n, a in got.items()}
    step = ex.steps[0]
    if step.op == "conv2d" and step.row.groups == 1 and step.inputs["x"] in ex.codes:
        held = {d for d in range(len(place)) for i in (0, 1) if (tensor, d) in ex.axis(step.outputs["acc"], i).slots}
        if len(held) == 2:
            rows, columns = sorted(held)
            ex = windowed(ex, step, (place[rows], place[columns]))
            got = {n: taken(taken(a, [rows], place[rows]), [columns], place[columns]) for n, a in got.items()}
    return ex, got


def taken(array, dims, at):
    for dim in dims:
        array = array.take([at], dim)
    return array


def described(ex, failure, who):
    """What remains, in one sentence: sizes, codes, what is expected and what came."""
    sizes = {a.name: ex.size(a) for a in ex.axes if not (a.fixed and ex.size(a) == 1)}
    words = [f"{n} row{'s' * (n != 1)}" if name == "n" else f"{name} = {n}" for name, n in sizes.items()]
    operands = {t: operand for s in ex.steps for operand, t in s.inputs.items()}
    given = [name for name in operands if name in ex.codes or name in ex.program.constants]
    codes = [f"{operands[name]} = {array_text(ex.array(name))}" for name in given]
    at = f"{failure.tensor}{list(failure.place)}"
    return f"{', '.join(words) or '1 element'}: {', '.join(codes)}; {at}: expected {failure.expected}, {who} {failure.got}"


def array_text(array):
    if array.size <= SHOWN:
        return str(array.tolist()) if array.size != 1 else str(array.reshape(-1)[0].item())
    return f"({' '.join(map(str, array.shape))}) codes"


def written(ex, out, pack, text):
    """The pack of an excerpt, in the folder `out`, with the text beside it."""
    about = {"shrunk_from": pack.hash, "what": text.splitlines()[0]}
    small = record(ex.program, {name: array[None] for name, array in ex.codes.items()}, out, cases=1, about=about)
    (out / "shrunk.txt").write_text(text, encoding="utf-8")
    return small
