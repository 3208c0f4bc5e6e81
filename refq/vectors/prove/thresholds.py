"""Thresholds: rescale written once more, without the words that its spec and its kernel are both made of.

A register is q * d + r, where d is the power of two that the row rounds at and 0 <= r < d. A rounding is then a table
of four numbers: the least remainder from which q becomes q + 1, where q is even or odd, not negative or negative. No
half bits, no sticky bits: nothing of refq/ints/rounding.py or refq/ints/multiplier.py takes part, so that a slip there
shows. Compiled, this text meets some 2 * 10**9 accumulators a second, so that all 2**32 can be swept; the spec, in NumPy,
meets some 2 * 10**7.
"""
from functools import cache

import numpy as np

from refq.ints.jit import jit

WRAPS, SATURATES, STAYS = 0, 1, 2
"""What becomes of an accumulator that was raised: kept to 32 bits in one of two ways, or left as it is."""


def thresholds(ties, d):
    """The least remainder r of q * d + r that makes the rounding q + 1; d where none does.

    (4) int64: q even, q odd; then negative q even, negative q odd. `ties`: a name of refq/ints/rounding.py; `d`: the
    divisor, 1 to 2**62.
    """
    tie, past, any_, never = (d + 1) // 2, d // 2 + 1, 1, d
    table = {"floor": (never,) * 4, "ceil": (any_,) * 4, "trunc": (never, never, any_, any_),
             "away": (any_, any_, never, never), "half_up": (tie,) * 4, "half_down": (past,) * 4,
             "half_away": (tie, tie, past, past), "half_zero": (past, past, tie, tie),
             "half_even": (past, tie, past, tie), "odd": (any_, never, any_, never)}
    return np.array(table[ties], np.int64)


def rescaled(row, constants):
    """filled(start, y): y (count), an array of the row's output, becomes the codes of the accumulators start,
    start + 1 ...  `row`: of rescale; `constants`: zin, mult, shift and zp of one channel."""
    zin, mult, shift, zp = (int(np.ravel(constants[name])[0]) for name in ("zin", "mult", "shift", "zp"))
    inside = zp if row.zero_point == "inside" else 0
    if row.high == "none":
        room, held, s, s2, first, second = 0, STAYS, shift, 0, row.ties, "floor"
    else:
        room, held = max(31 - shift, 0), SATURATES if row.overflow == "saturate" else WRAPS
        s, s2, first, second = 31, max(shift - 31, 0), row.high, row.ties
    first, second, sweep = thresholds(first, 1 << s), thresholds(second, 1 << s2), by_thresholds()

    def filled(start, y):
        sweep(start, zin, room, held, mult, s, first, inside, s2, second, zp - inside, row.store == "clip", row.out.lo,
              row.out.hi, y)
    return filled


@cache
def by_thresholds():
    @jit(nogil=True)
    def by_thresholds(start, zin, room, held, mult, s, first, inside, s2, second, outside, clips, lo, hi, y):
        half, d, d2 = 1 << 31, 1 << s, 1 << s2
        a, b, c, e = first[0], first[1], first[2], first[3]
        f, g, h, j = second[0], second[1], second[2], second[3]
        for i in range(y.size):
            x = (start + i - zin) << room
            if held == SATURATES:
                x = min(max(x, -half), half - 1)
            elif held == WRAPS:
                x = ((x + half) & 0xFFFFFFFF) - half
            x = x * mult
            q, r = (x >> s) + inside, x & (d - 1)           # of a power of two: the quotient floors, the remainder is masked
            odd, negative = (q & 1) != 0, q < 0
            q += r >= ((e if odd else c) if negative else (b if odd else a))
            q, r = q >> s2, q & (d2 - 1)
            odd, negative = (q & 1) != 0, q < 0
            q += r >= ((j if odd else h) if negative else (g if odd else f))
            q += outside
            y[i] = min(max(q, lo), hi) if clips else ((q - lo) & (hi - lo)) + lo        # or the low bits of it
    return by_thresholds
