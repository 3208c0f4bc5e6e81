"""Somebody's kernel, judged by a golden pack: kernel.toml describes a unit as the device sees it.

    unit = ["*.fc1", "*.fc1.rescale"]         # steps that the kernel does as one; every place that fits is judged
    library = "matmul_int8.so"                # beside this file
    build = ["gcc", "-O2", "-shared", "-fPIC", "-o", "matmul_int8.so", "matmul_int8.c"]      # optional; run there
    time_limit = 60                           # seconds for all cases of one unit; optional
    prototype = \"\"\"
        int32_t matmul_int8(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult,
                            const int8_t *shift, int32_t zp, int32_t n, int32_t k, int32_t m, int8_t *y)\"\"\"

    [arguments.w]                             # only where the name and the prototype do not say it all
    layout = "(m M=16) (k K=4) -> m k M K"    # refq/vectors/layout.py; row-major without it
    pad = 0                                   # what fills the tiles

    [arguments.bias]
    derived = "folded_bias"                   # refq/vectors/units.py lists them; `operand` names what it is made of

A const pointer or a value takes an operand of the unit, a pointer a result; each by the argument's own name, or by
`operand`. Where a name means two things it is told apart as in "rescale.zp" or "1.zp" (the operation, or the place of
the step). A value may also be the size of an axis (`size`, or its own name), a `derived` one, or a plain number
(`value`). The function returns 0, or nothing, when it is done. It runs in a process of its own.
"""
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from os import environ, pathsep
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from refq.errors import Corrupt, IllFormed, RefqError, nearest
from refq.vectors import worker
from refq.vectors.layout import layout, row_major
from refq.vectors.pack import Pack, read
from refq.vectors.prototype import Prototype, prototype
from refq.vectors.report import Report, Tally, Verdict
from refq.vectors.units import derived, units

FIELDS = {"unit": list, "library": str, "prototype": str, "build": list, "time_limit": int, "arguments": dict}
MEANINGS = {"operand": str, "derived": str, "size": str, "value": int, "layout": str, "pad": int}


@dataclass(frozen=True)
class Kernel:
    """A kernel.toml, read: its `path`, the steps' patterns, the library, what to call, what each argument means."""

    path: Path
    unit: list
    library: Path
    prototype: Prototype
    arguments: dict
    build: list = field(default_factory=list)
    time_limit: int = 60


def verify_kernel(pack, toml, tolerance=0, progress=None):
    """The Report of a kernel against a pack: every unit that kernel.toml names, on the inputs of every case.

    `pack`: a Pack or its folder; `toml`: the kernel.toml; `tolerance`: as in verify; `progress(done)` is told
    of every unit judged.

    Raises IllFormed for a kernel.toml that cannot be meant, RefqError (one sentence) where the library cannot be built,
    loaded or called, crashes, writes outside its results, runs too long, or returns something other than 0.
    """
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


def read_toml(path):
    """The Kernel that a file describes; raises IllFormed or Corrupt naming the file and the field."""
    path = Path(path)
    try:
        text = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise IllFormed(f"{path}: no such file; it describes the kernel to judge") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as e:
        raise Corrupt(f"{path}: not readable as TOML: {e}") from None
    fitting(text, FIELDS, str(path))
    if lacking := [key for key in ("unit", "library", "prototype") if not text.get(key)]:
        raise IllFormed(f"{path}: {lacking[0]} is missing; unit, library and prototype are needed")
    for key in ("unit", "build"):
        if not all(isinstance(word, str) for word in text.get(key, [])):
            raise IllFormed(f"{path}: {key} is {text[key]!r}; it is a list of texts")
    made = prototype(text["prototype"], str(path))
    for name, meaning in text.get("arguments", {}).items():
        where = f"{path}: [arguments.{name}]"
        if name not in (names := [a.name for a in made.arguments]):
            raise IllFormed(f"{where}: the prototype has no such argument: {nearest(name, names)}")
        if not isinstance(meaning, dict):
            raise IllFormed(f"{where}: it is a table")
        fitting(meaning, MEANINGS, where)
        if len(sources := [k for k in ("operand", "size", "value") if k in meaning]) > 1:
            raise IllFormed(f"{where}: {' and '.join(sources)} contradict each other; keep one")
    return Kernel(path, text["unit"], path.parent.absolute() / text["library"], made, text.get("arguments", {}),
                  text.get("build", []), text.get("time_limit", 60))


def fitting(table, kinds, where):
    for key, value in table.items():
        if key not in kinds:
            raise IllFormed(f"{where}: a field {key!r}: {nearest(key, tuple(kinds))}")
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise IllFormed(f"{where}: {key} is {value!r}; it is a {kinds[key].__name__}")


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
    """Call the kernel on every case; yields a Verdict for each result of the unit that it gives."""
    results = {}
    with TemporaryDirectory(prefix="refq-kernel-") as folder:
        folder = Path(folder)
        calls = [[bound(kernel, unit, a, case, results) for a in kernel.prototype.arguments] for case in golden]
        hand_over(kernel, folder, calls)
        run(kernel, unit, folder)
        tallies = {name: Tally(tolerance) for name in results}
        for i, case in enumerate(golden):
            with np.load(folder / f"{i}.out.npz") as given:
                for name, (tensor, shape, order, where) in results.items():
                    got = order.unpack(given[name], shape, where).reshape(case[tensor].shape)
                    tallies[name].add(i, got, case[tensor])
    for name, (tensor, *_) in results.items():
        yield Verdict(unit.name, " + ".join(s.op for s in unit.steps), tensor, tallies[name])


def bound(kernel, unit, argument, case, results):
    """What an argument is in one case: (argument, array or number of elements); notes results as it meets them."""
    where = f"{kernel.path}: argument {argument.name!r}"
    meaning = kernel.arguments.get(argument.name, {})
    key = meaning.get("operand", argument.name)
    if argument.way == "out":
        if argument.dtype.kind == "f":
            raise IllFormed(f"{where}: results are codes; {argument.dtype} is not an integer")
        tensor, shape = unit.result(key, where)
        roomy(unit.program.tensors[tensor], argument, where)
        order = order_of(meaning, len(shape), where)
        results[argument.name] = tensor, shape, order, where
        return argument, order.size(shape, where)
    codes = np.asarray(source(unit, argument, meaning, key, case, where))
    if argument.way == "value" and codes.ndim:
        raise IllFormed(f"{where}: an operand of shape {codes.shape} is passed by pointer; write a const pointer")
    if argument.way == "in":
        codes = order_of(meaning, codes.ndim, where).pack(held(codes, argument, where), meaning.get("pad", 0), where)
    return argument, held(codes, argument, where)


def source(unit, argument, meaning, key, case, where):
    """The codes that an argument takes, in the operand's own axes."""
    if "value" in meaning:
        return np.int64(meaning["value"])
    if "derived" in meaning or (argument.name in derived and not meaning and argument.name not in unit.taken):
        name = meaning.get("derived", argument.name)
        if name not in derived:
            raise IllFormed(f"{where}: nothing derived is named {name!r}: {nearest(name, tuple(derived))}")
        key = "shift" if name == "left_shift" and "operand" not in meaning else key
        return derived[name](unit, key, case, where)
    axes = unit.axes()
    if "size" in meaning or (not meaning and key not in unit.taken and key in axes):
        return np.int64(unit.pick(axes, meaning.get("size", key), where)[0])
    tensor = unit.pick(unit.taken, key, where)[0]
    if tensor not in unit.program.constants:
        roomy(unit.program.tensors[tensor], argument, where)
    return unit.operand(key, case, where)


def roomy(tensor, argument, where):
    """IllFormed where the argument's container does not hold every code of the tensor."""
    if argument.dtype.kind != "f":
        ends = np.iinfo(argument.dtype)
        if not (ends.min <= tensor.width.lo and tensor.width.hi <= ends.max):
            raise IllFormed(f"{where} is {argument.dtype}, and {tensor.name} holds {tensor.width} codes; name only the units "
                            "that the kernel is made for, or take a wider container")


def order_of(meaning, axes, where):
    return layout(meaning["layout"], where) if "layout" in meaning else row_major(axes)


def held(codes, argument, where):
    """Codes in the argument's container; IllFormed where one does not fit."""
    cast = codes.astype(argument.dtype)
    if not np.array_equal(cast.astype(codes.dtype), codes) or argument.dtype.kind == "u" and (codes < 0).any():
        raise IllFormed(f"{where}: values from {codes.min()} to {codes.max()}, which {argument.dtype} cannot hold")
    return cast


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
