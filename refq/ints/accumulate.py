"""accumulate: how products join into one sum.

    exact       the sum is made in 64 bits, and `overflow` acts once, on the end
    sequential  one product after the other; `overflow` acts on every partial sum
    pairs       products i and i + size join first, `overflow` acts on their sum, and the pair is added as a product is
    tiles       `size` products in a row join first, exactly; `overflow` acts on their sum, and then the same

`overflow` wraps, saturates or refuses at `width`. Where `spill` is not 0 the register is emptied into a wider one (`into`,
which wraps) after so many additions and at the end. A last pair or tile may be short. Where nothing can overflow all
orders give the same sum. Products stay below 2**62 in magnitude, and so do exact sums.

`products` says what joins: products of codes less their zero points (`differences`), or products of the `codes` themselves, as
instructions for unsigned by signed bytes take them; then the zero points and the bias are joined to the sum of them afterwards,
exactly, and that wraps. Operands of other signs have no such instruction: theirs join exactly.

check   255*127 + 255*127 is 32767 where pairs saturate at 16 bits (x86 VPMADDUBSW)
source  pytorch/FBGEMM src/RefImplementations.cc (acc16: pairs, saturate, i16, spilled); x86 VPDPBUSDS (tiles of 4)
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import word
from refq.ints.registers import saturating, unchanged, wrapping
from refq.ints.row import Row, choice
from refq.ints.sites import unwatched
from refq.ints.width import I32, I64, Width


@dataclass(frozen=True)
class Accumulate(Row):
    """One way to join products. `size`: the distance in a pair, the length of a tile; other orders do not read it."""

    order: str = choice("exact", "sequential", "pairs", "tiles")
    size: int = 1
    overflow: str = choice("wrap", "saturate", "refuse")
    width: Width = I32
    spill: int = 0
    into: Width = I32
    products: str = choice("differences", "codes")

    def __post_init__(self):
        super().__post_init__()
        if self.size < 1 or self.spill < 0:
            raise IllFormed(f"accumulate: size {self.size} and spill {self.spill}: a pair or tile takes at least 1; a "
                            "register is spilled after at least 1 addition, or never (0)")
        if self.overflow != "wrap" and self.width.bits > 63:
            raise IllFormed(f"accumulate: a register of {self.width} cannot see that it overflows; let it wrap, or "
                            "take at most 63 bits")

    @property
    def result(self):
        """The width of the sum."""
        return self.into if self.spill and self.order != "exact" else self.width

    @property
    def blocks(self):
        """(products in a block, sums in a block, distance of the products of one sum)."""
        return {"pairs": (2 * self.size, self.size, self.size), "tiles": (self.size, 1, 1)}.get(self.order, (1, 1, 1))


def refuse(at, name, x, width):
    if np.size(x) and not (width.lo <= np.min(x) and np.max(x) <= width.hi):
        raise IllFormed(f"accumulate: {name} reaches from {np.min(x)} to {np.max(x)}, and this row refuses what leaves "
                        f"{width}; take a wider accumulator or shorter sums")
    return at(name, x, width)


holds = {"wrap": lambda at, name, x, width: at.wrap(name, x, width),
         "saturate": lambda at, name, x, width: at.clip(name, x, width),
         "refuse": refuse}


def join(product, count, rule, start, at=unwatched):
    """`start` and product(0) ... product(count - 1), joined as `rule` says: int64 arrays that broadcast.

    `start` (the bias, or zeros; it gives the shape) lies in the register that lives longest. Sites: `partial`, `pair`
    or `tile`, `spilled`, and `acc`. Raises IllFormed where the rule refuses.
    """
    hold, width, total = holds[rule.overflow], rule.width, start
    if rule.order == "exact":
        for k in range(count):
            total = at("partial", total + product(k), I64)
        return hold(at, "acc", total, width)

    block, sums, apart = rule.blocks
    register, added = (start - start, 0) if rule.spill else (hold(at, "partial", start, width), 0)
    for base in range(0, count, block):
        for first in range(base, min(base + sums, count)):
            part = sum(product(k) for k in range(first, min(base + block, count), apart))
            if rule.order != "sequential":
                part = hold(at, rule.order[:-1], part, width)
            register, added = hold(at, "partial", register + part, width), added + 1
            if added == rule.spill:
                total, register, added = at.wrap("spilled", total + register, rule.into), start - start, 0
    return at.wrap("acc", total + register, rule.into) if rule.spill else at("acc", register, width)


def combined(differences, codes, count, rule, start, at=unwatched):
    """`join` of what the rule says: differences(0) ... or codes(0) ..., arrays that broadcast, and `start`."""
    if rule.products == "differences":
        return join(differences, count, rule, start, at)
    total = join(codes, count, rule, start - start, at) + start
    return at.wrap("taken", total + sum(differences(k) - codes(k) for k in range(count)), rule.result)


@cache
def holder(overflow, width):
    """What `overflow` does to a sum, for kernels: a word of one int64. To refuse is to have it proved by bounds."""
    return {"wrap": wrapping, "saturate": saturating, "refuse": lambda width: unchanged}[overflow](width)


@cache
def adder(rule):
    """`join` for jitted kernels: a word of (products, start), an int64 vector in the order of the sum, and an int64."""
    hold = holder(rule.overflow, rule.width)
    part_hold = holder("refuse" if rule.order == "sequential" else rule.overflow, rule.width)
    total_hold = holder("wrap", rule.into)
    (block, sums, apart), spill, spills = rule.blocks, rule.spill, rule.spill > 0

    @word
    def exact(products, start):
        total = start
        for k in range(products.size):
            total += products[k]
        return hold(total)

    @word
    def ordered(products, start):
        count, added = products.size, 0
        total, register = (start, 0) if spills else (0, hold(start))
        for base in range(0, count, block):
            for first in range(base, min(base + sums, count)):
                part = 0
                for k in range(first, min(base + block, count), apart):
                    part += products[k]
                register, added = hold(register + part_hold(part)), added + 1
                if added == spill:
                    total, register, added = total_hold(total + register), 0, 0
        return total_hold(total + register) if spills else register

    return exact if rule.order == "exact" else ordered


class Renamed:
    """Sites of one sum among others: `name` for what `join` calls acc, `name_partial` and so on for the rest."""

    def __init__(self, inner, name):
        self.inner, self.name = inner, name

    def own(self, site):
        return self.name if site == "acc" else f"{self.name}_{site}"

    def __call__(self, site, value, width):
        return self.inner(self.own(site), value, width)

    def clip(self, site, x, width):
        return self.inner.clip(self.own(site), x, width)

    def wrap(self, site, x, width):
        return self.inner.wrap(self.own(site), x, width)


def summed(values, rule, at=unwatched, name="total"):
    """The sum of int64 `values` along axis 1, of which one place is left, joined as `rule` says: the result is the site
    `name`. None: exactly in 64 bits, and no site."""
    if rule is None:
        return values.sum(axis=1, keepdims=True)
    at = Renamed(at, name)
    if rule.order == "exact":
        return holds[rule.overflow](at, "acc", values.sum(axis=1, keepdims=True), rule.width)
    return join(lambda k: values[:, k:k + 1], values.shape[1], rule, 0 * values[:, :0].sum(axis=1, keepdims=True), at)


def total_of(at, name, values, rule, width=I64):
    """`summed` at the site `name`: exactly, in a register of `width`, where `rule` is None."""
    return at(name, summed(values, None), width) if rule is None else summed(values, rule, at, name)


def within(at, name, x, width, *rules):
    """x, saturated to `width` where one of the sums that it is made of has a rule, and so may be any; else it lies there."""
    return x if all(rule is None for rule in rules) else at.clip(name, x, width)


@cache
def keeper(width, *rules):
    """`within` for jitted kernels: a word of one int64."""
    return unchanged if all(rule is None for rule in rules) else saturating(width)


def divisor(values, rule, at=unwatched, least=1):
    """`summed` for something to divide by: where a rule is given, whose register may wrap, it is the site `sum`, and at least
    `least`."""
    total = summed(values, rule, at, "sum")
    return total if rule is None else np.maximum(total, least)


def admit_sum(where, *rules, register=None):
    """Refuse rules for sums of rows that speak of products, or whose sum is not of the width `register`, where that is given."""
    for rule in [rule for rule in rules if rule is not None]:
        if rule.products != "differences":
            raise IllFormed(f"{where}: an accumulate of products of {rule.products}; a sum has no products, leave that out")
        if register not in (None, rule.result):
            raise IllFormed(f"{where}: codes join in {rule.result} and the register is {register}; let both be the same")


@cache
def summing(rule):
    """`summed` for jitted kernels: a word of one int64 vector."""
    if rule is not None:
        total = adder(rule)

        @word
        def ruled(values):
            return total(values, 0)
        return ruled

    @word
    def exact(values):
        total = 0
        for k in range(values.size):
            total += values[k]
        return total
    return exact


@word
def less(q, away):
    return np.int64(q) - away


@word
def squared(q, away):
    return (np.int64(q) - away) * (np.int64(q) - away)


@cache
def summing_of(rule, term):
    """`summed` of term(code, away), a word such as `less` or `squared`, for kernels: a word of a vector of codes and an int64."""
    if rule is None:
        @word
        def exact(codes, away):
            total = 0
            for k in range(codes.size):
                total += term(codes[k], away)
            return total
        return exact
    total = adder(rule)

    @word
    def ruled(codes, away):
        terms = np.empty(codes.size, np.int64)
        for k in range(codes.size):
            terms[k] = term(codes[k], away)
        return total(terms, 0)
    return ruled
