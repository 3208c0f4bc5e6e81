"""dequantize_blocks: elements and scales of blocks become reals, as the bit patterns of float32 numbers.

    y = element(q) * scale(s of its block)

units    q counts the scale of its block, as quantize_blocks says; s is an e8m0, e4m3fn or float16 code; y, read as float32,
         counts 1
R1       every element and every scale is a float32 number; int8 under e8m0 scales counts 1/64, int4 is offset by 8
R2       under rule tensor the scale is float32(scale * g)
R3       the product is rounded to float32 once, ties to even; beyond its largest number it is infinite
R4       a NaN, of an element or of a scale, and 0 times infinity become the one pattern 0x7FC00000
error    2**-24 of y, or 2**-150; with R2 2**-23
source   as block_scales; R4's pattern is our reading
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import blocks, minifloat
from refq.ints.jit import jit
from refq.ints.minifloat import pattern, power
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import U32
from refq.ops import block_scales
from refq.ops.dequantize_minifloat import NAN


@dataclass(frozen=True)
class Row(block_scales.Row):
    @property
    def takes(self):
        return {"q": blocks.code_width(self.element)("n [c]"), "s": blocks.scale_width(self.rule)("n [b]"),
                "g": self.tensor_scale}

    @property
    def gives(self):
        return {"y": U32("n c")}

    def sizes(self, found):
        if blocks.count(self.shared, found["c"]) != found["b"]:
            raise IllFormed(f"dequantize_blocks: {found['b']} scales for {found['c']} elements in blocks of {self.shared}; give "
                            "one for each block")
        return {}


PUBLISHED = {name: Row(row.rule, row.element, row.shared) for name, row in block_scales.PUBLISHED.items() if row.rule in
             ("floor", "tensor", "q4_0", "q8_0")}
build = block_scales.build


@cache
def elements(row):
    """The number of every code, from the lowest: float32."""
    if row.element == "int4":
        return np.arange(-8, 8, dtype=np.float32)
    if row.element == "int8":
        return np.arange(-128, 128, dtype=np.float32) / np.float32(64 if row.rule in blocks.POWERS else 1)
    return minifloat.load(row.element).values.astype(np.float32)


@cache
def scales(row):
    """The number of every code of a scale: float32."""
    if row.rule in blocks.POWERS:
        return np.concatenate([power(np.arange(255) - 127), [np.nan]]).astype(np.float32)
    return minifloat.load("e4m3fn" if row.rule == "tensor" else "float16").values.astype(np.float32)


def spec(q, s, g, row, at=unwatched):
    number = elements(row)[q.astype(np.int64) - row.takes["q"].lo]                                  # R1
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scale = scales(row)[s.astype(np.int64)] * np.float32(g)                                                      # R1 R2
        product = number * np.repeat(scale, row.shared, -1)                                         # R3
    return at("y", np.where(np.isnan(product), NAN, pattern(product)), U32)                         # R4


@cache
def kernel(row):
    numbers, known, lowest, shared = elements(row), scales(row), row.takes["q"].lo, row.shared

    @jit(nogil=True, error_model="numpy")
    def dequantize_blocks(q, s, g, y):
        for n in range(q.shape[0]):
            for b in range(s.shape[1]):
                scale = known[s[n, b]] * np.float32(g)                                              # R1 R2
                for c in range(b * shared, (b + 1) * shared):
                    product = numbers[np.int64(q[n, c]) - lowest] * scale                           # R1 R3
                    y[n, c] = NAN if product != product else pattern(product)                       # R4

    return dequantize_blocks


def real(q, s, g, row):
    """The real number of one finite element under one finite scale."""
    number, scale = elements(row)[int(q) - row.takes["q"].lo], scales(row)[int(s)]
    return Fraction(float(number)) * Fraction(float(scale)) * Fraction(float(g))


def sign_of_the_scale_lost(run, operands, row):
    """The top bit of a scale is not looked at."""
    return run({**operands, "s": operands["s"] & (row.takes["s"].hi >> 1)})


def scale_of_the_first(run, operands, row):
    """All blocks of a row take the scale of the first."""
    return run({**operands, "s": np.ascontiguousarray(operands["s"][:, :1] + 0 * operands["s"])})


def topmost_read_as_numbers(run, operands, row):
    """Scales that are infinite or a NaN are read as the largest finite one."""
    s = operands["s"]
    if row.rule in blocks.POWERS:
        return run({**operands, "s": np.minimum(s, 254).astype(s.dtype)})
    f = minifloat.load("e4m3fn" if row.rule == "tensor" else "float16")
    return run({**operands, "s": (np.minimum(s & f.sign - 1, f.most) | s & f.sign).astype(s.dtype)})


slips = (sign_of_the_scale_lost, scale_of_the_first, topmost_read_as_numbers, channels_shifted("s", 1), channels_shifted("y", 1),
         last_tile_lost("y", 4))


def r3_the_order_of_rows_is_nothing(q, s, g, row):
    return spec(q[::-1], s[::-1], g, row)[::-1] == spec(q, s, g, row)


def r4_one_nan(q, s, g, row):
    """Whatever is a NaN has the one pattern."""
    y = spec(q, s, g, row)
    return ((y & 0x7FFFFFFF) <= 0x7F800000) | (y == NAN)
