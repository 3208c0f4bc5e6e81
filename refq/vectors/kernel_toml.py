"""kernel.toml: somebody's kernel, described as the device sees it.

    unit = ["*.fc1", "*.fc1.rescale"]         # steps that the kernel does as one; every place that fits is judged
    library = "matmul_int8.so"                # beside this file
    build = ["gcc", "-O2", "-shared", "-fPIC", "-o", "matmul_int8.so", "matmul_int8.c"]      # optional; run there
    time_limit = 60                           # seconds for both calls on all cases of one unit; optional
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
(`value`). Every result of the unit's last step must be among the arguments; results of steps before it may be. The
function returns 0, or nothing, when it is done.
"""
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from refq.errors import Corrupt, IllFormed, nearest
from refq.vectors.prototype import Prototype, prototype

FIELDS = {"unit": list, "library": str, "prototype": str, "build": list, "time_limit": int, "arguments": dict}
MEANINGS = {"operand": str, "derived": str, "size": str, "value": int, "layout": str, "pad": int}
ALLOWED = {"in": set(MEANINGS), "out": {"operand", "layout"}, "value": {"operand", "derived", "size", "value"}}
LONGEST = 10**6


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


def read_toml(path):
    """The Kernel that a file describes; raises IllFormed or Corrupt naming the file and the field."""
    path = Path(path)
    try:
        text = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise IllFormed(f"{path}: no such file; it describes the kernel to judge") from None
    except IsADirectoryError:
        raise IllFormed(f"{path}: is a folder; give the kernel.toml in it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as e:
        raise Corrupt(f"{path}: not readable as TOML: {e}") from None
    fitting(text, FIELDS, str(path))
    if lacking := [key for key in ("unit", "library", "prototype") if not text.get(key)]:
        raise IllFormed(f"{path}: {lacking[0]} is missing; unit, library and prototype are needed")
    for key in ("unit", "build"):
        if not all(isinstance(word, str) for word in text.get(key, [])):
            raise IllFormed(f"{path}: {key} is {text[key]!r}; it is a list of texts")
    if not 1 <= text.get("time_limit", 60) <= LONGEST:
        raise IllFormed(f"{path}: time_limit is {text['time_limit']}; it is a number of seconds from 1 to {LONGEST}")
    made = prototype(text["prototype"], str(path))
    if not any(a.way == "out" for a in made.arguments):
        raise IllFormed(f"{path}: prototype of {made.name} has no result, so there is nothing to compare; results are "
                        "pointers without const, as int8_t *y")
    for name, meaning in text.get("arguments", {}).items():
        where = f"{path}: [arguments.{name}]"
        argument = next((a for a in made.arguments if a.name == name), None)
        if not argument:
            raise IllFormed(f"{where}: the prototype has no such argument: "
                            f"{nearest(name, [a.name for a in made.arguments])}")
        meant(argument, meaning, where)
    return Kernel(path, text["unit"], path.parent.absolute() / text["library"], made, text.get("arguments", {}),
                  text.get("build", []), text.get("time_limit", 60))


def meant(argument, meaning, where):
    """IllFormed where what is said of an argument contradicts itself, or the prototype."""
    if not isinstance(meaning, dict):
        raise IllFormed(f"{where}: it is a table")
    fitting(meaning, MEANINGS, where)
    sources = [k for k in ("derived", "operand", "size", "value") if k in meaning]
    if len(sources) > 1 and sources != ["derived", "operand"]:
        raise IllFormed(f"{where}: {' and '.join(sources)} contradict each other; keep one")
    if strange := [k for k in meaning if k not in ALLOWED[argument.way]]:
        kind = {"out": "a result", "value": "passed by value"}[argument.way]
        raise IllFormed(f"{where}: it is {kind}, and takes no {strange[0]}; keep of "
                        f"{', '.join(sorted(ALLOWED[argument.way]))} what it needs")
    for key in ("value", "pad"):
        if key in meaning and not holds(argument.dtype, meaning[key]):
            raise IllFormed(f"{where}: {key} is {meaning[key]}, which {argument.dtype} cannot hold")


def holds(dtype, number):
    """Does a container hold this integer exactly? Floats are asked for no more than all integers up to it."""
    if dtype.kind == "f":
        return abs(number) <= 2 ** (np.finfo(dtype).nmant + 1)
    return np.iinfo(dtype).min <= number <= min(np.iinfo(dtype).max, 2**63 - 1)


def fitting(table, kinds, where):
    for key, value in table.items():
        if key not in kinds:
            raise IllFormed(f"{where}: a field {key!r}: {nearest(key, tuple(kinds))}")
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise IllFormed(f"{where}: {key} is {value!r}; it is a {kinds[key].__name__}")
