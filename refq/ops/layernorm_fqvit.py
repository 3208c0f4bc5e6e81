"""layernorm_fqvit: LayerNorm of codes whose channels have factors, by a multiplier of few bits and a shift for each element.

    y = clip(zo + R((sign * M * x + B) / 2**N)),  x = (q - zq) << k,  B = R((beta << N) - sign * a * mean, 16)

The slope A = C * mult / (2**shift * sqrt(D)) of a channel is |gamma| * s_1 / (std * s_y), D = C * sum x*x - (sum x)**2 being
C*C variances; a = A * 2**(N + 8) is A as the mean takes it, and M = a >> 8 is A as the codes take it.

units    q of channel c counts 2**k_c * s_1, s_1 any unit; y counts s_y; mult / 2**shift is |gamma| / s_y; beta counts s_y / 2**16
R1       the zero point, one for all channels, is taken off before the factor
R2       both sums join as the row says, or exactly; D is exact, nothing is added to it, and it is at least 0
R3       D is shifted left by the even number of bits that leaves two or three of 64 bits free; its root is floored: 31 bits
R4       C, shifted left to 61 bits, over the root is floored, once a row; 0 where D is 0
R5       its product with mult is A in full; N = bits - 1 - floor(log2 A), within 0 .. 31, and 31 where A is 0
R6       a is floored; M = a >> 8 saturates at 2**bits - 1
R7       the mean has 8 fraction bits and is floored; B is rounded once, at 16 bits
R8       rounded once, at N, y's zero point joins, and it is clipped: a constant row, and a channel without gamma, give beta
error    in codes of y, while 2**-24 <= A < 2**bits and nothing is clipped: 1/2 + 2**-N + |A*x| * 2**(1 - bits), and of the mean
         |A*mean| * 2**(-bits - 6) + A * 2**-8; what is felt is that M is floored where B is made of all of A
source   Lin et al. 2022 (FQ-ViT), section 3.2; megvii-research/FQ-ViT models/ptq/layers.py, QIntLayerNorm: R3 to R7 in float32
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import roots, rounding, slopes
from refq.ints.accumulate import Accumulate, admit_sum, summed, summing
from refq.ints.bits import length
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import Sites, unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, negated, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I24, I32, I64, Width, at_most
from refq.ops.ilayernorm import real

FACTORS = (0, 1, 2, 3)      # the exponents among which calibration chooses
LARGEST, GUARD, U62 = 3, slopes.GUARD, Width(62, False)


@dataclass(frozen=True)
class Row(Base):
    bits: int = choice(8, 7, 15)
    ties: str = choice("half_even", *rounding.names)
    q: Width = decided(I8)
    out: Width = decided(I8)
    accumulate: Accumulate | None = None
    squares: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "layernorm_fqvit", self.q, self.out)
        admit_sum("layernorm_fqvit", self.accumulate, self.squares)

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "zq": self.q(), "k": I8("c", 0, LARGEST), **slopes.TAKES, "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    def sizes(self, found):
        return never_empty("c", found, "layernorm_fqvit")


def build(row, zero, gamma, beta, s_out, z_out, exponents=None):
    """The constants of a step: codes with the zero point `zero`, channels of factors 2**exponents (c) (none: all 1), the real
    weights `gamma` and `beta` (c), and the grid of y. Raises IllFormed as `slopes.constants` does."""
    k = [0] * len(gamma) if exponents is None else exponents
    return {"zq": zero, "k": k, **slopes.constants(gamma, beta, s_out, "layernorm_fqvit"), "zo": z_out}


registers = slopes.registers


def spec(q, zq, k, mult, shift, sign, beta, zo, row, at=unwatched):
    k, mult, shift, sign, beta = (v.astype(np.int64) for v in (k, mult, shift, sign, beta))
    c = q.shape[1]
    x = at("x", q.astype(np.int64) - zq << k, I24)                                                 # R1
    total = at("total", summed(x, row.accumulate, at), I64)                                        # R2
    squares = at("squares", summed(x * x, row.squares, at, "squares"), I64)                        # R2
    spread = at("spread", np.maximum(c * squares - total * total, 0), U62)                         # R2
    up, short = 62 - length(spread) & -2, 61 - length(c)
    root = at("root", roots.exact(spread << up), I32)                                              # R3
    factor = at("factor", np.where(spread > 0, (c << short) // np.maximum(root, 1), 0), I32)       # R4
    slope, down = at("slope", factor * mult, I64), shift + short - (up >> 1)                       # R5
    n = at("n", np.where(slope > 0, np.clip(row.bits - length(slope) + down, 0, 31), 31), I8)      # R5
    a = at.shift("a", "floor", slope, np.clip(down - n - GUARD, 0, 63), I32)                       # R6
    m = at.clip("m", a >> GUARD, Width(row.bits, False))                                           # R6
    mean = at.divide("mean", "floor", total << GUARD, c, I32)                                      # R7
    b = at.shift("b", row.ties, at("shared", (beta << n) - sign * a * mean, I64), 16, I64)         # R7
    scaled = at.shift("scaled", row.ties, at("wide", sign * m * x + b, I64), n, I64)               # R8
    return at.clip("y", scaled + zo, row.out)                                                      # R8


@cache
def kernel(row):
    word, bits, lo, hi, exact, guard = rounding.word(row.ties), row.bits, row.out.lo, row.out.hi, roots.exact, GUARD
    sum_of, squares_of, most = summing(row.accumulate), summing(row.squares), (1 << row.bits) - 1

    @jit(nogil=True, error_model="numpy")
    def layernorm_fqvit(q, zq, k, mult, shift, sign, beta, zo, y):
        channels, x = q.shape[1], np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            for c in range(channels):
                x[c] = (np.int64(q[r, c]) - zq) << np.int64(k[c])                                  # R1
            total, squares = sum_of(x), squares_of(x * x)                                          # R2
            spread = max(channels * squares - total * total, 0)                                    # R2
            up = (62 - length(spread)) & -2
            root = exact(spread << up)                                                             # R3
            short = 61 - length(channels)
            factor = (channels << short) // root if spread > 0 else 0                              # R4
            mean = (total << guard) // channels                                                    # R7
            for c in range(channels):
                slope, down = factor * np.int64(mult[c]), shift[c] + short - (up >> 1)             # R5
                n = min(max(bits - length(slope) + down, 0), 31) if slope > 0 else 31              # R5
                a = slope >> min(max(down - n - guard, 0), 63)                                     # R6
                m = min(a >> guard, most)                                                          # R6
                b = word((np.int64(beta[c]) << n) - sign[c] * a * mean, 16)                        # R7
                y[r, c] = min(max(word(sign[c] * m * x[c] + b, n) + zo, lo), hi)                   # R8

    return layernorm_fqvit


def factor_on_the_code(run, operands, row):
    """The factor is applied to the code, and the zero point taken off behind it: a grid of another zero in each channel."""
    class Late(Sites):
        def __call__(self, name, value, width):
            return value + operands["zq"] * ((1 << operands["k"].astype(np.int64)) - 1) * (name == "x")
    return run(operands, at=Late())


slips = (dropped("zq"), negated("zq"), dropped("k"), channels_shifted("k", 1), factor_on_the_code, dropped("beta"), dropped("zo"),
         channels_shifted("beta", 1), first_for_all("mult", "shift"), row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_factors_are_folded(q, zq, k, *constants, row):
    """Codes that hold factor and zero point already give the same."""
    folded = q.astype(np.int64) - zq << k.astype(np.int64)
    return row.q.bits > 8 or spec(folded, 0, k * 0, *constants, row) == spec(q, zq, k, *constants, row)


def r6_near_the_real_value(q, zq, k, mult, shift, sign, beta, zo, row):
    """Within the bound of LayerNorm, where the slopes are neither too steep nor too flat for M, and nothing is clipped."""
    x, g = (q.astype(float) - zq) * 2.0 ** k, mult * 2.0 ** -shift.astype(float)
    a = g / np.maximum(x.std(axis=1, keepdims=True), 1e-9)
    y, exact = spec(q, zq, k, mult, shift, sign, beta, zo, row), real(x, g * sign, beta / 2.0 ** 16) + zo
    kept = (a >= 2.0 ** -24) & (a < 2.0 ** row.bits) & (y > row.out.lo) & (y < row.out.hi)
    felt = 1 + np.abs(x) + np.abs(x.mean(axis=1, keepdims=True)) / 2 ** GUARD        # 2**-N is at most a * 2**(1 - bits)
    near = np.abs(y - exact) <= 1.001 + a * (2.0 ** (1 - row.bits) * felt + 2.0 ** -GUARD)
    return near | ~kept | bool(row.accumulate or row.squares)


def r8_a_constant_row_gives_beta(q, zq, k, mult, shift, sign, beta, zo, row):
    """Without variance, and without gamma, nothing but beta is left."""
    word, rest = rounding.word(row.ties), (shift, sign, beta, zo, row)
    flat = row.out.clip(word(word(beta.astype(np.int64) << 31, 16), 31) + zo)
    return (spec(np.full_like(q, zq), zq, k, mult, *rest) == flat) & (spec(q, zq, k, mult * 0, *rest) == flat)
