"""exp by shifts, as I-ViT has it: `shift_exp(x, x0, n)` is about |x0| * 2**n * exp(x * s) for codes x of scale s.

    t = x + (x >> 1) - (x >> 4)                   x * log2(e), whose series is cut to 1 + 1/2 - 1/16 = 1.4375
    t = t within n*x0 .. (n - 32)*x0              x0 = floor(-1/s) is the code of -1
    k = floor(t / x0);  r = t - k*x0              a whole number of halvings, and what is left: x0 < r <= 0
    e = floor((r/2 - x0) * 2**(n - k))            2**-f on [0, 1) is the chord 1 - f/2

Below n*x0 no smaller e is left to tell apart. Above (n - 32)*x0, where the authors' float32 goes on growing, e is at
least 2**31, and what reads it saturates there: the same bits in 64 of them. e is at least |x0|, never 0.
For -2**18 < x < 2**18, -2**24 <= x0 <= -1 and 1 <= n <= 31: e < 2**57.

source   Li and Gu 2023 (I-ViT); zkkli/I-ViT models/quantization_utils/quant_modules.py
"""
from fractions import Fraction

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import word
from refq.ints.width import I24, I32, I64

FINEST = -(1 << 24)
"""The lowest x0: what 64 bits hold."""


def unit(scale, name):
    """x0 = floor(-1 / scale), decided exactly; raises IllFormed for a scale above 1 or below 2**-24."""
    # `whole` may round a scale of 1 up to the next float32
    if not 0 < scale <= 1 + 2 ** -20 or -1 // Fraction(scale) < FINEST:
        raise IllFormed(f"{name}: codes of scale {float(scale)!r} have no code for -1 between {FINEST} and -1; "
                        "quantize its input with a scale between 2**-24 and 1, or use a wider input")
    return int(-1 // Fraction(scale))


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


def exponential(at, name, x, x0, n):
    """`shift_exp` of an int64 array with its registers at the sites `name_t`, `name_k`, `name_r` and `name`."""
    t = at(f"{name}_t", np.clip(x + (x >> 1) - (x >> 4), n * x0, (n - 32) * x0), I24)
    k = at(f"{name}_k", t // x0, I24)
    r = at(f"{name}_r", t - k * x0, I32)
    return at.shift(name, "floor", (r - 2 * x0) << (n - k), 1, I64)
