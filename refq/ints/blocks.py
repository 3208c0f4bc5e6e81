"""Blocks that share a scale: which scale each rule gives a block, and what its elements are.

    rule      scale                                                     is stored as   seen in
    floor     2**(floor(log2 amax) - top)                               e8m0           OCP MX v1.0, 6.3; microxcaling; ggml
    even      the same of amax rounded to the element's mantissa first  e8m0           torchao EVEN
    ceil      2**(ceil(log2 amax) - top)                                e8m0           torchao CEIL
    round_up  amax / largest element, up to a power of two              e8m0           cuBLAS 3.1.5; torchao RCEIL
    tensor    (amax / 6) / g, g of the tensor; 1 for a block of zeros   e4m3fn         NVFP4: modelopt qtensor/nvfp4_tensor.py
    q4_0      the first number that is largest, over -8                 float16        ggml quantize_row_q4_0_ref
    q8_0      amax / 127                                                float16        ggml quantize_row_q8_0_ref

`top` is the exponent of the largest element. e8m0 is an exponent of two of 8 bits: code c means 2**(c - 127), 255 is a NaN. Codes
beyond its ends are 0 and 254; a block with an infinity or a NaN, and under even and round_up one whose scale would be beyond
float32, has 255. Words serve scalars of kernels and arrays of specs.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints import minifloat
from refq.ints.jit import word
from refq.ints.minifloat import pattern
from refq.ints.width import I8, U4, U8, U16

POWERS = ("floor", "even", "ceil", "round_up")
RULES = (*POWERS, "tensor", "q4_0", "q8_0")
FLOATS = ("e4m3fn", "e5m2", "e3m2fn", "e2m3fn", "e2m1fn")
ELEMENTS = (*FLOATS, "int8", "int4")
"""Small floats; int8: whole numbers of 1/64 under e8m0 scales, of 1 under q8_0; int4: offset by 8."""
TOP = {"e4m3fn": 8, "e5m2": 15, "e3m2fn": 4, "e2m3fn": 2, "e2m1fn": 2, "int8": 0}
MANTISSA = {"int8": 6} | {name: minifloat.load(name).mantissa for name in FLOATS}
LARGEST = {"int8": 127 / 64} | {name: float(minifloat.load(name).values[minifloat.load(name).most]) for name in FLOATS}
FITS = {"tensor": ("e2m1fn",), "q4_0": ("int4",), "q8_0": ("int8",)} | dict.fromkeys(POWERS, (*FLOATS, "int8"))
"""Rule to the elements that it is defined for."""


def code_width(element):
    return {"int8": I8, "int4": U4}.get(element) or minifloat.load(element).width


def scale_width(rule):
    return U16 if rule in ("q4_0", "q8_0") else U8


@word
def biased(bits):
    return bits >> 23


def exponents(rule, element):
    """A word of the pattern of amax (float32, not negative): the e8m0 code."""
    top, half, inverse = TOP[element], 1 << 22 - MANTISSA[element], np.float32(1 / LARGEST[element])

    @word
    def floor(bits):
        return within(biased(bits) - top, bits)

    @word
    def even(bits):
        return within(biased(bits + half) - top, bits + half)

    @word
    def ceil(bits):
        return within(biased(bits) + ((bits & 0x7FFFFF) > 0) - top, bits)

    @word
    def round_up(bits):
        scaled = pattern(np.uint32(bits).view(np.float32) * inverse)
        rest, subnormal = scaled & 0x7FFFFF, biased(scaled) == 0
        # below float32's normal numbers code 0 is 2**-127 itself
        return within(biased(scaled) + ((rest > 0x400000) | ((rest > 0) & (not_(subnormal)))), scaled)

    return {"floor": floor, "even": even, "ceil": ceil, "round_up": round_up}[rule]


@word
def not_(flag):
    return flag ^ True


@word
def within(code, bits):
    """Between the ends; 255 where the number was none, or infinite."""
    low = code * (code > 0)
    ended = low + (254 - low) * (low > 254)
    return ended + (255 - ended) * (bits >= 0x7F800000)


def count(shared, size):
    """How many blocks there are; raises IllFormed where they do not divide the row."""
    if size % shared:
        raise IllFormed(f"blocks: a row of {size} numbers in blocks of {shared}, which do not divide it; "
                        "pad it with zeros, or choose another axis")
    return size // shared


def extremes(x, rule, shared):
    """(parts, amax): the numbers as (n b shared), and of each block its amax: (n b), float32; under q4_0 the first number
    of that magnitude."""
    parts = x.reshape(len(x), count(shared, x.shape[1]), shared)
    size = np.abs(parts)
    if rule == "q4_0":
        return parts, np.take_along_axis(parts, size.argmax(-1)[..., None], -1)[..., 0] + np.float32(0)     # -0 is 0
    return parts, size.max(-1)


def unrounded(most, g, rule):
    """The scale in float32 before it is stored, by the rules that have one."""
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        if rule == "tensor":
            return np.where(most == 0, np.float32(1), most / np.float32(6) / np.float32(g))
        return most / np.float32(-8 if rule == "q4_0" else 127)


def reciprocal(scale):
    """float32(1 / scale), 0 where there is none."""
    with np.errstate(divide="ignore"):
        inverse = np.float32(1) / scale
    return np.where(np.isinf(inverse), np.float32(0), inverse)
