"""Misread: what kernels make of the codes of a sum of products when they read them wrongly, in whole or along a part of k.

A change is a function of (codes, operands) to codes, or of operands to those that differ; products.py puts it into the sum.
"""
import numpy as np

from refq.vectors.mutants.storage import offset_binary, sign_lost

TAILS = (4, 8, 16)


def blocks():
    """(name, phrase, change of codes): a block along the last axis stands for all, or for the last."""
    for t in (*TAILS, 32):
        yield (f"{{}} repeats every {t}", f"the first {t} codes of {{}} are used again along k", lambda codes, operands, t=t:
               codes[..., np.arange(codes.shape[-1]) % t])


def same(codes, operands):
    return codes


def misread(x, w):
    """(name, phrase, what is made of x, what is made of w)."""
    def unsigned(width):
        return lambda codes, operands: sign_lost(codes, width)

    def positive(codes, operands):
        return np.maximum(codes.astype(np.int64), 0)

    if x.signed and w.signed:
        yield "x and w read as unsigned", "x and w are taken as unsigned", unsigned(x), unsigned(w)
    for t in (*TAILS, 32):
        yield f"only the last {t}", f"only the products of the last step of {t} along k are kept", before_last(t), same
    for of in (16, 32, 64):
        for t in (4, 8, 16, 32):
            if t < of:
                yield f"first {t} of every {of}", f"of every {of} products only the first {t} are added", first_of(t, of), same
    for t in (2, *TAILS, 32):
        yield f"tail of {t} lost", f"the last k % {t} products are left out", in_tail(zero, x, t), same
    for name, width, make in (("x", x, lambda f: (f, same)), ("w", w, lambda f: (same, f))):
        if width.signed:
            yield f"{name} read as unsigned", f"{name} is taken as unsigned", *make(unsigned(width))
            yield f"negative {name} saturate to 0", f"negative codes of {name} become 0", *make(positive)
            yield (f"{name} keeps its lowest code when negated", f"the sign of the other factor is moved onto {name}, where "
                   f"-({width.lo}) stays {width.lo}", *SIGN[name](width))
        for parity, places in ((0, "even"), (1, "odd")) if width.signed and width.bits <= 4 else ():
            yield (f"{name} sign_lost at {places} places", f"{name} loses its sign at {places} places along k",
                   *make(in_part(sign_lost, width, lambda k, first=parity: slice(first, None, 2))))
        for t in TAILS:
            for read in (sign_lost, offset_binary):
                if width.signed:
                    yield (f"{name} {read.__name__} in the tail of {t}", f"{name} has another sign in the last k % {t} places",
                           *make(in_tail(read, width, t)))
                    yield (f"{name} {read.__name__} in the body of {t}", f"{name} has another sign in the whole blocks of {t}",
                           *make(in_body(read, width, t)))


def sign_onto_x(width):
    def f(x, operands):
        return np.concatenate([x.astype(np.int64), np.where(x == width.lo, 2 * width.lo, 0)], -1)

    def g(w, operands):
        return np.concatenate([w.astype(np.int64), np.where(w < 0, -w.astype(np.int64), 0)], -1)
    return f, g


def sign_onto_w(width):
    def f(x, operands):
        return np.concatenate([x.astype(np.int64), np.where(x < 0, -x.astype(np.int64), 0)], -1)

    def g(w, operands):
        return np.concatenate([w.astype(np.int64), np.where(w == width.lo, 2 * width.lo, 0)], -1)
    return f, g


def before_last(t):
    """Codes of all but the last block of t are taken as 0."""
    def change(codes, operands):
        result = codes.astype(np.int64)
        result[..., :max(0, (codes.shape[-1] - 1) // t * t)] = 0
        return result
    return change


def first_of(t, of):
    def change(codes, operands):
        return np.where(np.arange(codes.shape[-1]) % of < t, codes, 0)
    return change


def zero(codes, width):
    return np.zeros_like(codes)


SIGN = {"x": sign_onto_x, "w": sign_onto_w}


def in_part(read, width, part):
    """Codes that are read otherwise in a part of k: `part(k)` is the slice."""
    def change(codes, operands):
        result, there = codes.astype(np.int64), (..., part(codes.shape[-1]))
        result[there] = read(codes[there], width)
        return result
    return change


def in_tail(read, width, t):
    return in_part(read, width, lambda k: slice(k // t * t, None))


def in_body(read, width, t):
    return in_part(read, width, lambda k: slice(None, k // t * t))


def whole(x, w):
    """(name, phrase, changes made of all operands): differences in narrow registers, and weights without a sign."""
    def nothing(operands):
        return {}

    def narrow(name, zero, hold):
        def change(operands):
            z = operands[zero].astype(np.int64) if isinstance(operands[zero], np.ndarray) else operands[zero]
            shaped = z.reshape(-1, *[1] * (operands[name].ndim - 1)) if isinstance(z, np.ndarray) else z
            return {name: hold(operands[name].astype(np.int64) - shaped), zero: z * 0}
        return change

    for word in ("wrap", "clip"):
        says = "wraps" if word == "wrap" else "saturates"
        fx, fw = narrow("x", "zx", getattr(x, word)), narrow("w", "zw", getattr(w, word))
        yield f"x - zx {says} at {x}", f"x - zx {says} in {x.bits} bits", fx, nothing
        yield f"w - zw {says} at {w}", f"w - zw {says} in {w.bits} bits", nothing, fw
        yield f"x - zx and w - zw {says}", f"x - zx and w - zw {says[:-1]} in {x.bits} and {w.bits} bits", fx, fw
    for name, zero_point in (("x", "zx"), ("w", "zw")):
        for t in TAILS:
            yield (f"{zero_point} forgotten in the tail of {t}", f"{zero_point} is not taken off in the last k % {t} places",
                   not_taken_off(name, zero_point, t), nothing)
    yield ("zero points added", "the zero points are added to the codes, not taken off",
           lambda operands: {k: z if np.ndim(z := -np.asarray(operands[k], np.int64)) else int(z) for k in ("zx", "zw")}, nothing)
    for name, width in (("x", x), ("w", w)):
        if width.signed:
            yield (f"negative {name} become 0", f"negative codes of {name} are taken as 0",
                   lambda operands, name=name: {name: np.maximum(operands[name], 0)}, nothing)


def not_taken_off(name, zero_point, t):
    """Codes to which their zero point is given back in the last places, so that taking it off does nothing there."""
    def change(operands):
        codes, z = operands[name].astype(np.int64), np.asarray(operands[zero_point], np.int64)
        codes[..., codes.shape[-1] // t * t:] += z.reshape(-1, *[1] * (codes.ndim - 1)) if z.ndim else z
        return {name: codes}
    return change
