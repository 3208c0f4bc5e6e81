"""layernorm_exact: LayerNorm by integers without a rounded mean: exact sums, eps, the floor of a root, one division a row.

    y = sign * (round(u / 2**down) + beta),  u = round(D * F / 2**(32 + k - f - h)),  D = C*q - sum q,
    F = floor(2**61 / root),  root = floor(sqrt((W * 4**f + eps) * 4**h)),  W = C * (sum of q*q) - (sum q)**2

units    q counts any scale s, C the number of channels; y of channel c counts |gamma| * 2**(k - 29 + down), 4**k the least
         power of 4 that is at least C; W counts (s / C)**2, so eps is eps * (C * 2**f / s)**2, rounded, ties up
R1       both sums are exact in 64 bits, or joined as the row says; D and W are whole, so the mean is not rounded, and a zero
         point plays no part; C times the range of q stays below 2**31
R2       eps joins W with 2*f bits of fraction, as many as 61 bits hold: f = 31 less the bits of C * range
R3       the radicand is at least 4**f: of a constant row u is 0 also where eps is 0; its root has 31 bits and is floored
R4       one division a row, floored; the product is rounded once, as the row says, to units of 2**(k - 29)
R5       u is lowered half up where beta needs the room; down = 32 leaves nothing of it: the channel is constant
R6       beta joins, rounded, in units of y
R7       the sign of gamma comes last, so that scales stay positive; y is clipped, which is idle while sums are exact
error    two units of y and |gamma| * |z| * (2**-28 + 1 / (4**(f + 1) * (C - 1))), z the normalized code: far below one step
         of an 8-bit result
source   refq's own reading; the root and the division as in Li and Gu 2023 (I-ViT), with eps and exact sums
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import deviation, rounding
from refq.ints.accumulate import summing
from refq.ints.fold import CONSTANT
from refq.ints.jit import jit
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, row_tail_lost, row_tile_leaks
from refq.ints.width import I32


@dataclass(frozen=True)
class Row(deviation.Centring):
    @property
    def takes(self):
        return {"q": self.q("n [c]"), "eps": deviation.EPS, **deviation.CHANNELS}

    @property
    def gives(self):
        return {"y": I32("n c")}


def build(row, scale, zero, gamma, beta, eps):
    """The constants of a step from the real weights `gamma` and `beta` (c), eps and the scale of q, decided exactly; `zero` plays
    no part. Raises IllFormed for rows that are too long for their codes, and for an eps that leaves nothing of them."""
    made = {"eps": row.epsilon(eps, scale, len(gamma))}
    return made | dict(zip(deviation.CHANNELS, deviation.channels(gamma, beta, len(gamma))))


def result(row, scale, gamma, beta):
    """The scale of y for each channel: (c) float64, positive."""
    return np.array(deviation.channels(gamma, beta, len(gamma))[3])


def bound(row, scale, count):
    """The largest error where gamma is 1 and beta 0."""
    return deviation.bound(row, count)


def registers(row, ends, sizes, constants):
    yield from deviation.registers(row, ends["q"], sizes["c"], constants)


def spec(q, eps, beta, sign, down, row, at=unwatched):
    u = deviation.by_mean(at, q.astype(np.int64), eps, q.shape[1], row)                            # R1 R2 R3 R4
    return deviation.joined(at, u, beta, sign, down)                                               # R5 R6 R7


@cache
def kernel(row):
    ties, half_up, each, lo, hi = rounding.word(row.ties), rounding.word("half_up"), row.reach(1), I32.lo, I32.hi
    total_of, squares_of, inverse, left = summing(row.accumulate), summing(row.squares), deviation.inverse, deviation.left
    octaves, fraction, radicand = deviation.octaves, deviation.fraction, deviation.radicand

    @jit(nogil=True, error_model="numpy")
    def layernorm_exact(q, eps, beta, sign, down, y):
        count, codes = np.int64(q.shape[1]), np.empty(q.shape[1], np.int64)
        f, k = fraction(count * each), octaves(count)
        for r in range(q.shape[0]):
            for c in range(count):
                codes[c] = q[r, c]
            total = total_of(codes)                                                                # R1
            for c in range(count):
                codes[c] *= codes[c]
            v = radicand(count * squares_of(codes) - total * total, f, eps)                        # R1 R2 R3
            factor, shift = inverse(v), left(v, f, k)                                              # R3 R4
            for c in range(count):
                u = min(max(ties((count * q[r, c] - total) * factor, shift), lo), hi)              # R4
                u = half_up(u, np.int64(down[c])) + beta[c]                                        # R5 R6
                y[r, c] = min(max(np.int64(sign[c]) * u, lo), hi)                                  # R7

    return layernorm_exact


def real(q, gamma, beta, eps, scale):
    """LayerNorm of each row: q (n c) codes of `scale`; beta where the row is constant; float64."""
    d = (q - q.mean(axis=1, keepdims=True, dtype=np.float64)) * scale
    deviations = np.sqrt((d * d).mean(axis=1, keepdims=True) + eps)
    return gamma * d / np.where(deviations == 0, 1, deviations) + beta


slips = (dropped("eps"), dropped("beta"), dropped("down"), channels_shifted("beta", 1), first_for_all("beta", "sign"),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_free_of_the_zero_point(q, eps, beta, sign, down, row):
    """Adding a constant to a whole row changes nothing."""
    if any(row.sums):
        return True
    moved = q.astype(np.int64) + row.q.hi - q.max(axis=1, keepdims=True)
    return spec(moved, eps, beta, sign, down, row) == spec(q, eps, beta, sign, down, row)


def r3_a_constant_row_gives_beta(q, eps, beta, sign, down, row):
    alike = np.full_like(q, q.flat[0] if q.size else 0)
    constant = spec(alike, eps, beta, sign, down, row) == sign.astype(np.int64) * beta
    return constant | any(row.sums)


def r4_near_the_real_value(q, eps, beta, sign, down, row):
    """With gamma 1 and beta 0, within the bound of LayerNorm."""
    if any(row.sums) or not row.ties.startswith("half"):
        return True
    count, ones = q.shape[1], [np.full(q.shape[1], v) for v in (0, 1, 0)]
    z = real(q.astype(np.int64), 1, 0, deviation.eps_of(row, count, eps), 1)
    return deviation.near(row, count, spec(q, eps, *ones, row), z, count - 1)


def r5_nothing_is_left_at_32(q, eps, beta, sign, down, row):
    """A channel lowered by 32 is the constant sign * beta."""
    return spec(q, eps, beta, sign, np.full_like(down, CONSTANT), row) == sign.astype(np.int64) * beta
