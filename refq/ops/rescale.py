"""rescale: carry a register onto the output grid.

    y = clip(zp + round((acc - zin) * mult / 2**shift))

units    acc counts s_in (s_x*s_w for an accumulator); y counts s_y; mult / 2**shift is s_in / s_y
R1       the input zero point is taken off first; an accumulator has none
R2       the product is exact in 64 bits
R3       rounded once at `shift`; or twice, at bit 31 by `high` and then the rest, after a left shift where shift < 31
R4       the zero point joins after the rounding, or inside it
R5       clipped to the output width; or its low bits are stored, whatever it was
error    at most half a unit of y (one where rounded twice) beside the multiplier's own, while R5 is idle
source   Jacob et al. 2018, section 2.2; TOSA 1.0 RESCALE; tensorflow/tflite-micro kernels/internal/common.h; VTA (low bits)
"""
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, scales, spans
from refq.ints.jit import jit
from refq.ints.registers import saturating, wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, halved, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width

registers = spans.rescaled


@dataclass(frozen=True)
class Row(Base):
    multiplier: str = choice("q31", *multiplier.forms, acts="build")
    ratio: str = choice("float64", *scales.names, acts="build")
    below: int = choice(0, 1, 256, acts="build")
    count: str = choice("scale", "multiplier", acts="build")
    high: str = choice("none", *rounding.names)
    ties: str = choice("half_up", *rounding.names)
    overflow: str = choice("wrap", "saturate")
    zero_point: str = choice("after", "inside")
    store: str = choice("clip", "wrap")
    acc: Width = decided(I32)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if self.high != "none" and (self.zero_point == "inside" or self.acc.bits > 32):
            raise IllFormed("rescale: two roundings (`high`) need an accumulator of at most 32 bits, the zero point after them")
        if self.high != "none" and self.multiplier == "pow2":
            raise IllFormed("rescale: two roundings (`high`) of a pow2 multiplier: its left shift leaves 32 bits; round once")
        if self.out.bits > 32:
            raise IllFormed(f"rescale: a result of {self.out}; codes have up to 32 bits")
        if self.acc.bits + multiplier.bits[self.multiplier] > 63:
            raise IllFormed(f"rescale: {self.acc} times a {self.multiplier} multiplier leaves 64 bits; that form takes up to "
                            f"{63 - multiplier.bits[self.multiplier]} bits")

    @property
    def takes(self):
        # a zero point inside has room above the shift; one that joins later may need a bit that a shift of 1 sets free
        inside, longer = self.zero_point == "inside", multiplier.bits[self.multiplier] + 1 - self.below.bit_length()
        least = max(int(not inside and self.out.hi >= 1 << 63 - self.acc.bits), longer if self.below else 0)
        # with the zero point inside the product has one bit less, so that the sum fits 64
        reach = 1 << self.acc.bits - 2 if inside and self.acc.bits > 16 else 1 << 63
        zin = self.acc("", max(self.acc.lo, -reach), min(self.acc.hi, reach))
        return {"acc": self.acc("n c"), "zin": zin, "mult": I64("c", 0, min(1 << 31, 1 << (63 - self.acc.bits))),
                "shift": I8("c", least, 62 - self.out.bits * inside), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, factors, unit, zin, zp, count=1):
    """The constants from real scales: the product of `factors` (numbers, or one for each channel) is s_in, `unit` is s_y, the
    mean of `count` summands is meant. Raises IllFormed for a ratio that is not below `row.below`, where that is not 0."""
    whole = row.count == "multiplier"
    real = np.atleast_1d(scales.ratio(row.ratio, factors, unit, 1 if whole else count))
    if row.below and (real >= row.below).any():
        raise IllFormed(f"rescale: a scale of {np.max(real)}; this row takes scales below {row.below}: coarsen the result's grid")
    pairs = [multiplier.shared(*multiplier.pair(s, row.multiplier), count if whole else 1) for s in real]
    return {"zin": zin, "mult": [m for m, _ in pairs], "shift": [s for _, s in pairs], "zp": zp}


def allows(row, real):
    """Can the row say these ratios (a float64 array)?"""
    return not (row.below and (real >= row.below).any() or row.multiplier == "pow2" and (np.frexp(real)[0] != 0.5).any())


def spec(acc, zin, mult, shift, zp, row, at=unwatched):
    store = at.clip if row.store == "clip" else at.wrap
    centred, shift = acc.astype(np.int64) - zin, shift.astype(np.int64)                           # R1
    if row.zero_point == "inside":
        wide = at("wide", centred * mult + (np.int64(zp) << shift), I64)                          # R2 R4
        return store("y", at.shift("scaled", row.ties, wide, shift, I64), row.out)                # R3 R5
    scaled = multiplier.scaled(at, centred, mult, shift, row.high, row.ties, row.overflow)        # R2 R3
    return store("y", scaled + zp, row.out)                                                       # R4 R5


@cache
def kernel(row):
    scaled, ties = multiplier.scaler(row.high, row.ties, row.overflow), rounding.word(row.ties)
    inside, store = row.zero_point == "inside", (saturating if row.store == "clip" else wrapping)(row.out)

    @jit(nogil=True)
    def rescale(acc, zin, mult, shift, zp, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                centred, s = np.int64(acc[n, c]) - zin, np.int64(shift[c])                        # R1
                if inside:
                    value = ties(centred * mult[c] + (zp << s), s)                                # R2 R3 R4
                else:
                    value = scaled(centred, mult[c], s) + zp                                      # R2 R3 R4
                y[n, c] = store(value)                                                            # R5

    return rescale


def real(acc, zin, mult, shift, zp, row):
    return zp + Fraction((int(acc) - int(zin)) * int(mult), 2 ** int(shift))


def clipped_before_zero_point(run, operands, row):
    """The clip comes first, then the zero point, then a second clip."""
    y = run({**operands, "zp": 0})["y"]
    return {"y": row.out.clip(y.astype(np.int64) + operands["zp"]).astype(y.dtype)}


slips = (dropped("zp"), negated("zp"), dropped("zin"), negated("zin"), first_for_all("mult", "shift"), halved("shift"),
         clipped_before_zero_point, *(channels_shifted(k, 1) for k in ("mult", "shift", "y")), last_tile_lost("y", 4))


def fits(acc, zin, shift, row):
    """Where the left shift of rows that round twice loses nothing."""
    return (row.high == "none") | (np.abs(acc.astype(np.int64) - zin) < (1 << 31) >> np.maximum(31 - shift.astype(np.int64), 0))


def r3_near_the_real_value(acc, zin, mult, shift, zp, row):
    """Half a unit where rounded once to the nearest, one for other roundings, two where rounded twice, or clipped."""
    y = spec(acc, zin, mult, shift, zp, replace(row, store="clip"))
    bound = 2 if row.high != "none" else Fraction(1 + ("half" not in row.ties), 2)
    near = [abs(real(acc[i], zin, mult[i[1]], shift[i[1]], zp, row) - int(y[i])) <= bound for i in np.ndindex(y.shape)]
    return np.reshape(np.array(near, bool), y.shape) | (y == row.out.lo) | (y == row.out.hi) | ~fits(acc, zin, shift, row)


def r4_zero_gives_the_zero_point(acc, zin, mult, shift, zp, row):
    return spec(np.full_like(acc, zin), zin, mult, shift, zp, row) == zp


def r5_a_code_in_range_is_stored(acc, zin, mult, shift, zp, row):
    """A code within the range is the same clipped and wrapped."""
    y, low = (spec(acc, zin, mult, shift, zp, replace(row, store=s)) for s in ("clip", "wrap"))
    return (y == low) | (y == row.out.lo) | (y == row.out.hi)


def r5_keeps_order(acc, zin, mult, shift, zp, row):
    """Larger accumulators never give smaller codes, where these are clipped."""
    y = spec(np.sort(acc, axis=0), zin, mult, shift, zp, replace(row, store="clip"))
    return (np.diff(y, axis=0) >= 0) | ~fits(acc, zin, shift, row).all(axis=0)
