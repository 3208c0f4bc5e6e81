"""The oracle of backends' rescales: each project's formula as its source has it, on unbounded integers and fractions.

It shares no code with refq and little between backends: where two agree, two formulas did. A scale is a fraction; `fractions`
that come from float32 arithmetic are rounded by tests.oracle.float32_of. Every function gives a number that is not clipped yet,
but for those whose registers clip on the way.
"""
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor, frexp

from tests.oracle import float32_of


def cut(x, d):
    """x / d toward zero."""
    return x // d if x >= 0 else -(-x // d)


def low(x, bits):
    return (x + 2 ** (bits - 1)) % 2 ** bits - 2 ** (bits - 1)


def held(x, bits):
    return max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, x))


# gemmlowp and TensorFlow Lite: tensorflow/lite/kernels/internal/{common.h,quantization_util.cc}

def quantized_multiplier(scale):
    """QuantizeMultiplier: (m, s), scale = m / 2**31 * 2**s."""
    if scale == 0:
        return 0, 0
    mantissa, exponent = frexp(float(scale))
    m = floor(Fraction(mantissa) * 2 ** 31 + Fraction(1, 2))
    if m == 2 ** 31:
        m, exponent = m // 2, exponent + 1
    return (m, exponent) if exponent >= -31 else (0, 0)


def srdhm(a, b):
    """SaturatingRoundingDoublingHighMul."""
    if a == b == -(2 ** 31):
        return 2 ** 31 - 1
    product = a * b
    return cut(product + (2 ** 30 if product >= 0 else 1 - 2 ** 30), 2 ** 31)


def rdbpot(x, e):
    """RoundingDivideByPOT."""
    mask = 2 ** e - 1
    rest = x % 2 ** e
    return (x >> e) + (rest > (mask >> 1) + (x < 0))


def tflite_double(x, m, s):
    return rdbpot(srdhm(low(x << max(s, 0), 32), m), max(-s, 0))


def tflite_single(x, m, s):
    t = 31 - s
    return (x * m + 2 ** (t - 1)) >> t


def cmsis_double(v, m, s):
    """arm_nn_requantize: no_sat_mult, then divide_by_power_of_two."""
    high = (low(v << max(s, 0), 32) * m + 2 ** 30) >> 31
    return rdbpot(high, max(-s, 0))


def cmsis_single(v, m, s):
    return ((v * m) >> (30 - s)) + 1 >> 1


# TOSA: pseudocode/library/scale_helpers.tosac

def apply_scale_32(v, m, shift, double):
    rounding = 2 ** (shift - 1)
    if double and shift > 31:
        rounding += 2 ** 30 if v >= 0 else -(2 ** 30)
    return (v * m + rounding) >> shift


# QNNPACK and XNNPACK: a float32 as its bits

def mantissa24(scale):
    """(24 bits, biased exponent) of a float32 that is not subnormal: scale = mantissa * 2**(E - 150)."""
    mantissa, exponent = frexp(float(scale))
    return int(Fraction(mantissa) * 2 ** 24), exponent + 126


def qnnpack_q31(x, scale):
    mantissa, biased = mantissa24(scale)
    shift = 126 - biased
    q = (x * (mantissa << 7) + 2 ** 30) >> 31
    mask = 2 ** shift - 1
    rest = (q & mask) - (q < 0)
    return (q >> shift) + (rest > mask >> 1)


def qnnpack_precise(x, scale):
    mantissa, biased = mantissa24(scale)
    shift = 150 - biased
    size = (abs(x) * mantissa + 2 ** (shift - 1)) >> shift
    return size if x >= 0 else -size


def xnnpack_rndnu(x, scale):
    mantissa, biased = mantissa24(scale)
    shift = 150 - biased
    return (x * mantissa + 2 ** (shift - 1)) >> shift


def xnnpack_rndnu16(x, scale):
    mantissa, biased = mantissa24(scale)
    exponent = biased - 127
    multiplier = min(2 ** 15 - 1, (mantissa + 2 ** 8) >> 9)
    left = exponent + 1
    moved = held(x << left, 32) if left >= 0 else (x + (1 << -left - 1)) >> -left
    return (held(moved, 16) * multiplier + 2 ** 14) >> 15


# Glow: lib/Quantization/Base/Base.cpp and Base.h

def glow_transform(scale):
    """(pre, post, scale) of quantizeScaleOffset32To8."""
    scale = Fraction(scale)
    for e in range(-60, 31):
        if scale == Fraction(2) ** e:
            return (0, 0, 2 ** e) if e >= 0 else (0, -e, 1)
    pre = post = 0
    while scale < Fraction(1, 2) or (scale < 256 and post < 15):
        scale, post = scale * 2, post + 1
    while scale < 255 and pre < post // 2:
        scale, pre = scale * 2, pre + 1
    return pre, post, floor(scale + Fraction(1, 2))


def glow(x, scale):
    pre, post, multiplier = glow_transform(scale)
    return low((x >> pre) * multiplier + (2 ** (post - 1) if post else 0), 32) >> post


# TVM, VTA, DPU

def tvm(x, n):
    """realize.cc: a rounding shift."""
    return (x + 2 ** (n - 1)) >> n if n > 0 else x << -n


def vta(x, n):
    """SHR, then the store of 8 bits."""
    return low(x >> n if n > 0 else x << -n, 8)


def dpu_round(x):
    return floor(x + Fraction(1, 2))


# Gemmini: AccumulatorScale.scala, Arithmetic.scala

def even(x):
    whole = floor(x)
    rest = x - whole
    return whole + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1))


def gemmini(acc, scale):
    return even(float32_of(float32_of(Fraction(acc)) * Fraction(scale)))


def gemmini_shift(x, u):
    """The rounding shift of integers: the last bit dropped, unless it stands alone before an even number."""
    if u == 0:
        return x
    bit, below = (x >> u - 1) & 1, x & 2 ** (u - 1) - 1
    return (x >> u) + (bit & (int(below != 0) | (x >> u) & 1))


# NVDLA: ac_fixed with AC_RND_INF and AC_SAT

def away(x, n):
    """x / 2**n, ties away from zero."""
    size = (2 * abs(x) + 2 ** n) // (2 * 2 ** n)
    return size if x >= 0 else -size


def nvdla(acc, truncate, offset, scale, shift):
    """CACC's output, then a converter of SDP."""
    return away((held(away(acc, truncate), 32) - offset) * scale, shift)


def nvdla_scale(scale):
    """The 15 bits of mantissa that fit: TFLite's multiplier without its low 16 bits, as (scale, shift)."""
    m, s = quantized_multiplier(scale)
    return (min((m + 2 ** 15) >> 16, 2 ** 15 - 1), 15 - s) if m else (0, 0)


# Ethos-U: ethosu/vela/scaling.py

def vela_scale(scale):
    mantissa, exponent = frexp(float(scale))
    quantized, shift = floor(Fraction(mantissa) * 2 ** 31 + Fraction(1, 2)), 31 - exponent
    return (quantized, shift) if 0 <= shift < 64 else (0, 16)


def ethosu(x, scale, mode):
    m, shift = vela_scale(scale)
    if mode == "natural":
        return (x * m + 2 ** shift // 2) >> shift
    if mode == "truncate":
        return cut(x * m, 2 ** shift)
    lifted = low(x << max(31 - shift, 0), 32)
    return rdbpot((lifted * m + 2 ** 30) >> 31, max(shift - 31, 0))


# I-BERT: fairseq/quantization/utils/quant_utils.py

def float64_of(x):
    """The float64 nearest to an integer, ties to even."""
    size, exponent = Fraction(abs(x)), 0
    while size >= 2 ** 53:
        size, exponent = size / 2, exponent + 1
    value = even(size) * 2 ** exponent
    return value if x >= 0 else -value


def ibert(x, scale):
    mantissa, exponent = frexp(float(scale))
    m = int(Decimal(mantissa * 2 ** 31).quantize(Decimal("1"), rounding=ROUND_HALF_UP))
    return even(Fraction(float64_of(x * m)) / Fraction(2) ** (31 - exponent))


# Deeploy: TargetLibraries/Generic/src/RequantShift_s8.c

def requant_shift(x, mul, add, log2d):
    total = low(low(x * mul, 32) + add, 32)
    if log2d > 0:
        total = low(total + 2 ** (log2d - 1), 32)
    return total >> log2d
