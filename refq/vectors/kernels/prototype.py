"""A C prototype as data: the name of a function, what it returns, and its arguments."""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed

SIZES = {f"{u}int{bits}_t": f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)}
TYPES = SIZES | {"int": "intc", "unsigned": "uintc", "long": "l", "size_t": "uintp", "float": "float32",
                 "double": "float64", "signed char": "int8", "unsigned char": "uint8"}
FUNCTION = re.compile(r"\s*(?P<returns>[\w\s]+?)\s+(?P<name>\w+)\s*\((?P<arguments>[^()]*)\)\s*;?\s*", re.DOTALL)
QUALIFIER = r"\b(?:const|restrict|__restrict|__restrict__)\b"
ARGUMENT = re.compile(rf"(?P<type>[\w\s]+?)(?:\s*(?P<star>\*)(?P<own>(?:\s|{QUALIFIER})*)|\s+)(?P<name>\w+)"
                      r"\s*(?P<brackets>\[[^\[\]]*\])?")


@dataclass(frozen=True)
class Argument:
    """`dtype`: of the value, or of what the pointer points at; `way`: "value", "in" (const pointer), or "out"."""

    name: str
    dtype: np.dtype
    way: str


@dataclass(frozen=True)
class Prototype:
    """`returns`: a dtype, or None for void."""

    name: str
    returns: np.dtype | None
    arguments: tuple


def dtype_of(text, where):
    kind = " ".join(text.split())
    if kind not in TYPES:
        raise IllFormed(f"{where}: type {kind!r} in the prototype; known are {', '.join(TYPES)}")
    return np.dtype(TYPES[kind])


def prototype(text, where):
    """`int f(const int8_t *x, int32_t n, int8_t *y)` as a Prototype; raises IllFormed, beginning with `where`."""
    found = FUNCTION.fullmatch(str(text))
    if not found:
        raise IllFormed(f"{where}: prototype {text!r} is not one; write int f(const int8_t *x, int32_t n, int8_t *y)")
    arguments = [argument(part.strip(), where) for part in found["arguments"].split(",")]
    names = [a.name for a in arguments]
    if len(set(names)) != len(names):
        raise IllFormed(f"{where}: two arguments of the prototype have the same name")
    returns = None if found["returns"].strip() == "void" else dtype_of(found["returns"], where)
    return Prototype(found["name"], returns, tuple(arguments))


def argument(text, where):
    """One Argument; const counts where it speaks of what is pointed at, and `y[]` is a pointer."""
    found = ARGUMENT.fullmatch(text)
    if not found or found["star"] and found["brackets"]:
        raise IllFormed(f"{where}: argument {text!r} of the prototype is not one; write const int8_t *x")
    way = "value"
    if found["star"] or found["brackets"]:
        way = "in" if re.search(r"\bconst\b", found["type"]) else "out"
    return Argument(found["name"], dtype_of(re.sub(r"\bconst\b", " ", found["type"]), where), way)
