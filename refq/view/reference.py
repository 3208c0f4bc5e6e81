"""reference: every field that a dialect's file can state, with what it means and what it can hold; and the fields of one row."""
from dataclasses import fields

from refq import dialects, ops
from refq.dialects.base import WORDS
from refq.dialects.custom import KNOWN
from refq.ints import rounding
from refq.ints.row import stated
from refq.view.glossary import DIALECT, ROWS
from refq.view.show import table

HOW = """A dialect's file, in TOML: base = "tosa", then what differs from it. A plain field stands at the top; a role is a table
of fields of its row, in which op = "..." puts another operation, from = "..." says that the target itself does it as that
dialect does, and borrow = "..." (alone) that it is that dialect's, for want of knowledge of the target.
X_wide plays X for registers over 32 bits and codes over 8; rescale_X plays rescale behind X, where a target does that otherwise.
"""


def allowed(f):
    """What a field of a row can hold, in words."""
    values = [str(v) for v in f.metadata.get("alternatives", ())]
    if values and set(rounding.names) <= set(values):
        rest = [v for v in values if v not in rounding.names]
        return " ".join([*rest, "a rounding"])
    plain = {bool: "true false", int: "a whole number", str: "a word"}.get(type(f.default), "a width")
    return " ".join(values) or ("a table: see refq/ints/accumulate.py" if f.name == "accumulate" else plain)


def of_row(name):
    """The lines of the fields of an operation's row that a dialect states: [field, meaning, what it can hold]."""
    row = ops.load(name).Row
    said = {f.name: f for f in fields(row)}
    return [[k, ROWS.get(k, ""), allowed(said[k])] for k in stated(row)]


def toml():
    """(value, text): every field of a dialect's file."""
    roles = {}
    for d in map(dialects.load, dialects.names()):
        for role, part in d.roles.items():
            roles.setdefault(role, {}).setdefault(part.op, d.name)
    plain = [[k, DIALECT[k], " ".join(WORDS.get(k, ()))] for k in KNOWN if k in DIALECT]
    played = [[role, ", ".join(f"{op} ({d})" for op, d in by.items())] for role, by in roles.items()]
    parts = {name: of_row(name) for name in sorted({op for by in roles.values() for op in by})}
    texts = [HOW, table(["field", "says", "can be"], plain), "",
             table(["role", "operations that can play it (one dialect that has it so)"], played), ""]
    texts += [f"{name}\n{table(['field', 'says', 'can be'], lines)}\n" for name, lines in parts.items() if lines]
    value = {"fields": dict(DIALECT), "roles": roles, "rows": {name: {k: [says, can] for k, says, can in lines}
                                                               for name, lines in parts.items()}}
    return value, "\n".join(texts).rstrip()


