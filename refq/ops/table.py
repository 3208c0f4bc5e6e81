"""table: any function of one code, as a list of its values.

    y = t[q - lo],  t[q - lo] = clip(z_out + round(f(s_in * (q - z_in)) / s_out))

units    q counts s_in, y counts s_out
R1       the lowest code reads entry 0
R2       an entry is rounded, ties as the row says: correctly from the real value, whatever machine makes it; or from
         float32, with x, f(x) and the quotient by s_out, or the product with its reciprocal, each rounded to it
R3       the zero point joins after the rounding, or the float32 before it, and the sum is clipped
error    at most half a unit of y for the nearest roundings, while R3 does not clip; where evaluated in float32 a tie and what
         float32 takes for one can go the other way: 2**-21 of |y| more
source   TOSA 1.0 TABLE; tensorflow/lite/kernels/internal/common.h, LUTPopulate (float32, reciprocal); microsoft/onnxruntime
         contrib_ops/cpu/quantization/qlinear_lookup_table.cc (float32, quotient)
"""
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import functions, functions32, rounding
from refq.ints.floats import nearest as nearest32
from refq.ints.jit import jit
from refq.ints.quotients import quotients
from refq.ints.quotients import value as quotient
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, I40, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_even", *rounding.names, acts="build")
    evaluated: str = choice("exact", *quotients, acts="build")
    zero_point: str = choice("after", "inside", acts="build")
    q: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "table", self.q)
        if self.evaluated == "exact" and self.zero_point == "inside":
            raise IllFormed("table: a zero point inside the rounding is one of float32; evaluate in float32, or join it after")

    @property
    def takes(self):
        return {"q": self.q("n"), "t": self.out("i")}

    @property
    def gives(self):
        return {"y": self.out("n")}

    def sizes(self, found):
        if found["i"] != 1 << self.q.bits:
            raise IllFormed(f"table: t has {found['i']} entries; {self.q} codes need {1 << self.q.bits}")
        return {}


def build(row, function, s_in, z_in, s_out, z_out):
    """The table of `function`: a name in refq.ints.functions, or a callable from Decimal to Decimal or float. Scales
    are float64 and mean exactly what they are; where a row evaluates in float32 they are rounded to it, and so is what a
    callable gives. Raises IllFormed where a float is too close to a tie to decide."""
    steps = np.arange(row.q.lo, row.q.hi + 1) - z_in
    if row.evaluated != "exact":
        return {"t": row.out.clip(by_float32(row, function, s_in, steps, s_out, z_out)).tolist()}
    codes, sure = quickly(row.ties, functions.quick.get(function), s_in * steps, s_out)
    f = functions.named(function) if isinstance(function, str) else function
    with localcontext(prec=functions.DIGITS):
        for i in np.flatnonzero(~sure):
            codes[i] = nearest(f(Decimal(float(s_in)) * int(steps[i])), Decimal(float(s_out)), row.ties, function)
    return {"t": row.out.clip(z_out + codes).tolist()}


def by_float32(row, function, s_in, steps, s_out, z_out):
    """Entries before they are clipped, as an engine makes them in float32."""
    named = isinstance(function, str)
    f = functions32.named(function) if named else lambda x: functions32.nearest(lambda v: Decimal(function(v)), None, x)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        value = np.asarray(f(steps.astype(np.float32) * np.float32(s_in)), np.float32)
        ratio = quotient(row.evaluated, row.zero_point)(value, np.float32(s_out), z_out)
    if np.isnan(ratio).any():
        raise IllFormed(f"table: {function} gives {value[np.isnan(ratio)][0]}; clip its input or define the value there")
    return nearest32(row.ties, I40)(ratio) + (z_out if row.zero_point == "after" else 0)


def quickly(ties, function, x, unit):
    """Entries by a float64 function, and which of them are sure: those further than float64 can err from a tie, or from
    a whole number where the rounding has no ties. Without a function none is."""
    if function is None:
        return np.zeros(len(x), np.int64), np.zeros(len(x), bool)
    doubled = np.clip(2 * np.array([function(v) for v in x.tolist()]) / unit, -(1 << 40), 1 << 40)
    doubled[np.abs(doubled) < 1e-30] = 0
    turn = 1 if ties.startswith("half") else 0
    apart = np.abs(doubled - (2 * np.rint((doubled - turn) / 2) + turn))
    sure = (apart > 1e-6) | (np.abs(doubled) < 1e-6) | (np.abs(doubled) > 1 << 18)
    floor = np.floor(doubled)
    return rounding.word(ties)(2 * floor.astype(np.int64) + (doubled != floor), 2), sure


def nearest(value, unit, ties, function):
    """`value / unit` as an integer: a Decimal is decided to its last digits, a float where it is sure."""
    exact = isinstance(value, Decimal)
    ratio = Decimal(value) / unit
    if ratio.is_nan():
        raise IllFormed(f"table: {function} gives {value}; clip its input or define the value there")
    if abs(ratio) > 1 << 40:
        return 1 << 40 if ratio > 0 else -(1 << 40)
    # What the last digits leave open is taken as a tie or a whole number: no other real comes that close by chance.
    doubled = 2 * ratio
    close = abs(doubled - doubled.to_integral_value())
    if close and close < (Decimal(10) ** -30 if exact else Decimal(10) ** -9):
        if not exact:
            raise IllFormed(f"table: {function} gives a float too close to a tie; let it take and give Decimal")
        doubled = doubled.to_integral_value()
    floor = doubled.to_integral_value(rounding="ROUND_FLOOR")
    # The floor of twice the ratio, and whether anything is left, decide every rounding.
    return rounding.word(ties)(2 * int(floor) + (doubled != floor), 2)


def spec(q, t, row, at=unwatched):
    index = at("index", q.astype(np.int64) - row.q.lo, Width(row.q.bits, False))                  # R1
    return at("y", t.astype(np.int64)[index], row.out)                                            # R2 R3


@cache
def kernel(row):
    lo = row.q.lo

    @jit(nogil=True)
    def table(q, t, y):
        for n in range(q.shape[0]):
            y[n] = t[np.int64(q[n]) - lo]                                                          # R1 R2 R3

    return table


def real(q, function, s_in, z_in, s_out):
    """f(s_in * (q - z_in)) / s_out, as a Decimal."""
    with localcontext(prec=functions.DIGITS):
        return functions.named(function)(Decimal(float(s_in)) * (q - z_in)) / Decimal(float(s_out))


def offset_forgotten(run, operands, row):
    """The byte itself is the index: the halves of the table change places."""
    return run({**operands, "t": np.roll(operands["t"], row.q.lo)})


slips = (offset_forgotten, channels_shifted("t", 1), channels_shifted("q", 1), last_tile_lost("y", 16))


def r1_every_code_reads_its_entry(q, t, row):
    codes = np.arange(row.q.lo, row.q.hi + 1)
    return spec(codes, t, row) == t
