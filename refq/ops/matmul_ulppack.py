"""matmul_ulppack: activations times weights, where two neighbours along k share a word, and one product adds up theirs.

    acc = bias + sum over k of (x - zx) * (w - zw)

units    acc and bias count s_x*s_w; weights are stored (m k); codes have no sign; an odd k is filled up with codes of 0
R1       two activations lie `apart` bits from one another in a word, the first one low; two weights likewise, the first one high
R2       the middle field of the product of two words is x0*w0 + x1*w1; `drain` products are added up in `word`, which wraps: of
         the top field, x1*w0, nobody reads what falls out of it
R3       then the middle field joins the sums `into`, which wrap: shifted down (shifted), or where it stands (masked), and is
         shifted down behind the last one
R4       after `block` codes, and at the end, these sums join those of 64 bits and start again at 0
R5       codes are multiplied as they are: bias - zx * (sum of w) - zw * (sum of x) + k * zx * zw joins at the end
error    none: a row in which a field or a sum could lose something is refused, naming it; acc refuses what it does not hold
source   ULPPACK (MLSys 2022), as in FullPack's kernels: type 1 in 16 bits, 8 apart, 512 codes in a block; type 2 in 32 bits,
         16 - (bits of a code) apart. Drains are powers of two, at most 8: `drain_of(w, x, kind)` gives both tables. After how
         many codes the 32 bits of type 2 are emptied is stated here
check    4 bits times 4 bits: type 1 has no drain, type 2 has 8, and 9 products fit
"""
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from refq.errors import IllFormed
from refq.ints import fields, packing
from refq.ints.accumulate import refuse
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, last_tile_lost, negated, tail_lost, tile_leaks, transposed
from refq.ints.width import I32, I64, U4, U16, U32, Width
from refq.machine import pairs
from refq.machine.linear import weighted


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(U4)
    w: Width = decided(U4)
    acc: Width = decided(I32)
    taken: str = choice("masked", "shifted")
    word: Width = U32
    apart: int = 12
    drain: int = 8
    into: Width = U32
    block: int = 4096

    def __post_init__(self):
        super().__post_init__()
        if self.x.signed or self.w.signed or not self.acc.signed or self.acc.bits > 62:
            raise IllFormed(f"matmul_ulppack: codes of {self.x} and {self.w} in {self.acc}; codes have no sign, the accumulator "
                            "has one and at most 62 bits")
        if self.drain < 1 or self.block < 2 * self.drain or (self.taken == "shifted" and self.word.bits > 2 * self.apart):
            raise IllFormed(f"matmul_ulppack: {self.block} codes drained after {self.drain} products, {self.taken} in "
                            f"{self.word}; a block holds a drain of pairs, and what is shifted down has nothing above it")
        fields.prove("matmul_ulppack", self.parts, self.drain, self.word)
        most = -(-self.block // (2 * self.drain)) * self.drain * self.parts[1].most
        most <<= self.apart * (self.taken == "masked")
        if most > self.into.hi:
            raise IllFormed(f"matmul_ulppack: the sum of middle fields overflows: {self.block} codes make {most}, and "
                            f"{self.into} ends at {self.into.hi}; take a shorter block")

    @cached_property
    def parts(self):
        """The Fields of a product that have to hold it: the low and the middle one."""
        return named_fields(self.w, self.x, self.apart)

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n [k]"), "w": self.w("m [k]"), "bias": bias, "zx": self.x(), "zw": self.w("m")}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}


def named_fields(w, x, apart):
    """The low and the middle Field of a product of two words of pairs."""
    held, one = Width(apart, False), w.hi * x.hi
    return fields.Field("the low field", 0, held, 0, one), fields.Field("the middle field", apart, held, 0, 2 * one)


def drain_of(w, x, kind):
    """After how many products ULPPACK of type `kind` (1 or 2) drains words of w by x bits: a power of two up to 8, 0 where not
    even one product fits."""
    fits = fields.drain_of(named_fields(Width(w, False), Width(x, False), 8 if kind == 1 else 16 - max(w, x)))
    return 1 << min(8, fits).bit_length() - 1 if fits else 0


def published(w, x, kind):
    """The row of ULPPACK of type `kind` (1 or 2) for weights of w bits and activations of x. IllFormed: a field overflows."""
    drain, w, x = max(1, drain_of(w, x, kind)), Width(w, False), Width(x, False)
    if kind == 1:
        return Row(x, w, taken="shifted", word=U16, apart=8, drain=drain, into=U16, block=512)
    apart = 16 - max(w.bits, x.bits)
    return Row(x, w, apart=apart, drain=drain, block=max(2 * drain, 1 << 32 - apart - w.bits - x.bits))


build, registers = weighted, packing.registers


def spec(x, w, bias, zx, zw, row, at=unwatched):
    x, w, zw = x.astype(np.int64), w.astype(np.int64), zw.astype(np.int64)
    bare = bias - zx * w.sum(1) - zw * x.sum(1)[:, None] + x.shape[1] * zx * zw                     # R5
    return refuse(at, "acc", pairs_of(x, w, row, at) + bare, row.acc)                                      # R1 R2 R3 R4


def pairs_of(x, w, row, at=unwatched, drain=0, order=(1, 0), kept=False):
    """Sums of products of codes (n m), through words that are emptied after `drain` products, 0: as the row says; `order`: that
    of two weights in a word; `kept`: what a word held stays in it when it is emptied."""
    drain, s = drain or row.drain, row.apart
    x, w = (np.pad(codes, ((0, 0), (0, codes.shape[1] % 2))) for codes in (x, w))
    left = at("packed_x", (x[:, ::2] + (x[:, 1::2] << s))[:, None], Width(s + row.x.bits, False))           # R1
    right = at("packed_w", (w[:, order[0]::2] + (w[:, order[1]::2] << s))[None], Width(s + row.w.bits, False))      # R1
    total = np.zeros((len(x), len(w)), np.int64)
    for block in range(0, left.shape[-1], row.block // 2):
        held, left_in, end = np.zeros_like(total), 0, min(block + row.block // 2, left.shape[-1])
        for first in range(block, end, drain):
            part = slice(first, min(first + drain, end))
            product = at.wrap("product", left[..., part] * right[..., part], row.word)                      # R2
            added = at.wrap("sum", left_in + np.cumsum(product, -1), row.word)[..., -1:]            # R2
            left_in, added = added * kept, added[..., 0]                                            # R3
            field = added >> s if row.taken == "shifted" else added & ((1 << s) - 1) << s           # R3
            held = at.wrap("held", held + at("middle", field, row.into), row.into)                  # R3
        total += held if row.taken == "shifted" else held >> s                                      # R3 R4
    return at("total", total, I64)


@cache
def kernel(row):
    return pairs.linear(row.word, row.into, row.apart, row.drain, row.block, row.taken == "masked")         # R1 R2 R3 R4 R5


def real(x, w, bias):
    """The product of real activations (n k) and weights (m k) with a bias (m); acc is it in units of s_x*s_w."""
    return x @ w.T + bias


slips = (bias_dropped, negated("zx"), dropped("zw"), transposed("acc"), channels_shifted("bias", 1), channels_shifted("acc", 1),
         tail_lost("k", 4), tile_leaks("k", 4), last_tile_lost("acc", 4),
         packing.slip(pairs_of, "halves_swapped", "The weights of a word lie in the order of the activations.",
                      lambda right, x, w, row: right(x, w, row, order=(0, 1))),
         packing.odd_last_reads_on(pairs_of),
         *packing.drains(pairs_of, lambda row: fields.drain_of(row.parts), lambda row: 2 * row.drain))


def r2_products_are_those_of_the_codes(x, w, bias, zx, zw, row):
    """Whatever the words: without zero points and bias acc is the product of the codes."""
    return spec(x, w, 0 * bias, 0, 0 * zw, row) == x.astype(np.int64) @ w.T.astype(np.int64)


def r5_zero_points_shift_the_codes(x, w, bias, zx, zw, row):
    """A code at its zero point adds nothing."""
    return spec(np.full_like(x, zx), w, bias, zx, zw, row) == bias


PUBLISHED = {f"ulppack{kind}_w{w}a{x}": published(w, x, kind) for kind, w, x in ((1, 3, 3), (2, 4, 4), (2, 5, 4))}
