"""Somebody's kernel, judged by a golden pack: it is called on the inputs of every case, in a process of its own.

How often and in which order, and what is told apart where results are not the same each time: judge.py.
"""
from pathlib import Path
from tempfile import TemporaryDirectory

from refq.errors import RefqError
from refq.vectors.kernels import process
from refq.vectors.kernels.judge import judge, nothing_judged
from refq.vectors.kernels.kernel_files import Command
from refq.vectors.kernels.kernel_library import Library
from refq.vectors.kernels.kernel_toml import read_toml
from refq.vectors.pack import Pack, read
from refq.vectors.report import Report, admit_tolerance
from refq.vectors.units import units

LONGEST_BUILD = 600                     # seconds


def verify_kernel(pack, toml, tolerance=0, progress=None):
    """The Report of a kernel against a pack: every unit that kernel.toml names, on the inputs of every case.

    `pack`: a Pack or its folder; `toml`: the kernel.toml; `tolerance`: as in verify; `progress(done)` is told
    of every unit judged. A case on which the kernel crashes, runs too long, writes outside its results or returns
    something other than success is one of the report's `faults`; the others are judged.

    Raises IllFormed for a kernel.toml that cannot be meant or that leaves out a result, RefqError (one sentence) where
    the kernel cannot be built, loaded or run at all, or no case of any unit could be judged.
    """
    admit_tolerance(tolerance)
    pack, judged = pack if isinstance(pack, Pack) else read(pack), []
    for done, unit in enumerate(each_judged(pack, toml, tolerance), 1):
        judged.append(unit)
        if progress:
            progress(done)
    kernel = read_toml(toml)
    return nothing_judged(report_of(pack, f"{kernel.prototype.name} of {kernel.path}", tolerance, judged))


def each_judged(pack, toml, tolerance=0):
    """Yields the Judged (judge.py) of every unit that kernel.toml names, in program order; raises as verify_kernel does."""
    kernel = read_toml(toml)
    places = units(pack.program, kernel.unit, str(kernel.path))
    prepare(kernel)
    golden = cases_of(pack, places)
    for done, unit in enumerate(places, 1):
        with TemporaryDirectory(prefix="refq-kernel-") as folder:
            judged = judge(golden, device(kernel, unit, golden, Path(folder)), unit, tolerance)
        rest = len(places) - done
        stopped = rest and not judged.cases and any("ran longer" in fault for fault in judged.faults)
        if stopped:             # every unit would take its whole time limit
            judged.faults.append(f"{kernel.path}: {rest} other unit{'s were' if rest > 1 else ' was'} not run")
        yield judged
        if stopped:
            return


def device(kernel, unit, golden, folder):
    """What `judge` asks: a kernel on the cases of a unit. `folder`: an empty one, for as long as it is asked."""
    return (Command if kernel.command else Library)(kernel, unit, golden, folder)


def cases_of(pack, places):
    """Of each case, the tensors that some units touch: name to codes."""
    touched = {t for unit in places for s in unit.steps for t in (s.inputs | s.outputs).values()}
    return [{name: codes for name, codes in pack.case(i).items() if name in touched} for i in range(pack.cases)]


def report_of(pack, against, tolerance, judged):
    """The Report of some units that were judged, with the causes of what is wrong."""
    report = Report(pack.hash, against, pack.cases, tolerance, [v for unit in judged for v in unit.verdicts],
                    faults=[sentence for unit in judged for sentence in unit.faults])
    unseen = pack.manifest["about"].get("mutation_score", {}).get("bugs", {}).get("survivors")
    if report.passed and unseen:
        report.notes.append(f"{unseen} kinds of mistakes that refq knows would pass these vectors unseen (refq score names them)")
    if report.wrong:
        from refq.vectors.diagnosis.causes import of_units  # here: a kernel that is right needs no mutants
        report.diagnoses = of_units(pack.program, cases_of(pack, [unit.unit for unit in judged]), judged)
    return report


def prepare(kernel):
    """Build the kernel where kernel.toml says how; raises RefqError where that fails, or leaves no library."""
    if kernel.build:
        build(kernel)
    if kernel.library and not kernel.library.is_file():
        raise RefqError(f"{kernel.path}: library {kernel.library} does not exist; build it, or add a build command")


def build(kernel):
    """Run the build command in the folder of kernel.toml."""
    command = " ".join(kernel.build)
    try:
        ended = process.run(kernel.build, LONGEST_BUILD, cwd=kernel.path.parent)
    except OSError as e:
        raise RefqError(f"{kernel.path}: {kernel.build[0]!r} cannot be run ({e.strerror}); install it, or mend "
                        "build") from None
    if ended.status is None:
        raise RefqError(f"{kernel.path}: building took longer than {LONGEST_BUILD} s: {command}")
    if ended.status:
        said = [line for line in ended.tail.decode(errors="replace").splitlines() if line.strip()]
        fault = next((line for line in said if "error" in line), said[0] if said else "it said nothing")
        raise RefqError(f"{kernel.path}: building failed with status {ended.status}: {fault.strip()}")
