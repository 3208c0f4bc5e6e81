"""Vectors of FQ-ViT's operations: factors, slopes flat and steep, offsets that tie, and rows whose inverses are halves.

`FITTED`: operation to a function of (row, constants drawn so far, stream, index, reach), as in scales.py; `PLACED`: operation to
a function of (row, shape, stream, constants) that gives its codes, as in rows.py; `ROWS`: those that make a result of a whole
row; `BY_OP`: theirs: in rows of 2, 4 and 16 many quotients are whole, and sums of 523 leave 32 bits.
"""
import numpy as np

from refq.ints import slopes
from refq.ints.width import I16
from refq.ops import add_factors, log_int_softmax
from refq.vectors.draw.nonlinear import scale

ROWS = ("log_int_softmax", "layernorm_fqvit")
SIZES = ({"rows": 9, "c": 33}, {"rows": 9, "c": 2}, {"rows": 1, "c": 47}, {"rows": 9, "c": 4}, {"rows": 9, "c": 3},
         {"rows": 9, "c": 7}, {"rows": 2, "c": 1}, {"rows": 1, "c": 160}, {"rows": 9, "c": 16}, {"rows": 1, "c": 70},
         {"rows": 1, "c": 523})
SHARES = (*SIZES[:2], {"rows": 9, "c": 23}, *SIZES[3:6], {"rows": 3, "c": 47}, *SIZES[6:9])
BY_OP = {"layernorm_fqvit": SIZES}
WIDTHS = ({}, {}, {"q": I16})
"""Of softmax's codes: only wide ones halve the finest exponentials."""


def of_log_int_softmax(row, made, stream, index, reach):
    """Scales coarse and fine; and a parabola that falls below 0, so that a share is as small as can be."""
    fine, low = (-11, (1 << 20, 1 << 15, -64)) if row.n == 30 else (-14, (1 << 23, 65535, -256))
    built = log_int_softmax.build(row, scale(stream, index, *((-5, -2), (-3, -1), (-11, -9), (-8, -5))[index % 4]), 0)
    if index % 4 == 2:
        built = log_int_softmax.build(row, 2.0 ** fine, 0)
    if index % 12 == 11:                                # few halvings of wide codes
        return {"x0": -(1 << 14), "b": 1 << 10, "c": log_int_softmax.most(row)}
    return built | dict(zip("c b x0".split(), low)) if index % 7 == 6 else built


def before_log_int_softmax(row, shape, stream, constants):
    """Rows close together and far apart; and rows of whole halvings whose sum is 2.5, 5.5 or 11.5 times the largest."""
    lo, hi, down = row.q.lo, row.q.hi, -constants["x0"]
    flat = np.empty((int(np.prod(shape[:-1], dtype=int)), shape[-1]), np.int64)
    for i, codes in enumerate(flat):
        codes[:] = hi - stream.integer(0, 60) - stream.integers(0, (3, 12, 120, 240)[stream.integer(0, 3)], codes.shape)
        whole = (2, 5, 2, 11)[i % 4]
        if stream.integer(0, 2) and len(codes) > whole:
            z = [0] * whole + [1]
            while len(z) < len(codes):                  # one half is two quarters; the largest stays
                place = stream.integer(1, len(z) - 1) if len(z) < 12 else len(z) - 1 - stream.integer(0, 3)
                z[place:place + 1] = [z[place] + 1] * 2
            if max(z) * down <= hi - lo:
                codes[:] = hi - stream.shuffled(np.array(z, np.int64)) * down
        if row.q.bits > 8 and i % 4 == 3:
            codes[:] = hi - stream.integers(0, min(3 * down, hi - lo), codes.shape)
        if len(codes) == 33 and constants["c"] == 1 << 23:  # one is below 0, and the others are 2**48 times the least
            codes[:] = hi
            codes[stream.integer(0, 32)] -= stream.integer(140, 250)
    return np.clip(flat, lo, hi).reshape(shape)


def of_layernorm_fqvit(row, made, stream, index, reach):
    """gamma and beta in codes of y: 0 and what fills the range, powers of two, the largest; offsets that are halves, and others
    that a steep slope takes back into the range."""
    shape = made["k"].shape
    kinds = stream.integers(0, 7, shape)
    kinds = np.where(stream.integers(0, 1, shape) * (index % 4 == 1 or len(kinds) > 99), 2, kinds)
    gamma = 4 + stream.integers(0, 1 << 16, shape) / 2.0 ** (9 + index % 3)
    gamma = np.where(kinds == 0, 0, np.where(kinds == 1, 2.0 ** stream.integers(-6, 7, shape), gamma))
    gamma = np.where(kinds == 2, (32767.0, 9000.0, 2.0 ** -30)[index % 3] / 2.0 ** stream.integers(0, 7, shape), gamma)
    halves, odd = stream.integers(-180, 180, shape) + 0.5, 2 * stream.integers(-150, 150, shape) + 1
    beta = np.where(stream.integers(0, 1, shape) == 0, halves, odd / 2.0 ** stream.integers(0, 16, shape))
    beta = np.where(kinds == 2, stream.integers(-500, 500, shape), beta)
    if len(kinds) == 160:                               # what a steep slope makes of the mean of a row of before_layernorm_fqvit
        beta = 0.05 * gamma + stream.integers(-150, 150, shape)
    if len(kinds) in (2, 4):                            # whole slopes: B ties too
        gamma, beta = 2.0 ** stream.integers(4, 6, shape), odd / 2.0 ** stream.integers(1, 3, shape)
    if len(kinds) == 4:                                 # as steep as M is cut at, about a mean of 0
        steep = stream.integers(0, 1, shape) == 1
        gamma, beta = np.where(steep, 32767.0, gamma), np.where(steep, stream.integers(-380, 380, shape), beta)
    signs = 1 - 2 * stream.integers(0, 1, shape)
    beta = beta * signs if len(kinds) == 160 else beta
    which = {2: 0, 4: 0, 160: 0, 70: 1, 523: 1}.get(len(kinds), (index + index // 3) % 3)
    k = (0 * kinds, 0 * kinds + 3, stream.integers(0, 3, shape))[which]
    zero = {"zq": row.q.lo if len(kinds) > 99 else 5 if len(kinds) == 4 else (row.q.lo, row.q.hi, made["zq"])[index % 5 % 3]}
    return slopes.constants(gamma * signs, beta, 1.0, "vectors") | zero | {"k": k}


def before_layernorm_fqvit(row, shape, stream, constants):
    """Rows about the zero point and far from it, of few codes close together: then slopes are steep, and every rounding shows."""
    lo, hi = row.q.lo, row.q.hi
    flat = np.empty((int(np.prod(shape[:-1], dtype=int)), shape[-1]), np.int64)
    for codes in flat:
        span = (1, 2, 3, 0, 1, 8, 40, hi - lo)[stream.integer(0, 7)]
        base = (constants["zq"], hi - span, lo, constants["zq"] - 1, stream.integer(lo, hi - span))[stream.integer(0, 4)]
        codes[:] = base + stream.integers(0, span, codes.shape)
        if stream.integer(0, 3) == 0 or len(codes) > 99:        # all but one alike: as steep, and as far out, as can be
            codes[:] = base = stream.pick((constants["zq"], hi)) if len(codes) > 99 else base
            codes[stream.integer(0, len(codes) - 1)] += 1 - 2 * (base >= hi)
        if len(codes) == 70:
            codes[:] = np.where(stream.integers(0, 1, codes.shape), lo, hi)
        if len(codes) == 4 and stream.integer(0, 1):
            codes[:] = constants["zq"] + stream.shuffled(np.array([1, -1, 0, 0]))
    return np.clip(flat, lo, hi).reshape(shape)


def of_add_factors(row, made, stream, index, reach):
    """Units whose quotients are powers of two, so that sums tie, and others."""
    far = (0, 1, 3, 6)[index // 2 % 4]
    sa, sb = (scale(stream, index, -far - 1, far + 1) for _ in range(2))
    factors = {k: stream.integers(0, 3, made[k].shape) for k in ("ka", "kb", "ky")}
    return add_factors.build(row, sa, made["za"], sb, made["zb"], 1.0, made["zo"], **factors)


FITTED = {name.removeprefix("of_"): f for name, f in list(globals().items()) if name.startswith("of_")}
PLACED = {name.removeprefix("before_"): f for name, f in list(globals().items()) if name.startswith("before_")}
