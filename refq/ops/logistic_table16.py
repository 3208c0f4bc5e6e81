"""logistic_table16: sigmoid or tanh of a 16-bit code by a table of 256 entries, which is interpolated.

    x = round(q * mult / 2**right),  u = |x| >> b,  r = T[u] << b + (|x| & (2**b - 1)) * (T[u+1] - T[u])
    sigmoid, b = 9:  y = r + 2**9 >> 10 for x >= 0, 2**25 - r + 2**9 - 1 >> 10 else
    tanh, b = 8:     y = r - 2**23 + 2**7 >> 8 for x >= 0, -r + 2**23 + 2**7 - 1 >> 8 else

units    q counts s_in from 0; x counts 1 / (3 * 4096), so that 24 entries lie between two integers (12 for tanh, whose
         argument is doubled); T counts 2**-16; y counts 2**-15 from 0
R1       rescaled half up by a multiplier of 15 bits; a power of two that the target takes has 3 * 2**k and no shift
R2       beyond the table r is 1, less a unit
R3       entries lie between the function and its chord, so that the line between two errs to both sides alike
R4       rounded half up for x >= 0, half down below, so that the function keeps its symmetry
error    sigmoid 2.8 units of y, tanh 5.3, at the scale 2**-12; others add what 15 bits of multiplier lose: 2**-14 of x
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/reference/integer_ops/{logistic,tanh}.h, commit 90b983c2
"""
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from math import log2

import numpy as np

from refq.errors import IllFormed
from refq.ints import functions
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, I16, I32, U8, Width

INDEXED = {"sigmoid": 9, "tanh": 8}
"""Bits of |x| below the index."""
POWERS = {"sigmoid": (0,), "tanh": (0, 1)}
"""k of the scales 2**(k - 12) that are taken as they are, and with them what lies within 2**0.001 of them."""


@cache
def entries():
    """T: of sigmoid(i / 24), in units of 2**-16, less half of what the chord to the next entry errs in its middle."""
    with localcontext(prec=functions.DIGITS):
        value = [functions.sigmoid(Decimal(i) / 48) * 65536 for i in range(514)]
        made = [f - ((f + value[2 * i + 2]) / 2 - value[2 * i + 1]) / 2 for i, f in enumerate(value[:512:2])]
        # the last entry of the published table is 1 less a unit, which the formula misses by one
        return np.array([int(e.to_integral_value()) for e in made[:255]] + [65535], np.int64)


@dataclass(frozen=True)
class Row(Base):
    function: str = choice("sigmoid", "tanh")
    q: Width = decided(I16)
    out: Width = decided(I16)

    def __post_init__(self):
        super().__post_init__()
        if self.q.bits > 16 or self.out != I16:
            raise IllFormed(f"logistic_table16: {self.q} to {self.out}; defined for codes of up to 16 bits, and results of i16")

    @property
    def takes(self):
        return {"q": self.q("n"), "mult": I32("", 0, (1 << 15) - 1), "right": I8("", 0, 31)}

    @property
    def gives(self):
        return {"y": self.out("n")}


def result(row):
    """(scale, zero point) of y."""
    return 2.0 ** -15, 0


def build(row, s_in, z_in, s_out, z_out):
    """The constants of a step from the real scales (float64); raises IllFormed for zero points, for a result on another grid
    and for an input coarser than 2**31 units of x."""
    if z_in or (s_out, z_out) != result(row):
        raise IllFormed(f"logistic_table16: zero points {z_in} and {z_out}, a result of {s_out!r}; they are 0, 0 and 2**-15")
    power = log2(s_in) + 12
    if round(power) in POWERS[row.function] and abs(power - round(power)) < 1e-3:
        return {"mult": 3 << round(power), "right": 0}
    mult, right = s_in * 4096 * 3, 0
    while mult <= 32767 / 2 and right <= 30:
        mult, right = mult * 2, right + 1
    if not 0 < mult < 1 << 15:
        raise IllFormed(f"logistic_table16: codes of scale {s_in!r}; 15 bits of multiplier take up to 2.6: rescale it first")
    return {"mult": int(mult), "right": right}


def registers(row, ends, sizes, constants):
    yield "wide", I32, *(end * int(constants["mult"]) for end in ends["q"])


def spec(q, mult, right, row, at=unwatched):
    b, table = INDEXED[row.function], entries()
    x = at.shift("x", "half_up", at("wide", q.astype(np.int64) * mult, I32), right, I32)           # R1
    size = np.abs(x)
    u = at("u", np.minimum(size >> b, 255), U8)
    step = at("step", table[np.minimum(u + 1, 255)] - table[u], I16)                               # R3
    r = at("r", (table[u] << b) + (size & (1 << b) - 1) * step, Width(27))                               # R3
    if row.function == "sigmoid":
        r = np.where(u == 255, 0x7FFF << 10, r)                                                    # R2
        return at.shift("y", "floor", np.where(x >= 0, r + 512, (1 << 25) - r + 511), 10, I16)     # R4
    r = np.where(u == 255, 0xFFFF << 8, r)                                                         # R2
    return at.shift("y", "floor", np.where(x >= 0, r - (1 << 23) + 128, (1 << 23) - r + 127), 8, I16)      # R4


@cache
def kernel(row):
    b, table, sigmoid = INDEXED[row.function], entries(), row.function == "sigmoid"
    one, full = (0x7FFF << 10, 1 << 25) if sigmoid else (0xFFFF << 8, 1 << 23)
    down = 10 if sigmoid else 8
    half, positive = 1 << down - 1, 0 if sigmoid else full

    @jit(nogil=True)
    def logistic_table16(q, mult, right, y):
        for n in range(q.shape[0]):
            x = (np.int64(q[n]) * mult + ((1 << right) >> 1)) >> right                             # R1
            size = abs(x)
            u = size >> b
            r = one                                                                                # R2
            if u < 255:
                r = (table[u] << b) + (size & ((1 << b) - 1)) * (table[u + 1] - table[u])          # R3
            if x >= 0:
                y[n] = (r - positive + half) >> down                                               # R4
            else:
                y[n] = (full - r + half - 1) >> down                                               # R4

    return logistic_table16


def real(q, s_in, row):
    """The function of the real number s_in * q, in units of y; float64."""
    x = s_in * np.asarray(q, np.float64)
    return 2.0 ** 15 * (np.tanh(x) if row.function == "tanh" else 0.5 + 0.5 * np.tanh(x / 2))


def shift_off_by_one(run, operands, row):
    """The argument is halved once more."""
    return run({**operands, "right": min(operands["right"] + 1, 31)})


slips = (shift_off_by_one, channels_shifted("q", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r4_is_symmetric(q, mult, right, row):
    """f(-x) is 1 - f(x), or -f(x), to the last unit, where halves of x itself do not part them."""
    q = np.maximum(q, row.q.lo + 1).astype(np.int64)
    whole = ((q * mult) & ((1 << right) - 1)) != (1 << right) >> 1
    y, mirrored = spec(q, mult, right, row), spec(-q, mult, right, row)
    return (np.abs(y + mirrored - (1 << 15 if row.function == "sigmoid" else 0)) <= 1) | ~whole


def r3_keeps_order(q, mult, right, row):
    return np.diff(spec(np.sort(q), mult, right, row)) >= 0
