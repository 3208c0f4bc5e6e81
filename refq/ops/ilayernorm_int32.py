"""ilayernorm_int32: I-ViT's LayerNorm as the authors' TVM benchmark computes it, in 16 and 32 bits that wrap.

    y = wrap(sign * (round(u / 2**down) + beta)),  u = trunc(wrap(d * F) / 2),  d = wrap(q - trunc(wrap(sum q) / C)),
    F = floor((2**31 - 1) / newton10(wrap(sum of d*d)))

units    q counts any scale, y of channel c counts |gamma| * sqrt(C) / 2**(30 - down), C the number of channels
R1       relay.mean sums in the tensor's own 16 bits, which wrap, and cuts the quotient toward 0
R2       the difference wraps at 16 bits
R3       the sum of squares has 32 bits without a sign, and wraps; it is not divided by C, and nothing is added to it
R4       the root is ten steps from 2**16, so at least 64
R5       one division a row, floored; the product wraps at 32 bits, and its half is cut toward 0
R6       u is lowered half up where beta needs the room (theirs has down 0); 32 leaves nothing of it
R7       beta joins; the sign of gamma comes last, so that scales stay positive; y wraps at 32 bits
error    that of ilayernorm and a unit of y, in rows whose sum stays within 16 bits and whose squares within 32; a sum that wraps
         leaves a part of the mean in, up to 2**15 / C codes: lowering narrows q until squares cannot wrap (`holds`)
source   zkkli/I-ViT TVM_benchmark/models/layers.py, quantized_layernorm, commit 302e3919; apache/tvm
         src/relay/op/tensor/reduce.cc, MeanCompute
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import roots, rounding
from refq.ints.fold import CONSTANT, MOST
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.registers import wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I16, I32, I64, U32, Width, at_most
from refq.ops.ilayernorm import build, real, result

__all__ = ["build", "real", "result"]
ONE = I32.hi


@dataclass(frozen=True)
class Row(Base):
    root: str = choice("newton10", *roots.names)
    mean: str = choice("trunc", *rounding.names)
    q: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "ilayernorm_int32", self.q)

    @property
    def rounds(self):
        return f"mean {self.mean}, {self.root}, trunc"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "beta": I32("c", -MOST, MOST + 1), "sign": I8("c", -1, 1), "down": I8("c", 0, CONSTANT)}

    @property
    def gives(self):
        return {"y": I32("n c")}

    def sizes(self, found):
        return never_empty("c", found, "ilayernorm_int32")

    def holds(self, count):
        """Do squares of a row of `count` codes never wrap?"""
        return count * (1 + (1 << self.q.bits - 1)) ** 2 <= U32.hi


def spec(q, beta, sign, down, row, at=unwatched):
    q = q.astype(np.int64)
    total = at.wrap("total", q.sum(axis=1, keepdims=True), I16)                                    # R1
    d = at.wrap("d", q - at.divide("mean", row.mean, total, q.shape[1], I16), I16)                 # R1 R2
    squares = at.wrap("squares", (d * d).sum(axis=1, keepdims=True), U32)                          # R3
    root = at("root", np.maximum(roots.word(row.root)(squares), 1), I32)                           # R4
    product = at.wrap("product", d * at.divide("factor", "floor", ONE, root, I32), I32)            # R5
    u = at.shift("u", "trunc", product, 1, I32)                                                    # R5
    lowered = at.shift("lowered", "half_up", u, down.astype(np.int64), I32)                        # R6
    return at.wrap("y", sign.astype(np.int64) * at("joined", lowered + beta, I64), I32)            # R7


@cache
def kernel(row):
    mean_of, root_of, half_up, trunc = rounding.divide(row.mean), roots.word(row.root), rounding.half_up, rounding.trunc
    short, keep, positive = wrapping(I16), wrapping(I32), wrapping(U32)

    @jit(nogil=True, error_model="numpy")
    def ilayernorm_int32(q, beta, sign, down, y):
        channels = q.shape[1]
        for r in range(q.shape[0]):
            total, squares = 0, 0
            for c in range(channels):
                total += q[r, c]
            mean = mean_of(short(total), channels)                                                 # R1
            for c in range(channels):
                d = short(q[r, c] - mean)                                                          # R2
                squares += d * d                                                                   # R3
            factor = ONE // max(root_of(positive(squares)), 1)                                     # R3 R4 R5
            for c in range(channels):
                u = trunc(keep(short(q[r, c] - mean) * factor), 1)                                 # R5
                y[r, c] = keep(np.int64(sign[c]) * (half_up(u, np.int64(down[c])) + beta[c]))      # R6 R7

    return ilayernorm_int32


slips = (dropped("beta"), dropped("down"), channels_shifted("beta", 1), first_for_all("beta", "sign"),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r3_alike_codes_give_beta(q, beta, sign, down, row):
    """A row of zeros, which has no variance: nothing of z."""
    return spec(np.zeros_like(q), beta, sign, down, row) == I32.wrap(sign.astype(np.int64) * beta)


def r6_nothing_is_left_at_32(q, beta, sign, down, row):
    """A channel lowered by 32 is the constant sign * beta, but for a u of -2**31 or so, half up of which is not 0 there."""
    y = spec(q, beta, sign, np.full_like(down, CONSTANT), row)
    return y == I32.wrap(sign.astype(np.int64) * beta)
