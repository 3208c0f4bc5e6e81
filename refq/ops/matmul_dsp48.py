"""matmul_dsp48: two activations times two weights in one multiplication of a DSP48: four products that borrow from each other.

    acc = bias + sum over k of (x - zx) * (w - zw), but for what a row leaves uncorrected

units    acc and bias count s_x*s_w; weights are stored (m k), activations (n r k); neighbours along r and along m share a
         multiplication, a last one alone has a code of 0 beside it
R1       two activations, without a sign, lie `x_apart` bits from one another in a word; two weights, with one, `w_apart` bits
R2       their product holds x0*w0, x1*w0, x0*w1 and x1*w1 from the lowest field up: it is exact in 48 bits
R3       approximate: a 1 is added to each field above one whose weight is negative (through the port C), as if its product were
R4       a field is the `bits` from its lowest one up, read with a sign. A negative field below has borrowed 1 from it; full: the
         bit below a field is added to it, which gives that back
R5       fields join their sums product by product
R6       codes are multiplied as they are: bias - zx * (sum of w) - zw * (sum of x) + k * zx * zw joins at the end
error    full: none. none: each product is right or 1 too small. approximate: each is right or 1 too large
source   Xilinx WP521 (INT4), as Sommer et al. (FPL 2022, arXiv 2203.11028) generalise and measure it; the offsets, and which
         field takes which sign in R3, are our reading
check    of all 65536 operands, averaged over the four fields: none is wrong in 37.35 % by a mean of 0.374, approximate by a mean
         of 0.0235 (0.02), in 3.125 % (3.13 %), 3.149 % and 3.137 % in the fields that have one below; never by more than 1
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import fields, packing
from refq.ints.accumulate import refuse
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, last_tile_lost, negated, tail_lost, tile_leaks, transposed
from refq.ints.width import I4, I32, I48, I64, U4, Width
from refq.machine import dsp48
from refq.machine.linear import weighted

PORTS = Width(18), Width(27)
"""The operands of a DSP48E2's multiplier; a word without a sign has one bit less."""


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(U4)
    w: Width = decided(I4)
    acc: Width = decided(I32)
    correction: str = choice("full", "none", "approximate")
    x_apart: int = 11
    w_apart: int = 22
    bits: int = 8

    def __post_init__(self):
        super().__post_init__()
        if self.x.signed or not self.w.signed or not self.acc.signed or self.acc.bits > 62:
            raise IllFormed(f"matmul_dsp48: activations of {self.x}, weights of {self.w} in {self.acc}; activations have no "
                            "sign, the others have one, and the accumulator at most 62 bits")
        if not 2 * self.x_apart <= self.w_apart or not self.bits <= self.x_apart:
            raise IllFormed(f"matmul_dsp48: fields of {self.bits} bits, {self.x_apart} and {self.w_apart} apart, lie upon one "
                            "another; set them further apart")
        fields.prove("matmul_dsp48", self.parts, 1, I48)
        for name, port, least, most in zip("xw", PORTS, (0, self.w.lo), (self.x.hi, self.w.hi)):
            apart = getattr(self, f"{name}_apart")
            if least * (1 + (1 << apart)) not in port or most * (1 + (1 << apart)) not in port:
                raise IllFormed(f"matmul_dsp48: two codes of {name}, {apart} bits apart, overflow the {port.bits} bits of their "
                                "port; set them closer, or take narrower ones")

    @property
    def parts(self):
        """The four Fields of a product."""
        ends = self.x.hi * self.w.lo, self.x.hi * self.w.hi
        return tuple(fields.Field(f"field {i} (x{i % 2}*w{i // 2})", at, Width(self.bits), *ends)
                     for i, at in enumerate(self.starts))

    @property
    def starts(self):
        """The lowest bit of each field."""
        return 0, self.x_apart, self.w_apart, self.x_apart + self.w_apart

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n r [k]"), "w": self.w("m [k]"), "bias": bias, "zx": self.x(), "zw": self.w("m")}

    @property
    def gives(self):
        return {"acc": self.acc("n r m")}


build = weighted


def registers(row, ends, sizes, constants):
    return packing.registers(row, ends, sizes, constants, int(row.correction != "full"))


def reach(operands, row, result, index):
    return packing.reach(operands, row, {"n": (0, 1), "r": (1, 2), "m": (2, 2)}, index)


def spec(x, w, bias, zx, zw, row, at=unwatched):
    x, w, zw = x.astype(np.int64), w.astype(np.int64), zw.astype(np.int64)
    bare = bias - zx * w.sum(1) - zw * x.sum(2)[..., None] + x.shape[2] * zx * zw                   # R6
    return refuse(at, "acc", fours_of(x, w, row, at) + bare, row.acc)                                      # R1 R2 R3 R4 R5


def fours_of(x, w, row, at=unwatched):
    """Sums of products of codes (n r m), as the fields of words give them."""
    (count, height, k), width = x.shape, len(w)
    pair = np.pad(x, ((0, 0), (0, height % 2), (0, 0))).reshape(count, (height + 1) // 2, 2, k)
    two = np.pad(w, ((0, width % 2), (0, 0))).reshape((width + 1) // 2, 2, k)
    left = at("packed_x", (pair[:, :, 0] + (pair[:, :, 1] << row.x_apart))[:, :, None], PORTS[0])   # R1
    right = at("packed_w", (two[:, 0] + (two[:, 1] << row.w_apart))[None, None], PORTS[1])          # R1
    word = at("product", left * right, I48)                                                         # R2
    if row.correction == "approximate":
        signs = (two[:, i] < 0 for i in (0, 0, 1))
        carry = sum(sign.astype(np.int64) << place for sign, place in zip(signs, row.starts[1:]))
        word = at.wrap("carried", word + at("carry", carry[None, None], I48), I48)                              # R3
    made = np.zeros((*word.shape[:3], 4), np.int64)
    for i, place in enumerate(row.starts):
        field = at.wrap("field", word >> place, Width(row.bits))                                    # R4
        if row.correction == "full" and i:
            field = at("repaired", field + (word >> place - 1 & 1), Width(row.bits))                # R4
        made[..., i] = field.sum(-1)                                                                # R5
    fours = at("total", made, I64).reshape(*word.shape[:3], 2, 2).transpose(0, 1, 4, 2, 3)
    return fours.reshape(count, 2 * pair.shape[1], 2 * len(two))[:, :height, :width]


@cache
def kernel(row):
    return dsp48.linear(row.correction, row.starts, row.bits)                                       # R1 R2 R3 R4 R5 R6


def real(x, w, bias):
    """The product of real activations (n r k) and weights (m k) with a bias (m); acc is near it in units of s_x*s_w."""
    return x @ w.T + bias


slips = (bias_dropped, negated("zx"), dropped("zw"), transposed("acc"), channels_shifted("bias", 1), channels_shifted("acc", 1),
         tail_lost("k", 4), tile_leaks("k", 4), last_tile_lost("acc", 4),
         *packing.orders(fours_of, lambda row: 2),
         packing.slip(fours_of, "activations_swapped", "The activations of a word are packed the other way round.",
                      lambda right, x, w, row: right(packing.turned(x, 1, 2), w, row)))


def r4_each_product_is_right_or_one_off(x, w, bias, zx, zw, row):
    """By no more than k, and by nothing where the correction is full."""
    off = spec(x, w, 0 * bias, 0, 0 * zw, row) - x.astype(np.int64) @ w.T.astype(np.int64)
    least, most = {"full": (0, 0), "none": (-x.shape[2], 0), "approximate": (0, x.shape[2])}[row.correction]
    return (least <= off) & (off <= most)


def r5_order_is_free(x, w, bias, zx, zw, row):
    """Columns from last to first give the same."""
    return spec(x[..., ::-1], w[:, ::-1], bias, zx, zw, row) == spec(x, w, bias, zx, zw, row)


PUBLISHED = {f"dsp48_int4x4_{correction}": Row(correction=correction) for correction in ("none", "approximate", "full")}
