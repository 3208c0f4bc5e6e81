"""block_scales: the scale of every block of numbers along a row, as codes; beside quantize_blocks, which gives their elements.

    s[n, b] = code(scale of x[n, b * shared : (b + 1) * shared])

units    x counts 1; s is a code of an e8m0, e4m3fn or float16 number, as refq/ints/blocks.py says by rule
R1       a block's amax is its largest magnitude; under q4_0 the first number of that magnitude, with its sign
R2       amax becomes a scale by the rule, every float32 rounding written out
R3       the scale is stored: as e8m0 exactly; as e4m3fn rounded to the nearest, ties to even, at most 448; as float16 so,
         infinite beyond 65504
R4       a block of zeros has code 0, or under rule tensor the scale 1; under e8m0 rules a block with a NaN or an infinity has 255
error    none: the scale is what the rule says
source   OCP Microscaling Formats v1.0, 6.3; pytorch/ao torchao/prototype/mx_formats/mx_tensor.py (even, ceil, round_up);
         NVIDIA/Model-Optimizer modelopt/torch/quantization/qtensor/nvfp4_tensor.py; ggml-org/ggml src/ggml-quants.c
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import blocks, minifloat
from refq.ints.jit import jit
from refq.ints.minifloat import exponent, pattern, power
from refq.ints.operand import F32, Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import U8, Width
from refq.machine.blocks import largest, storer

FINEST, COARSEST = 2.0 ** -100, 2.0 ** 100
"""The tensor scales under which no quotient leaves float32 but where its block does."""


@dataclass(frozen=True)
class Row(Base):
    rule: str = choice("floor", *blocks.RULES)
    element: str = choice("e4m3fn", *blocks.ELEMENTS)
    shared: int = decided(32)

    def __post_init__(self):
        super().__post_init__()
        if self.element not in blocks.FITS[self.rule]:
            raise IllFormed(f"blocks: rule {self.rule} with elements {self.element}; it is defined for "
                            f"{', '.join(blocks.FITS[self.rule])}")
        if not isinstance(self.shared, int) or self.shared < 1:
            raise IllFormed(f"blocks: shared is {self.shared!r}; at least one number shares a scale")

    @property
    def takes(self):
        return {"x": self.numbers, "g": self.tensor_scale}

    @property
    def gives(self):
        return {"s": blocks.scale_width(self.rule)("n b")}

    @property
    def numbers(self):
        open_ended = self.rule in blocks.POWERS
        return Operand(F32, "n [c]", -np.inf, np.inf, True) if open_ended else F32("n [c]")

    @property
    def tensor_scale(self):
        return F32("", *((FINEST, COARSEST) if self.rule == "tensor" else (1, 1)))

    def sizes(self, found):
        return {"b": blocks.count(self.shared, found["c"])}


PUBLISHED = {
    **{name: Row("floor", element) for name, element in (
        ("mxfp8_e4m3", "e4m3fn"), ("mxfp8_e5m2", "e5m2"), ("mxfp6_e3m2", "e3m2fn"), ("mxfp6_e2m3", "e2m3fn"), ("mxfp4", "e2m1fn"),
        ("mxint8", "int8"))},
    **{f"mxfp4_{rule}": Row(rule, "e2m1fn") for rule in ("even", "ceil", "round_up")},
    "mxfp8_round_up": Row("round_up", "e4m3fn"), "nvfp4": Row("tensor", "e2m1fn", 16),
    "q4_0": Row("q4_0", "int4"), "q8_0": Row("q8_0", "int8")}


def build(row, g=1.0):
    """The constant of a step: the scale of the whole tensor, a real number, rounded to float32; 1 but for rule tensor."""
    single, declared = np.float32(g), row.takes["g"]
    if not declared.lo <= single <= declared.hi:
        raise IllFormed(f"blocks: a tensor scale of {g!r}; under rule {row.rule} allowed is {declared.lo} to {declared.hi}")
    return {"g": single}


def spec(x, g, row, at=unwatched):
    _, most = blocks.extremes(x, row.rule, row.shared)
    most = at("most", most, F32)                                                                    # R1
    if row.rule in blocks.POWERS:
        return at("s", blocks.exponents(row.rule, row.element)(pattern(most)), U8)            # R2 R3 R4
    scale = np.float64(at("scale", blocks.unrounded(most, g, row.rule), F32))                              # R2 R4
    f = minifloat.load("e4m3fn" if row.rule == "tensor" else "float16")
    endless = np.isinf(scale)
    finite = np.where(endless, 0.0, scale)
    e = np.maximum(exponent(finite), f.least)
    steps = at.nearest("steps", "half_even", finite * power(f.mantissa - e), Width(f.mantissa + 3))
    low = np.abs(steps) + (e - f.least << f.mantissa)
    low = np.where(endless | (low > f.most), f.infinity or f.most, low)                             # R3
    return at("s", low | f.sign * minifloat.negative(scale), blocks.scale_width(row.rule))


@cache
def kernel(row):
    shared, signed, stored = row.shared, row.rule == "q4_0", storer(row.rule, row.element)

    @jit(nogil=True, error_model="numpy")
    def block_scales(x, g, s):
        for n in range(s.shape[0]):
            for b in range(s.shape[1]):
                most = largest(x[n, b * shared:(b + 1) * shared], signed)                           # R1
                s[n, b] = stored(most, np.float32(g))                                               # R2 R3 R4

    return block_scales


def largest_of_the_first(t):
    """amax is sought among the first t of each block."""
    def slip(run, operands, row):
        parts = operands["x"].reshape(len(operands["x"]), operands["x"].shape[1] // row.shared, row.shared).copy()
        parts[..., t:] = parts[..., :1]
        return run({**operands, "x": parts.reshape(operands["x"].shape)})
    slip.__name__ = slip.__qualname__ = f"largest_of_the_first({t})"
    return slip


def signs_counted(run, operands, row):
    """amax is the largest number, not the largest magnitude; 0 where all are negative."""
    return run({**operands, "x": np.maximum(operands["x"], np.float32(0))})


slips = (largest_of_the_first(8), largest_of_the_first(1), signs_counted, channels_shifted("s", 1), last_tile_lost("s", 4))


def r1_the_order_of_a_block_is_nothing(x, g, row):
    """But for the sign of rule q4_0, which is that of the first of the largest."""
    mask = 0x7FFF if row.rule == "q4_0" else 0xFFFF
    parts = x.reshape(len(x), x.shape[1] // row.shared, row.shared)
    turned = np.ascontiguousarray(parts[..., ::-1]).reshape(x.shape)
    return (spec(turned, g, row) & mask) == (spec(x, g, row) & mask)


def r2_doubles_with_the_block(x, g, row):
    """Twice the numbers have the next code under e8m0 rules, as far as there is one and nothing is subnormal."""
    there = np.where(np.isfinite(x) & (np.abs(x) < 2.0 ** 100) & (np.abs(x) > 2.0 ** -90), x, np.float32(0))
    a, b = spec(there, g, row), spec(there * np.float32(2), g, row)
    return (b == a + (a > 0)) | (row.rule not in blocks.POWERS)
