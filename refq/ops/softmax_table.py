"""softmax_table: softmax of a row of 8-bit codes by a table of 256 float32 exponentials.

    e = t[max q - q],  S = sum of e
    reciprocal  y = clip(zp + round(e * (1 / (S * unit))))
    quotient    y = stored(zp + round(e * unit / S))

units    q counts s; t[i] is e**(-i * s), times a factor that cancels; y counts `unit` where it is a reciprocal that is
         multiplied by, and 1 / unit where it is a quotient
R1       the largest code of the row is taken off, so a zero point plays no part; what is left is the index
R2       S is summed in float32, code after code from the first to the last, each sum rounded to the nearest, ties to even
R3       two products and a reciprocal, or a product and a quotient, each rounded to float32
R4       rounded to an integer, ties as the row says; the zero point joins after it
R5       clipped; or whatever is above 255 is 255, and its low bits are stored: a share of 1 is then the lowest code of an i8
error    |y * s_y - softmax| <= s_y / 2 + 2**-22 + C * 2**-24 for rows of C codes where R5 neither clips nor wraps; where unit is
         floor(1 / s_y), what the floor takes off besides
source   LiteRT tflite/kernels/internal/optimized/optimized_ops.h, Softmax (reciprocal); microsoft/onnxruntime
         contrib_ops/cpu/quantization/qlinear_softmax.cc (quotient, low bits)
"""
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import functions, libm, rounding, shares
from refq.ints.floats import nearest, plus, product
from refq.ints.interpolated import single
from refq.ints.jit import jit
from refq.ints.operand import F32, never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I40, U8, Width

LEAST, MOST = 2.0 ** -60, 2.0 ** 122
"""Of a row's largest exponential: no reciprocal is subnormal, no sum of 2**6 codes infinite."""


@dataclass(frozen=True)
class Row(Base):
    normalized: str = choice("reciprocal", "quotient")
    ties: str = choice("half_away", *rounding.names)
    store: str = choice("clip", "wrap")
    exponentials: str = choice("expf", "raised", acts="build")
    q: Width = decided(I8)
    out: Width = I8

    def __post_init__(self):
        super().__post_init__()
        if self.q.bits > 8 or self.out.bits != 8:
            raise IllFormed(f"softmax_table: {self.q} to {self.out}; defined for codes of up to 8 bits, and results of 8")

    @property
    def takes(self):
        unit = (2.0 ** -20, 1.0) if self.normalized == "reciprocal" else (1.0, 2.0 ** 20)
        return {"q": self.q("n [c]"), "t": F32("i", 0.0, MOST), "unit": F32("", *unit), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    def sizes(self, found):
        if found["i"] != 256:
            raise IllFormed(f"softmax_table: t has {found['i']} entries; 8-bit codes have 256 distances")
        return never_empty("c", found, "softmax_table")


def build(row, scale, count, s_out, z_out):
    """The constants of a step: `scale` of q (float64, rounded to float32), `count` codes in a row, `s_out` and `z_out` of y."""
    steps = np.arange(256)
    if row.exponentials == "expf":
        table = libm.expf(np.maximum(np.float32(-scale) * steps.astype(np.float32), np.float32(-104)))
    else:                           # raised by a number of units of q, so that a row's sum comes near the end of float32
        with localcontext(prec=functions.DIGITS):
            room = float(single(Decimal(float(np.finfo(np.float32).max / np.float32(count))).ln()))
        wide = np.float64(np.float32(scale))
        table = libm.nearest((max(0.0, room - 5) / wide - steps) * wide)
    unit = np.float32(s_out) if row.normalized == "reciprocal" else np.floor(np.float32(1) / np.float32(s_out))
    return {"t": table, "unit": unit, "zp": z_out}


def admit(q, t, unit, row):
    """Refuses a table whose products or sums leave float32: what targets make of infinity is no integer."""
    most = float(np.max(t)) * max(float(unit), q.shape[1])
    if not (t[0] >= LEAST and most < 2.0 ** 128):
        raise IllFormed(f"softmax_table: exponentials up to {float(np.max(t))!r}, the largest code's {t[0]!r}, in rows "
                        f"of {q.shape[1]} codes times {float(unit)!r}: float32 does not hold them; coarsen the result's grid")


def spec(q, t, unit, zp, row, at=unwatched):
    admit(q, t, unit, row)
    q = q.astype(np.int64)
    e = at("e", t[at("d", q.max(axis=1, keepdims=True) - q, U8)], F32)                             # R1
    total = np.zeros((len(q), 1), np.float32)
    for c in range(q.shape[1]):
        total = at("total", plus(total, e[:, c:c + 1]), F32)                                       # R2
    if row.normalized == "reciprocal":
        share = at("share", product(e, np.float32(1) / product(total, unit)), F32)                 # R3
    else:
        share = at("share", product(e, unit) / total, F32)                                         # R3
    y = at.nearest("rounded", row.ties, share, I40) + zp                                           # R4
    return at.clip("y", y, row.out) if row.store == "clip" else at.wrap("y", np.minimum(y, 255), row.out)      # R5


@cache
def kernel(row):
    whole, lo, hi, wraps, reciprocal = nearest(row.ties, I40), row.out.lo, row.out.hi, row.store == "wrap", \
        row.normalized == "reciprocal"

    @jit(nogil=True)
    def shares(q, t, unit, zp, y):
        one = np.float32(1)
        for r in range(q.shape[0]):
            largest, total = np.int64(q[r].max()), np.float32(0)                                   # R1
            for c in range(q.shape[1]):
                total = plus(total, t[largest - q[r, c]])                                          # R2
            factor = one / product(total, unit)                                                    # R3
            for c in range(q.shape[1]):
                e = t[largest - q[r, c]]                                                           # R1
                share = product(e, factor) if reciprocal else np.float32(product(e, unit) / total)  # R3
                value = whole(share) + zp                                                          # R4
                if wraps:
                    value = min(value, 255)                                                        # R5
                    value = value - 256 if value > hi else value                                   # R5
                y[r, c] = min(max(value, lo), hi)                                                  # R5

    def softmax_table(q, t, unit, zp, y):
        admit(q, t, unit, row)
        shares(q, t, np.float32(unit), zp, y)

    return softmax_table


def real(q, s):
    """softmax of the real row: q (n c) codes of scale s; float64."""
    e = np.exp((q - q.max(axis=1, keepdims=True)) * s)
    return e / e.sum(axis=1, keepdims=True)


def table_reversed(run, operands, row):
    """The table is read from its other end, as one that is indexed by the code would be."""
    t = operands["t"][::-1].copy()
    return run({**operands, "t": np.maximum(t, np.float32(LEAST))})


slips = (dropped("zp"), negated("zp"), table_reversed, channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))


r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r4_keeps_order(q, t, unit, zp, row):
    """Larger exponentials never have smaller shares, where what leaves the width is clipped."""
    e = t[q.max(axis=1, keepdims=True).astype(np.int64) - q]
    return (row.store == "wrap") | shares.rising(e, spec(q, t, unit, zp, row))
