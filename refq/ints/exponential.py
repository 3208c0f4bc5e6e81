"""exp by shifts, as I-ViT has it: `shift_exp(x, x0, n)` is about |x0| * 2**n * exp(x * s) for codes x of scale s.

    t = x + (x >> 1) - (x >> 4)                   x * log2(e), whose series is cut to 1 + 1/2 - 1/16 = 1.4375
    t = t within n*x0 .. (n - 32)*x0              x0 = floor(-1/s) is the code of -1
    k = floor(t / x0);  r = t - k*x0              a whole number of halvings, and what is left: x0 < r <= 0
    e = floor((r/2 - x0) * 2**(n - k))            2**-f on [0, 1) is the chord 1 - f/2

Below n*x0 no smaller e is left to tell apart. Above (n - 32)*x0, where the authors' float32 goes on growing, e is at
least 2**31, and what reads it saturates there: the same bits in 64 of them. e is at least |x0|, never 0.
For -2**18 < x < 2**18, -2**24 <= x0 <= -1 and 1 <= n <= 31: e < 2**57.

Their TVM benchmark has another form of each of these, by a field of a row:

    unit   floor     x0 = floor(-1/s)
           beyond    x0 = -1/s - 1 without its fraction: one lower where 1/s is whole
    half   last      as above
           first     e = (floor(r/2) - x0) * 2**(n - k): the half is floored before it is shifted up
    wraps  no        as above
           32 bits   t is not held from above, k is cut toward 0, and e keeps its low 32 bits (`wrapped_exp`)

source   Li and Gu 2023 (I-ViT); zkkli/I-ViT models/quantization_utils/quant_modules.py; TVM_benchmark/models/layers.py
"""
from fractions import Fraction

import numpy as np

from refq.errors import IllFormed
from refq.ints import shares
from refq.ints.jit import word
from refq.ints.width import I24, I32, I64, Width

FINEST = -(1 << 24)
"""The lowest x0: what 64 bits hold."""


UNITS = {"floor": lambda s: int(-1 // s), "beyond": lambda s: -int(1 // s) - 1}
HALVES = ("last", "first")


def unit(scale, name, rule="floor"):
    """x0 of a scale, decided exactly; raises IllFormed for a scale above 1 or below 2**-24."""
    # `whole` may round a scale of 1 up to the next float32
    if not 0 < scale <= 1 + 2 ** -20 or UNITS[rule](Fraction(scale)) < FINEST:
        raise IllFormed(f"{name}: codes of scale {float(scale)!r} have no code for -1 between {FINEST} and -1; "
                        "quantize its input with a scale between 2**-24 and 1, or use a wider input")
    return UNITS[rule](Fraction(scale))


def whole(scale, steepness):
    """The least float32 not below `scale` of which 1 / (steepness * scale) is a whole number, to the float32's last bit and
    never above it; `scale` itself where the whole number would be 0."""
    count = int(1 / (Fraction(scale) * steepness))
    if count == 0:
        return scale
    exact = 1 / (Fraction(count) * steepness)
    near = np.float32(float(exact))
    return float(near if Fraction(float(near)) >= exact else np.nextafter(near, np.float32(np.inf)))


@word
def shift_exp(x, x0, n):
    """e for one int64 x in a kernel, or Python integers."""
    t = x + (x >> 1) - (x >> 4)
    t = min(max(t, n * x0), (n - 32) * x0)
    k = t // x0
    return ((t - k * x0 - 2 * x0) << (n - k)) >> 1


@word
def quotient(a, b):
    """floor(a / b) for 0 <= a < 2**53 and 0 < b < 2**53, in a form that vectorises: a float64 quotient of two such integers
    is never rounded onto or past a whole number it should stay below, since it is 1 / b away from it."""
    return np.int64(np.float64(a) / np.float64(b))


@word
def falling_exp(x, x0, n):
    """`shift_exp` for x <= 0, in a form that vectorises."""
    t = max(x + (x >> 1) - (x >> 4), n * x0)
    k = quotient(-t, -x0)
    return ((t - k * x0 - 2 * x0) << (n - k)) >> 1


@word
def falling_exp_first(x, x0, n):
    """`falling_exp` whose half is taken first."""
    t = max(x + (x >> 1) - (x >> 4), n * x0)
    k = quotient(-t, -x0)
    return (((t - k * x0) >> 1) - x0) << (n - k)


FALLING = {"last": falling_exp, "first": falling_exp_first}
"""The word of a half."""


@word
def wrapped_exp(x, x0, n):
    """e in 32 bits that wrap, of any x; its half is taken first."""
    t = max(x + (x >> 1) - (x >> 4), n * x0)
    k = t // x0 if t <= 0 else -(t // -x0)
    e = (((t - k * x0) >> 1) - x0) << min(n - k, 32)
    return ((e & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def exponential(at, name, x, x0, n, half="last"):
    """`shift_exp` of an int64 array with its registers at the sites `name_t`, `name_k`, `name_r` and `name`; where the half is
    taken first, `name_half` is in front."""
    t = at(f"{name}_t", np.clip(x + (x >> 1) - (x >> 4), n * x0, (n - 32) * x0), I24)
    k = at(f"{name}_k", t // x0, I24)
    r = at(f"{name}_r", t - k * x0, I32)
    if half == "first":
        return at(name, (at.shift(f"{name}_half", "floor", r, 1, I32) - x0) << (n - k), I64)
    return at.shift(name, "floor", (r - 2 * x0) << (n - k), 1, I64)


def wrapped_exponential(at, name, x, x0, n):
    """`wrapped_exp` of an int64 array, with the same sites."""
    t = at(f"{name}_t", np.maximum(x + (x >> 1) - (x >> 4), n * x0), I24)
    k = at(f"{name}_k", np.minimum(t, 0) // x0 - np.maximum(t, 0) // -x0, I24)
    half = at.shift(f"{name}_half", "floor", at(f"{name}_r", t - k * x0, I32), 1, I32)
    return at.wrap(name, (half - x0) << np.minimum(n - k, 32), I32)


def sum_registers(row, ends, sizes, constants):
    """What the sum of a softmax over c reaches: as many times exp(0) as a row is long."""
    return shares.registers(row, Width(row.reciprocal + 1), sizes["c"], -int(constants["x0"]) << row.n)


def pair_registers(row, ends, sizes, constants):
    """What a sum of two exponentials reaches: that of -M, M the largest of a row less zp, has no end but its own where M may be
    below 0."""
    one, below = -int(constants["x0"]), ends["q"][0] < constants["zp"]
    yield "total", Width(row.reciprocal + 1), 0, (one << row.n) + (one << (32 if below else row.n))
