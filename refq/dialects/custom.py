"""A dialect from a TOML file: any base, and the named differences.

    name = "my_npu"                  # optional; the file's name otherwise
    base = "tosa"
    source = "my NPU's manual, chapter 4"
    weights = [8]                    # any plain field of a dialect; `refq show tosa` lists them with their values
    absent = ["layernorm"]           # roles of the base that the target does not have

    [accumulators]                   # bits of the activations = register
    8 = "i32"

    [rescale]                        # a role: fields of its row, which `refq show rescale` lists with all they can be
    ties = "half_even"

    [add]                            # `op` puts another operation there; `from` says that the target does it as another
    from = "ivit"                    # dialect does: it is the target's own, and fields may follow in which it differs

    [softmax]                        # `borrow` says that what the target does is not known, and another dialect's stands in;
    borrow = "tflite"                # every summary says so, and in a network that comes quantized the role runs in float

Fields that the tensors of a step decide (widths, shapes, strides) are not a dialect's. They, and unknown tables, fields and
values, are refused with a sentence that names the file and the field.
"""
import re
from dataclasses import fields, replace
from functools import cache

from refq import dialects, ops, toml
from refq.dialects.base import Dialect, Role
from refq.errors import IllFormed, nearest
from refq.ints import rounding
from refq.ints.accumulate import Accumulate
from refq.ints.row import from_plain, plain, stated
from refq.ints.width import width

PLAIN = tuple(f.name for f in fields(Dialect) if f.name not in ("name", "roles", "accumulators", "checks"))
KNOWN = ("name", "base", "absent", "accumulators", *PLAIN)


def load(path):
    """The dialect that the file describes; raises IllFormed naming the file and the field."""
    text = toml.read(path, "dialect", dialects.names())
    if "base" not in text:
        strange = [key for key in text if key not in KNOWN and not isinstance(text[key], dict)]
        also = f", and field {strange[0]!r} is not one of a dialect: {nearest(strange[0], KNOWN)}" if strange else ""
        raise IllFormed(f"{path}: base is missing; it is one of {', '.join(dialects.names())}{also}")
    base = text.pop("base")
    if base not in dialects.names():
        raise IllFormed(f"{path}: base is {base!r}; {nearest(base, dialects.names())}")
    base = dialects.load(base)
    try:
        return differ(base, text, path)
    except IllFormed as e:
        raise IllFormed(str(e) if str(path) in str(e) else f"{path}: {e}") from None


def differ(base, text, path):
    changes = {"name": path.stem, "title": f"{path.stem}, after {base.name}", "source": str(path), "date": "", "checks": ()}
    roles = dict(base.roles)
    for key, value in text.items():
        if key == "name":
            changes["name"] = sentence(key, value, str)
            if not value.strip() or not value.isprintable():
                raise IllFormed(f"field 'name' is {value!r}; it must be one printable line")
            if value in dialects.names():
                raise IllFormed(f"field 'name' is {value!r}, which is refq's own dialect; give yours another name")
        elif key == "accumulators":
            changes[key] = dict(register(bits, w) for bits, w in sentence(key, value, dict).items())
        elif key == "absent":
            leave_out(roles, sentence(key, value, list))
        elif key in PLAIN:
            default = getattr(base, key)
            value = sentence(key, value, list if isinstance(default, tuple) else type(default))
            changes[key] = tuple(value) if isinstance(value, list) else value
        elif isinstance(value, dict):
            roles[key] = role(roles, key, value)
        else:
            if key in roles:
                raise IllFormed(f"{key!r} is a role, not a field: write [{key}] and its fields below that")
            raise IllFormed(f"field {key!r} is not one of a dialect: {nearest(key, KNOWN)}")
    made = replace(base, roles=roles, **changes)
    refuse_contradictions(made)
    return made


def sentence(key, value, kind):
    of = str if key == "absent" else int
    if not isinstance(value, kind) or (kind is list and not all(type(v) is of for v in value)):
        lists = "a list of names of roles" if of is str else "a list of numbers of bits"
        what = {list: lists, str: "a text", bool: "true or false", dict: "a table"}[kind]
        raise IllFormed(f"field {key!r} is {value!r}; it must be {what}")
    return value


def leave_out(roles, names):
    """Take the roles `names` out of `roles`."""
    for name in names:
        if name not in roles:
            raise IllFormed(f"absent has {name!r}, which is no role of the base: {nearest(name, tuple(roles))}")
        del roles[name]


@cache
def everywhere():
    """Role name to the dialects that have it, in the order of their names."""
    found = {}
    for dialect in map(dialects.load, dialects.names()):
        for role in dialect.roles:
            found.setdefault(role, {})[dialect.name] = dialect
    return found


def register(bits, text):
    """One line of [accumulators]."""
    try:
        if bits.isdecimal() and (made := width(str(text))).signed:
            return int(bits), made
    except IllFormed:
        pass
    raise IllFormed(f"[accumulators] has {bits} = {text!r}; write bits of the activations = a signed register, such as "
                    "8 = \"i32\"")


def operation(name, op, old):
    """The operation to play the role `name`: the one that did, or another that some dialect has for it."""
    can = sorted({*([old] if old else []), *(d.roles[name].op for d in everywhere()[name].values())})
    if op not in can:
        raise IllFormed(f"[{name}] has op = {op!r}, which cannot play that role; {' or '.join(can)} can")
    return op


def start_of(roles, name, changed):
    """The Role that `changed` starts from: the base's, or the one of the dialect that `from` or `borrow` names; takes those
    two out."""
    borrow = "borrow" in changed
    if borrow and (more := [k for k in changed if k != "borrow"]):
        raise IllFormed(f"[{name}] has borrow and {more[0]!r}; what is borrowed is another dialect's as it is: write from "
                        "instead of borrow for the target's own")
    word = "borrow" if borrow else "from"
    source = changed.pop(word, None)
    known = everywhere().get(name)
    if known is None or name not in roles and source is None and "op" not in changed:
        if known is None:
            raise IllFormed(f"table [{name}] is not a role: {nearest(name, tuple(roles))}")
        raise IllFormed(f"the base has no role [{name}]; say from (or borrow) = one of {', '.join(known)}")
    if source is None:
        return roles.get(name)
    if source not in known:
        raise IllFormed(f"[{name}] has {word} = {source!r}; the dialects that have that role are {', '.join(known)}")
    part = known[source].roles[name]
    return Role(part.op, part.row, (part.borrowed or source) if borrow else None)


def role(roles, name, changed):
    """The role `name` with the fields that `changed` names; another operation where it says `op`, another dialect's where it
    says `from` or `borrow`."""
    whole = set(changed) in ({"from"}, {"borrow"})
    changed = dict(changed)
    old = start_of(roles, name, changed)
    if whole:
        return old
    op = operation(name, changed.pop("op", old and old.op), old and old.op)
    Row = ops.load(op).Row
    known, open_to = {f.name for f in fields(Row)}, stated(Row)
    for field, value in changed.items():
        if field not in known:
            there = nearest(field, tuple(sorted(open_to))) if open_to else "it has none"
            raise IllFormed(f"[{name}] has a field {field!r} that {op} does not know: {there}")
        if field not in open_to:
            raise IllFormed(f"[{name}] has {field} = {value!r}, but the tensors of a step decide {field}, not a dialect: leave "
                            "it out; weights, activations and [accumulators] say which widths there are")
    start = {k: v for k, v in plain(old.row).items() if op == old.op or k in known and k not in open_to} if old else {}
    try:
        if changed.get("accumulate") and "acc" in known:        # the register itself is one of [accumulators]
            start["acc"] = str(from_plain(Accumulate, changed["accumulate"]).result)
        return Role(op, from_plain(Row, start | changed))
    except (TypeError, AttributeError, ValueError) as e:      # IllFormed is a ValueError
        given = ", ".join(f"{k} = {v!r}" for k, v in changed.items())
        raise IllFormed(f"[{name}] with {given}: {re.sub(r'^refq[.][a-z0-9_.]+: ', '', str(e))}") from None


def refuse_contradictions(dialect):
    if dialect.encode not in rounding.names:
        raise IllFormed(f"encode is {dialect.encode!r}: {nearest(dialect.encode, rounding.names)}")
    for field in ("weights", "activations"):
        if not getattr(dialect, field):
            raise IllFormed(f"{field} is empty; name the bits that are allowed")
        for bits in getattr(dialect, field):
            if not 2 <= bits <= 16:
                raise IllFormed(f"{field} of {bits} bits; 2 to 16 are possible")
    for bits in dialect.asymmetric:
        if bits not in dialect.activations:
            raise IllFormed(f"asymmetric holds {bits} bits, which activations ({dialect.activations}) do not")
    registers = sorted(map(str, dialect.accumulators.values()))
    for name, part in dialect.roles.items():
        rule = getattr(part.row, "accumulate", None)
        if rule is not None and hasattr(part.row, "acc") and str(rule.result) not in registers:
            raise IllFormed(f"[{name}] joins products in {rule.result}, but [accumulators] has {' and '.join(registers)} only")
    for bits, register in dialect.accumulators.items():
        if part := dialect.roles.get("rescale" if register.bits <= 32 else "rescale_wide"):
            try:
                replace(part.row, acc=register)
            except IllFormed as e:
                raise IllFormed(f"[accumulators] has {bits} = {str(register)!r}, but {e}") from None
    for bits in dialect.activations:
        if not any(b >= bits for b in dialect.accumulators):
            raise IllFormed(f"activations of {bits} bits have no accumulator; add {bits} = \"i48\" under [accumulators]")
