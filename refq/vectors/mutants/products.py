"""Mutants of sums of products: one of the terms that a kernel takes the sum apart into is wrong.

    sum (x - zx) (w - zw) = sum x w - zx sum w - zw sum x + k zx zw

Kernels multiply the codes as they are, or moved to be unsigned, join them in narrow registers, and correct for the zero
points afterwards; each of these terms can go wrong by itself. For every operation of operands x, w, zx and zw.
"""
from dataclasses import replace

import numpy as np

from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, Width
from refq.vectors.mutants.misread import TAILS, blocks, misread, same, whole

PAIRS = (1, 2, 4, 8, 16, 32)
ONLY = ", in the products (the corrections for zero points are right)"


def mutants(step):
    """(kind, name, phrase, local, wrap) of every term gone wrong; none for operations without such a sum."""
    if not {"x", "w", "zx", "zw"} <= set(step.row.takes):
        return
    x, w = step.row.takes["x"].width, step.row.takes["w"].width
    for name, phrase, f, g in misread(x, w):
        yield "term", f"product: {name}", phrase + ONLY, True, term(f, g)
    for name, phrase, f in blocks():
        for operand in ("x", "w"):
            said = phrase.format(operand)
            change = {"x": (f, same), "w": (same, f)}[operand]
            yield "term", f"product: {name.format(operand)}", said + ONLY, True, term(*change)
            yield "term", name.format(operand), said, True, both(lambda operands, o=operand, f=f: {o: f(operands[o], operands)},
                                                               lambda operands: {})
    for name, phrase, f, g in whole(x, w):
        yield "term", name, phrase, True, both(f, g)
    for bits in (8, 16, 24):
        for word, says in (("wrap", "wraps"), ("clip", "saturates")):
            if "bias" in step.row.takes:
                yield "term", f"sum before the bias {says} at {bits}", \
                    f"the sum of products {says} at {bits} bits before the bias joins", True, bare_sum(getattr(Width(bits), word))
    if "bias" in step.row.takes:
        for t in (*TAILS, 32):
            yield ("term", f"cleared in the loop, every {t}",
                   f"the accumulator is cleared at every step of {t} along k, and the last products are left", True, cleared(t))
    for name, phrase, rule in rules(step.row) if hasattr(step.row, "accumulate") else ():
        own = step.row.accumulate == replace(rule, products="codes")        # what is right here is no mutant
        for carrier, how in {k: v for k, v in CARRIERS.items() if not own or v[1] is differences}.items():
            yield "term", f"{name} of {carrier}", f"{phrase}, {how[0]}", True, joined(step.row, rule, how[1])
    for t in (*TAILS, 32):
        yield ("term", f"zero points of padding to {t}",
               f"k is filled up to a multiple of {t}, and the zero points are taken off what fills it too", True, of_padding(t))
    for name, phrase, part, change in corrections():
        yield "term", f"correction: {name}", phrase, "channel" not in name, corrected(part, change)


def alone(run, operands, how, **given):
    """One term: the sum with no zero points and no bias but those given."""
    zeros = {k: np.zeros_like(operands[k]) if isinstance(operands[k], np.ndarray) else 0 for k in ("zx", "zw", "bias")
             if k in operands}
    return run({**operands, **zeros, **given}, **how)["acc"].astype(np.int64)


def term(f, g):
    """The products of misread codes in place of the right ones."""
    def wrap(run):
        def altered(operands, **how):
            right, x, w = run(operands, **how)["acc"].astype(np.int64), operands["x"], operands["w"]
            return {"acc": right - alone(run, operands, how) + alone(run, operands, how, x=f(x, operands), w=g(w, operands))}
        return altered
    return wrap


def both(f, g):
    """Operands and zero points as a pair of functions makes them of all operands."""
    def wrap(run):
        return lambda operands, **how: run({**operands, **f(operands), **g(operands)}, **how)
    return wrap


def bare_sum(hold):
    def wrap(run):
        def altered(operands, **how):
            bare = run({**operands, "bias": np.zeros_like(operands["bias"])}, **how)["acc"].astype(np.int64)
            return {"acc": hold(bare) + operands["bias"].astype(np.int64)}
        return altered
    return wrap


def cleared(t):
    """Only the last block of products stays, with the bias that joins behind."""
    def wrap(run):
        def altered(operands, **how):
            x, w = operands["x"].astype(np.int64), operands["w"].astype(np.int64)
            first = max(0, (x.shape[-1] - 1) // t * t)
            zx = operands["zx"]
            x = x.copy()
            x[..., :first] = zx
            return run({**operands, "x": x, "w": w}, **how)
        return altered
    return wrap


def of_padding(t):
    """k zx zw of places that are no codes."""
    def wrap(run):
        def altered(operands, **how):
            extra = -operands["x"].shape[-1] % t * np.asarray(operands["zx"], np.int64) * np.asarray(operands["zw"], np.int64)
            return {"acc": run(operands, **how)["acc"].astype(np.int64) + extra}
        return altered
    return wrap


def rules(row):
    """(name, phrase, Accumulate): pairs of products at a distance, in 16 bits."""
    for size in PAIRS:
        for overflow in ("saturate", "wrap"):
            rule = Accumulate("pairs", size, overflow, I16, 1, row.acc)
            yield f"pairs({size}) {overflow} at i16", f"products {size} apart are added in 16 bits, which {overflow}", rule
    for overflow in ("saturate", "wrap"):
        for spill in (4, 8, 16, 32):
            yield (f"sums of {spill} {overflow} at i16", f"{spill} products in a row are added in 16 bits, which {overflow}",
                   Accumulate("sequential", 1, overflow, I16, spill, row.acc))
        if hasattr(row, "stride"):
            yield (f"sums of a kernel row {overflow} at i16", f"products of a kernel row are added in 16 bits, which {overflow}",
                   Accumulate("sequential", 1, overflow, I16, 1, row.acc))


def joined(named, rule, carried):
    def wrap(run):
        def altered(operands, row=named, **how):
            w = operands["w"]
            fitted = replace(rule, spill=w.shape[-1] * w.shape[-2]) if rule.order == "sequential" and rule.spill == 1 else rule
            other = replace(row, accumulate=fitted)
            right = run(operands, row=row, **how)["acc"].astype(np.int64)
            if carried is differences:
                bare = {**operands, "bias": np.zeros_like(operands["bias"])} if "bias" in operands else operands
                made = run(bare, row=other, **how)["acc"].astype(np.int64)
                return {"acc": right - run(bare, row=row, **how)["acc"].astype(np.int64) + made}
            x, away = carried(operands)
            made = alone(run, operands, how | {"row": other}, x=x)
            if away:
                made -= alone(run, operands, how | {"row": row}, x=np.full_like(x, away))
            return {"acc": right - alone(run, operands, how | {"row": row}) + made}
        return altered
    return wrap


def as_they_are(operands):
    return operands["x"].astype(np.int64), 0


def unsigned_x(operands):
    """x moved to be unsigned, as kernels do that multiply unsigned by signed bytes."""
    away = -min(0, int(np.iinfo(operands["x"].dtype).min))
    return operands["x"].astype(np.int64) + away, away


def differences(operands):
    """Codes less their zero points: what the operation itself multiplies."""
    return operands["x"], 0


CARRIERS = {"differences": ("of codes less their zero points", differences), "codes": ("of the codes as they are", as_they_are),
            "unsigned x": ("of x + 128 and w", unsigned_x)}


def corrections():
    """(name, phrase, which term, what becomes of it)."""
    for part, text in (("zx", "the correction zx * sum of w"), ("zw", "the correction zw * sum of x"),
                       ("zz", "the term k * zx * zw")):
        yield f"{part} dropped", f"{text} is left out", part, lambda c: 0 * c
        yield f"{part} twice", f"{text} is made twice", part, lambda c: 2 * c
        yield f"{part} negated", f"{text} has the wrong sign", part, lambda c: -c
    for d in (1, -1):
        yield f"zx of channel {d:+d}", f"the correction zx * sum of w is that of a channel beside ({d:+d})", "zx", \
            lambda c, d=d: np.roll(c, d, -1)
    yield "zx of channel 0", "the correction zx * sum of w is that of channel 0 for all", "zx", \
        lambda c: np.repeat(c[..., :1], c.shape[-1], -1)


def corrected(part, change):
    def wrap(run):
        def altered(operands, **how):
            right = run(operands, **how)["acc"].astype(np.int64)
            empty = {"zx": ("x",), "zw": ("w",), "zz": ("x", "w")}[part]
            given = {k: np.zeros_like(operands[k]) for k in empty}
            given |= {k: operands[k] for k in ("zx", "zw") if part in (k, "zz")}
            c = alone(run, operands, how, **given)
            return {"acc": right - c + change(c)}
        return altered
    return wrap
