"""A C prototype as data: the name of a function, what it returns, and its arguments."""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed

SIZES = {f"{u}int{bits}_t": f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)}
TYPES = SIZES | {"int": "intc", "unsigned": "uintc", "long": "l", "size_t": "uintp", "float": "float32",
                 "double": "float64", "signed char": "int8", "unsigned char": "uint8"}
FUNCTION = re.compile(r"\s*(?P<returns>[\w\s]+?)\s+(?P<name>\w+)\s*\((?P<arguments>[^()]*)\)\s*;?\s*", re.DOTALL)
ARGUMENT = re.compile(r"(?P<const>const\s+)?(?P<type>[\w\s]+?)(?P<after>\s+const)?"
                      r"(?P<pointer>\s*\*\s*(?:restrict\s+)?|\s+)(?P<name>\w+)")


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
    arguments = []
    for part in found["arguments"].split(","):
        one = ARGUMENT.fullmatch(part.strip())
        if not one:
            raise IllFormed(f"{where}: argument {part.strip()!r} of the prototype is not one; write const int8_t *x")
        way = "value" if "*" not in one["pointer"] else "in" if one["const"] or one["after"] else "out"
        arguments.append(Argument(one["name"], dtype_of(one["type"], where), way))
    names = [a.name for a in arguments]
    if len(set(names)) != len(names):
        raise IllFormed(f"{where}: two arguments of the prototype have the same name")
    returns = None if found["returns"].strip() == "void" else dtype_of(found["returns"], where)
    return Prototype(found["name"], returns, tuple(arguments))
