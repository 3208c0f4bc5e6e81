"""kernel.toml: somebody's kernel, described as the device sees it.

    unit = ["*.fc1", "*.fc1.rescale"]         # steps that the kernel does as one; every place that fits is judged
    library = "matmul_int8.so"                # beside this file
    build = ["gcc", "-O2", "-shared", "-fPIC", "-o", "matmul_int8.so", "matmul_int8.c"]      # optional; run there
    time_limit = 60                           # seconds for both calls on all cases of one unit; optional
    success = 0                               # what the function returns, or the command's exit status; optional
    batch = "n"                               # one call takes all cases, joined along n; without it one call a case
    prototype = \"\"\"
        int32_t matmul_int8(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult,
                            const int8_t *shift, int32_t zp, int32_t n, int32_t k, int32_t m, int8_t *y)\"\"\"

    [arguments.w]                             # only where the name and the prototype do not say it all
    layout = "(m M=16) (k K=4) -> m k M K"    # refq/vectors/kernels/layout.py; row-major without it
    pad = 0                                   # what fills the tiles; of a result: what must be there (unsaid: not looked at)
    bits = 4                                  # codes of 4 bits share a word (here: the pointer's type)
    order = "high_first"                      # the first of them lies in the high bits; low_first without it
    axis = "k"                                # they are neighbours along k; storage.py says more, and of `strides`

    [arguments.bias]
    derived = "folded_bias"                   # refq/vectors/units.py lists them; `operand` names what it is made of

    [arguments.scratch]
    workspace = 4096                          # bytes that the kernel may use as it likes, `align` = 16 unless said

A const pointer or a value takes an operand of the unit, a pointer a result; each by the argument's own name, or by
`operand`. Where a name means two things it is told apart as in "rescale.zp" or "1.zp" (the operation, or the place of
the step). A value may also be the size of an axis (`size`, or its own name), a `derived` one, or a plain number
(`value`). Every result of the unit's last step must be among the arguments; results of steps before it may be.

A device that refq cannot call (another architecture, RTL) takes files: refq/vectors/kernels/kernel_files.py says how.

    command = ["./run.sh", "{folder}"]        # instead of library and prototype; run in the folder of this file
    batch = true                              # one run takes the folders of all cases
    [arguments.x]                             # every argument is named
    way = "in"                                # or "out", or "value": a line in sizes.txt
    dtype = "int8"                            # of one element, as NumPy names it
    format = "hex"                            # lines for $readmemh, of `word` bits; "bin" without it: words little-endian
    word = 32                                 # without it an element is a word
    file = "x.hex"                            # without it the name, and .hex or .bin
"""
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from refq.errors import Corrupt, IllFormed, nearest
from refq.vectors.kernels.prototype import Argument, Prototype, prototype

FIELDS = {"unit": list, "library": str, "prototype": str, "command": list, "build": list, "time_limit": int, "success": int,
          "batch": (str, bool), "arguments": dict}
STORAGE = {"layout": str, "pad": int, "bits": int, "order": str, "axis": str, "strides": list}
FILES = {"way": str, "dtype": str, "format": str, "word": int, "file": str}
MEANINGS = {"operand": str, "derived": str, "size": str, "value": int} | STORAGE | {"align": int, "workspace": int}
ALLOWED = {"in": {"operand", "derived", "size", "value", "align", *STORAGE},
           "out": {"operand", "align", "workspace", *STORAGE},
           "value": {"operand", "derived", "size", "value"}}
WORDS = {"order": ("low_first", "high_first"), "format": ("bin", "hex")}
RANGES = {"bits": (1, 64), "word": (1, 4096), "align": (1, 4096), "workspace": (1, 2**31)}
DTYPES = (*(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)), "float32", "float64")
LONGEST = 10**6


@dataclass(frozen=True)
class Kernel:
    """A kernel.toml, read: its `path`, the steps' patterns, the library or the command (the other is None), what to call
    (of a command: its first word, and the arguments as the file has them), what each argument means."""

    path: Path
    unit: list
    library: Path | None
    command: list | None
    prototype: Prototype
    arguments: dict
    build: list = field(default_factory=list)
    time_limit: int = 60
    success: int = 0
    batch: str | bool = False


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
    whole(text, path)
    arguments = text.get("arguments", {})
    for name, meaning in arguments.items():
        if not isinstance(meaning, dict):
            raise IllFormed(f"{path}: [arguments.{name}]: it is a table")
    made = commanded(text["command"][0], arguments, path) if text.get("command") else prototype(text["prototype"], str(path))
    if not any(a.way == "out" and "workspace" not in arguments.get(a.name, {}) for a in made.arguments):
        raise IllFormed(f"{path}: {made.name} has no result, so there is nothing to compare; results are " +
                        ("arguments with way = \"out\"" if text.get("command") else "pointers without const, as int8_t *y"))
    for name, meaning in arguments.items():
        where = f"{path}: [arguments.{name}]"
        argument = next((a for a in made.arguments if a.name == name), None)
        if not argument:
            raise IllFormed(f"{where}: the prototype has no such argument: "
                            f"{nearest(name, [a.name for a in made.arguments])}")
        meant(argument, meaning, FILES if text.get("command") else {}, where)
    library = path.parent.absolute() / text["library"] if text.get("library") else None
    return Kernel(path, text["unit"], library, text.get("command"), made, arguments, text.get("build", []),
                  text.get("time_limit", 60), text.get("success", 0), text.get("batch", False))


def whole(text, path):
    """IllFormed where the fields beside the arguments do not make a kernel."""
    transport = ("command",) if text.get("command") else ("library", "prototype")
    if lacking := [key for key in ("unit", *transport) if not text.get(key)]:
        raise IllFormed(f"{path}: {lacking[0]} is missing; unit, library and prototype are needed, or unit and command")
    if text.get("command") and (both := [key for key in ("library", "prototype") if text.get(key)]):
        raise IllFormed(f"{path}: command and {both[0]} are two ways to run a kernel; keep one")
    for key in ("unit", "build", "command"):
        if not all(isinstance(word, str) for word in text.get(key, [])):
            raise IllFormed(f"{path}: {key} is {text[key]!r}; it is a list of texts")
    if not 1 <= text.get("time_limit", 60) <= LONGEST:
        raise IllFormed(f"{path}: time_limit is {text['time_limit']}; it is a number of seconds from 1 to {LONGEST}")
    batches = ("n", True, False) if text.get("command") else ("n", False)
    if text.get("batch", False) not in batches:
        raise IllFormed(f"{path}: batch is {text['batch']!r}; it can be \"n\" (all cases in one call, along n)"
                        ", or with a command true (the folders of all cases in one run)")


def commanded(name, arguments, path):
    """The Prototype of a command: its arguments are those of the file."""
    made = []
    for key, meaning in arguments.items():
        where = f"{path}: [arguments.{key}]"
        way, dtype = meaning.get("way"), meaning.get("dtype", "int64" if meaning.get("way") == "value" else None)
        if way not in ALLOWED:
            raise IllFormed(f"{where}: way is {way!r}; a command's argument has way = \"in\", \"out\" or \"value\"")
        if dtype not in DTYPES:
            raise IllFormed(f"{where}: dtype is {dtype!r}; it can be {', '.join(DTYPES)}")
        made.append(Argument(key, np.dtype(dtype), way))
    return Prototype(name, None, tuple(made))


def meant(argument, meaning, more, where):
    """IllFormed where what is said of an argument contradicts itself, or the prototype; `more`: fields of a command's."""
    fitting(meaning, MEANINGS | more, where)
    sources = [k for k in ("derived", "operand", "size", "value", "workspace") if k in meaning]
    if len(sources) > 1 and sources != ["derived", "operand"]:
        raise IllFormed(f"{where}: {' and '.join(sources)} contradict each other; keep one")
    allowed = ALLOWED[argument.way] | ({"way", "dtype"} if argument.way == "value" and more else more.keys())
    allowed -= {"workspace", "align"} if more else set()
    if strange := [k for k in meaning if k not in allowed]:
        kind = {"in": "an operand", "out": "a result", "value": "passed by value"}[argument.way]
        raise IllFormed(f"{where}: it is {kind}, and takes no {strange[0]}; keep of {', '.join(sorted(allowed))} "
                        "what it needs")
    for key, words in WORDS.items():
        if meaning.get(key, words[0]) not in words:
            raise IllFormed(f"{where}: {key} is {meaning[key]!r}; it can be {' or '.join(words)}")
    for key, (least, most) in RANGES.items():
        if not least <= meaning.get(key, least) <= most:
            raise IllFormed(f"{where}: {key} is {meaning[key]}; it is a number from {least} to {most}")
    if not all(type(s) is int and 0 < s < 2**31 for s in meaning.get("strides", [])):
        raise IllFormed(f"{where}: strides is {meaning['strides']}; it is a list of numbers above 0")
    room = 8 * argument.dtype.itemsize
    if (meaning.get("word", room)) % meaning.get("bits", room):
        raise IllFormed(f"{where}: codes of {meaning.get('bits', room)} bits do not fill words of "
                        f"{meaning.get('word', room)} bits; say bits, or another container")
    for key in ("value", "pad"):
        if key in meaning and not holds(argument.dtype, meaning[key]):
            raise IllFormed(f"{where}: {key} is {meaning[key]}, which {argument.dtype} cannot hold")
    if "axis" in meaning and "strides" in meaning:
        raise IllFormed(f"{where}: axis and strides together; say the pitch as a tile in layout")


def holds(dtype, number):
    """Does a container hold this integer exactly? Floats are asked for no more than all integers up to it."""
    if dtype.kind == "f":
        return abs(number) <= 2 ** (np.finfo(dtype).nmant + 1)
    return np.iinfo(dtype).min <= number <= min(np.iinfo(dtype).max, 2**63 - 1)


def fitting(table, kinds, where):
    for key, value in table.items():
        if key not in kinds:
            raise IllFormed(f"{where}: a field {key!r}: {nearest(key, tuple(kinds))}")
        kind = kinds[key]
        if not isinstance(value, kind) or isinstance(value, bool) and kind is int:
            name = " or ".join(k.__name__ for k in kind) if isinstance(kind, tuple) else kind.__name__
            raise IllFormed(f"{where}: {key} is {value!r}; it is a {name}")
