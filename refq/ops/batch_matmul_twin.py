"""batch_matmul_twin: attention (or what leaves a GELU) times values where the left codes lie on a twin uniform grid.

    acc = sum over k of ((w - zw) * count) << (shift if the code is a coarse one, else 0)

units    x counts fine or fine * 2**shift (refq.grids.twin); w counts s_w and is stored (n m k); acc counts fine * s_w
R1       the zero point is taken off before the product
R2       an unsigned code with its top bit set is coarse and counts the rest of it; a signed one is coarse from 0 up
R3       a product with a coarse code is shifted left
R4       the terms join as the row says: exactly where it says nothing, and what does not fit is refused
error    exact while the accumulator is not left: acc is the product of what the codes stand for
source   Yuan et al. 2022 (PTQ4ViT, ECCV), section 3.2: the two regions are aligned by a shift
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate, join
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, not_cleared, previous_case, tail_lost, tile_leaks, transposed
from refq.ints.width import I8, I32, U8, Width
from refq.machine import tabled


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(U8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    shift: int = decided(4)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        tabled.admit(self, "batch_matmul_twin")
        tabled.narrow("batch_matmul_twin", self.shift + self.x.bits, self.w)
        if self.shift < 0:
            raise IllFormed(f"batch_matmul_twin: steps that differ by 2**{self.shift}; the shift is at least 0")

    @property
    def takes(self):
        return {"x": self.x("n r [k]"), "w": self.w("n m [k]"), "zw": self.w()}

    @property
    def gives(self):
        return {"acc": self.acc("n r m")}


def build(row, zw):
    """The constant of a step: the zero point of the values."""
    return {"zw": zw}


def geometry(grid):
    """The fields of the row that the grid of the left codes decides, and what acc counts for values of scale 1."""
    return {"shift": grid.shift}, grid.fine


def constants(grid):
    """What `build` makes of that grid beside the zero point of the values: nothing."""
    return {}


def registers(row, ends, sizes, constants):
    half = 1 << row.x.bits - 1
    return tabled.registers(row, sizes, -half if row.x.signed else 0, half - 1 << row.shift, ends["w"], constants["zw"])


def parts(x, row):
    """Of codes: what they count, and by how much that is shifted."""
    half = 1 << row.x.bits - 1
    coarse = x >= (0 if row.x.signed else half)
    return (x if row.x.signed else x & half - 1), np.where(coarse, row.shift, 0)


def spec(x, w, zw, row, at=unwatched):
    w = w.astype(np.int64)
    count, up = parts(x.astype(np.int64), row)                                                                 # R2

    def term(k):
        value = at("value", w[:, None, :, k] - zw, Width(row.w.bits + 1))                                      # R1
        product = at("product", value * count[:, :, k, None], Width(row.w.bits + row.x.bits))
        return at("raised", product << up[:, :, k, None], Width(row.w.bits + row.x.bits + row.shift))      # R3

    start = np.zeros((len(x), x.shape[1], w.shape[1]), np.int64)
    return join(term, x.shape[2], tabled.rule_of(row), start, at)                                              # R4


@cache
def kernel(row):
    product, lo, shift, signed = tabled.tabled(row.w, tabled.rule_of(row)), row.x.lo, row.shift, row.x.signed
    codes, half = 1 << row.x.bits, 1 << row.x.bits - 1

    @jit(nogil=True)
    def batch_matmul_twin(x, w, zw, acc):
        factors = np.empty(codes, np.int64)
        for i in range(codes):
            c = i + lo
            if signed:
                factors[i] = c << shift if c >= 0 else c                                                       # R2 R3
            else:
                factors[i] = (c - half) << shift if c >= half else c                                           # R2 R3
        for n in range(x.shape[0]):
            product(x[n], lo, factors, w[n], zw, acc[n])                                                       # R1 R4

    return batch_matmul_twin


def real(x, w):
    """The products of real activations (n r k) and (n m k); acc is it in units of fine * s_w."""
    return x @ w.swapaxes(1, 2)


def regions_mixed_up(run, operands, row):
    """The bit that says the region is read the other way round."""
    x = operands["x"]
    return run({**operands, "x": x ^ x.dtype.type(row.x.lo if row.x.signed else 1 << row.x.bits - 1)})


slips = (negated("zw"), dropped("zw"), transposed("w"), transposed("acc"), previous_case("w"), channels_shifted("acc", 1),
         tail_lost("k", 4), tile_leaks("k", 4), not_cleared("acc", 1), regions_mixed_up)


def r3_is_the_product_of_the_levels(x, w, zw, row):
    """In fine steps, codes stand for whole numbers; where the accumulator holds all, acc is their product."""
    if row.accumulate is not None or row.shift + row.x.bits + row.w.bits + int(x.shape[2]).bit_length() > 52:
        return True
    count, up = parts(x.astype(np.int64), row)
    return spec(x, w, zw, row) == real(np.ldexp(count.astype(np.float64), up), w.astype(np.float64) - zw)
