"""matmul_groups: activations times weights that have a scale for each group of neighbours along k, in one accumulator.

    acc = bias + sum over groups g of mult[m, g] * (sum over k in g of (x - zx) * (w - zw[m, g]))

units    acc and bias count s_x * u, u a 2**-fraction of the largest scale of a channel; mult counts u; weights are stored (m k)
R1       the zero points, for the weights that of their group, are taken off before the product
R2       the products of a group are summed exactly, in a register of their own, which holds any 128 of 8 bits by 8
R3       each sum is multiplied by the multiplier of its group, exactly, and joins the accumulator, which starts with the bias;
         what a register does not hold is refused
R4       a multiplier is the scale of its group in units of u, to the nearest, ties to even, and at least 1
error    half of u for the scale of each group; nothing else is rounded
source   stated here: integer kernels read group-wise weights in ways of their own. Where scales are whole multiples of one
         another's unit, as QServe makes them (arXiv 2405.04532), it is exact
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.accumulate import refuse
from refq.ints.jit import jit
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, last_tile_lost, negated, not_cleared, tail_lost, tile_leaks
from refq.ints.spans import factor, spanned
from refq.ints.width import I8, I24, I32, I48, I64, U16, Width, at_most
from refq.machine.linear import products


@dataclass(frozen=True)
class Row(Base):
    fraction: int = choice(15, 8, 11, acts="build")
    x: Width = decided(I8)
    w: Width = decided(I8)
    part: Width = decided(I24)
    acc: Width = decided(I48)
    block: int = decided(32)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "matmul_groups", self.x, self.w)
        if self.block < 1 or not self.acc.signed or not self.part.signed:
            raise IllFormed(f"matmul_groups: groups of {self.block} in {self.part} and {self.acc}; a group has at least one "
                            "code, and sums need a sign")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n [k]"), "w": self.w("m [k]"), "bias": bias, "zx": self.x(), "zw": self.w("m g"),
                "mult": Operand(U16, "m g", 1)}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}

    def sizes(self, found):
        if found["g"] != -(-found["k"] // self.block):
            raise IllFormed(f"matmul_groups: {found['g']} groups of {self.block} codes, and {found['k']} codes in a row; there "
                            "is one scale for each group")
        return {}


def unit(row, scale):
    """What acc counts of each channel, for activations of scale 1: scales (m groups)."""
    return np.max(scale, 1) * 2.0 ** -row.fraction


def build(row, w, bias, zx, zw, scale):
    """The constants of a step: codes, zero points (m groups), and multipliers of real scales (m groups)."""
    mult = np.maximum(np.rint(scale / unit(row, scale)[:, None]), 1).astype(np.int64)                        # R4
    return {"w": w, "bias": bias, "zx": zx, "zw": zw, "mult": mult}


def groups(row, k):
    """The slices of the groups of k codes."""
    return [slice(at, min(at + row.block, k)) for at in range(0, k, row.block)]


def registers(row, ends, sizes, constants):
    """What the sums of the groups and the accumulator reach (refq.ints.spans)."""
    w, zw = constants["w"].astype(np.int64), constants["zw"].astype(np.int64)
    x, bias = factor(ends["x"], int(constants["zx"])), constants["bias"].astype(np.int64)
    ends, mult = [products(x, w[:, part] - zw[:, g, None]) for g, part in enumerate(groups(row, w.shape[1]))], constants["mult"]
    yield "part", row.part, *spanned([(0 * bias, 0 * bias), *ends])
    least, most = (sum((end[i] * mult[:, g] for g, end in enumerate(ends)), 0 * bias) for i in (0, 1))
    yield "acc", row.acc, np.minimum(bias, 0) + least, np.maximum(bias, 0) + most


def spec(x, w, bias, zx, zw, mult, row, at=unwatched):
    x, w, zw, mult = (a.astype(np.int64) for a in (x, w, zw, mult))
    acc = refuse(at, "acc", np.zeros((len(x), len(w)), np.int64) + bias, row.acc)                             # R3
    for g, part in enumerate(groups(row, x.shape[1])):
        total = refuse(at, "part", (x[:, part] - zx) @ (w[:, part] - zw[:, g, None]).T, row.part)             # R1 R2
        acc = refuse(at, "acc", acc + at("carried", total * mult[:, g], row.acc), row.acc)                    # R3 R4
    return acc


@cache
def kernel(row):
    block = row.block

    @jit(nogil=True)
    def matmul_groups(x, w, bias, zx, zw, mult, acc):
        k = x.shape[1]
        for n in range(x.shape[0]):
            for m in range(w.shape[0]):
                total = np.int64(bias[m])
                for g in range((k + block - 1) // block):
                    zero, part = np.int64(zw[m, g]), np.int64(0)
                    for i in range(g * block, min(k, (g + 1) * block)):
                        part += (np.int64(x[n, i]) - zx) * (np.int64(w[m, i]) - zero)                         # R1 R2
                    total += part * np.int64(mult[m, g])                                                      # R3 R4
                acc[n, m] = total

    return matmul_groups


def real(x, w, bias):
    """The product of real activations (n k) and weights (m k) with a bias (m); acc is it in units of s_x * u."""
    return x @ w.T + bias


def groups_off_by_one(run, operands, row):
    """Each group takes the multiplier and the zero points of the next one."""
    return run({**operands, **{name: np.roll(operands[name], -1, 1) for name in ("zw", "mult")}})


def first_group_for_all(run, operands, row):
    """The multiplier of the first group carries all: what is per group is read as per channel."""
    return run({**operands, "mult": np.repeat(operands["mult"][:, :1], operands["mult"].shape[1], 1)})


def groups_along_channels(run, operands, row):
    """Multipliers are read as they lie the other way round, channels within groups."""
    mult = operands["mult"]
    return run({**operands, "mult": np.ascontiguousarray(mult.T).reshape(mult.shape)})


slips = (bias_dropped, negated("zx"), dropped("zw"), groups_off_by_one, first_group_for_all, groups_along_channels,
         channels_shifted("bias", 1), channels_shifted("acc", 1), tail_lost("k", 4), tile_leaks("k", 4),
         not_cleared("acc", 1), last_tile_lost("acc", 4))


def r1_zero_points_shift_the_codes(x, w, bias, zx, zw, mult, row):
    """Products are of differences: codes less their zero points, under zero points of 0, give the same."""
    zeros = np.repeat(zw.astype(np.int64), row.block, 1)[:, :w.shape[1]]
    return spec(x.astype(np.int64) - zx, w.astype(np.int64) - zeros, bias, 0, 0 * zw, mult, row) == spec(
        x, w, bias, zx, zw, mult, row)


def r3_equal_multipliers_are_one_factor(x, w, bias, zx, zw, mult, row):
    """Where all groups of a channel have one multiplier, it multiplies the sum of all products."""
    if not mult.shape[1]:
        return True
    first = np.repeat(mult[:, :1], mult.shape[1], 1)
    whole = spec(x, w, 0 * bias, zx, zw, first * 0 + 1, row)
    return spec(x, w, bias, zx, zw, first, row) == bias + whole * first[:, 0].astype(np.int64)
