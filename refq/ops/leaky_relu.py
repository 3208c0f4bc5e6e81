"""leaky_relu: codes carried onto another grid, those below 0 by a smaller factor.

    x = q - zq,  y = clip(zo + R(x; m, s)) with (m, s) of s_in / s_out for x >= 0, of alpha * s_in / s_out else

R(x; m, s) is x * m / 2**s, rounded as in rescale.

units    q counts s_in, y counts s_out
R1       the zero point is taken off first; 0 itself is rescaled by the factor of the positive
R2       rounded once, or twice at bit 31 by `high` and then the rest, after a left shift where s < 31
R3       the zero point joins last
R4       clipped to the output width, never wrapped
error    half a unit of y (one where rounded twice) beside the multipliers' own, while overflow and R4 are idle
source   tensorflow/lite/kernels/internal/reference/leaky_relu.h (q31, two roundings); google/XNNPACK vlrelu micro-kernels
         (256ths, one)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, scales, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    multiplier: str = choice("q31", "fraction8", acts="build")
    ratio: str = choice("float32", *scales.names, acts="build")
    high: str = choice("half_up", "none", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    overflow: str = choice("wrap", "saturate")
    q: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "leaky_relu", self.q, self.out)
        if self.high != "none" and self.multiplier == "fraction8":
            raise IllFormed("leaky_relu: two roundings (`high`) of a multiplier in 256ths, whose left shift leaves 32 bits; "
                            "round once (high = \"none\")")

    @property
    def takes(self):
        pair = I64("", 0, I32.hi), I8("", 0, 62)
        return {"q": self.q("n"), "zq": self.q(), "mp": pair[0], "sp": pair[1], "mn": pair[0], "sn": pair[1], "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def pair(scale, form):
    """(mult, shift) of a real scale; 256ths are rounded half to even, as lrintf does."""
    if form == "q31":
        return multiplier.pair(scale, form)
    if scale >= 128:
        raise IllFormed(f"leaky_relu: a factor of {scale}; a multiplier in 256ths has 15 bits: coarsen the result's grid")
    return round(256 * scale), 8


def build(row, alpha, s_in, z_in, s_out, z_out):
    """The constants of a step from the factor `alpha` (at least 0), the real scales (float64) and the zero points."""
    if not 0 <= alpha < float("inf"):
        raise IllFormed(f"leaky_relu: alpha is {alpha!r}; a factor of at least 0 is allowed")
    (mp, sp), (mn, sn) = (pair(float(scales.ratio(row.ratio, f, s_out)), row.multiplier) for f in ((s_in,), (s_in, alpha)))
    return {"zq": z_in, "mp": mp, "sp": sp, "mn": mn, "sn": sn, "zo": z_out}


registers = spans.leaky


def spec(q, zq, mp, sp, mn, sn, zo, row, at=unwatched):
    x = at("x", q.astype(np.int64) - zq, Width(row.q.bits + 1))                                    # R1
    mult, shift = np.where(x >= 0, mp, mn), np.where(x >= 0, sp, sn)                               # R1
    scaled = multiplier.scaled(at, x, mult, shift, row.high, row.ties, row.overflow)               # R2
    return at.clip("y", scaled + zo, row.out)                                                      # R3 R4


@cache
def kernel(row):
    scaled, lo, hi = multiplier.scaler(row.high, row.ties, row.overflow), row.out.lo, row.out.hi

    @jit(nogil=True)
    def leaky_relu(q, zq, mp, sp, mn, sn, zo, y):
        for n in range(q.shape[0]):
            x = np.int64(q[n]) - zq                                                                # R1
            value = scaled(x, mp, sp) if x >= 0 else scaled(x, mn, sn)                             # R1 R2
            y[n] = min(max(value + zo, lo), hi)                                                    # R3 R4

    return leaky_relu


def real(q, zq, mp, sp, mn, sn, zo, row):
    x = int(q) - zq
    return zo + x * (Fraction(mp, 1 << sp) if x >= 0 else Fraction(mn, 1 << sn))


def factors_swapped(run, operands, row):
    """Codes above 0 take the factor of those below, and the other way round."""
    o = operands
    return run({**o, "mp": o["mn"], "sp": o["sn"], "mn": o["mp"], "sn": o["sp"]})


def one_factor(run, operands, row):
    """All codes take the factor of those above 0."""
    return run({**operands, "mn": operands["mp"], "sn": operands["sp"]})


def sign_of_the_code(run, operands, row):
    """The code's own sign chooses the factor, not that of the number behind it."""
    q = operands["q"]
    positive, negative = (run({**operands, "mp": operands[m], "sp": operands[s], "mn": operands[m], "sn": operands[s]})["y"]
                          for m, s in (("mp", "sp"), ("mn", "sn")))
    return {"y": np.where(q.astype(np.int64) >= 0, positive, negative)}


slips = (dropped("zq"), negated("zq"), dropped("zo"), negated("zo"), factors_swapped, one_factor, sign_of_the_code,
         channels_shifted("q", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_near_the_real_value(q, zq, mp, sp, mn, sn, zo, row):
    """Half a unit where rounded once to the nearest, one for other roundings, two where rounded twice; or clipped."""
    y = spec(q, zq, mp, sp, mn, sn, zo, row)
    bound = 2 if row.high != "none" else Fraction(1 + ("half" not in row.ties), 2)
    near = np.array([abs(real(v, zq, mp, sp, mn, sn, zo, row) - int(y[i])) <= bound for i, v in enumerate(q)], bool)
    lifted = row.high != "none" and min(sp, sn) < 31 - (31 - row.q.bits - 1)
    return near | (y == row.out.lo) | (y == row.out.hi) | lifted


def r3_zero_gives_the_zero_point(q, zq, mp, sp, mn, sn, zo, row):
    return spec(np.full_like(q, zq), zq, mp, sp, mn, sn, zo, row) == zo
