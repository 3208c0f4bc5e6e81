"""rescale_double: carry a register onto the output grid by one float64 multiplication.

    y = clip(zp + round(f64((acc - zin) * scale)))        scale = mantissa / 2**exponent

units    acc counts s_in; y counts s_y; scale is s_in / s_y as a float64 number, of which the constants are the two parts
R1       the input zero point is taken off as an integer; float64 holds the difference
R2       the product is rounded to float64, ties to even
R3       rounded to an integer, ties as the row says
R4       the zero point joins after the rounding
R5       clipped to the output width, never wrapped
error    at most half a unit of y and 2**-53 of the result beside the scale's own, while R5 is idle
source   google-ai-edge/LiteRT tflite/kernels/internal/reference/integer_ops/fully_connected.h, the form that takes scales (seen
         in LiteRT 2.3: its reference FULLY_CONNECTED, and every one of 16-bit codes with a 64-bit bias)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import frexp, ldexp

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding, scales
from refq.ints.floats import nearest
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I32, I40, I64, Width, at_most

SMALLEST, LARGEST = 2.0 ** -74, 2.0 ** 32
"""The scales that are taken: a smaller one makes 0 of every register, and is one."""


@dataclass(frozen=True)
class Row(Base):
    ratio: str = choice("float64", *scales.names, acts="build")
    ties: str = choice("half_away", *rounding.names)
    acc: Width = decided(I32)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(48, "rescale_double", self.acc)
        at_most(32, "rescale_double", self.out)

    @property
    def takes(self):
        return {"acc": self.acc("n c"), "zin": self.acc(), "mantissa": I64("c", 0, 1 << 53), "exponent": I8("c", 20, 127),
                "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, factors, unit, zin, zp, count=1):
    """The constants from real scales: the product of `factors` (numbers, or one for each channel) is s_in, `unit` is s_y; `count`
    says of how many summands the mean is meant."""
    real = np.atleast_1d(scales.ratio(row.ratio, factors, unit, count))
    if not ((real >= 0) & (real <= LARGEST)).all():
        raise IllFormed(f"rescale_double: scales {np.min(real)!r} to {np.max(real)!r}; allowed is 0 to 2**32")
    parts = [frexp(s) if s >= SMALLEST else (0.0, 0) for s in real.tolist()]
    return {"zin": zin, "mantissa": [int(ldexp(m, 53)) for m, _ in parts], "exponent": [53 - e for _, e in parts], "zp": zp}


def spec(acc, zin, mantissa, exponent, zp, row, at=unwatched):
    centred = acc.astype(np.int64) - zin                                                          # R1
    value = centred.astype(np.float64) * np.ldexp(mantissa.astype(np.float64), -exponent.astype(np.int32))      # R2
    return at.clip("y", at.nearest("rounded", row.ties, value, I40) + zp, row.out)                # R3 R4 R5


@cache
def kernel(row):
    whole, lo, hi = nearest(row.ties, I40), row.out.lo, row.out.hi

    @jit(nogil=True)
    def rescale_double(acc, zin, mantissa, exponent, zp, y):
        scale = np.empty(mantissa.shape[0], np.float64)
        for c in range(mantissa.shape[0]):
            scale[c] = ldexp(np.float64(mantissa[c]), -np.int64(exponent[c]))
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                value = np.float64(np.int64(acc[n, c]) - zin) * scale[c]                          # R1 R2
                y[n, c] = min(max(whole(value) + zp, lo), hi)                                     # R3 R4 R5

    return rescale_double


def real(acc, zin, mantissa, exponent, zp, row):
    return zp + Fraction((int(acc) - int(zin)) * int(mantissa), 2 ** int(exponent))


def scale_in_single_precision(run, operands, row):
    """The scale is rounded to float32: its mantissa to 24 bits."""
    return run({**operands, "mantissa": rounding.word("half_even")(operands["mantissa"], np.int64(29)) << 29})


def exponent_off_by_one(run, operands, row):
    """The result is halved once more."""
    return run({**operands, "exponent": np.minimum(operands["exponent"], 126).astype(np.int8) + np.int8(1)})


slips = (dropped("zp"), negated("zp"), dropped("zin"), negated("zin"), first_for_all("mantissa", "exponent"),
         scale_in_single_precision, exponent_off_by_one, *(channels_shifted(k, 1) for k in ("mantissa", "exponent", "y")),
         last_tile_lost("y", 4))


def r3_near_the_real_value(acc, zin, mantissa, exponent, zp, row):
    """Half a unit (one, where not to the nearest) and 2**-53 of the value, or clipped."""
    y, bound = spec(acc, zin, mantissa, exponent, zp, row), Fraction(1 + ("half" not in row.ties), 2)
    found = np.empty(y.shape, bool)
    for i in np.ndindex(y.shape):
        exact = real(acc[i], zin, mantissa[i[1]], exponent[i[1]], zp, row)
        found[i] = abs(exact - int(y[i])) <= bound + abs(exact - zp) / 2 ** 53 or abs(exact) >= 1 << 38
    return found | (y == row.out.lo) | (y == row.out.hi)


def r4_zero_gives_the_zero_point(acc, zin, mantissa, exponent, zp, row):
    return spec(np.full_like(acc, zin), zin, mantissa, exponent, zp, row) == zp


def r5_keeps_order(acc, zin, mantissa, exponent, zp, row):
    """Larger accumulators never give smaller codes."""
    return np.diff(spec(np.sort(acc, axis=0), zin, mantissa, exponent, zp, row), axis=0) >= 0
