"""hard_swish: x * min(max(x + 3, 0), 6) / 6 by 16-bit products.

    x = (q - zq) << 7,  p = high(x, mo),  v = held(high(held(x << max(er - 1, 0)), mr) << (er > 0)) >> max(-er, 0)
    y = clip(zo + (((v + 2**15 >> 1) * p >> 15) >> down))

units    q counts s_in, y counts s_out; mo / 2**(15 + down) is s_in / (128 * s_out); mr * 2**(er - 15) is s_in / (128 * t),
         where t = 3 / 2**15 is the unit of v
R1       the zero point is taken off, and seven bits are added
R2       p, x in units of y but for its last shift: the high half of the product by `high`
R3       v, x in units of t, saturated at 16 bits before and after the last bit of a left shift; a right shift rounds by `ties`
R4       v, halved, is (x + 3) / 6 of Q0.15
R5       the high half of their product is rounded by `product`
R6       the last shift is rounded by `ties`; the zero point joins, and the sum is clipped
error    1.5 units of y at 8 bits, where s_in is at most 128 units of y and R6 does not clip
source   tensorflow/lite/kernels/internal/reference/hard_swish.h; LiteRT tflite/kernels/activations.cc, HardSwishPrepare
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I16, I32, Width, at_most

UNIT = np.float32(3) / np.float32(32768)


@dataclass(frozen=True)
class Row(Base):
    high: str = choice("half_up", *rounding.names)
    product: str = choice("trunc", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    q: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(8, "hard_swish", self.q, self.out)

    @property
    def takes(self):
        mult = I16("", 0)
        return {"q": self.q("n"), "zq": self.q(), "mo": mult, "down": I8("", 0, 31), "mr": mult, "er": I8("", -31, 31),
                "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def short(scale):
    """(mult, exponent) of a float32: 15 bits of its 31-bit multiplier, and what it is shifted left by."""
    mult, shift = multiplier.q31(float(scale))
    return (0x7FFF if mult >= I32.hi - (1 << 15) else mult + (1 << 15) >> 16), 31 - shift


def build(row, s_in, z_in, s_out, z_out):
    """The constants of a step from the real scales (float64, rounded to float32) and the zero points; raises IllFormed for an
    input of more than 128 units of y."""
    fine = np.float32(1 / 128) * np.float32(s_in)
    (mo, eo), (mr, er) = short(fine / np.float32(s_out)), short(fine / UNIT)
    if eo > 0 or not -31 <= min(eo, er) <= er <= 31:
        raise IllFormed(f"hard_swish: codes of {s_in!r} to {s_out!r}; an input of up to 128 units of the result is defined")
    return {"zq": z_in, "mo": mo, "down": -eo, "mr": mr, "er": er, "zo": z_out}


def registers(row, ends, sizes, constants):
    x = [end << 7 for end in spans.factor(ends["q"], int(constants["zq"]))]
    yield "p_wide", I32, *spans.times(x, (0, int(constants["mo"])))
    yield "v_wide", I32, *spans.times((I16.lo, I16.hi), (0, int(constants["mr"])))
    yield "y_fine_wide", I32, *spans.times((0, I16.hi), (I16.lo, I16.hi))


def spec(q, zq, mo, down, mr, er, zo, row, at=unwatched):
    def product(name, ties, a, b):
        return at.clip(name, at.shift(name + "_high", ties, at(name + "_wide", a * b, I32), 15, I32), I16)

    x = at("x", q.astype(np.int64) - zq << 7, I16)                                                 # R1
    p = product("p", row.high, x, mo)                                                              # R2
    v = product("v", row.high, at.clip("lifted", x << max(er - 1, 0), I16), mr)                    # R3
    v = at.clip("relu", v << (er > 0), I16)                                                        # R3
    v = at.shift("moved", row.ties, v, max(-er, 0), I16)                                           # R3
    gate = at("gate", v + (1 << 15) >> 1, I16)                                                     # R4
    y = at.shift("scaled", row.ties, product("y_fine", row.product, gate, p), down, I16)           # R5 R6
    return at.clip("y", y + zo, row.out)                                                           # R6


@cache
def kernel(row):
    high, last, ties, lo, hi = (*map(rounding.word, (row.high, row.product, row.ties)), row.out.lo, row.out.hi)
    least, most = I16.lo, I16.hi

    @jit(nogil=True)
    def hard_swish(q, zq, mo, down, mr, er, zo, y):
        left, up, right = max(er - 1, 0), 1 if er > 0 else 0, max(-er, 0)
        for n in range(q.shape[0]):
            x = (np.int64(q[n]) - zq) << 7                                                         # R1
            p = min(max(high(x * mo, 15), least), most)                                            # R2
            v = min(max(x << left, least), most)                                                   # R3
            v = min(max(high(v * mr, 15), least), most)                                            # R3
            v = ties(min(max(v << up, least), most), right)                                        # R3
            gate = (v + 32768) >> 1                                                                # R4
            fine = min(max(last(gate * p, 15), least), most)                                       # R5
            y[n] = min(max(ties(fine, down) + zo, lo), hi)                                         # R6

    return hard_swish


def real(q, s_in, z_in, s_out, z_out):
    """The function of the real number s_in * (q - z_in), in units of y with its zero point; float64."""
    x = s_in * (np.asarray(q, np.float64) - z_in)
    return z_out + x * np.clip(x + 3, 0, 6) / 6 / s_out


def gate_not_halved(run, operands, row):
    """The gate is one exponent too large."""
    return run({**operands, "er": min(operands["er"] + 1, 31)})


def shift_off_by_one(run, operands, row):
    """The result is halved once more."""
    return run({**operands, "down": min(operands["down"] + 1, 31)})


slips = (dropped("zq"), negated("zq"), dropped("zo"), negated("zo"), gate_not_halved, shift_off_by_one,
         channels_shifted("q", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r6_zero_gives_the_zero_point(q, zq, mo, down, mr, er, zo, row):
    return spec(np.full_like(q, zq), zq, mo, down, mr, er, zo, row) == zo


def r6_stays_in_its_width(q, zq, mo, down, mr, er, zo, row):
    y = spec(q, zq, mo, down, mr, er, zo, row)
    return (y >= row.out.lo) & (y <= row.out.hi)
