"""group_norm: GroupNorm by integers: as layernorm_exact, over all places and the channels of a group; InstanceNorm has as many
groups as channels.

    y = sign * (round(u / 2**down) + beta),  u = (C*q - sum q) / sqrt(C * (sum of q*q) - (sum q)**2 + eps)  to 29 bits,
    the sums over the C = l * c / groups codes of a group

units    q counts any scale s; y of channel c counts |gamma| * 2**(k - 29 + down), 4**k the least power of 4 that is at least
         C; eps is eps * (C * 2**f / s)**2, rounded, ties up
R1       a group is `c / groups` channels next to one another, at every place l; groups divides c
R2       both sums are exact in 64 bits, or joined as the row says, place by place; the mean is not rounded, and a zero point
         plays no part; C times the range of q stays below 2**31
R3       eps joins with 2*f bits of fraction, as many as 61 bits hold: f = 31 less the bits of C * range
R4       the radicand is at least 4**f: of a constant group u is 0 also where eps is 0; its root has 31 bits and is floored
R5       one division a group, floored; the product is rounded once, as the row says, to units of 2**(k - 29)
R6       u is lowered half up where beta needs the room, beta joins, and the sign of gamma; y is clipped, idle for exact sums
error    two units of y and |gamma| * |z| * (2**-28 + 1 / (4**(f + 1) * (C - 1))), z the normalized code
source   refq's own reading of Wu and He 2018, Group Normalization; ONNX GroupNormalization, InstanceNormalization
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import deviation, rounding
from refq.ints.accumulate import summing
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, transposed
from refq.ints.width import I32


@dataclass(frozen=True)
class Row(deviation.Centring):
    groups: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        if type(self.groups) is not int or self.groups < 1:
            raise IllFormed(f"group_norm: groups is {self.groups!r}; it is a number of groups, 1 or more")

    @property
    def takes(self):
        return {"q": self.q("n [l] [c]"), "eps": deviation.EPS, **deviation.CHANNELS}

    @property
    def gives(self):
        return {"y": I32("n l c")}

    def sizes(self, found):
        self.admitted(self.count(found["l"], found["c"]))
        return never_empty("c", found, "group_norm") | never_empty("l", found, "group_norm")

    def count(self, places, channels):
        """The codes of a group; raises IllFormed where groups do not divide the channels."""
        if channels % self.groups:
            raise IllFormed(f"group_norm: {channels} channels in {self.groups} groups; the groups must divide them")
        return places * channels // self.groups


def build(row, scale, zero, gamma, beta, eps, places):
    """The constants of a step from the real weights `gamma` and `beta` (c), as layernorm_exact's, for images of `places`."""
    count = row.count(places, len(gamma))
    return {"eps": row.epsilon(eps, scale, count)} | dict(zip(deviation.CHANNELS, deviation.channels(gamma, beta, count)))


def result(row, scale, gamma, beta, places):
    """The scale of y for each channel: (c) float64, positive."""
    return np.array(deviation.channels(gamma, beta, row.count(places, len(gamma)))[3])


def bound(row, scale, count):
    return deviation.bound(row, count)


def registers(row, ends, sizes, constants):
    yield from deviation.registers(row, ends["q"], row.count(sizes["l"], sizes["c"]), constants)


def spec(q, eps, beta, sign, down, row, at=unwatched):
    n, places, channels = q.shape
    count = row.count(places, channels)
    parts = q.astype(np.int64).reshape(n, places, row.groups, channels // row.groups)              # R1
    rows = parts.transpose(0, 2, 1, 3).reshape(n * row.groups, count)
    u = deviation.by_mean(at, rows, eps, count, row)                         # R2 R3 R4 R5
    u = u.reshape(n, row.groups, places, channels // row.groups).transpose(0, 2, 1, 3)
    return deviation.joined(at, u.reshape(q.shape), beta, sign, down)                              # R6


@cache
def kernel(row):
    ties, half_up, each, lo, hi = rounding.word(row.ties), rounding.word("half_up"), row.reach(1), I32.lo, I32.hi
    total_of, squares_of, inverse, left = summing(row.accumulate), summing(row.squares), deviation.inverse, deviation.left
    octaves, fraction, radicand, groups = deviation.octaves, deviation.fraction, deviation.radicand, row.groups

    @jit(nogil=True, error_model="numpy")
    def group_norm(q, eps, beta, sign, down, y):
        places, wide = q.shape[1], q.shape[2] // groups
        count, codes = np.int64(places * wide), np.empty(places * wide, np.int64)
        f, k = fraction(count * each), octaves(count)
        for n in range(q.shape[0]):
            for first in range(0, q.shape[2], wide):                                               # R1
                for i in range(count):
                    codes[i] = q[n, i // wide, first + i % wide]
                total = total_of(codes)                                                            # R2
                for i in range(count):
                    codes[i] *= codes[i]
                v = radicand(count * squares_of(codes) - total * total, f, eps)                    # R2 R3 R4
                factor, shift = inverse(v), left(v, f, k)                                          # R4 R5
                for place in range(places):
                    for c in range(first, first + wide):
                        u = min(max(ties((count * q[n, place, c] - total) * factor, shift), lo), hi)   # R5
                        u = half_up(u, np.int64(down[c])) + beta[c]
                        y[n, place, c] = min(max(np.int64(sign[c]) * u, lo), hi)                       # R6

    return group_norm


def real(q, gamma, beta, eps, scale, groups):
    """GroupNorm of images: q (n l c) codes of `scale`; beta where a group is constant; float64."""
    parts = q.reshape(*q.shape[:2], groups, q.shape[2] // groups) * float(scale)
    d = parts - parts.mean(axis=(1, 3), keepdims=True)
    deviations = np.sqrt((d * d).mean(axis=(1, 3), keepdims=True) + eps)
    return gamma * (d / np.where(deviations == 0, 1, deviations)).reshape(q.shape) + beta


def groups_interleaved(run, operands, row):
    """A group takes every `groups`-th channel instead of neighbours."""
    c = operands["q"].shape[2]
    order = np.arange(c).reshape(-1, row.groups).T.reshape(-1) if c % row.groups == 0 else np.arange(c)
    turned = {name: np.ascontiguousarray(operands[name][..., order]) for name in ("q", *deviation.CHANNELS)}
    return {"y": np.ascontiguousarray(run({**operands, **turned})["y"][..., np.argsort(order)])}


slips = (dropped("eps"), dropped("beta"), dropped("down"), channels_shifted("beta", 1), first_for_all("beta", "sign"),
         groups_interleaved, transposed("q"))


def r1_groups_do_not_meet(q, eps, beta, sign, down, row):
    """What other groups hold changes nothing in the first."""
    first = q.shape[2] // row.groups
    other = q.copy()
    other[:, :, first:] = other[:, ::-1, first:][:, :, ::-1]
    return spec(other, eps, beta, sign, down, row)[..., :first] == spec(q, eps, beta, sign, down, row)[..., :first]


def r2_order_of_places_is_free(q, eps, beta, sign, down, row):
    turned = spec(q[:, ::-1], eps, beta, sign, down, row)[:, ::-1]
    return (turned == spec(q, eps, beta, sign, down, row)) | any(row.sums)


def r5_near_the_real_value(q, eps, beta, sign, down, row):
    """With gamma 1 and beta 0, within the bound."""
    if any(row.sums) or not row.ties.startswith("half"):
        return True
    count, ones = row.count(*q.shape[1:]), [np.full(q.shape[2], v) for v in (0, 1, 0)]
    z = real(q.astype(np.int64), 1, 0, deviation.eps_of(row, count, eps), 1, row.groups)
    return deviation.near(row, count, spec(q, eps, *ones, row), z, count - 1)
