"""layernorm_ibert: I-BERT's LayerNorm: as I-ViT's (ilayernorm), but squares of halved differences, so that their sum has 32 bits.

    y = clip(sign * (half_up(u / 2**down) + beta)),  u = floor(d * F / 2),  d = q - mean q,
    F = floor(2**31 / (root(sum of floor(d / 2**sh)**2) * 2**sh))

units    q counts any scale, y of channel c counts |gamma| * sqrt(C) / 2**(30 - down), C the number of channels
R1       the mean is rounded, half to even; it takes the zero point off as well
R2       differences are halved sh times, floored, and squared; the sum has 32 bits without a sign, is not divided by C, and
         nothing is added to it. sh is a constant: what the authors' training saw, or by default what no row of such codes passes
R3       the root is exact, or the row's, and at least 1: a row whose variance is 0 gives sign * beta
R4       one division a row, floored; the product is halved and floored
R5       u is lowered half up where beta needs the room; down = 32 leaves nothing of it: the channel is constant, as where
         gamma is 0, which the authors divide by
R6       beta joins, counted in units of y; the sign of gamma comes last, so that scales stay positive
R7       y saturates at 32 bits: idle where sh is 0
error    with D the standard deviation of q, z = (q - mean) / D, h = 2**sh and R = D*sqrt(C) - (h + 1) * sqrt(C), where that is
         positive: two units of y and |gamma| * (sqrt(C)/(2*R) + |z| * ((h + 1)*sqrt(C)/R + D*sqrt(C)/2**31))
source   Kim et al., I-BERT, ICML 2021, section 3.6; kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py,
         IntLayerNorm, where float32 carries integers, so u is rounded to 24 bits
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import roots, rounding, spans
from refq.ints.accumulate import Accumulate, admit_sum, summed, summing
from refq.ints.fold import CONSTANT, MOST, channels
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, I64, U32, Width, at_most
from refq.ops.ilayernorm import real, result

__all__ = ["real", "result"]
ONE = 1 << 31


@dataclass(frozen=True)
class Row(Base):
    root: str = choice("exact", *roots.names)
    mean: str = choice("half_even", *rounding.names)
    q: Width = decided(I8)
    accumulate: Accumulate | None = None
    squares: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(24, "layernorm_ibert", self.q)
        admit_sum("layernorm_ibert", self.accumulate, self.squares)

    @property
    def rounds(self):
        return f"mean {self.mean}, {self.root}, floor"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "beta": I32("c", -MOST, MOST + 1), "sign": I8("c", -1, 1), "down": I8("c", 0, CONSTANT),
                "sh": I8("", 0, 24)}

    @property
    def gives(self):
        return {"y": I32("n c")}

    def sizes(self, found):
        return never_empty("c", found, "layernorm_ibert")


def largest(width, sh, count):
    """What no sum of squares of `count` codes passes: of differences of half the range, rounded twice."""
    return count * ((1 << width.bits - 1 >> sh) + 2) ** 2


def halvings(width, count):
    """The least sh at which the sum of squares of `count` codes always has 32 bits."""
    return next((sh for sh in range(width.bits) if largest(width, sh, count) <= U32.hi), width.bits)


def build(row, scale, zero, gamma, beta, eps, sh=None):
    """The constants of a step from the real weights `gamma` and `beta` (c), decided exactly; `sh`: that of a trained network;
    the rest plays no part."""
    sh = halvings(row.q, len(gamma)) if sh is None else sh
    return dict(zip(("beta", "sign", "down"), channels(gamma, beta))) | {"sh": sh}


def registers(row, ends, sizes, constants):
    lo, hi = ends["q"]
    yield from spans.summed(row.accumulate, "total", I64, sizes["c"], (np.min(lo), np.max(hi)))
    half = max((int(np.max(hi)) - int(np.min(lo)) + 1) // 2, 1)
    most = ((half >> int(constants["sh"])) + 2) ** 2
    yield from spans.summed(row.squares, "squares", U32, sizes["c"], (0, most))


def spec(q, beta, sign, down, sh, row, at=unwatched):
    q = q.astype(np.int64)
    total = at("total", summed(q, row.accumulate, at), I64)
    mean = at.divide("mean", row.mean, total, q.shape[1], I64)                                     # R1
    d = at("d", q - mean, I64)
    near = at.shift("near", "floor", d, sh, I64)                                                   # R2
    squares = at("squares", summed(near * near, row.squares, at, "squares"), U32)                  # R2
    root = at("root", np.maximum(roots.word(row.root)(np.maximum(squares, 0)), 1), Width(17, False))
    factor = at.divide("factor", "floor", ONE, root << sh, Width(32, False))                       # R3 R4
    u = at.shift("u", "floor", d * factor, 1, I64)                                                 # R4
    u = at.shift("lowered", "half_up", u, down.astype(np.int64), I64)                              # R5
    return at.clip("y", sign.astype(np.int64) * at("joined", u + beta, I64), I32)                  # R6 R7


@cache
def kernel(row):
    mean_of, root_of, half_up = rounding.divide(row.mean), roots.word(row.root), rounding.word("half_up")
    sum_of, squares_of, lo, hi = summing(row.accumulate), summing(row.squares), I32.lo, I32.hi

    @jit(nogil=True, error_model="numpy")
    def layernorm_ibert(q, beta, sign, down, sh, y):
        channels = q.shape[1]
        d, near = np.empty(channels, np.int64), np.empty(channels, np.int64)
        for r in range(q.shape[0]):
            for c in range(channels):
                d[c] = q[r, c]
            mean = mean_of(sum_of(d), channels)                                                    # R1
            for c in range(channels):
                d[c] -= mean
                near[c] = (d[c] >> sh) ** 2                                                        # R2
            squares = max(squares_of(near), 0)                                                     # R2
            factor = ONE // (max(root_of(squares), 1) << sh)                                       # R3 R4
            for c in range(channels):
                u = half_up((d[c] * factor) >> 1, np.int64(down[c]))                               # R4 R5
                y[r, c] = min(max(np.int64(sign[c]) * (u + beta[c]), lo), hi)                      # R6 R7

    return layernorm_ibert


slips = (dropped("beta"), dropped("down"), dropped("sh"), channels_shifted("beta", 1), first_for_all("beta", "sign"),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_free_of_the_zero_point(q, beta, sign, down, sh, row):
    """Adding an even constant to a whole row changes nothing; some roundings see the sign, which must stay then."""
    if row.accumulate is not None:
        return True
    q = q.astype(np.int64)
    moved = q + ((row.q.hi - q.max(axis=1, keepdims=True)) & -2)
    turned = (q.sum(axis=1, keepdims=True) < 0) != (moved.sum(axis=1, keepdims=True) < 0)
    return (spec(moved, beta, sign, down, sh, row) == spec(q, beta, sign, down, sh, row)) | turned


def r3_alike_codes_give_beta(q, beta, sign, down, sh, row):
    """A row without variance: nothing of z."""
    if row.accumulate is not None:
        return True
    y = spec(np.full_like(q, 3), beta, sign, down, sh, row)
    return y == np.clip(sign.astype(np.int64) * beta, I32.lo, I32.hi)
