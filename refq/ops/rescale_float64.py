"""rescale_float64: carry a register onto the output grid by an integer multiplier, the product held in float64.

    y = clip(zp + round(f64((acc - zin) * mult) / 2**shift))

units    acc counts s_in; y counts s_y; mult / 2**shift is s_in / s_y
R1       the input zero point is taken off as an integer; an accumulator has none
R2       the product is rounded to 53 bits, ties to even; exact below 2**53; or exact throughout
R3       rounded to an integer, ties as the row says; the quotient by a power of two is exact
R4       the zero point joins after the rounding
R5       clipped to the output width, never wrapped
error    at most half a unit of y and 2**-53 of the result beside the multiplier's own, while R5 is idle
source   Kim et al. 2021 (I-BERT), kssteven418/I-BERT fairseq/quantization/utils/quant_utils.py, fixedpoint_mul, commit 2b694279;
         the I-ViT authors multiply alike
"""
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, scales, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, halved, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width


@dataclass(frozen=True)
class Row(Base):
    multiplier: str = choice("dyadic", *multiplier.forms, acts="build")
    ratio: str = choice("float64", *scales.names, acts="build")
    product: str = choice("float64", "exact")
    ties: str = choice("half_even", *rounding.names)
    acc: Width = decided(I32)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if self.acc.bits > 32 or self.out.bits > 32:
            raise IllFormed(f"rescale_float64: {self.acc} to {self.out}; defined up to 32 bits, beyond which products leave 64")

    @property
    def takes(self):
        # a zero point that joins a full product may need the bit that a shift of 1 sets free
        shift = I8("c", int(self.out.hi >= 1 << 63 - self.acc.bits), 62)
        return {"acc": self.acc("n c"), "zin": self.acc(), "mult": I64("c", 0, 1 << 31), "shift": shift, "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, factors, unit, zin, zp, count=1):
    """The constants from real scales: the product of `factors` (numbers, or one for each channel) is s_in, `unit` is s_y; of the
    mean of `count` summands."""
    pairs = [multiplier.pair(s, row.multiplier) for s in np.atleast_1d(scales.ratio(row.ratio, factors, unit, count))]
    return {"zin": zin, "mult": [m for m, _ in pairs], "shift": [s for _, s in pairs], "zp": zp}


def registers(row, ends, sizes, constants):
    if row.product == "exact":
        yield "wide", I64, *(end * constants["mult"] for end in spans.factor(ends["acc"], int(constants["zin"])))


def spec(acc, zin, mult, shift, zp, row, at=unwatched):
    centred = acc.astype(np.int64) - zin                                                          # R1
    if row.product == "exact":
        wide = at("wide", centred * mult, I64)                                                    # R2
    else:
        wide = at("wide", (centred.astype(np.float64) * mult.astype(np.float64)).astype(np.int64), I64)       # R2
    return at.clip("y", at.shift("scaled", row.ties, wide, shift.astype(np.int64), I64) + zp, row.out)         # R3 R4 R5


@cache
def kernel(row):
    last, exact, lo, hi = rounding.word(row.ties), row.product == "exact", row.out.lo, row.out.hi

    @jit(nogil=True)
    def rescale_float64(acc, zin, mult, shift, zp, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                centred = np.int64(acc[n, c]) - zin                                               # R1
                wide = centred * mult[c] if exact else np.int64(np.float64(centred) * np.float64(mult[c]))    # R2
                y[n, c] = min(max(last(wide, np.int64(shift[c])) + zp, lo), hi)                   # R3 R4 R5

    return rescale_float64


def real(acc, zin, mult, shift, zp, row):
    return zp + Fraction((int(acc) - int(zin)) * int(mult), 2 ** int(shift))


slips = (dropped("zp"), negated("zp"), dropped("zin"), negated("zin"), first_for_all("mult", "shift"), halved("shift"),
         *(channels_shifted(k, 1) for k in ("mult", "shift", "y")), last_tile_lost("y", 4))


def r2_small_products_are_exact(acc, zin, mult, shift, zp, row):
    """Below 2**53 float64 rounds nothing."""
    small = np.abs((acc.astype(np.int64) - zin) * mult) < 1 << 53
    held, exact = (spec(acc, zin, mult, shift, zp, replace(row, product=p)) for p in ("float64", "exact"))
    return (held == exact) | ~small


def r3_near_the_real_value(acc, zin, mult, shift, zp, row):
    """Half a unit (one, where not to the nearest) and 2**-53 of the value, or clipped."""
    y, bound = spec(acc, zin, mult, shift, zp, row), Fraction(1 + ("half" not in row.ties), 2)
    found = np.empty(y.shape, bool)
    for i in np.ndindex(y.shape):
        exact = real(acc[i], zin, mult[i[1]], shift[i[1]], zp, row)
        found[i] = abs(exact - int(y[i])) <= bound + abs(exact - zp) / 2 ** 53
    return found | (y == row.out.lo) | (y == row.out.hi)


def r4_zero_gives_the_zero_point(acc, zin, mult, shift, zp, row):
    return spec(np.full_like(acc, zin), zin, mult, shift, zp, row) == zp


def r5_keeps_order(acc, zin, mult, shift, zp, row):
    """Larger accumulators never give smaller codes."""
    return np.diff(spec(np.sort(acc, axis=0), zin, mult, shift, zp, row), axis=0) >= 0
