"""matmul: activations times weights, plus a bias, in an accumulator.

    acc = bias + sum over k of (x - zx) * (w - zw)

units    acc and bias count s_x*s_w; weights are stored (m k)
R1       the zero points are taken off before the product
R2       the sum starts with the bias
R3       the products join it as the row says: exactly where it says nothing, and what does not fit is refused; where it says
         that the codes themselves are multiplied, zero points and bias join the sum at its end, which wraps
error    exact while the accumulator is not left
source   Jacob et al. 2018, section 2.3; ONNX MatMulInteger; TOSA 1.0 MATMUL
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints.accumulate import Accumulate, combined
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import (
    bias_dropped,
    channels_shifted,
    dropped,
    last_tile_lost,
    negated,
    not_cleared,
    tail_lost,
    tile_leaks,
    transposed,
)
from refq.ints.width import I8, I32, I64, Width
from refq.machine.linear import admit, linear, rule_of, weighted, weighted_registers


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit(self, "matmul")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n [k]"), "w": self.w("m [k]"), "bias": bias, "zx": self.x(), "zw": self.w("m")}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}


build, registers = weighted, weighted_registers


def spec(x, w, bias, zx, zw, row, at=unwatched):
    x, w, zeros = x.astype(np.int64), w.astype(np.int64), zw.astype(np.int64)
    start = np.zeros((len(x), len(w)), np.int64) + bias                                       # R2
    return combined(lambda k: (x[:, k, None] - zx) * (w[:, k] - zeros),                       # R1
                    lambda k: x[:, k, None] * w[:, k], x.shape[1], rule_of(row), start, at)   # R3


@cache
def kernel(row):
    return linear(row.x, row.w, rule_of(row))                                                 # R1 R2 R3


def real(x, w, bias):
    """The product of real activations (n k) and weights (m k) with a bias (m); acc is it in units of s_x*s_w."""
    return x @ w.T + bias


slips = (bias_dropped, negated("zx"), dropped("zw"), transposed("acc"), channels_shifted("bias", 1),
         channels_shifted("acc", 1), tail_lost("k", 4), tail_lost("k", 16), tile_leaks("k", 4), tile_leaks("k", 16),
         not_cleared("acc", 1), not_cleared("acc", 8), last_tile_lost("acc", 4))


def r1_zero_points_shift_the_codes(x, w, bias, zx, zw, row):
    """Products are of differences: codes less their zero points, under zero points of 0, give the same."""
    if rule_of(row).products == "codes":
        return True
    moved = spec(x.astype(np.int64) - zx, w.astype(np.int64) - zw.astype(np.int64)[:, None], bias, 0, 0 * zw, row)
    return moved == spec(x, w, bias, zx, zw, row)


def r2_no_products_give_the_bias(x, w, bias, zx, zw, row):
    return spec(x[:, :0], w[:, :0], bias, zx, zw, row) == bias


def r3_codes_at_zero_add_nothing(x, w, bias, zx, zw, row):
    """Where all of x is its zero point the sum is the bias, however products of differences join."""
    return rule_of(row).products == "codes" or spec(np.full_like(x, zx), w, bias, zx, zw, row) == bias
