"""rescale_preshift: carry a register onto the output grid by a shift, a small multiplier and another shift.

    y = clip(zp + round(low(saturate(round((acc - zin) / 2**pre)) * mult) / 2**post))

units    acc counts s_in; y counts s_y; mult / 2**(pre + post) is s_in / s_y; a negative `pre` shifts left
R1       the input zero point is taken off first; an accumulator has none
R2       shifted by `pre`, rounded as `first` says, and saturated to the register `middle`
R3       the product is held in the register `product`, which wraps
R4       rounded at `post`; half up adds the half before R3 wraps, so that it can overflow the register too
R5       the zero point joins after the rounding
R6       clipped to the output width, never wrapped
error    one unit of R2's register times mult / 2**post (half, where `first` is to the nearest), and half a unit of y, beside
         the multiplier's own, while no register overflows and R6 is idle
source   pytorch/glow lib/Quantization/Base/Base.cpp (floor, i32); google/XNNPACK src/xnnpack/requantization.h, rndnu16 (half up,
         i16, i64); nvdla/hw cmod/hls/include/nvdla_int.h and cmod/cacc (half away, i32, i64); pulp-platform/Deeploy
         TargetLibraries/Generic/src/RequantShift_s8.c (no shift in front, i32)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import preshift, rounding, scales
from refq.ints.jit import jit
from refq.ints.registers import saturating, wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I16, I32, I64, Width


@dataclass(frozen=True)
class Row(Base):
    form: str = choice("glow", *preshift.forms, acts="build")
    ratio: str = choice("float64", *scales.names, acts="build")
    first: str = choice("floor", *rounding.names)
    middle: Width = choice(I32, I16)
    product: Width = choice(I32, I64)
    ties: str = choice("half_up", *rounding.names)
    acc: Width = decided(I32)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if self.acc.bits > 48 or self.out.bits > 32:
            raise IllFormed(f"rescale_preshift: {self.acc} to {self.out}; defined up to 48 and 32 bits")

    @property
    def takes(self):
        least, most, bits, low, high = preshift.RANGES[self.form]
        return {"acc": self.acc("n c"), "zin": self.acc(), "pre": I8("c", least, most), "mult": I32("c", 0, (1 << bits) - 1),
                "post": I8("c", low, high), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    @property
    def adds_half(self):
        return self.ties == "half_up"

    @property
    def overflow(self):
        """What becomes of a product that its register does not hold: its low bits stay."""
        return "low"


def build(row, factors, unit, zin, zp, count=1):
    """The constants from real scales: the product of `factors` (numbers, or one for each channel) is s_in, `unit` is s_y; of the
    mean of `count` summands. Raises IllFormed for a ratio that the row's form cannot say."""
    made = [preshift.encode(s, row.form, row.out.bits) for s in np.atleast_1d(scales.ratio(row.ratio, factors, unit, count))]
    return {"zin": zin, "pre": [m[0] for m in made], "mult": [m[1] for m in made], "post": [m[2] for m in made], "zp": zp}


def allows(row, real):
    """Can the row say these ratios (a float64 array): does the register in front of the multiplier reach the ends of the result,
    and does a multiplier of one shift for all channels have at least 4 bits?"""
    made = [preshift.encode(ratio, row.form, row.out.bits) for ratio in real]
    coarse = row.form in ("fixed", "fixed24") and any(mult < 8 for _, mult, _ in made)
    return not coarse and all(preshift.reaches(row, *constants) for constants in made)


registers = preshift.registers


def spec(acc, zin, pre, mult, post, zp, row, at=unwatched):
    pre, mult, post = (a.astype(np.int64) for a in (pre, mult, post))
    raised = (acc.astype(np.int64) - zin) << np.maximum(-pre, 0)                                  # R1
    narrow = at.shift("narrow", row.first, raised, np.maximum(pre, 0), I64)                       # R2
    held = at.clip("middle", narrow, row.middle)
    half = (np.int64(1) << post) >> 1 if row.adds_half else 0
    wide = at.wrap("wide", held * mult + half, row.product)                                       # R3
    scaled = at.shift("scaled", "floor" if row.adds_half else row.ties, wide, post, I64)          # R4
    return at.clip("y", scaled + zp, row.out)                                                     # R5 R6


@cache
def kernel(row):
    first, last = rounding.word(row.first), rounding.word("floor" if row.adds_half else row.ties)
    hold, low, adds_half, lo, hi = saturating(row.middle), wrapping(row.product), row.adds_half, row.out.lo, row.out.hi

    @jit(nogil=True)
    def rescale_preshift(acc, zin, pre, mult, post, zp, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                p, s = np.int64(pre[c]), np.int64(post[c])
                held = hold(first((np.int64(acc[n, c]) - zin) << max(-p, 0), max(p, 0)))          # R1 R2
                half = (np.int64(1) << s) >> 1 if adds_half else np.int64(0)
                y[n, c] = min(max(last(low(held * np.int64(mult[c]) + half), s) + zp, lo), hi)    # R3 R4 R5 R6

    return rescale_preshift


def real(acc, zin, pre, mult, post, zp, row):
    return zp + (int(acc) - int(zin)) * int(mult) * Fraction(2) ** -(int(pre) + int(post))


def pre_taken_behind(run, operands, row):
    """The shift in front is done behind the product, with the other."""
    pre, post = operands["pre"], operands["post"]
    return run({**operands, "pre": np.minimum(pre, 0), "post": np.minimum(post + np.maximum(pre, 0), row.takes["post"].hi)})


slips = (dropped("zp"), negated("zp"), dropped("zin"), negated("zin"), dropped("pre"), first_for_all("pre", "mult", "post"),
         pre_taken_behind, *(channels_shifted(k, 1) for k in ("pre", "mult", "post", "y")), last_tile_lost("y", 4))


def calm(acc, zin, pre, mult, post, row):
    """Where neither register overflows."""
    pre, mult, post = (a.astype(np.int64) for a in (pre, mult, post))
    narrow = rounding.word(row.first)((acc.astype(np.int64) - zin) << np.maximum(-pre, 0), np.maximum(pre, 0))
    held = row.middle.clip(narrow)
    return (held == narrow) & (np.abs(held) * mult <= row.product.hi - ((np.int64(1) << post) >> 1))


def r4_near_the_real_value(acc, zin, pre, mult, post, zp, row):
    """Within both roundings, or clipped, where no register overflows."""
    y, fits = spec(acc, zin, pre, mult, post, zp, row), calm(acc, zin, pre, mult, post, row)
    one, two = (Fraction(1 + ("half" not in word), 2) for word in (row.first, row.ties))
    near = np.empty(y.shape, bool)
    for i in np.ndindex(y.shape):
        p, m, s = (int(a[i[1]]) for a in (pre, mult, post))
        bound = (one * Fraction(m, 2 ** s) if p > 0 else 0) + two
        near[i] = abs(real(acc[i], zin, p, m, s, zp, row) - int(y[i])) <= bound
    return near | (y == row.out.lo) | (y == row.out.hi) | ~fits


def r5_zero_gives_the_zero_point(acc, zin, pre, mult, post, zp, row):
    fits = calm(np.full_like(acc, zin), zin, pre, mult, post, row)
    return (spec(np.full_like(acc, zin), zin, pre, mult, post, zp, row) == zp) | ~fits


def r6_keeps_order(acc, zin, pre, mult, post, zp, row):
    """Larger accumulators never give smaller codes, where no register overflows."""
    acc = np.sort(acc, axis=0)
    fits = calm(acc, zin, pre, mult, post, row)
    return (np.diff(spec(acc, zin, pre, mult, post, zp, row), axis=0) >= 0) | ~(fits[1:] & fits[:-1])
