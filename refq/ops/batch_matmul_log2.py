"""batch_matmul_log2: attention times values where attention lies on a log2 grid: shifts and sums.

    acc = sum over k of (w - zw) << (deepest - x),   nothing for a code that means 0

units    x counts nothing: code c is first * 2**-c; w counts s_w and is stored (n m k); acc counts first * 2**-deepest * s_w
R1       the zero point is taken off before the shift
R2       shifted left, so that no bit is lost: code 0 by `deepest`, the deepest power by 0
R3       a code beyond `deepest` adds nothing
R4       the terms join as the row says: exactly where it says nothing, and what does not fit is refused
error    exact while the accumulator is not left: acc is the product of what the codes stand for
source   Lin et al. 2022 (FQ-ViT), section 3.3: V << (N - code), and N taken off the scale behind the sum
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate, join
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import Sites, unwatched
from refq.ints.slips import channels_shifted, dropped, negated, not_cleared, previous_case, tail_lost, tile_leaks, transposed
from refq.ints.width import I8, I32, U4, Width
from refq.machine import tabled


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(U4)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    deepest: int = decided(15)
    highest: int = decided(15)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        tabled.admit(self, "batch_matmul_log2")
        tabled.narrow("batch_matmul_log2", self.deepest + 1, self.w)
        if self.x.signed or not 0 <= self.deepest <= self.highest <= min(self.x.hi, self.deepest + 1):
            raise IllFormed(f"batch_matmul_log2: powers to code {self.deepest} of {self.highest} in {self.x}; they have no sign, "
                            "and at most one lies beyond the powers, and means 0")

    @property
    def takes(self):
        return {"x": self.x("n r [k]", 0, self.highest), "w": self.w("n m [k]"), "zw": self.w()}

    @property
    def gives(self):
        return {"acc": self.acc("n r m")}


def build(row, zw):
    """The constant of a step: the zero point of the values."""
    return {"zw": zw}


def geometry(grid):
    """The fields of the row that the grid of the left codes decides, and what acc counts for values of scale 1."""
    return {"deepest": grid.deepest, "highest": grid.hi}, grid.first * 2.0 ** -grid.deepest


def constants(grid):
    """What `build` makes of that grid beside the zero point of the values: nothing."""
    return {}


def registers(row, ends, sizes, constants):
    return tabled.registers(row, sizes, 0, 1 << row.deepest, ends["w"], constants["zw"])


def spec(x, w, zw, row, at=unwatched):
    x, w = x.astype(np.int64), w.astype(np.int64)
    some, up = x <= row.deepest, np.maximum(row.deepest - x, 0)

    def term(k):
        value = at("value", w[:, None, :, k] - zw, Width(row.w.bits + 1))                                      # R1
        raised = at("raised", value << up[:, :, k, None], Width(row.w.bits + row.deepest + 1))                 # R2
        return np.where(some[:, :, k, None], raised, 0)                                                        # R3

    start = np.zeros((len(x), x.shape[1], w.shape[1]), np.int64)
    return join(term, x.shape[2], tabled.rule_of(row), start, at)                                              # R4


@cache
def kernel(row):
    product, deepest, highest = tabled.tabled(row.w, tabled.rule_of(row)), row.deepest, row.highest

    @jit(nogil=True)
    def batch_matmul_log2(x, w, zw, acc):
        factors = np.zeros(highest + 1, np.int64)                                                              # R3
        for c in range(deepest + 1):
            factors[c] = 1 << deepest - c                                                                      # R2
        for n in range(x.shape[0]):
            product(x[n], 0, factors, w[n], zw, acc[n])                                                        # R1 R4

    return batch_matmul_log2


def real(x, w):
    """The products of real activations (n r k) and (n m k); acc is it in units of first * 2**-deepest * s_w."""
    return x @ w.swapaxes(1, 2)


def zero_is_a_power(run, operands, row):
    """The code that means 0 is taken for one more power, the smallest that is held."""
    return run({**operands, "x": np.minimum(operands["x"], row.deepest).astype(operands["x"].dtype)})


def shifted_right(run, operands, row):
    """Values are shifted right by their codes, which loses bits, and raised at the end."""
    class Lossy(Sites):
        def __call__(self, name, value, width):
            return value >> row.deepest << row.deepest if name == "raised" else value

    return run(operands, at=Lossy())


slips = (negated("zw"), dropped("zw"), transposed("w"), transposed("acc"), previous_case("w"), channels_shifted("acc", 1),
         tail_lost("k", 4), tile_leaks("k", 4), not_cleared("acc", 1), zero_is_a_power, shifted_right)


def r2_is_the_product_of_the_powers(x, w, zw, row):
    """In units of the deepest power, codes stand for whole numbers; where the accumulator holds all, acc is their product."""
    if row.accumulate is not None or row.deepest + row.w.bits + 1 + int(x.shape[2]).bit_length() > 52:
        return True
    powers = np.where(x <= row.deepest, np.ldexp(1.0, row.deepest - x.astype(np.int64)), 0.0)
    return spec(x, w, zw, row) == real(powers, w.astype(np.float64) - zw)


def r3_zeros_add_nothing(x, w, zw, row):
    """Values that only the code of 0 meets may be any."""
    if row.highest == row.deepest or not w.shape[1]:
        return True
    unseen = (x > row.deepest).all(axis=1)[:, None, :]
    return spec(x, np.where(unseen, row.w.hi, w), zw, row) == spec(x, w, zw, row)
