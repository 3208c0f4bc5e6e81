"""Proofs of algebra: fields and operands that a spec never reads, roundings that commute, sums whose order is free."""
from dataclasses import fields

import numpy as np

from refq import ops
from refq.ints import rounding
from refq.ints.accumulate import Accumulate
from refq.ints.sites import unwatched
from refq.ints.width import Width
from refq.machine.linear import rule_of
from refq.vectors.mutants.smallest import smallest
from refq.vectors.scoring.equivalent.domain import SUMS
from refq.vectors.scoring.equivalent.sites import ALIKE, held_alike, word_idle
from refq.vectors.scoring.equivalent.stated import FALLING, HELD

SUMMED = ("acc", "sum", "total", "squares")
"""First words of the sites of sums. Behind one that lost nothing all that is held is as it is where the row says nothing."""

COMMUTE = ("floor", "ceil", "half_up", "half_down")


class Name(str):
    """A word of a row that tells when somebody looks at it."""

    def __new__(cls, word, read):
        made = super().__new__(cls, word)
        made.read = read
        return made

    def __eq__(self, other):
        self.read()
        return str.__eq__(self, other)

    def __hash__(self):
        self.read()
        return str.__hash__(self)


class Watched:
    """A row that notes which of its fields are read; a text only once it is compared or looked up."""

    def __init__(self, row, fields_read):
        self.__dict__.update(row=row, fields_read=fields_read)

    def __getattr__(self, name):
        held = getattr(self.row, name)
        if isinstance(held, str):
            return Name(held, lambda: self.fields_read.add(name))
        self.fields_read.add(name)
        return held


def read_by_spec(step):
    """The fields of its row that the spec of a step reads; specs branch on rows alone."""
    found = set()
    ops.load(step.op).spec(*smallest(step.row).values(), row=Watched(step.row, found), at=unwatched)
    return found


def unread(domain, how, mutant):
    """Operands that the spec never reads under this row, and nothing else, are altered."""
    changed = [k for k, v in how["operands"].items() if v is not how["given"][k]]
    same = all(np.array_equal(how["result"][k], y) for k, y in how["truth"].items())
    if not changed or not same or how["row"] != domain.row or how["at"] is not unwatched:
        return None
    try:
        operands = how["given"] | dict.fromkeys(changed, object())
        ops.load(domain.step.op).spec(*operands.values(), row=domain.row, at=unwatched)
    except (TypeError, AttributeError, ValueError):
        return None
    return f"under this row the spec never reads {' and '.join(changed)}"


def row_alike(domain, other):
    row, step = domain.row, domain.step
    differ = [f.name for f in fields(row) if getattr(row, f.name) != getattr(other, f.name)]
    if not set(differ) & read_by_spec(step):
        return f"under this row the spec never reads {' and '.join(differ)}"
    if len(differ) == 1 and any(isinstance(getattr(r, differ[0]), Accumulate) for r in (row, other)):
        return joins_alike(domain, getattr(other, differ[0])) if step.op in SUMS else sums_alike(domain, other)
    if differ == ["overflow"] and row.overflow == "refuse":
        return "this row refuses what its register does not hold: there is nothing that could wrap or saturate"
    if differ == ["nan"] and "refused" in (row.nan, other.nan):
        return "a NaN that is refused never meets a kernel"
    if differ == ["product"] and domain.step.op == "dequantize" and {row.product, other.product} == {"float32", "exact"}:
        return f"a difference of {row.q} codes has at most 24 bits, which float32 holds" if row.q.bits < 24 else None
    if differ == ["zero_point"] and row.ties in COMMUTE and not domain.free:
        return f"{row.ties} commutes with adding an integer, and the sum stays within 64 bits" if room_inside(domain) else None
    if differ == ["ties"] and step.op in FALLING and any({row.ties, other.ties} == set(pair) for pair in ALIKE[1]):
        return f"{row.ties} and {other.ties} are one for distances from the largest code, which are not negative"
    words = (*rounding.names, "wrap", "saturate", "clip")
    if len(differ) == 1 and all(isinstance(v, Width) or v in words for v in (getattr(r, differ[0]) for r in (row, other))):
        return traces_alike(domain, other)
    return None


def room_inside(domain):
    reach = domain.reach
    wide = (reach["acc"] - reach["zin"]) * reach["mult"] + (reach["zp"] << reach["shift"])
    return -(1 << 63) <= wide.lo and wide.hi < 1 << 63


def joins_alike(domain, rule):
    """Do products join alike where nothing is lost on the way?"""
    total = domain.sums()
    alike = isinstance(rule, Accumulate) and rule.products == rule_of(domain.row).products
    if alike and total.inside(rule.width) and total.inside(rule.result):
        return f"every sum of some of the products stays within {total}, which {rule.width} holds: their order is free"
    return None


def sums_alike(domain, other):
    """Does a sum of codes lose nothing on the way, under either row?"""
    rule = getattr(other, "accumulate", None)
    if domain.step.op in HELD and rule and not domain.row.accumulate and domain.row.acc.hi <= min(rule.width.hi, rule.result.hi):
        return f"the row refuses sums that {domain.row.acc} does not hold, and no part of one leaves {rule.width}"
    traces = domain.trace(), domain.trace(other)
    if any(result is None for _, result in traces):
        return None
    own = [s for seen, _ in traces for s in seen if s[1] in ("clip", "wrap") and s[0].split("_")[0] in SUMMED]
    if all(site[3].inside(site[5]) for site in own):
        return "no register of the sum is left under either row: " + "; ".join(
            dict.fromkeys(f"{s[0]} meets {s[3]}, which {s[5]} holds" for s in own))
    return None


def traces_alike(domain, other):
    """Two rows whose words differ only at sites where that shows nothing."""
    (first, _), (second, _) = domain.trace(), domain.trace(other)
    if [s[0] for s in first] != [s[0] for s in second]:
        return None
    said = []
    for site, turned in zip(first, second):
        if site[1:3] != turned[1:3]:
            idle = word_idle(domain, site, turned[2]) if turned[2] else held_alike(site)
            if not idle:
                return None
            said.append(idle)
        elif site[5] != turned[5]:
            if not all(site[3].inside(width) for width in (site[5], turned[5])):
                return None
            said.append(f"what enters {site[0]} stays within {site[3]}, which both {site[5]} and {turned[5]} hold")
    return "; ".join(dict.fromkeys(said)) or None
