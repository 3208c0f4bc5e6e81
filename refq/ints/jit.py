"""The only place that calls Numba's compiler: `jit` for kernels, `word` for the small functions they are made of.

Numba's own disk cache serves stale code after a word in another file was edited, mixes up rows of one factory when
processes race, and raises where no folder can be written. Here the folder is named by a digest of all of refq's sources
and Numba's version, and each file by a digest of everything that makes the machine code: the bytecode of the function and
of all that it calls, what it closes over and reads from its module, the options, the signature and the processor, taken
as they are in memory when the kernel is compiled: a source that is edited while a process starts is no part of it. One
kernel, one file, written whole and below its own digest: nothing to race for, and a damaged file is compiled anew. What
is closed over are words, numbers, texts, arrays, tuples of them, and frozen dataclasses. Functions from outside refq take
part with their whole file as well; one that has no file is not cached.

The cache lies in the first folder that can be written, and is our own, of $REFQ_CACHE_DIR, ~/.cache/refq and the
temporary folder; without one, kernels are compiled anew in each process. A new version's folder takes the place of the
one that has not been used for longest, once there are `KEPT`. This leans on Numba's dispatcher and
CompileResult, hence the pinned range of Numba.
"""
import hashlib
import os
import pickle
import re
import shutil
import tempfile
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
from numba.core import serialize
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.extending import register_jitable

KEPT = 8
"""So many versions' folders stay in a cache."""

word = register_jitable
"""Marks a plain function as callable from jitted code as well: one text for Python integers, arrays and kernels."""


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@cache
def sources():
    """The digest of every source file of refq: a changed word anywhere means a new cache folder."""
    root = Path(__file__).resolve().parent.parent
    return digest([(str(p.relative_to(root)), p.read_bytes()) for p in sorted(root.rglob("*.py"))])


def candidates():
    if os.environ.get("REFQ_CACHE_DIR"):
        yield Path(os.environ["REFQ_CACHE_DIR"])
    try:
        yield Path.home() / ".cache" / "refq"
    except RuntimeError:            # no home can be found
        pass
    yield Path(tempfile.gettempdir()) / f"refq-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


@cache
def folder():
    """The folder of this version's compiled kernels, or None where nothing can be written."""
    for base in candidates():
        path = base / f"{numba.__version__}-{sources()}"
        try:
            new = not path.exists()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
                continue            # machine code is loaded from here: not from somebody else's folder
            with tempfile.TemporaryFile(dir=path):
                os.utime(path)      # when it was last used
            if new:
                sweep(base)
            return path
        except OSError:
            continue
    return None


def sweep(base):
    """Remove the folders of other versions in `base`, all but those used last; what is gone or stays by itself is fine."""
    used = {}
    for path in base.iterdir():
        if re.fullmatch(r"[0-9][\w.+]*-[0-9a-f]{32}", path.name):
            try:
                used[path] = path.stat().st_mtime_ns
            except OSError:         # another process sweeps as well
                continue
    for path in sorted(used, key=used.get, reverse=True)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


@cache
def text_of(file):
    """What the digest of refq's sources does not cover: the file of a function from elsewhere; OSError without one."""
    path = Path(file).resolve()
    return None if Path(__file__).resolve().parent.parent in path.parents else digest(path.read_bytes())


def codes(code):
    """A code object and those of the functions in it."""
    return [code, *(inner for c in code.co_consts if isinstance(c, type(code)) for inner in codes(c))]


def constants(code):
    """What a code object does: repr of one holds an address."""
    return [repr(c) for c in code.co_consts if not isinstance(c, type(code))], code.co_code, code.co_names


def function_of(value):
    """The Python function behind a kernel, an intrinsic, or itself."""
    return getattr(value, "py_func", getattr(value, "_defn", value))


def cell(held):
    try:
        return held.cell_contents
    except ValueError:              # not bound yet
        return None


DATA = int, float, complex, str, bytes, tuple, list, dict, np.ndarray, np.generic, type(None)


def outside(function):
    """What a function reads from its module, and from modules of refq or its own: [(name, value)], functions and data."""
    names = sorted({name for code in codes(function.__code__) for name in code.co_names})
    spaces = [("", function.__globals__)]
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and value.__name__.split(".")[0] in ("refq", function.__module__.split(".")[0]):
            spaces.append((value.__name__, vars(value)))
    return [(space, name, held[name]) for space, held in spaces for name in names if name in held and (
        hasattr(function_of(held[name]), "__code__") or isinstance(held[name], DATA))]


def name_of(value, seen=None):
    """What a value that a kernel reaches adds to its identity: a function by its place, its code, and all that it closes
    over or reads outside; one that is met again, as it calls itself, by when it was `seen`."""
    seen, options = {} if seen is None else seen, sorted(getattr(value, "targetoptions", {}).items())
    value = function_of(value)
    if code := getattr(value, "__code__", None):
        if value in seen:
            return "seen", seen[value]
        seen[value] = len(seen)
        cells = [name_of(cell(held), seen) for held in value.__closure__ or ()]
        around = [(space, name, name_of(held, seen)) for space, name, held in outside(value)]
        return (value.__module__, value.__qualname__, code.co_firstlineno, [constants(c) for c in codes(code)],
                text_of(code.co_filename), name_of(value.__defaults__, seen), options, cells, around)
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, digest(value.tobytes())
    if isinstance(value, (tuple, list)):
        return [name_of(v, seen) for v in value]
    if isinstance(value, dict):
        return [(repr(k), name_of(v, seen)) for k, v in value.items()]
    return repr(value)


class Cache(NullCache):
    """Stands where Numba's dispatcher expects its cache: load and save the machine code of one signature."""

    def __init__(self, function, options):
        self.function, self.name, self.options = function, function.__name__, sorted(options.items())
        text_of(function.__code__.co_filename)

    @cached_property
    def key(self):
        """Made when the kernel is compiled or looked for: by then its module is whole."""
        return digest(name_of(self.function), self.options)

    def path(self, signature, codegen):
        return folder() / f"{self.name}-{digest(self.key, str(signature), codegen.magic_tuple())}"

    def load_overload(self, signature, target):
        target.refresh()
        try:
            content = self.path(signature, target.codegen()).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        return CompileResult._rebuild(target, *pickle.loads(content[32:]))

    def save_overload(self, signature, result):
        if result.library.has_dynamic_globals or result.lifted:
            return
        part = None
        try:
            path = self.path(signature, result.codegen)
            with tempfile.NamedTemporaryFile(dir=folder(), delete=False) as file:
                part = file.name
                content = serialize.dumps(result._reduce())
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(part, path)
        except OSError:             # a full disk must not stop the arithmetic
            if part and os.path.exists(part):
                os.unlink(part)


def jit(**options):
    """Compile a kernel at its first call, or load it from the cache; `options` are Numba's."""
    def decorate(function):
        kernel = numba.njit(**options)(function)
        try:
            if folder():
                kernel._cache = Cache(function, options)
        except OSError:             # typed at a prompt: no file tells its versions apart, so it is compiled each time
            pass
        return kernel
    return decorate
