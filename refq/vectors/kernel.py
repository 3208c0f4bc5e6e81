"""Somebody's kernel, judged by a golden pack: it is called, in a process of its own, on the inputs of every case.

Every case runs twice: results are filled with 0xAA before the first call and, from the last case to the first, with
0x55 before the second. A result that is not the same both times was not written, or depends on what was there before;
either is wrong.
"""
import json
import subprocess
import sys
from os import environ, pathsep
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from refq.errors import IllFormed, RefqError
from refq.vectors import worker
from refq.vectors.arguments import bound
from refq.vectors.kernel_toml import read_toml
from refq.vectors.pack import Pack, read
from refq.vectors.report import Report, Tally, Verdict, admit_tolerance
from refq.vectors.units import units


def verify_kernel(pack, toml, tolerance=0, progress=None):
    """The Report of a kernel against a pack: every unit that kernel.toml names, on the inputs of every case.

    `pack`: a Pack or its folder; `toml`: the kernel.toml; `tolerance`: as in verify; `progress(done)` is told
    of every unit judged.

    Raises IllFormed for a kernel.toml that cannot be meant or that leaves out a result, RefqError (one sentence) where
    the library cannot be built, loaded or called, crashes, writes outside its results, runs too long, or returns
    something other than 0.
    """
    admit_tolerance(tolerance)
    pack = pack if isinstance(pack, Pack) else read(pack)
    kernel = read_toml(toml)
    places = units(pack.program, kernel.unit, str(kernel.path))
    if kernel.build:
        build(kernel)
    if not kernel.library.is_file():
        raise RefqError(f"{kernel.path}: library {kernel.library} does not exist; build it, or add a build command")
    touched = {t for unit in places for s in unit.steps for t in (s.inputs | s.outputs).values()}
    golden = [{name: codes for name, codes in pack.case(i).items() if name in touched} for i in range(pack.cases)]
    verdicts = []
    for done, unit in enumerate(places, 1):
        verdicts += judge(golden, kernel, unit, tolerance)
        if progress:
            progress(done)
    return Report(pack.hash, f"{kernel.prototype.name} of {kernel.path}", pack.cases, tolerance, verdicts)


def build(kernel):
    """Run the build command in the folder of kernel.toml."""
    command = " ".join(kernel.build)
    try:
        done = subprocess.run(kernel.build, cwd=kernel.path.parent, capture_output=True, text=True, errors="replace",
                              timeout=600)
    except OSError as e:
        raise RefqError(f"{kernel.path}: {kernel.build[0]!r} cannot be run ({e.strerror}); install it, or mend "
                        "build") from None
    except subprocess.TimeoutExpired:
        raise RefqError(f"{kernel.path}: building took longer than 600 s: {command}") from None
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        fault = next((line for line in said if "error" in line), said[0] if said else "it said nothing")
        raise RefqError(f"{kernel.path}: building failed with status {done.returncode}: {fault.strip()}")


def judge(golden, kernel, unit, tolerance):
    """Call the kernel twice on every case; yields a Verdict for each result of the unit that it gives."""
    results = {}
    with TemporaryDirectory(prefix="refq-kernel-") as folder:
        folder = Path(folder)
        calls = [[bound(kernel, unit, a, case, results) for a in kernel.prototype.arguments] for case in golden]
        refuse_partial(kernel, unit, results)
        hand_over(kernel, folder, calls)
        run(kernel, unit, folder)
        tallies = {name: Tally(tolerance) for name in results}
        for i, case in enumerate(golden):
            with np.load(folder / f"{i}.first.npz") as first, np.load(folder / f"{i}.again.npz") as again:
                for name, (tensor, shape, order, where) in results.items():
                    once, twice = (order.unpack(run[name], shape, where) for run in (first, again))
                    unwritten = np.count_nonzero((once == poison(once, "first")) & (twice == poison(twice, "again")))
                    shape = case[tensor].shape
                    tallies[name].add(i, once.reshape(shape), case[tensor], twice.reshape(shape), unwritten)
    for name, (tensor, *_) in results.items():
        yield Verdict(unit.name, " + ".join(s.op for s in unit.steps), tensor, tallies[name])


def poison(array, turn):
    """The code that an element holds which was never written."""
    return np.full(array.itemsize, worker.FILLS[turn], np.uint8).view(array.dtype)[0]


def refuse_partial(kernel, unit, results):
    """IllFormed where the kernel shows less than the unit ends in: the rest of it would pass unseen."""
    given = {tensor for tensor, *_ in results.values()}
    for operand, tensor in unit.steps[-1].outputs.items():
        if tensor not in given:
            raise IllFormed(f"{kernel.path}: {kernel.prototype.name} gives no {operand!r} ({tensor}), in which unit "
                            f"{unit.name} ends; add an argument for it, or name only the steps that the kernel does")


def hand_over(kernel, folder, calls):
    """Write the job: what is the same in all cases once."""
    first = {a.name: v for a, v in calls[0] if a.way != "out"}
    same = {n for n in first if all(np.array_equal(dict((a.name, v) for a, v in call)[n], first[n]) for call in calls)}
    np.savez(folder / "shared.npz", **{n: first[n] for n in same})
    for i, call in enumerate(calls):
        np.savez(folder / f"{i}.npz", **{a.name: v for a, v in call if a.way != "out" and a.name not in same})
    arguments = [{"name": a.name, "dtype": a.dtype.str, "way": a.way, "size": v if a.way == "out" else 0}
                 for a, v in calls[0]]
    returns = kernel.prototype.returns and kernel.prototype.returns.str
    (folder / "job.json").write_text(json.dumps({"library": str(kernel.library), "symbol": kernel.prototype.name,
                                                 "returns": returns, "arguments": arguments, "calls": len(calls)}))


def run(kernel, unit, folder):
    """Run the worker on a job; raises RefqError for all that can go wrong in somebody's code."""
    where = f"{kernel.path}: {kernel.prototype.name} on unit {unit.name}"
    paths = pathsep.join(p for p in sys.path if p)
    try:
        done = subprocess.run([sys.executable, "-P", worker.__file__, str(folder)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=kernel.time_limit,
                              env=environ | {"PYTHONPATH": paths})
    except subprocess.TimeoutExpired:
        raise RefqError(f"{where}: ran longer than {kernel.time_limit} s; raise time_limit, or mend it") from None
    at = f" in case {int((folder / 'at').read_text()):04d}" if (folder / "at").is_file() else ""
    if done.returncode < 0:
        raise RefqError(f"{where}: crashed{at} with signal {-done.returncode}; check sizes and layouts in kernel.toml")
    if done.returncode or not (folder / "said").is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RefqError(f"{where}: ended{at} with status {done.returncode}: {last}")
    if said := (folder / "said").read_text():
        raise RefqError(f"{where}: {said}")
