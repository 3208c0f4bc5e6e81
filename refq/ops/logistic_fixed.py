"""logistic_fixed: sigmoid or tanh of an 8-bit code in 32-bit fixed point, onto a grid of its own.

    t = high((q - zq) << left, mult),  g = f(t),  y = clip(middle + round(g / 2**down))

units    q counts s_in; t is Q4.27; g is Q0.31; y counts 2**-8 from the lowest code (sigmoid), 2**-7 from the middle (tanh)
R1       the zero point is taken off first
R2       a code `radius` or more away from 0 gives an end of the range, without any of what follows
R3       the left shift keeps the low 32 bits, and the high half of the product is rounded half up
R4       sigmoid or tanh as refq.ints.fixedpoint has them
R5       rounded once to 8 bits, ties as the row says, then clipped
error    half a unit of y and 2**-14 of one more; one unit at the ends of the range, where R2 and R5 cut 1 off
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/reference/integer_ops/{logistic,tanh}.h, commit 90b983c2
"""
from dataclasses import dataclass
from functools import cache
from math import floor

import numpy as np

from refq.errors import IllFormed
from refq.ints import fixedpoint, multiplier, rounding
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width

INTEGER = 4
"""Bits of t in front of the point."""
FUNCTIONS = {"sigmoid": (fixedpoint.logistic, 23), "tanh": (fixedpoint.tanh, 24)}


@dataclass(frozen=True)
class Row(Base):
    function: str = choice("sigmoid", "tanh")
    ties: str = choice("half_away", *rounding.names)
    q: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if self.q.bits > 8 or self.out.bits != 8:
            raise IllFormed(f"logistic_fixed: {self.q} to {self.out}; defined for codes of up to 8 bits, and results of 8")

    @property
    def takes(self):
        return {"q": self.q("n"), "zq": self.q(), "mult": I64("", 0, I32.hi), "left": I8("", 0, 31), "radius": I32("", 0)}

    @property
    def gives(self):
        return {"y": self.out("n")}

    @property
    def middle(self):
        return self.out.lo if self.function == "sigmoid" else (self.out.lo + self.out.hi + 1) // 2


def result(row):
    """(scale, zero point) of y."""
    return 2.0 ** -(8 if row.function == "sigmoid" else 7), row.middle


def build(row, s_in, z_in, s_out, z_out):
    """The constants of a step from the real scales (float64) and zero points; raises IllFormed for a result on another grid,
    and for an input so fine that its codes have no left shift."""
    if (s_out, z_out) != result(row):
        raise IllFormed(f"logistic_fixed: a result of scale {s_out!r} and zero point {z_out}; {row.function} gives "
                        f"{result(row)[0]} and {result(row)[1]}")
    mult, shift = multiplier.dyadic(s_in * 2.0 ** (31 - INTEGER))
    left = 31 - shift
    if not 0 <= left <= 31 or mult > I32.hi:
        raise IllFormed(f"logistic_fixed: codes of scale {s_in!r}; scales from 2**-28 to 8 are defined: rescale it first")
    return {"zq": z_in, "mult": mult, "left": left, "radius": floor(15 * 2.0 ** (31 - INTEGER - left))}


def bound(row, scale, count):
    """The largest error of y: a unit, at the ends of the range."""
    return result(row)[0]


def registers(row, ends, sizes, constants):
    yield "wide", I64, I32.lo * int(constants["mult"]), I32.hi * int(constants["mult"])


def spec(q, zq, mult, left, radius, row, at=unwatched):
    function, down = FUNCTIONS[row.function]
    x = at("x", q.astype(np.int64) - zq, Width(row.q.bits + 1))                                    # R1
    lifted = at.wrap("lifted", x << left, I32)                                                     # R3
    t = at.shift("t", "half_up", at("wide", lifted * mult, I64), 31, I32)                          # R3
    g = at("g", function(t, INTEGER), I32)                                                         # R4
    y = at.clip("y", at.shift("scaled", row.ties, g, down, Width(10)) + row.middle, row.out)             # R5
    return np.where(x >= radius, row.out.hi, np.where(x <= -radius, row.out.lo, y))                # R2


@cache
def kernel(row):
    (function, down), ties = FUNCTIONS[row.function], rounding.word(row.ties)
    lo, hi, middle, high, codes = row.out.lo, row.out.hi, row.middle, fixedpoint.high, 1 << row.q.bits
    first = row.q.lo

    @jit(nogil=True)
    def logistic_fixed(q, zq, mult, left, radius, y):
        table = np.empty(codes, np.int64)
        for i in range(codes):
            x = i + first - zq                                                                     # R1
            lifted = (((x << left) & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000                        # R3
            g = function(high(lifted, mult), INTEGER)                                              # R3 R4
            table[i] = min(max(ties(g, down) + middle, lo), hi)                                    # R5
            if x <= -radius:
                table[i] = lo                                                                      # R2
            if x >= radius:
                table[i] = hi                                                                      # R2
        for n in range(q.shape[0]):
            y[n] = table[np.int64(q[n]) - first]

    return logistic_fixed


def real(q, s_in, z_in, row):
    """The function of the real number s_in * (q - z_in), in units of y with its zero point; float64."""
    x = s_in * (np.asarray(q, np.float64) - z_in)
    value = np.tanh(x) if row.function == "tanh" else 0.5 + 0.5 * np.tanh(x / 2)
    scale, zero = result(row)
    return value / scale + zero


def radius_forgotten(run, operands, row):
    """Codes beyond the radius go through the product as well, which wraps."""
    return run({**operands, "radius": 512})


slips = (dropped("zq"), negated("zq"), radius_forgotten, channels_shifted("q", 1), last_tile_lost("y", 4),
         last_tile_lost("y", 16))


def r2_ends_beyond_the_radius(q, zq, mult, left, radius, row):
    x, y = q.astype(np.int64) - zq, spec(q, zq, mult, left, radius, row)
    return (np.abs(x) < radius) | (y == np.where(x >= radius, row.out.hi, row.out.lo))


def r4_zero_gives_the_middle(q, zq, mult, left, radius, row):
    """Half of the range, for either function."""
    half = (row.out.lo + row.out.hi + 1) // 2
    return radius == 0 or spec(np.full_like(q, zq), zq, mult, left, radius, row) == half
