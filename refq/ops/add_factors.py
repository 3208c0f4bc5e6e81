"""add_factors: the sum of two tensors whose channels have factors: two multipliers, one rounding, and shifts for each channel.

    y = clip(zo + round((((a - za) << ka) * ma + ((b - zb) << kb) * mb) / 2**(shift + ky)))

units    a of channel c counts 2**ka_c * s_a, b and y alike; ma / 2**shift is s_a / s_y, mb / 2**shift is s_b / s_y
R1       zero points, one for all channels, are taken off before the factors
R2       the factors are shifts: operands count one unit in all channels then
R3       the weighted sum is exact: no operand is rounded alone
R4       rounded once, where the result's factor joins the shift
R5       the zero point joins last; clipped to the output width, never wrapped
error    half a unit of y (2**ky * s_y), one for a rounding that is not to the nearest, and 2**-bits of each summand
source   Lin et al. 2022 (FQ-ViT), section 3.2, keep a residual stream on such a grid; the sum itself the authors leave to
         float32: this is our reading of it in integers, with one rounding as theirs has
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import frexp

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width, at_most

LARGEST, FARTHEST, NEAREST = 3, 40, 9


@dataclass(frozen=True)
class Row(Base):
    bits: int = choice(21, 15, acts="build")
    ties: str = choice("half_even", *rounding.names)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "add_factors", self.a, self.b, self.out)

    @property
    def takes(self):
        weight, factor = I32("", 0, 1 << self.bits), I8("c", 0, LARGEST)
        return {"a": self.a("n c"), "b": self.b("n c"), "za": self.a(), "zb": self.b(), "ka": factor, "kb": factor,
                "ma": weight, "mb": weight, "shift": I8("", self.bits - NEAREST, FARTHEST), "ky": factor, "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, sa, za, sb, zb, so, zo, ka, kb, ky):
    """The constants of a step from the real units `sa`, `sb`, `so` (float64), the zero points and the exponents of the factors
    (c); the larger multiplier has `bits` bits, or is the next power of two. Raises IllFormed where a unit is far from y's."""
    first, second = (Fraction(float(s)) / Fraction(float(so)) for s in (sa, sb))
    shift = row.bits - frexp(max(first, second))[1]
    if not row.bits - NEAREST <= shift <= FARTHEST:
        raise IllFormed(f"add_factors: units {sa!r} and {sb!r} over {so!r}; the larger quotient lies between "
                        f"2**{row.bits - 1 - FARTHEST} and 2**{NEAREST}")
    return {"za": za, "zb": zb, "ka": ka, "kb": kb, "ma": round(first * 2 ** shift), "mb": round(second * 2 ** shift),
            "shift": shift, "ky": ky, "zo": zo}


def registers(row, ends, sizes, constants):
    """The operands in one unit, and their weighted sum (refq.ints.spans)."""
    total = [0, 0]
    for name in ("a", "b"):
        reached = spans.factor(ends[name], int(constants[f"z{name}"]))
        reached = [end << constants[f"k{name}"].astype(np.int64) for end in reached]
        yield f"{name}_raised", I32, *reached
        total = [t + end * int(constants[f"m{name}"]) for t, end in zip(total, reached)]
    yield "total", I64, *total


def spec(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row, at=unwatched):
    ka, kb, ky = (k.astype(np.int64) for k in (ka, kb, ky))
    first = at("a_raised", a.astype(np.int64) - za << ka, I32)                                    # R1 R2
    second = at("b_raised", b.astype(np.int64) - zb << kb, I32)                                   # R1 R2
    total = at("total", first * ma + second * mb, I64)                                            # R3
    scaled = at.shift("scaled", row.ties, total, shift + ky, I64)                                 # R4
    return at.clip("y", scaled + zo, row.out)                                                     # R5


@cache
def kernel(row):
    word, lo, hi = rounding.word(row.ties), row.out.lo, row.out.hi

    @jit(nogil=True)
    def add_factors(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, y):
        for n in range(a.shape[0]):
            for c in range(a.shape[1]):
                first = (np.int64(a[n, c]) - za) << np.int64(ka[c])                               # R1 R2
                second = (np.int64(b[n, c]) - zb) << np.int64(kb[c])                              # R1 R2
                scaled = word(first * ma + second * mb, np.int64(shift + ky[c]))                  # R3 R4
                y[n, c] = min(max(scaled + zo, lo), hi)                                           # R5

    return add_factors


def real(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row):
    """y of one element of each, before R4 and R5, as a Fraction: Python integers."""
    return zo + Fraction(((a - za) << ka) * ma + ((b - zb) << kb) * mb, 1 << shift + ky)


def operands_swapped(run, operands, row):
    """The multipliers of the two operands change places."""
    return run({**operands, "ma": operands["mb"], "mb": operands["ma"]})


def factors_swapped(run, operands, row):
    """Each operand takes the other's factors."""
    return run({**operands, "ka": operands["kb"], "kb": operands["ka"]})


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), dropped("ka"), dropped("kb"), dropped("ky"),
         operands_swapped, factors_swapped, first_for_all("ka", "kb", "ky"), channels_shifted("ky", 1), last_tile_lost("y", 4))


def r2_factors_are_folded(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row):
    """Operands that hold zero point and factor already give the same."""
    if max(row.a.bits, row.b.bits) > 8:
        return True
    folded = (x.astype(np.int64) - z << k.astype(np.int64) for x, z, k in ((a, za, ka), (b, zb, kb)))
    none = ka * 0
    return spec(*folded, 0, 0, none, none, ma, mb, shift, ky, zo, row) == spec(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row)


def r3_operands_are_alike(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row):
    """Nothing tells the first operand from the second."""
    return spec(b, a, zb, za, kb, ka, mb, ma, shift, ky, zo, row) == spec(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row)


def r4_near_the_real_value(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row):
    """Within half a unit of y, or one, where nothing is clipped."""
    y = spec(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row)
    near = [row.out.lo < v < row.out.hi and 2 * abs(v - real(int(a[i]), int(b[i]), za, zb, int(ka[i[1]]), int(kb[i[1]]), ma, mb,
                                                             shift, int(ky[i[1]]), zo, row)) > 2 - ("half" in row.ties)
            for i, v in np.ndenumerate(y)]
    return ~np.reshape(np.array(near, bool), y.shape)


def r5_zeros_give_the_zero_point(a, b, za, zb, ka, kb, ma, mb, shift, ky, zo, row):
    return spec(np.full_like(a, za), np.full_like(b, zb), za, zb, ka, kb, ma, mb, shift, ky, zo, row) == zo
