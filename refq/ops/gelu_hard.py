"""gelu_hard: GELU or hard swish in integers: a code times a straight gate, and the result clipped.

    x = q - zq,  g = min(max(x + half, 0), 2 * half),  y = min(max(zo + round(x * g * mult / 2**shift), lo), hi)

This integer form is our reading: PackQViT names an integer GELU and publishes no formula; its code has hard swish in place of
GELU, clipped to -10 .. 10, where its summary has -1 .. 10. Both lower ends lie below all that the gate lets through, -reach/8,
so that they give the same codes; what the clip does is to hold the grid's end at 10.

units    q counts s_in, y counts s_out; half is reach / s_in, rounded: g / (2*half) is the gate, x / (2*reach) + 1/2 held within
         0 .. 1; mult / 2**shift is s_in / (2 * half * s_out); lo, hi are the codes of the ends of the clip, within y's width
R1       the zero point is taken off
R2       the gate is an integer sum, clipped at both ends: 0 for x of at most -half, all from half on
R3       the product is exact in 64 bits, and rounded once, ties as the row says
R4       the zero point joins after the rounding; clipped to lo .. hi, never wrapped
error    1/2 + s_in / (2 * s_out) units of y from x * gate while R4 is idle; x * gate is within 0.0648 of GELU for a reach of 1.8,
         0.2954 for 3, which is hard swish itself
source   our reading of PackQViT (NeurIPS 2023); PeiyanFlying/PackQViT, commit 3753234 (hard swish; the clip of the activation
         behind it); a reach of 1.8 is nearest to GELU, for networks that were trained with it
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width, at_most

MOST = 1 << 20
"""Of half: with 9 bits of x and 31 of the multiplier, products stay below 2**61."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_up", *rounding.names)
    reach: float = choice(1.8, 3.0, acts="build")
    lowest: int = choice(-10, -1, acts="build")
    highest: int = choice(10, acts="build")
    q: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(8, "gelu_hard", self.q)
        at_most(16, "gelu_hard", self.out)

    @property
    def takes(self):
        return {"q": self.q("n"), "zq": self.q(), "half": I32("", 1, MOST), "mult": I64("", 0, I32.hi), "shift": I8("", 0, 62),
                "zo": self.out(), "lo": self.out(), "hi": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def build(row, s_in, z_in, s_out, z_out):
    """The constants of a step from the real scales (float64) and the zero points; raises IllFormed for an input so coarse that no
    code lies within the gate, or so fine that it has no end."""
    half = floor(Fraction(row.reach) / Fraction(float(s_in)) + Fraction(1, 2))
    if not 1 <= half <= MOST:
        raise IllFormed(f"gelu_hard: codes of scale {float(s_in)!r}, of which {half} reach the end of the gate at {row.reach}; "
                        f"1 to {MOST} are defined: quantize its input with another scale")
    mult, shift = multiplier.pair(float(Fraction(float(s_in)) / (2 * half * Fraction(float(s_out)))), "q31")
    if shift < 0:
        raise IllFormed(f"gelu_hard: codes of scale {float(s_in)!r} to {float(s_out)!r}; the result's grid is too fine for them")
    unit = Fraction(float(s_out))
    lo, hi = (int(row.out.clip(z_out + end)) for end in (ceil(row.lowest / unit), floor(row.highest / unit)))
    return {"zq": z_in, "half": half, "mult": mult, "shift": shift, "zo": z_out, "lo": lo, "hi": hi}


def registers(row, ends, sizes, constants):
    """The product of a code and its gate, and what it is multiplied to."""
    half, zero = int(constants["half"]), int(constants["zq"])
    below, above = min(row.q.lo - zero, 0), max(row.q.hi - zero, 0)
    least, most = max(-half * half // 4 - 1, below * half), above * min(2 * half, above + half)
    yield "product", I64, least, most
    yield "wide", I64, least * int(constants["mult"]), most * int(constants["mult"])


def spec(q, zq, half, mult, shift, zo, lo, hi, row, at=unwatched):
    x = at("x", q.astype(np.int64) - zq, Width(row.q.bits + 1))                                    # R1
    gate = at("gate", np.clip(x + half, 0, 2 * half), I32)                                         # R2
    wide = at("wide", at("product", x * gate, I64) * mult, I64)                                    # R3
    scaled = at.shift("scaled", row.ties, wide, shift, I64)                                        # R3
    return at("y", np.clip(scaled + zo, lo, hi), row.out)                                          # R4


@cache
def kernel(row):
    ties = rounding.word(row.ties)

    @jit(nogil=True)
    def gelu_hard(q, zq, half, mult, shift, zo, lo, hi, y):
        for n in range(q.shape[0]):
            x = np.int64(q[n]) - zq                                                                # R1
            gate = min(max(x + half, 0), 2 * half)                                                 # R2
            y[n] = min(max(ties(x * gate * mult, shift) + zo, lo), hi)                             # R3 R4

    return gelu_hard


def real(q, s_in, z_in, s_out, z_out, reach=1.8):
    """x times the gate of the real number s_in * (q - z_in), in units of y with its zero point; float64."""
    x = s_in * (np.asarray(q, np.float64) - z_in)
    return z_out + x * np.clip(x / (2 * reach) + 0.5, 0, 1) / s_out


def gate_open_below(run, operands, row):
    """The gate is not clipped at 0: far below, the product turns positive."""
    o = operands
    x = o["q"].astype(np.int64) - o["zq"]
    made = np.clip(rounding.word(row.ties)(x * np.minimum(x + o["half"], 2 * o["half"]) * o["mult"], o["shift"]) + o["zo"],
                   o["lo"], o["hi"])
    return {"y": made.astype(run(operands)["y"].dtype)}


slips = (dropped("zq"), negated("zq"), dropped("zo"), negated("zo"), dropped("half"), gate_open_below, channels_shifted("q", 1),
         last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_nothing_passes_below_and_all_above(q, zq, half, mult, shift, zo, lo, hi, row):
    """zo for codes of at most -half; for those from half on, the code rescaled."""
    y, x = spec(q, zq, half, mult, shift, zo, lo, hi, row), q.astype(np.int64) - zq
    all_of_it = np.clip(rounding.word(row.ties)(x * (2 * half) * mult, np.int64(shift)) + zo, lo, hi)
    return np.where(x <= -half, y == np.clip(zo, lo, hi), (x < half) | (y == all_of_it))


def r4_stays_within_its_ends(q, zq, half, mult, shift, zo, lo, hi, row):
    y = spec(q, zq, half, mult, shift, zo, lo, hi, row)
    return (y <= max(lo, hi)) & (y >= min(lo, hi))
