"""Site mutants: one register, rounding, clip or wrap inside an operation does something else.

A first run of the spec tells which sites there are; it is made on the smallest operands that the row takes.
"""
import numpy as np

from refq.errors import RefqError
from refq.ints import rounding
from refq.ints.operand import F32
from refq.ints.row import alternatives
from refq.ints.sites import Sites
from refq.ints.width import I16, I32, Width
from refq.vectors.diagnosis.place import by_spec
from refq.vectors.mutants import phrases
from refq.vectors.mutants.smallest import smallest

NARROWER = (48, 32, 24, 16, 8)


class Seen(Sites):
    """Notes the sites that a run passes: name to (kind, word or "", width)."""

    def __init__(self):
        self.sites = {}

    def __call__(self, name, value, width):
        self.sites.setdefault(name, ("register", "", width))
        return value

    def shift(self, name, word, x, s, width):
        self.sites.setdefault(name, ("shift", word, width))
        return super().shift(name, word, x, s, width)

    def divide(self, name, word, x, d, width):
        self.sites.setdefault(name, ("divide", word, width))
        return super().divide(name, word, x, d, width)

    def nearest(self, name, word, x, width):
        self.sites.setdefault(name, ("nearest", word, width))
        return super().nearest(name, word, x, width)

    def clip(self, name, x, width):
        self.sites.setdefault(name, ("clip", "", width))
        return super().clip(name, x, width)

    def wrap(self, name, x, width):
        self.sites.setdefault(name, ("wrap", "", width))
        return super().wrap(name, x, width)


class Altered(Sites):
    """Passes everything on to the sites `inner`; at the one named, another word or method, or `change` of the value."""

    def __init__(self, inner, name, word=None, method=None, change=None, clip=None, instead=None,
                 before=None):
        self.inner, self.name, self.word, self.method, self.change = inner, name, word, method, change
        self.limits, self.instead, self.before = clip, instead, before

    def passed(self, method, name, *arguments):
        rounded = bool(arguments) and isinstance(arguments[0], str)
        other = rounded if self.method or self.limits or self.before else (self.word or self.instead) and not rounded
        if name != self.name or other:                  # a row of another half or curve may round at this site, or not
            return getattr(self.inner, method)(name, *arguments)
        if self.word:
            arguments = (self.word, *arguments[1:])
        if self.before:
            arguments = (self.before(np.asarray(arguments[0])), *arguments[1:])
        if self.limits:
            return self.inner(name, np.clip(arguments[0], *self.limits), arguments[1])
        value = getattr(self.inner, self.method or method)(name, *arguments)
        if self.instead:
            value = self.instead(np.asarray(arguments[1], np.int64), np.asarray(arguments[2], np.int64), value)
        return self.change(value) if self.change else value

    def __call__(self, name, value, width):
        return self.passed("__call__", name, value, width)

    def shift(self, name, word, x, s, width):
        return self.passed("shift", name, word, x, s, width)

    def divide(self, name, word, x, d, width):
        return self.passed("divide", name, word, x, d, width)

    def nearest(self, name, word, x, width):
        return self.passed("nearest", name, word, x, width)

    def clip(self, name, x, width):
        return self.passed("clip", name, x, width)

    def wrap(self, name, x, width):
        return self.passed("wrap", name, x, width)


def sites(step, row=None):
    """The sites of a step's operation under its row (or another), as `Seen` notes them."""
    seen, row = Seen(), row or step.row
    by_spec(step.op, row)(smallest(row), at=seen)
    return seen.sites


def mutants(step):
    """(kind, name, phrase, local, wrap) of every altered site of the step's operation."""
    found, by_field = sites(step), words_by_field(step)
    for site, (kind, word, width) in found.items():
        if width is F32:                # rounded as the target's float32 is: nothing to narrow
            continue
        if kind in ("shift", "divide", "nearest"):
            for other in rounding.names:
                trace = {**{k: v[1] for k, v in found.items()}, site: other}
                if other != word and trace not in by_field:
                    yield made(site, f"rounds {other}", phrases.word(word, other, site), word=other)
        if kind == "shift":
            yield made(site, "adds 1 << -1 where nothing is shifted", phrases.site(
                site, "is rounded by 1 << (s - 1) also where s = 0, which adds 2**31"), instead=unshifted)
            yield made(site, "adds a half and cuts toward zero", phrases.site(
                site, "gets a half added, whatever its sign, and is cut toward zero"), instead=nudged)
            for bits in {32, min(64, width.bits)}:
                yield made(site, f"shifts logically in {bits} bits", phrases.site(
                    site, f"is shifted as unsigned, of {bits} bits: negative values become large"), instead=logical(bits))
        if kind == "clip":
            for lo, hi in ((2 * width.lo, 2 * width.hi + 1), (width.lo, 2 * width.hi + 1), (0, 2 * width.hi + 1), (0, width.hi),
                           (width.lo // 2, width.hi // 2)):
                if width.bits < 63 and (lo, hi) != (width.lo, width.hi):
                    yield made(site, f"saturates at {lo} and {hi}", phrases.site(
                        site, f"saturates at {lo} and {hi}, not at {width.lo} and {width.hi}"), clip=(lo, hi))
            if width.bits < 16:
                yield made(site, "wraps at i16 before it saturates", phrases.site(site, "wraps at 16 bits before it saturates"),
                           before=I16.wrap)
            yield made(site, "wraps", phrases.site(site, "wraps where it should saturate"), method="wrap")
            if width.signed and width.bits > 1:
                yield made(site, f"clips above {width.lo}", phrases.site(site, f"saturates at {width.lo + 1}, not at {width.lo}"),
                           change=at_least(width.lo + 1))
        if kind == "wrap":
            yield made(site, "saturates", phrases.site(site, "saturates where it should wrap"), method="clip")
        if kind in ("wrap", "clip") and width.bits < 64:
            yield made(site, "is unbounded", phrases.site(site, f"is not held to {width}"), method="__call__")
        for bits in NARROWER:
            if bits < width.bits:
                narrow = Width(bits, width.signed)
                yield made(site, f"wraps at {narrow}", phrases.site(site, f"wraps at {bits} bits"), change=narrow.wrap)
                yield made(site, f"saturates at {narrow}", phrases.site(site, f"saturates at {bits} bits"), change=narrow.clip)


def made(site, what, phrase, **change):
    def wrap(run):
        def altered(operands, at=None, **how):
            inner = Sites() if at is None else at
            return run(operands, at=Altered(inner, site, **change), **how)
        return altered
    return "site", f"site {site}: {what}", phrase, True, wrap


def nudged(x, s, value):
    half = np.where(s > 0, np.left_shift(np.int64(1), np.maximum(s, 1) - 1), 0)
    return rounding.word("trunc")(x + half, s)


def unshifted(x, s, value):
    return np.where(s == 0, I32.wrap(x + (1 << 31)), value)


def logical(bits):
    """The half is added and the shift done on unsigned numbers of so many bits; a result of as many is read as signed."""
    def instead(x, s, value):
        half = np.where(s > 0, np.left_shift(np.int64(1), np.maximum(s, 1) - 1), 0)
        if bits == 64:
            moved = ((x + half).astype(np.uint64) >> s.astype(np.uint64)).astype(np.int64)
        else:
            moved = (x + half & (1 << bits) - 1) >> s
        return np.where(s > 0, I32.wrap(moved) if bits == 32 else moved, value)
    return instead


def at_least(lo):
    return lambda value: np.maximum(value, lo)


def words_by_field(step):
    """The words at all sites under every row that differs in one field: an altered word that does the same is no other
    mutant."""
    found = []
    for _, row in alternatives(step.row):
        try:
            found.append({k: v[1] for k, v in sites(step, row).items()})
        except (RefqError, ValueError, TypeError):      # a row that takes other operands is told apart anyway
            continue
    return found
