"""rms_norm: RMSNorm by integers: no mean, an exact sum of squares, eps, the floor of a root, one division a row.

    y = sign * u,  u = (q - zq) * C / sqrt(C * (sum of (q - zq)**2) + eps)  to 29 bits

units    q counts any scale s, C the number of channels; y of channel c counts |gamma| * 2**(k - 29), 4**k the least power of
         4 that is at least C; eps is eps * (C * 2**f / s)**2, rounded, ties up
R1       the zero point is taken off; the sum of squares is exact in 64 bits, or joined as the row says; 2 * C times the range
         of q stays below 2**31
R2       eps joins C times that sum with 2*f bits of fraction, as many as 61 bits hold: f = 31 less the bits of 2 * C * range
R3       the radicand is at least 4**f: of a row of zero points u is 0 also where eps is 0; its root has 31 bits and is floored
R4       one division a row, floored; the product is rounded once, as the row says, to units of 2**(k - 29)
R5       the sign of gamma comes last, so that scales stay positive; a gamma of 0 gives 0; y is clipped, which is idle while
         the sum is exact
error    |gamma| * (2**(k - 29) + |z| * (2**-28 + 1 / (4**(f + 1) * C))), z the normalized code
source   refq's own reading of Zhang and Sennrich 2019, Root Mean Square Layer Normalization; ONNX RMSNormalization
"""
from dataclasses import dataclass
from functools import cache
from math import ldexp

import numpy as np

from refq.ints import deviation, rounding, spans
from refq.ints.accumulate import summing
from refq.ints.jit import jit
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, negated, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, I64, Width


@dataclass(frozen=True)
class Row(deviation.Normalizing):
    @property
    def takes(self):
        return {"q": self.q("n [c]"), "zq": self.q(), "eps": deviation.EPS, "sign": I8("c", -1, 1)}

    @property
    def gives(self):
        return {"y": I32("n c")}


def build(row, scale, zero, gamma, eps):
    """The constants of a step from the real weights `gamma` (c), eps and the scale of q, decided exactly, and its zero point.
    Raises IllFormed for rows that are too long for their codes, and for an eps that leaves nothing of them."""
    return {"zq": zero, "eps": row.epsilon(eps, scale, len(gamma)), "sign": [(g > 0) - (g < 0) for g in map(float, gamma)]}


def result(row, scale, gamma):
    """The scale of y for each channel: (c) float64, positive."""
    unit = deviation.octaves(len(gamma)) - 29
    return np.array([ldexp(abs(float(g)) or 1.0, unit) for g in gamma])


def bound(row, scale, count):
    """The largest error where gamma is 1."""
    return deviation.bound(row, count)


def registers(row, ends, sizes, constants):
    lo, hi = (int(np.max(np.abs(end))) for end in spans.factor(ends["q"], int(constants["zq"])))
    most, count = max(lo, hi), sizes["c"]
    yield from spans.summed(row.squares, "squares", I64, count, (0, most * most))
    yield "spread", I64, 0, (count * most) ** 2
    yield "centred", Width(33), -count * lo, count * hi
    if not any(row.sums):
        yield "y", I32, -deviation.MOST_Z, deviation.MOST_Z


def spec(q, zq, eps, sign, row, at=unwatched):
    d, count = q.astype(np.int64) - zq, q.shape[1]                                                 # R1
    squares = deviation.total_of(at, "squares", d * d, row.squares)                                # R1
    spread, centred = at("spread", count * squares, I64), at("centred", count * d, Width(33))
    f = deviation.fraction(row.reach(count))
    u = deviation.over_root(at, centred, spread, eps, f, count, row.ties)                          # R2 R3 R4
    return at.clip("y", sign.astype(np.int64) * u, I32)                                            # R5


@cache
def kernel(row):
    ties, each, lo, hi = rounding.word(row.ties), row.reach(1), I32.lo, I32.hi
    squares_of, inverse, left = summing(row.squares), deviation.inverse, deviation.left
    octaves, fraction, radicand = deviation.octaves, deviation.fraction, deviation.radicand

    @jit(nogil=True, error_model="numpy")
    def rms_norm(q, zq, eps, sign, y):
        count, squares = np.int64(q.shape[1]), np.empty(q.shape[1], np.int64)
        f, k = fraction(count * each), octaves(count)
        for r in range(q.shape[0]):
            for c in range(count):
                d = np.int64(q[r, c]) - zq                                                         # R1
                squares[c] = d * d
            v = radicand(count * squares_of(squares), f, eps)                                      # R1 R2 R3
            factor, shift = inverse(v), left(v, f, k)                                              # R3 R4
            for c in range(count):
                u = min(max(ties(count * (q[r, c] - zq) * factor, shift), lo), hi)                 # R4
                y[r, c] = min(max(np.int64(sign[c]) * u, lo), hi)                                  # R5

    return rms_norm


def real(q, gamma, eps, scale):
    """RMSNorm of each row: q (n c) codes of `scale`, less their zero point; 0 where all are 0; float64."""
    x = q * float(scale)
    root = np.sqrt((x * x).mean(axis=1, keepdims=True) + eps)
    return gamma * x / np.where(root == 0, 1, root)


slips = (dropped("eps"), dropped("zq"), negated("zq"), channels_shifted("sign", 1), first_for_all("sign"),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_is_odd(q, zq, eps, sign, row):
    """Codes on the other side of the zero point give the negative, where the rounding is symmetric."""
    if row.ties not in ("half_even", "half_away", "half_zero", "trunc", "away", "odd"):
        return True
    turned = 2 * zq - q.astype(np.int64)
    inside = ((row.q.lo <= turned) & (turned <= row.q.hi)).all(axis=1, keepdims=True)
    opposite = spec(np.where(inside, turned, q), zq, eps, sign, row) == -spec(q, zq, eps, sign, row)
    return opposite | ~inside | any(row.sums)


def r3_zeros_give_zero(q, zq, eps, sign, row):
    return spec(np.full_like(q, zq), zq, eps, sign, row) == 0


def r4_near_the_real_value(q, zq, eps, sign, row):
    """With gamma 1, within the bound of RMSNorm."""
    if any(row.sums) or not row.ties.startswith("half"):
        return True
    count = q.shape[1]
    z = real(q.astype(np.int64) - zq, 1, deviation.eps_of(row, count, eps), 1)
    return deviation.near(row, count, spec(q, zq, eps, np.ones_like(sign), row), z, count)
