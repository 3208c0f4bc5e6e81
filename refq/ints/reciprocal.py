"""1/n for a small whole n as integers: `encode(n, form)` gives (mult, shift), and 1/n is about mult / 2**shift.

    form            mult                                how
    reciprocal30    2**30 .. 2**31 - 1, 2**30 + 1       ((2**30 + 1) << k) // n, k = bits of n - 1 (TOSA reciprocal_scale)
    reciprocal31    2**31 .. 2**32 - 1, 2**31 + 1       the same from 2**31 (Ethos-U)
    coarse          few bits                            of a window kh x kw: listed ones, else the nearest k / 2**s (DPU)

The 1 that is added makes exact halves lean away from zero, although the rounding that follows says up.
"""
from math import ceil, log2

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, scales

LISTED = {(3, 3): (7, 6), (5, 5): (10, 8), (6, 6): (7, 8), (7, 7): (21, 10), (14, 14): (21, 12)}
"""Windows to the constants that a DPU has for them."""


def leaning(base):
    def encode(n):
        k = (n - 1).bit_length()
        return ((base + 1) << k) // n, base.bit_length() - 1 + k
    return encode


def coarse(kh, kw):
    """The pair of a DPU for a whole window; in float32 and float64 as its own simulation searches it."""
    if (kh, kw) in LISTED:
        return LISTED[kh, kw]
    n, best, least = kh * kw, (0, 0), np.float32(1)
    for shift in range(ceil(log2(n * 128))):
        mult = (2 * (1 << shift) + n) // (2 * n)                # half up, of what is not negative
        apart = abs(mult / (1 << shift) - float(np.float32(1) / np.float32(n)))
        if apart < least:
            best, least = (mult, shift), np.float32(apart)
    return best


forms = {"reciprocal30": leaning(1 << 30), "reciprocal31": leaning(1 << 31)}
names = (*forms, "coarse", *multiplier.forms)


def pairs(form, ratio, s_in, s_y, kh, kw):
    """[(mult, shift)] of s_in / (s_y * n) for every n from 1 to kh * kw: a reciprocal of n alone (then s_in is s_y), the
    constants of the whole window under a power of two for each, or a form of refq/ints/multiplier.py.

    Raises IllFormed for scales that the form does not take.
    """
    counts = range(1, kh * kw + 1)
    if form in multiplier.forms:
        return [multiplier.pair(float(scales.ratio(ratio, (s_in,), s_y * n)), form) for n in counts]
    up = log2(s_in / s_y)
    if up % 1 or up and form != "coarse":
        raise IllFormed(f"average_pool: scales {s_in} and {s_y}; with a multiplier of form {form} they are "
                        f"{'a power of two apart' if form == 'coarse' else 'the same'}: rescale the result in a step of its own")
    if form != "coarse":
        return [forms[form](n) for n in counts]
    mult, shift = coarse(kh, kw)
    down = shift - int(up)
    return [(mult << max(-down, 0), max(down, 0))] * len(counts)
