"""batch_norm: a factor and an offset for each channel, where no weights before it take them in.

    y = clip(zo + round(((q - zq) * mult + bias) / 2**shift))

units    q counts s_q, y counts s_y; mult / 2**shift is factor * s_q / s_y, of any sign, bias / 2**shift is offset / s_y
R1       the zero point is taken off
R2       the product and the bias join in a register of the row's width, which holds both: `build` shortens the shift until
         it does, and a bias that is too large even then, so that y is clipped anyway, saturates at a quarter of the register
R3       rounded once, as the row says
R4       the zero point of y joins last; clipped to the output width, never wrapped
error    half a unit of y (one for a rounding that is not to the nearest), |q - zq| / 2**(shift + 1) for the multiplier, and
         1 / 2**(shift + 1) for the bias, while R4 is idle
source   refq's own reading of BatchNormalization at inference (Ioffe and Szegedy 2015), a rescale with a bias
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import floor

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I32, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    bits: int = choice(16, 8, 12)
    ties: str = choice("half_up", *rounding.names)
    acc: Width = I32
    q: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "batch_norm", self.q, self.out)
        if not self.acc.signed or not self.q.bits + self.bits + 2 <= self.acc.bits <= 62:
            raise IllFormed(f"batch_norm: products of {self.q} codes and multipliers of {self.bits} bits in {self.acc}; that "
                            f"register is signed and has {self.q.bits + self.bits + 2} to 62 bits")

    @property
    def takes(self):
        half = self.acc.hi >> 1
        return {"q": self.q("n c"), "zq": self.q(), "mult": I32("c", -(1 << self.bits), 1 << self.bits),
                "bias": self.acc("c", -half, half), "shift": I8("c", 0, self.acc.bits - 2), "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def nearest(x):
    return floor(x + Fraction(1, 2))


def channel(row, factor, offset):
    """(mult, bias, shift) of a channel, from exact ratios: the longest shift at which the multiplier has no more than the row's
    bits, and the bias a quarter of the register."""
    for shift in range(row.acc.bits - 2, -1, -1):
        mult, bias = nearest(factor * 2 ** shift), nearest(offset * 2 ** shift)
        if abs(mult) < 1 << row.bits and abs(bias) <= row.acc.hi >> 2:
            return mult, bias, shift
    if abs(mult) >= 1 << row.bits:
        raise IllFormed(f"batch_norm: a factor of {float(factor)} steps of the result for one of the operand; multipliers have "
                        f"{row.bits} bits: coarsen the grid of the result")
    return mult, max(min(bias, row.acc.hi >> 2), -(row.acc.hi >> 2)), 0


def build(row, factor, offset, s_in, z_in, s_out, z_out):
    """The constants of a step from the real `factor` and `offset` (c), the scales of q and y and their zero points, decided
    exactly. Raises IllFormed for a factor beyond the multiplier's bits."""
    unit = Fraction(float(s_out))
    found = [channel(row, Fraction(float(f)) * Fraction(float(s_in)) / unit, Fraction(float(o)) / unit)
             for f, o in zip(factor, offset, strict=True)]
    return {"zq": z_in, **{k: [c[i] for c in found] for i, k in enumerate(("mult", "bias", "shift"))}, "zo": z_out}


def registers(row, ends, sizes, constants):
    mult, bias = (constants[k].astype(np.int64) for k in ("mult", "bias"))
    lo, hi = spans.times(spans.factor(ends["q"], int(constants["zq"])), (mult, mult))
    yield "acc", row.acc, lo + np.minimum(bias, 0), hi + np.maximum(bias, 0)


def spec(q, zq, mult, bias, shift, zo, row, at=unwatched):
    d = q.astype(np.int64) - zq                                                                    # R1
    acc = at("acc", d * mult + bias, row.acc)                                                      # R2
    scaled = at.shift("scaled", row.ties, acc, shift.astype(np.int64), row.acc)                    # R3
    return at.clip("y", scaled + zo, row.out)                                                      # R4


@cache
def kernel(row):
    ties, lo, hi = rounding.word(row.ties), row.out.lo, row.out.hi

    @jit(nogil=True)
    def batch_norm(q, zq, mult, bias, shift, zo, y):
        for n in range(q.shape[0]):
            for c in range(q.shape[1]):
                acc = (np.int64(q[n, c]) - zq) * mult[c] + bias[c]                                 # R1 R2
                y[n, c] = min(max(ties(acc, np.int64(shift[c])) + zo, lo), hi)                     # R3 R4

    return batch_norm


def real(q, zq, mult, bias, shift, zo):
    return zo + Fraction((int(q) - int(zq)) * int(mult) + int(bias), 1 << int(shift))


slips = (dropped("zq"), negated("zq"), dropped("bias"), negated("bias"), dropped("zo"), negated("mult"),
         first_for_all("mult", "bias", "shift"), *(channels_shifted(k, 1) for k in ("mult", "bias", "shift", "y")),
         last_tile_lost("y", 4))


def r1_the_zero_point_gives_the_offset(q, zq, mult, bias, shift, zo, row):
    y = spec(np.full_like(q, zq), zq, mult, bias, shift, zo, row)
    return y == row.out.clip(rounding.word(row.ties)(bias.astype(np.int64), shift.astype(np.int64)) + zo)


def r3_near_the_real_value(q, zq, mult, bias, shift, zo, row):
    """Half a unit, or one for a rounding that is not to the nearest, or clipped."""
    y, bound = spec(q, zq, mult, bias, shift, zo, row), Fraction(1 + ("half" not in row.ties), 2)
    near = [abs(real(q[i], zq, mult[i[1]], bias[i[1]], shift[i[1]], zo) - int(y[i])) <= bound for i in np.ndindex(y.shape)]
    return np.reshape(np.array(near, bool), y.shape) | (y == row.out.lo) | (y == row.out.hi)


def r4_keeps_order(q, zq, mult, bias, shift, zo, row):
    """Larger codes never give smaller results, or larger ones where the multiplier is negative."""
    steps = np.diff(spec(np.sort(q, axis=0), zq, mult, bias, shift, zo, row), axis=0)
    return np.where(mult >= 0, steps, -steps) >= 0
