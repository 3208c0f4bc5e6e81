"""One over a square root, in 32-bit fixed point, as TensorFlow Lite has it: five steps of Newton's from 1.

    held(v)             v (0 <= v < 2**31) by pairs of bits up or down to 2**27 .. 2**29 - 1, and 0 or 1 as 2
    steps(v)            how many pairs that were, down counted positive, from 11 on: the shift of the result
    multiplier(v)       m: 1 / sqrt(v) is about m / 2**(31 + exponent(v)); 2**31 - 1 for v below 2
    exponent(v)         0 at least

error    a relative 2**-19 from v = 2 on
check    multiplier(2) is 1518498372, multiplier(1) is 2**31 - 1
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/common.h, GetInvSqrtQuantizedMultiplierExp
"""
from refq.ints.bits import length
from refq.ints.fixedpoint import high
from refq.ints.jit import word
from refq.ints.rounding import half_away

LO, HI = -(1 << 31), (1 << 31) - 1
HALF_THREE, HALF_ROOT = (1 << 28) + (1 << 27), 1518500250
"""3/2 as Q3.28, and the root of 1/2 as Q0.31."""


@word
def raised(x, bits):
    """x * 2**bits, saturated to 32 bits."""
    x = x << bits
    x = x + (HI - x) * (x > HI)
    return x + (LO - x) * (x < LO)


@word
def pairs(v):
    """By how many pairs of bits v goes up (or, negative, down) to 2**27 .. 2**29 - 1."""
    return (29 - length(v)) >> 1


@word
def multiplier(v):
    small = v < 2
    v = v + (2 - v) * small
    p = pairs(v)
    up, down = p * (p > 0), -p * (p < 0)
    a = ((v << 2 * up) >> 2 * down) >> 1
    half, x = half_away(a, 1), (a & 0) + (1 << 28)
    for _ in range(5):
        cube = raised(high(high(x, x), x), 6)
        x = raised(high(HALF_THREE, x) - high(half, cube), 3)
    x = high(x, HALF_ROOT)
    over = (p - 11) * (p > 11)
    return (x << over) + (HI - (x << over)) * small


@word
def exponent(v):
    e = 11 - pairs(v + (2 - v) * (v < 2))
    return e * (e > 0) * (v > 1)
