"""The only place that calls Numba's compiler: `jit` for kernels, `word` for the small functions they are made of.

Numba's own disk cache serves stale code after a word in another file was edited, mixes up rows of one factory when
processes race, and raises where no folder can be written. Here the folder is named by a digest of all of refq's sources
and Numba's version, and each file by a digest of everything that makes the machine code: the function, all that it
closes over, the options, the signature and the processor. One kernel, one file, written whole and below its own digest:
nothing to race for, and a damaged file is compiled anew. What is closed over are words, numbers, texts, arrays, tuples
of them, and frozen dataclasses. Functions from outside refq take part with their whole file, but not with its imports;
one that has no file is not cached.

The cache lies in the first folder that can be written, and is our own, of $REFQ_CACHE_DIR, ~/.cache/refq and the
temporary folder; without one, kernels are compiled anew in each process. This leans on Numba's dispatcher and
CompileResult, hence the pinned range of Numba.
"""
import hashlib
import os
import pickle
import tempfile
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numba.core import serialize
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.extending import register_jitable

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
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
                continue            # machine code is loaded from here: not from somebody else's folder
            with tempfile.TemporaryFile(dir=path):
                return path
        except OSError:
            continue
    return None


@cache
def text_of(file):
    """What the digest of refq's sources does not cover: the file of a function from elsewhere; OSError without one."""
    path = Path(file).resolve()
    return None if Path(__file__).resolve().parent.parent in path.parents else digest(path.read_bytes())


def constants(code):
    """The constants of a function, those of the functions in it as well: repr of a code object holds an address."""
    return [constants(c) if isinstance(c, type(code)) else repr(c) for c in code.co_consts], code.co_code, code.co_names


def name_of(value):
    """What a closed-over value adds to a kernel's identity: a function by its place, its code and its own closure."""
    value = getattr(value, "py_func", value)
    if code := getattr(value, "__code__", None):
        cells = [name_of(cell.cell_contents) for cell in value.__closure__ or ()]
        return (value.__module__, value.__qualname__, code.co_firstlineno, constants(code), text_of(code.co_filename),
                repr(value.__defaults__), cells)
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, digest(value.tobytes())
    if isinstance(value, (tuple, list)):
        return [name_of(v) for v in value]
    return repr(value)


class Cache(NullCache):
    """Stands where Numba's dispatcher expects its cache: load and save the machine code of one signature."""

    def __init__(self, function, options):
        self.name = function.__name__
        self.key = digest(name_of(function), sorted(options.items()))

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
        path, part = self.path(signature, result.codegen), None
        try:
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
