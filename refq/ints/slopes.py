"""gamma and beta of a LayerNorm as a slope and an offset for each channel, in codes of its result."""
from fractions import Fraction
from math import isqrt

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, spans
from refq.ints.width import I8, I24, I32, I64, Width

MOST, LEAST = 1 << 30, 16
"""Of the magnitude of an offset, and of the shift of a slope: at these ends no register of layernorm_fqvit overflows."""
GUARD = 8
"""The bits of a slope behind those of its multiplier, and of a mean behind its point."""
TAKES = {"mult": I32("c", 0), "shift": I8("c", LEAST, 62), "sign": I8("c", -1, 1), "beta": I32("c", -MOST, MOST)}
"""Operands: what `constants` gives."""


def constants(gamma, beta, unit, where):
    """`mult`, `shift` (|gamma| / unit as a q31 pair), `sign` and `beta` (beta / unit in 2**-16, to the nearest, decided exactly)
    of real `gamma` and `beta` (c). Raises IllFormed for a gamma of 2**15 units and a beta of 2**14, naming the channel."""
    pairs = [multiplier.pair(abs(float(g)) / unit, "q31") for g in gamma]
    offsets = [round(Fraction(float(b)) / Fraction(unit) * 2 ** 16) for b in beta]
    far = [c for c, (b, (_, shift)) in enumerate(zip(offsets, pairs)) if abs(b) > MOST or shift < LEAST]
    if far:
        raise IllFormed(f"{where}: gamma {float(gamma[far[0]])!r} and beta {float(beta[far[0]])!r} of channel {far[0]} are too "
                        f"large for a result of scale {unit!r}; give it a coarser scale")
    return {"mult": [m for m, _ in pairs], "shift": [s for _, s in pairs], "sign": [-1 if g < 0 else 1 for g in gamma],
            "beta": offsets}


def registers(row, ends, sizes, held):
    """Of layernorm_fqvit (refq.ints.spans): what the factors raise, the sums of a row, and the steepest slope: the variance of
    `count` integers is 0, or at least (count - 1) / count**2."""
    lo, hi = (end << held["k"].astype(np.int64) for end in spans.factor(ends["q"], int(held["zq"])))
    yield "x", I24, lo, hi
    count, least, most = sizes["c"], int(np.min(lo)), int(np.max(hi))
    squared = max(least * least, most * most)
    yield from spans.summed(row.accumulate, "total", I64, count, (least, most))
    yield from spans.summed(row.squares, "squares", I64, count, (0, squared))
    yield "spread", Width(62, False), 0, count * count * squared
    slopes = held["mult"].astype(np.float64) * 2.0 ** -held["shift"].astype(np.float64)
    steepest = int(slopes.max(initial=0) * (2 + isqrt(count)))
    yield "a", I32, 0, max((1 << row.bits + GUARD) - 1, steepest << GUARD)
