"""quantize_blocks: the elements of blocks of numbers that share a scale, as codes; beside block_scales, which gives the scales.

    q = element(x / scale of its block)

units    x counts 1, q counts the scale of its block: a small float's bit pattern, or a whole number
R1       the scale of each block is chosen as block_scales says
R2       under e8m0 rules x is divided exactly; under tensor the float32 quotient by float32(scale * g); under q4_0 and q8_0 the
         float32 product with the float32 reciprocal of the scale before it is stored (0 where that has none)
R3       rounded to an element, ties as the row says; under q4_0 8.5 is added in float32 first and the sum cut; int8 under e8m0
         rules counts 1/64
R4       what is beyond the largest element becomes it, infinite quotients and NaN too; whole numbers lie in -127..127, or 0..15
R5       the sign of 0 is that of x; or it is minus only for x < 0; or never
R6       where the block's scale is a NaN every element is 0
error    half a step while R4 is idle, under nearest roundings and e8m0 scales
source   as block_scales; microsoft/microxcaling mx/elemwise_ops.py (nearest = half_away, even, floor = trunc); ggml
         best_index_mxfp4 (half_zero: the first of two as near). R6, and q4_0 and q8_0 where C leaves it open, are our reading
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import blocks, minifloat, rounding
from refq.ints.jit import jit
from refq.ints.minifloat import exponent, negative, power
from refq.ints.operand import F32
from refq.ints.row import choice
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, I16, Width
from refq.machine.blocks import coder, largest, storer, unstored
from refq.ops import block_scales

SIGNS = ("of_x", "below_zero", "never")


@dataclass(frozen=True)
class Row(block_scales.Row):
    ties: str = choice("half_even", *rounding.names)
    zero: str = choice("of_x", *SIGNS)

    @property
    def gives(self):
        return {"q": blocks.code_width(self.element)("n c")}

    @property
    def steps(self):
        """The register of whole numbers before they are clipped."""
        return Width(6) if self.element == "int4" else I8 if self.rule == "q8_0" else I16

    def sizes(self, found):
        blocks.count(self.shared, found["c"])
        return {}


PUBLISHED = {name: Row(row.rule, row.element, row.shared) for name, row in block_scales.PUBLISHED.items()} | {
    "mxfp4_away": Row("floor", "e2m1fn", ties="half_away"), "mxint8_away": Row("floor", "int8", ties="half_away"),
    "mxfp4_ggml": Row("floor", "e2m1fn", ties="half_zero", zero="never"), "nvfp4": Row("tensor", "e2m1fn", 16, zero="below_zero"),
    "q4_0": Row("q4_0", "int4", ties="trunc"), "q8_0": Row("q8_0", "int8", ties="half_away")}
build = block_scales.build


def quotients(x, g, row):
    """(numbers in units of their block's scale (n b shared), float64; whether that scale is a NaN (n b 1))."""
    parts, most = blocks.extremes(x, row.rule, row.shared)
    if row.rule in blocks.POWERS:
        codes = block_scales.spec(x, g, row)[..., None]
        return np.where(codes == 255, 0.0, np.float64(parts)) * power(127 - np.minimum(codes, 254)), codes == 255
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        if row.rule == "tensor":
            stored = minifloat.load("e4m3fn").values[block_scales.spec(x, g, row)].astype(np.float32)
            value = parts / (stored * np.float32(g))[..., None]
        else:
            value = parts * blocks.reciprocal(blocks.unrounded(most, g, row.rule))[..., None]
            value = value + np.float32(8.5) if row.rule == "q4_0" else value
    return np.float64(value), np.zeros((*most.shape, 1), bool)


def spec(x, g, row, at=unwatched):
    value, none = quotients(x, g, row)                                                                  # R1 R2
    value = at("value", value, F32)
    if row.element in ("int8", "int4"):
        unit = 64 if row.rule in blocks.POWERS else 1
        whole = at.nearest("steps", row.ties, value * unit, row.steps)                                  # R3
        lo, hi = (0, 15) if row.element == "int4" else (-127, 127)
        return at("q", np.clip(whole, lo, hi), row.gives["q"].width).reshape(x.shape)                  # R4 R6
    f = minifloat.load(row.element)
    endless = ~np.isfinite(value)
    finite = np.where(endless, 0.0, value)
    e = np.maximum(exponent(finite), f.least)
    steps = at.nearest("steps", row.ties, finite * power(f.mantissa - e), Width(f.mantissa + 3))        # R3
    low = np.abs(steps) + (e - f.least << f.mantissa)
    low = np.where(endless | (low > f.most), f.most, low)                                               # R4
    parts = x.reshape(value.shape)
    minus = {"of_x": negative(parts), "below_zero": parts < 0, "never": (parts < 0) & (low > 0)}[row.zero]     # R5
    return at("q", np.where(none, 0, low | minus * np.int64(f.sign)), f.width).reshape(x.shape)         # R6


@cache
def kernel(row):
    shared, signed, coded = row.shared, row.rule == "q4_0", coder(row)
    stored = storer(row.rule, row.element)
    powers, tensor, added = row.rule in blocks.POWERS, row.rule == "tensor", np.float32(8.5 if row.rule == "q4_0" else 0)
    before = unstored(row.rule) if not powers else None
    values = minifloat.load("e4m3fn").values

    @jit(nogil=True, error_model="numpy")
    def quantize_blocks(x, g, q):
        for n in range(x.shape[0]):
            for first in range(0, x.shape[1], shared):
                most = largest(x[n, first:first + shared], signed)
                if powers:
                    code = stored(most, np.float32(g))                                                  # R1
                    factor = power(127 - code)
                    for c in range(first, first + shared):
                        q[n, c] = coded(x[n, c] * factor, x[n, c]) if code < 255 else 0        # R2 R3 R4 R5 R6
                elif tensor:
                    divisor = np.float32(values[stored(most, np.float32(g))]) * np.float32(g)
                    for c in range(first, first + shared):
                        q[n, c] = coded(np.float64(x[n, c] / divisor), x[n, c])                         # R2
                else:
                    inverse = np.float32(1) / before(most, np.float32(g))
                    inverse = np.float32(0) if np.abs(inverse) == np.inf else inverse
                    for c in range(first, first + shared):
                        q[n, c] = coded(np.float64(np.float32(x[n, c] * inverse) + added), x[n, c])     # R2

    return quantize_blocks


def subnormals_flushed(run, operands, row):
    """Elements that are subnormal, and whole numbers of magnitude 1, become 0."""
    results = run(operands)
    q = results["q"]
    if row.element in ("int8", "int4"):
        return {"q": np.where(np.abs(q.astype(np.int64)) == 1, 0, q).astype(q.dtype)}
    f = minifloat.load(row.element)
    return {"q": np.where((q & f.sign - 1) < 1 << f.mantissa, q & f.sign, q).astype(q.dtype)}


slips = (subnormals_flushed, block_scales.largest_of_the_first(8), channels_shifted("q", 1), last_tile_lost("q", 4))


def r3_keeps_order(x, g, row):
    """In a block larger numbers never give smaller elements."""
    there = np.where(np.isfinite(x), x, np.float32(0)).reshape(len(x), x.shape[1] // row.shared, row.shared)
    ordered = np.ascontiguousarray(np.sort(there, -1))
    if row.rule == "q4_0":          # its scale, which is negative where the first of the largest is not, must stay
        return np.True_
    q = spec(ordered.reshape(x.shape), g, row).reshape(ordered.shape)
    values = q if row.element in ("int8", "int4") else minifloat.load(row.element).values[q]
    return np.diff(values, axis=-1) >= 0


def r6_a_block_is_alone(x, g, row):
    """The elements of a block depend on its own numbers only."""
    alone = np.ascontiguousarray(x.reshape(-1, row.shared))
    return spec(alone, g, row).reshape(x.shape) == spec(x, g, row)
