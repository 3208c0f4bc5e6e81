"""Row: the fields in which targets differ, as a value.

A row is a frozen dataclass over `Row`; a field made by `choice` lists its alternatives, is checked when the row is
born, and can be enumerated: `alternatives(row)` gives every row that differs in one field (mutants come from there); a
field that holds a row differs where that one does. A field made by `decided` (a width, a shape) is filled in from the
tensors of a step; a dialect leaves it alone: `stated(kind)` names the others.
`plain(row)` is the row as JSON and TOML can hold it, and `from_plain` the way back. `differences(row)` is the same
without what is at its default: the words of the format. So a field that is added later changes no word of a row that was
stored before, as long as its default means what those rows meant; and a default, once released, stays.
"""
from dataclasses import MISSING, field, fields, is_dataclass, replace
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

from refq.errors import IllFormed
from refq.ints.operand import F32
from refq.ints.width import Width, width


def choice(default, *alternatives, acts="run"):
    """A field that holds one of `alternatives`; `acts` at "run" time, or at "build" time (floats to constants)."""
    return field(default=default, metadata={"alternatives": tuple(dict.fromkeys((default, *alternatives))),
                                            "acts": acts})


def decided(default):
    """A field that the tensors of a step decide, or the geometry of a node: no dialect has a say in it."""
    return field(default=default, metadata={"decided": True})


class Row:
    """The parent of every operation's row: checks its fields at birth. `takes` and `gives` map operand to Operand."""

    def __post_init__(self):
        for f in fields(self):
            value, allowed = getattr(self, f.name), f.metadata.get("alternatives")
            if allowed and value not in allowed:
                raise IllFormed(f"{type(self).__module__}: {f.name} is {value!r}; it can be "
                                f"{', '.join(map(repr, allowed))}")
            if f.default is not MISSING and isinstance(f.default, Width) and not isinstance(value, Width):
                raise IllFormed(f"{type(self).__module__}: {f.name} is {value!r}; it must be a width such as i8")
            if isinstance(f.default, Row) and not isinstance(value, type(f.default)):
                raise IllFormed(f"{type(self).__module__}: {f.name} is {value!r}; it must be a row such as "
                                f"{f.default!r}")

    def sizes(self, found):
        """The sizes of axes that only the results have, given those of the operands; most operations have none."""
        return {}


def alternatives(row):
    """Every (field, row) that differs from `row` in exactly one field with listed alternatives; `outer.inner` names a
    field of a row in a row."""
    for f in fields(row):
        held = getattr(row, f.name)
        others = [(f.name, v) for v in f.metadata.get("alternatives", ()) if v != held]
        if isinstance(held, Row):
            others += [(f"{f.name}.{inner}", v) for inner, v in alternatives(held)]
        for name, value in others:
            try:
                yield name, replace(row, **{f.name: value})
            except IllFormed:           # contradicts another field
                continue


def plain(value):
    """A row, or what one of its fields holds, in JSON's kinds: a width as `i8`, a tuple as a list, a row as a dict."""
    if isinstance(value, Width) or value is F32:
        return str(value)
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def stated(kind):
    """The fields of a row, or of a kind of rows, that a dialect states: all but those made by `decided`."""
    return [f.name for f in fields(kind) if not f.metadata.get("decided")]


def differences(value):
    """`plain`, without the fields of a row that are at their default; a field without one is always there."""
    if not isinstance(value, Row):
        return plain(value)
    return {f.name: differences(held) for f in fields(value) if (held := getattr(value, f.name)) != f.default}


def from_plain(kind, mapping):
    """The row (any dataclass) `kind` from what `plain` gave; fields that are missing take their defaults.

    Raises IllFormed for a field that `kind` does not have, and for values that its constructor refuses.
    """
    known = {f.name: f for f in fields(kind) if f.init}
    hints = get_type_hints(kind)
    if strange := [name for name in mapping if name not in known]:
        raise IllFormed(f"{kind.__module__}: a field {strange[0]!r}; there are {', '.join(known)}")
    if lacking := [n for n, f in known.items() if n not in mapping and f.default is f.default_factory is MISSING]:
        raise IllFormed(f"{kind.__module__}: field {lacking[0]!r} is missing")
    return kind(**{name: restored(hints[name], value, known[name].default) for name, value in mapping.items()})


def restored(hint, value, default=None):
    """`value` as the field's type says; where that says nothing, as the default does."""
    if get_origin(hint) in (Union, UnionType):
        hint = next((a for a in get_args(hint) if is_dataclass(a)), object) if value is not None else object
    if isinstance(value, str) and (hint is Width or hint is object and isinstance(default, Width)):
        return width(value)
    if value == "f32" and (hint is type(F32) or default is F32):
        return F32
    if isinstance(value, dict) and is_dataclass(hint):
        return from_plain(hint, value)
    if isinstance(value, list):
        return tuple(restored(object, v) for v in value)
    return value
