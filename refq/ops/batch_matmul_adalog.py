"""batch_matmul_adalog: attention times values where each code of attention stands for a factor and a shift, from two tables.

    acc = sum over k of ((w - zw) * mantissa[x]) << (deepest - shift[x])

units    code c of x is unit * mantissa[c] * 2**-shift[c]; w counts s_w and is stored (n m k); acc counts unit * 2**-deepest * s_w
R1       the zero point is taken off before the product
R2       mantissas are whole numbers of so many bits as the row says; the code that means 0 has the mantissa 0
R3       shifted left, so that no bit is lost: a code of shift 0 by `deepest`
R4       the terms join as the row says: exactly where it says nothing, and what does not fit is refused
error    exact while the accumulator is not left: acc is the product of what the codes stand for
source   Wu et al. 2024 (AdaLog, ECCV), section 3.2: two small tables; Li et al. 2023 (RepQ-ViT), section 3.3: log-sqrt2
         codes, whose mantissas are 2**f and the square root of 2 in f bits, by the parity of the code
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
from refq.ints.width import I8, I16, I48, U4, Width
from refq.machine import tabled


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(U4)
    w: Width = decided(I8)
    acc: Width = decided(I48)
    deepest: int = decided(15)
    highest: int = decided(15)
    mantissa: int = decided(5)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        tabled.admit(self, "batch_matmul_adalog")
        tabled.narrow("batch_matmul_adalog", self.deepest + self.mantissa, self.w)
        if self.x.signed or not 0 <= self.highest <= self.x.hi or self.deepest < 0 or not 1 <= self.mantissa <= 15:
            raise IllFormed(f"batch_matmul_adalog: codes to {self.highest} in {self.x}, shifts to {self.deepest}, mantissas of "
                            f"{self.mantissa} bits; codes are unsigned, and mantissas have 1 to 15 bits")

    @property
    def takes(self):
        return {"x": self.x("n r [k]", 0, self.highest), "w": self.w("n m [k]"), "zw": self.w(),
                "mantissa": I16("i", 0, (1 << self.mantissa) - 1), "shift": I8("i", 0, self.deepest)}

    @property
    def gives(self):
        return {"acc": self.acc("n r m")}

    def sizes(self, found):
        if found["i"] != self.highest + 1:
            raise IllFormed(f"batch_matmul_adalog: tables of {found['i']} entries; {self.highest + 1} codes need as many")
        return {}


def build(row, zw, mantissa, shift):
    """The constants of a step: the zero point of the values and the two tables."""
    return {"zw": zw, "mantissa": mantissa, "shift": shift}


def geometry(grid):
    """The fields of the row that the grid of the left codes decides, and what acc counts for values of scale 1."""
    deepest, most = int(grid.shifts.max()), int(grid.mantissas.max())
    return {"deepest": deepest, "highest": grid.hi, "mantissa": most.bit_length()}, grid.unit * 2.0 ** -deepest


def constants(grid):
    """What `build` makes of that grid beside the zero point of the values: the tables, with an entry for 0 if it has a code."""
    zero = [0] * (grid.hi - grid.deepest)
    return {"mantissa": [*grid.mantissas.tolist(), *zero], "shift": [*grid.shifts.tolist(), *zero]}


def registers(row, ends, sizes, constants):
    factors = constants["mantissa"].astype(np.int64) << row.deepest - constants["shift"].astype(np.int64)
    return tabled.registers(row, sizes, 0, int(factors.max()), ends["w"], constants["zw"])


def spec(x, w, zw, mantissa, shift, row, at=unwatched):
    x, w = x.astype(np.int64), w.astype(np.int64)
    factor, up = mantissa.astype(np.int64)[x], row.deepest - shift.astype(np.int64)[x]                         # R2

    def term(k):
        value = at("value", w[:, None, :, k] - zw, Width(row.w.bits + 1))                                      # R1
        product = at("product", value * factor[:, :, k, None], Width(row.w.bits + row.mantissa + 1))           # R2
        return at("raised", product << up[:, :, k, None], Width(row.w.bits + row.mantissa + row.deepest + 1))  # R3

    start = np.zeros((len(x), x.shape[1], w.shape[1]), np.int64)
    return join(term, x.shape[2], tabled.rule_of(row), start, at)                                              # R4


@cache
def kernel(row):
    product, deepest = tabled.tabled(row.w, tabled.rule_of(row)), row.deepest

    @jit(nogil=True)
    def batch_matmul_adalog(x, w, zw, mantissa, shift, acc):
        factors = np.empty(mantissa.size, np.int64)
        for c in range(mantissa.size):
            factors[c] = np.int64(mantissa[c]) << deepest - np.int64(shift[c])                                 # R2 R3
        for n in range(x.shape[0]):
            product(x[n], 0, factors, w[n], zw, acc[n])                                                        # R1 R4

    return batch_matmul_adalog


def real(x, w):
    """The products of real activations (n r k) and (n m k); acc is it in units of unit * 2**-deepest * s_w."""
    return x @ w.swapaxes(1, 2)


slips = (negated("zw"), dropped("zw"), transposed("w"), transposed("acc"), previous_case("w"), tail_lost("k", 4),
         channels_shifted("acc", 1), channels_shifted("mantissa", 1), channels_shifted("shift", 1), tile_leaks("k", 4),
         not_cleared("acc", 1))


def r2_one_table_would_do(x, w, zw, mantissa, shift, row):
    """Mantissas that are shifted beforehand, in a row without shifts, give the same."""
    wide = row.mantissa + row.deepest
    if wide > 15:
        return True
    raised = (mantissa.astype(np.int64) << row.deepest - shift.astype(np.int64)).astype(np.uint16)
    other = Row(row.x, row.w, row.acc, 0, row.highest, wide, row.accumulate)
    return spec(x, w, zw, raised, shift * 0, other) == spec(x, w, zw, mantissa, shift, row)


def r3_is_the_product_of_the_levels(x, w, zw, mantissa, shift, row):
    """In units of the deepest shift, codes stand for whole numbers; where the accumulator holds all, acc is their product."""
    if row.accumulate is not None or row.mantissa + row.deepest + row.w.bits + 1 + int(x.shape[2]).bit_length() > 52:
        return True
    levels = np.ldexp(mantissa.astype(np.float64), row.deepest - shift.astype(np.int64))
    return spec(x, w, zw, mantissa, shift, row) == real(levels[x], w.astype(np.float64) - zw)
