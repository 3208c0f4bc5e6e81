"""layernorm_lstm: LayerNorm as TensorFlow Lite's integer LSTM has it, on 16-bit codes.

    y = clip(R(t; mult, shift)),  t = trunc((x * w + bias +- 512) / 1024),  x = R(1024 * q - m; 1 / sqrt(v))

R is rounded twice, half up at bit 31 and then half away.

units    q counts any scale; m and x count 2**-10 of it, w and t s_w, bias s_w * 2**-10, y 2**-12; mult / 2**shift is s_w * 2**12
R1       m is 1024 * (sum of q) / C, truncated
R2       v is ((sum of q*q) * (2**20 / C, truncated) - m*m) / 2**20, floored: right for C a power of two, too small for others,
         by up to a share C / 2**20 of the mean square; less than nothing counts as 0
R3       v below 1 is `guard` instead: of a constant row x is what m's truncation leaves, over that root
R4       one over the root of v by five steps of Newton's (refq.ints.inverse_root), and x is rounded twice
R5       the product and the bias have 32 bits, of which the low ones are kept
R6       t is rounded half away from zero; y is rescaled, and clipped to 16 bits
error    for rows of C a power of two whose variance V is at least 64 * (1 + |mean| / 512), while R5 is idle and y within its
         range: |y / 2**12 - real| <= |gamma| * (2**-9 + |z| * ((1 + |mean| / 512) / V + 2**-18)) + s_w * (|z| + 1) / 2 + 2**-11,
         mean and V in codes, z the normalized code
source   LiteRT tflite/kernels/internal/reference/portable_tensor_utils.cc, PortableApplyLayerNorm; constants: kernels/lstm.cc
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, spans
from refq.ints.inverse_root import exponent
from refq.ints.inverse_root import multiplier as inverse
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.registers import wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, first_for_all, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I16, I32, I64, Width, at_most

TEN, LONGEST = 10, 1 << 16
"""Bits of fraction, and the longest row: its squares fit 63 bits."""


@dataclass(frozen=True)
class Row(Base):
    high: str = choice("half_up", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    q: Width = decided(I16)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "layernorm_lstm", self.q)

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "w": I16("c"), "bias": I32("c"), "guard": I32("", 1), "mult": I32("", 0),
                "shift": I8("", 0, 62)}

    @property
    def gives(self):
        return {"y": I16("n c")}

    def sizes(self, found):
        if not self.holds(found["c"]):
            raise IllFormed(f"layernorm_lstm: rows of {found['c']} codes; up to {LONGEST} are defined")
        return never_empty("c", found, "layernorm_lstm")

    def holds(self, count):
        return count <= LONGEST


def build(row, scale, zero, gamma, beta, eps):
    """The constants of a step as TensorFlow Lite's converter and `Prepare` make them, from the real weights `gamma` and `beta`
    (c): w symmetric in 16 bits, ties away; the others play no part. Raises IllFormed where gamma is 0 everywhere."""
    unit = np.float32(np.max(np.abs(gamma)) / I16.hi)
    if not unit > 0:
        raise IllFormed("layernorm_lstm: gamma is 0 everywhere, so that its codes have no scale; leave the normalization out")
    real = ((v / np.float64(unit), most) for v, most in ((np.asarray(gamma), I16.hi), (np.multiply(beta, 1024), I32.hi)))
    w, bias = (np.clip(np.trunc(v + np.copysign(0.5, v)), -most, most).astype(np.int64) for v, most in real)
    mult, shift = multiplier.pair(float(unit) * 4096, "q31")
    return {"w": w, "bias": bias, "guard": max(1, int(np.float32(10000) * unit)), "mult": mult, "shift": shift}


def result(row, scale, gamma, beta):
    """The scale of y."""
    return 2.0 ** -12


def registers(row, ends, sizes, constants):
    lo, hi = int(np.min(ends["q"][0])), int(np.max(ends["q"][1]))
    c, most = sizes["c"], max(lo * lo, hi * hi)
    yield from spans.summed(None, "total", I64, c, (lo, hi))
    yield from spans.summed(None, "squares", I64, c, (0, most))
    yield "mean", I32, min(lo << TEN, 0), max(hi << TEN, 0)


def spec(q, w, bias, guard, mult, shift, row, at=unwatched):
    q, c = q.astype(np.int64), q.shape[1]
    total = at("total", q.sum(axis=1, keepdims=True), I64)
    mean = at.divide("mean", "trunc", total << TEN, c, I32)                                        # R1
    squares = at("squares", (q * q).sum(axis=1, keepdims=True), I64)
    variance = at("variance", squares * ((1 << 2 * TEN) // c) - mean * mean, I64)                  # R2
    v = at.shift("v", "floor", np.maximum(variance, 0), 2 * TEN, I32)                              # R2
    v = np.where(v < 1, guard, v)                                                                  # R3
    centred = at("centred", (q << TEN) - mean, I32)
    x = multiplier.scaled(at, centred, inverse(v), 31 + exponent(v), row.high, row.ties, "wrap", "x_")     # R4
    joined = at.wrap("joined", x * w + bias, I32)                                                  # R5
    t = at.divide("t", "half_away", joined, 1 << TEN, I32)                                         # R6
    return at.clip("y", multiplier.scaled(at, t, mult, shift, row.high, row.ties, "wrap", "y_"), I16)      # R6


@cache
def kernel(row):
    scaled, wrap = multiplier.scaler(row.high, row.ties, "wrap"), wrapping(I32)
    trunc, half_away, lo, hi = rounding.divide("trunc"), rounding.divide("half_away"), I16.lo, I16.hi

    @jit(nogil=True, error_model="numpy")
    def layernorm_lstm(q, w, bias, guard, mult, shift, y):
        count = np.int64(q.shape[1])
        for r in range(q.shape[0]):
            total, squares = 0, 0
            for c in range(count):
                total += np.int64(q[r, c])
                squares += np.int64(q[r, c]) * np.int64(q[r, c])
            mean = trunc(total << TEN, count)                                                      # R1
            v = max(squares * ((1 << 2 * TEN) // count) - mean * mean, 0) >> 2 * TEN               # R2
            v = guard if v < 1 else v                                                              # R3
            by, down = inverse(np.int64(v)), 31 + exponent(np.int64(v))
            for c in range(count):
                x = scaled((np.int64(q[r, c]) << TEN) - mean, by, down)                            # R4
                t = half_away(wrap(x * w[c] + bias[c]), np.int64(1 << TEN))                        # R5 R6
                y[r, c] = min(max(scaled(t, np.int64(mult), np.int64(shift)), lo), hi)             # R6

    return layernorm_lstm


def real(q, gamma, beta):
    """LayerNorm of each row with eps = 0, beta where the row is constant: q (n c) codes of any scale; float64."""
    d = q - q.mean(axis=1, keepdims=True, dtype=np.float64)
    deviation = np.sqrt((d * d).mean(axis=1, keepdims=True))
    return gamma * d / np.where(deviation == 0, 1, deviation) + beta


slips = (bias_dropped, channels_shifted("w", 1), channels_shifted("bias", 1), first_for_all("w"),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r3_alike_codes_have_alike_results(q, w, bias, guard, mult, shift, row):
    y = spec(np.repeat(q[:, :1], q.shape[1], axis=1), np.full_like(w, w[0]), np.full_like(bias, bias[0]), guard, mult, shift, row)
    return y == y[:, :1]


def r6_near_the_real_value(q, w, bias, guard, mult, shift, row):
    """Within the bound, w and bias being what they are."""
    c, unit = q.shape[1], float(mult) / 2.0 ** int(shift)
    mean, variance = q.mean(axis=1, keepdims=True, dtype=np.float64), q.var(axis=1, keepdims=True, dtype=np.float64)
    lost, z = 1 + np.abs(mean) / 512, real(q.astype(np.int64), 1, 0)
    t = z * w + bias / 1024
    known = (variance >= 64 * lost) & (c & (c - 1) == 0) & (np.abs(t) < 2**20) & (np.abs(t * unit) < 2**15 - 2)
    known = known & (row.ties.startswith("half") & row.high.startswith("half")) & (shift >= 31)
    off = np.abs(w) * (2.0 ** -9 + np.abs(z) * (lost / np.maximum(variance, 1) + 2.0 ** -18)) + 0.5
    return (np.abs(spec(q, w, bias, guard, mult, shift, row) - t * unit) <= off * unit + 1.5) | ~known
