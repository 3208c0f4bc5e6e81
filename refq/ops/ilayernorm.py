"""ilayernorm: LayerNorm by integers: a rounded mean, an integer square root, one division a row.

    y = sign * (round(u / 2**down) + beta),  u = floor(d * F / 2),  d = q - mean q,
    F = floor((2**31 - 1) / root(sum of d*d))

units    q counts any scale, y of channel c counts |gamma| * sqrt(C) / 2**(30 - down), C the number of channels
R1       the mean is rounded, half to even by the authors, of a sum that is exact, or joined as `accumulate` says: then the mean
         saturates at q's ends; it takes the zero point off as well
R2       the sum of squares is exact, or joined as `squares` says, and then at least 0; not divided by C, nothing is added to it
R3       the root is the row's, and at least 1
R4       one division a row, floored; the product is halved and floored: -2**30 <= u < 2**30, saturated if sums are joined
R5       u is lowered half up where beta needs the room; down = 32 leaves nothing of it: the channel is constant
R6       beta joins, counted in units of y
R7       the sign of gamma comes last, so that scales stay positive
error    with D the standard deviation of q, z = (q - mean) / D and R = D*sqrt(C) - 1: two units of y and
         |gamma| * (sqrt(C)/(2*R) + |z| * (1/(8*D*D) + 1/R + R/2**30)); with the root newton10 while the sum of squares
         is at least 34597, below which the root is too large: by a tenth at 9111, and it stays at 64
source   Li and Gu 2023 (I-ViT); zkkli/I-ViT models/quantization_utils/quant_modules.py, IntLayerNorm: gamma's sign is
         in the scale, down is 0, gamma = 0 is undefined, and float32 carries integers, so u is rounded to 24 bits
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import roots, rounding, spans
from refq.ints.accumulate import Accumulate, admit_sum, keeper, less, squared, summing_of, total_of, within
from refq.ints.fold import CONSTANT, MOST, channels
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, Width, at_most

ONE, SQUARES = I32.hi, Width(61, False)


@dataclass(frozen=True)
class Row(Base):
    root: str = choice("newton10", *roots.names)
    mean: str = choice("half_even", *rounding.names)
    q: Width = decided(I8)
    accumulate: Accumulate | None = None
    squares: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "ilayernorm", self.q)
        admit_sum("ilayernorm", self.accumulate, self.squares)

    @property
    def rounds(self):
        return f"mean {self.mean}, {self.root}, floor"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "beta": I32("c", -MOST, MOST + 1), "sign": I8("c", -1, 1),
                "down": I8("c", 0, CONSTANT)}

    @property
    def gives(self):
        return {"y": I32("n c")}

    def sizes(self, found):
        return never_empty("c", found, "ilayernorm")


def build(row, scale, zero, gamma, beta, eps):
    """The constants of a step from the real weights `gamma` and `beta` (c), decided exactly; the rest plays no part."""
    return dict(zip(("beta", "sign", "down"), channels(gamma, beta)))


def result(row, scale, gamma, beta):
    """The scale of y for each channel: (c) float64, positive."""
    return np.array(channels(gamma, beta)[3])


registers = spans.moments


def spec(q, beta, sign, down, row, at=unwatched):
    q, rules = q.astype(np.int64), (row.accumulate, row.squares)
    mean = at.divide("mean", row.mean, total_of(at, "total", q, row.accumulate), q.shape[1], row.q)     # R1
    d = at("d", q - within(at, "mean_held", mean, row.q, row.accumulate), Width(row.q.bits + 1))        # R1
    squares = total_of(at, "squares", d * d, row.squares)                                          # R2
    squares = within(at, "squares_held", squares, SQUARES, row.squares)                            # R2
    root = at("root", np.maximum(roots.word(row.root)(squares), 1), I32)                           # R3
    factor = at.divide("factor", "floor", ONE, root, I32)                                          # R4
    u = within(at, "u_held", at.shift("u", "floor", d * factor, 1, I32), Width(31), *rules)        # R4
    u = at.shift("lowered", "half_up", u, down.astype(np.int64), I32)                              # R5
    return at("y", sign.astype(np.int64) * at("joined", u + beta, I32), I32)                       # R6 R7


@cache
def kernel(row):
    mean_of, root_of, half_up = rounding.divide(row.mean), roots.word(row.root), rounding.word("half_up")
    sum_of, squares_of = summing_of(row.accumulate, less), summing_of(row.squares, squared)
    held = keeper(row.q, row.accumulate)
    narrow, squares_held = keeper(Width(31), row.accumulate, row.squares), keeper(SQUARES, row.squares)

    @jit(nogil=True, error_model="numpy")
    def ilayernorm(q, beta, sign, down, y):
        channels = q.shape[1]
        for r in range(q.shape[0]):
            mean = held(mean_of(sum_of(q[r], 0), channels))                                        # R1
            factor = ONE // max(root_of(squares_held(squares_of(q[r], mean))), 1)                  # R2 R3 R4
            for c in range(channels):
                u = half_up(narrow(((q[r, c] - mean) * factor) >> 1), np.int64(down[c]))           # R4 R5
                y[r, c] = np.int64(sign[c]) * (u + beta[c])                                        # R6 R7

    return ilayernorm


def real(q, gamma, beta):
    """LayerNorm of each row with eps = 0, 0 where the row is constant: q (n c) codes of any scale; float64."""
    d = q - q.mean(axis=1, keepdims=True, dtype=np.float64)
    deviation = np.sqrt((d * d).mean(axis=1, keepdims=True))
    return gamma * d / np.where(deviation == 0, 1, deviation) + beta


slips = (dropped("beta"), dropped("down"), channels_shifted("beta", 1), first_for_all("beta", "sign"),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_free_of_the_zero_point(q, beta, sign, down, row):
    """Adding an even constant to a whole row changes nothing; some roundings see the sign, which must stay then."""
    q = q.astype(np.int64)
    moved = q + ((row.q.hi - q.max(axis=1, keepdims=True)) & -2)
    turned = (q.sum(axis=1, keepdims=True) < 0) != (moved.sum(axis=1, keepdims=True) < 0)
    return (spec(moved, beta, sign, down, row) == spec(q, beta, sign, down, row)) | turned | (row.accumulate is not None)


def r4_near_the_real_value(q, beta, sign, down, row):
    """With gamma 1 and beta 0, within the bound of LayerNorm."""
    c = q.shape[1]
    deviation = q.std(axis=1, keepdims=True, dtype=np.float64)
    rest = deviation * np.sqrt(c) - 1
    exact = row.accumulate is row.squares is None
    known = (rest > 0) & exact & ((row.root == "exact") | (deviation ** 2 * c > 34597)) & row.mean.startswith("half")
    rest, variance, unit = np.where(known, rest, 1), np.where(known, deviation, 1) ** 2, np.sqrt(c) / 2**30
    z = real(q, 1, 0)
    error = np.abs(spec(q, *(np.full(c, v) for v in (0, 1, 0)), row) * unit - z)
    bound = np.sqrt(c) / (2 * rest) + np.abs(z) * (1 / (8 * variance) + 1 / rest + rest / 2**30) + 2 * unit
    return (error <= bound) | ~known


def r5_nothing_is_left_at_32(q, beta, sign, down, row):
    """A channel lowered by 32 is the constant sign * beta."""
    return spec(q, beta, sign, np.full_like(down, CONSTANT), row) == sign.astype(np.int64) * beta
