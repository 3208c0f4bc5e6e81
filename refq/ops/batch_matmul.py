"""batch_matmul: activations times activations, image by image (and head by head).

    acc = sum over k of (x - zx) * (w - zw)

units    acc counts s_x*s_w; w is stored (n m k), as the weights of a matmul are
R1       the zero points are taken off before the product
R2       the products join as the row says: exactly where it says nothing, and what does not fit is refused;
         as in matmul where it says that the codes themselves are multiplied
error    exact while the accumulator is not left
source   Jacob et al. 2018, section 2.3; TOSA 1.0 MATMUL
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints.accumulate import Accumulate, combined
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import (
    channels_shifted,
    dropped,
    negated,
    not_cleared,
    previous_case,
    tail_lost,
    tile_leaks,
    transposed,
)
from refq.ints.width import I8, I32, Width
from refq.machine.linear import admit, linear, paired_registers, rule_of


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit(self, "batch_matmul")

    @property
    def takes(self):
        return {"x": self.x("n r [k]"), "w": self.w("n m [k]"), "zx": self.x(), "zw": self.w()}

    @property
    def gives(self):
        return {"acc": self.acc("n r m")}


def build(row, zx, zw):
    """The constants of a step: the zero points of the two sides."""
    return {"zx": zx, "zw": zw}


registers = paired_registers


def spec(x, w, zx, zw, row, at=unwatched):
    x, w = x.astype(np.int64), w.astype(np.int64)
    start = np.zeros((len(x), x.shape[1], w.shape[1]), np.int64)
    return combined(lambda k: (x[:, :, k, None] - zx) * (w[:, None, :, k] - zw),              # R1
                    lambda k: x[:, :, k, None] * w[:, None, :, k], x.shape[2], rule_of(row), start, at)     # R2


@cache
def kernel(row):
    product = linear(row.x, row.w, rule_of(row))

    @jit(nogil=True)
    def batch_matmul(x, w, zx, zw, acc):
        zeros, bias = np.full(w.shape[1], zw, np.int64), np.zeros(w.shape[1], np.int64)
        for n in range(x.shape[0]):
            product(x[n], w[n], bias, zx, zeros, acc[n])                                      # R1 R2

    return batch_matmul


def real(x, w):
    """The products of real activations (n r k) and (n m k); acc is it in units of s_x*s_w."""
    return x @ w.swapaxes(1, 2)


slips = (negated("zx"), dropped("zw"), transposed("w"), transposed("acc"), previous_case("w"),
         channels_shifted("acc", 1), tail_lost("k", 4), tile_leaks("k", 4), not_cleared("acc", 1))


def r1_zero_points_shift_the_codes(x, w, zx, zw, row):
    """Products are of differences: codes less their zero points, under zero points of 0, give the same."""
    if rule_of(row).products == "codes":
        return True
    return spec(x.astype(np.int64) - zx, w.astype(np.int64) - zw, 0, 0, row) == spec(x, w, zx, zw, row)


def r2_sides_change_places(x, w, zx, zw, row):
    """The product of the sides in the other order is the transpose."""
    return rule_of(row).products == "codes" or spec(w, x, zw, zx, row).transpose(0, 2, 1) == spec(x, w, zx, zw, row)
