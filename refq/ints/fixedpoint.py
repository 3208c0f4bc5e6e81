"""exp, reciprocals, sigmoid and tanh in 32-bit fixed point, as gemmlowp has them.

A raw of k integer bits, Qk.(31-k), stands for raw / 2**(31-k). Each word serves Python integers, int64 arrays and kernels.

    high(a, b)              a*b / 2**31, half up: gemmlowp's SaturatingRoundingDoublingHighMul. The one product that saturates,
                            of -2**31 with itself, no operation here makes
    exp_neg(a, k)           e**a as Q0.31, for a <= 0 of k integer bits, 0 <= k <= 5: the last quarter and less by four terms
                            of a series around -1/8, the rest by a factor for each bit; 0 gives 2**31 - 1
    reciprocal(a)           1 / (1 + a) as Q0.31 for a in 0 .. 1 of Q0.31: three of Newton's steps in Q2.29
    one_minus_over(a)       (1 - a) / (1 + a), by the same steps
    logistic(a, k)          1 / (1 + e**-a) as Q0.31, for a of k integer bits: 1 of Q0.31 less what the positive one gives,
                            for a negative a
    tanh(a, k)              likewise, odd; k at most 4

error    exp_neg 2**-22, reciprocal 2**-28, one_minus_over 2**-27, logistic 2**-23, tanh 2**-22
source   google/gemmlowp fixedpoint/fixedpoint.h, commit 16e8662
"""
from refq.ints.jit import word
from refq.ints.rounding import half_away, half_up

ONE = (1 << 31) - 1
THIRD, EIGHTH = 715827883, 1895147668
"""1/3 and e**(-1/8) as Q0.31."""
FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
"""e**-(2**i) as Q0.31, for i from -2 to 4."""
INTERCEPT, SLOPE = 1515870810, -1010580540
"""48/17 and -32/17 as Q2.29: the line from which Newton's steps start."""


@word
def high(a, b):
    return half_up(a * b, 31)


@word
def at_most_one(x):
    """Q0.31 of a value that may reach 1."""
    return x - (x - ONE) * (x > ONE)


@word
def exp_neg(a, k):
    quarter = 29 - k
    last = (a & ((1 << quarter) - 1)) - (1 << quarter)
    x = (last << k) + (1 << 28)
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    tail = half_away(high(half_away(x4, 2) + x3, THIRD) + x2, 1)
    result = EIGHTH + high(EIGHTH, x + tail)
    rest, bit = last - a, quarter
    for factor in FACTORS:
        taken = (rest >> bit) & (bit < 31)
        result = result + (high(result, factor) - result) * (taken & 1)
        bit += 1
    return result + (ONE - result) * (a == 0)


@word
def inverse(a):
    """2 / (1 + a) as Q2.29."""
    half = (a + ONE + 1) >> 1
    x = INTERCEPT + high(half, SLOPE)
    for _ in range(3):
        x = x + (high(x, (1 << 29) - high(half, x)) << 2)
    return x


@word
def reciprocal(a):
    return at_most_one(inverse(a) << 1)


@word
def one_minus_over(a):
    return at_most_one((inverse(a) - (1 << 29)) << 2)


@word
def logistic(a, k):
    below = a < 0
    positive = reciprocal(exp_neg(a - 2 * a * (a > 0), k))
    result = positive + (ONE - 2 * positive) * below
    return result + ((1 << 30) - result) * (a == 0)


@word
def tanh(a, k):
    positive = one_minus_over(exp_neg(a - 2 * a * (a > 0), k + 1))
    result = positive - 2 * positive * (a < 0)
    return result - result * (a == 0)
