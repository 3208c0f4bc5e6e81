"""add: the sum of two tensors of different grids, or their difference (`join`).

    joined     y = clip(zo + R(wrap(R((a - za) << left; ma, sa) +- R((b - zb) << left; mb, sb)); mo, so))
    straight   y = clip(zo + R((a - za) << left; ma, sa) +- R((b - zb) << left; mb, sb))

R(x; m, s) is x * m / 2**s, rounded as in rescale.

units    a, b and y count s_a, s_b and s_y; ma / 2**sa is s_a / (2 * max(s_a, s_b)) joined, s_a / (2**left * s_y)
         straight; mo / 2**so is 2 * max(s_a, s_b) / (2**left * s_y) joined, and idle straight
R1       zero points are taken off; a left shift makes room for fractions; what 32 bits do not hold overflows as said
R2       each operand is rescaled alone, rounded as the sum is or once, half up (`alone`), and the second one is then taken
         off in a difference
R3       joined: the sum, of 32 bits, is rescaled to the output grid; straight: it is there already
R4       the zero point joins last
R5       clipped to the output width, never wrapped
error    joined: one unit of y (half where `high` is none) and 2**(3 - left) of the coarser operand's unit; straight:
         half a unit of y for each rounding; beside the multipliers' own, while overflow and R5 are idle
source   tensorflow/lite/kernels/internal/reference/{add,sub}.h (joined, left 20; 15 for int16); Li and Gu 2023 (I-ViT),
         zkkli/I-ViT models/quantization_utils/quant_utils.py, fixedpoint_mul (straight, left 0); TOSA 1.0, a RESCALE for each
         operand that shifts by 31 or less, and so rounds once also where DOUBLE_ROUND is asked for (alone half_up)
"""
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, spans
from refq.ints.jit import jit
from refq.ints.registers import saturating, wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width

SIGNS = {"plus": 1, "minus": -1}
"""Of the second operand."""


@dataclass(frozen=True)
class Row(Base):
    left: int = choice(20, 15, 0)
    multiplier: str = choice("q31", *multiplier.forms, acts="build")
    high: str = choice("half_up", "none", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    overflow: str = choice("wrap", "saturate")
    joined: bool = choice(True, False)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)
    join: str = decided("plus")
    alone: str = choice("same", "half_up")

    def __post_init__(self):
        super().__post_init__()
        if self.join not in SIGNS:
            raise IllFormed(f"add: join is {self.join!r}; it can be {', '.join(map(repr, SIGNS))}")
        if max(self.a.bits, self.b.bits, self.out.bits) > 32:
            raise IllFormed(f"add: {self.a} and {self.b} to {self.out}; defined up to 32 bits")
        if self.high != "none" and self.multiplier in (("q15", "mantissa24", "pow2") if self.joined else ("pow2",)):
            raise IllFormed(f"add: two roundings (`high`) of a {self.multiplier} multiplier: the left shift that makes up for "
                            "its few bits leaves 32; round once (high = \"none\"), or take q31 or dyadic")

    @property
    def takes(self):
        bits = multiplier.bits[self.multiplier]
        # straight, two products and the zero point share 64 bits
        pair = I64("", 0, 1 << bits), I8("", 0 if self.joined or bits < 31 else 1, 62)
        return {"a": self.a("n"), "b": self.b("n"), "za": self.a(), "zb": self.b(), "ma": pair[0], "sa": pair[1],
                "mb": pair[0], "sb": pair[1], "mo": pair[0], "so": I8("", 0, 62), "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def build(row, sa, za, sb, zb, so, zo):
    """The constants of a step from the real scales `sa`, `sb`, `so` (float64) and the zero points."""
    if row.joined:
        twice = 2 * max(sa, sb)
        scales = sa / twice, sb / twice, twice / (2 ** row.left * so)
    else:
        scales = sa / (2 ** row.left * so), sb / (2 ** row.left * so), 1.0
    (ma, na), (mb, nb), (mo, no) = (multiplier.pair(s, row.multiplier) for s in scales)
    return {"za": za, "zb": zb, "ma": ma, "sa": na, "mb": mb, "sb": nb, "mo": mo, "so": no, "zo": zo}


registers = spans.joined


def alone(row):
    """(high, ties) of an operand's own rescale."""
    return (row.high, row.ties) if row.alone == "same" else ("none", row.alone)


def spec(a, b, za, zb, ma, sa, mb, sb, mo, so, zo, row, at=unwatched):
    def rescaled(name, x, zero, mult, shift):
        raised = overflow(name + "_raised", (x.astype(np.int64) - zero) << row.left, I32)         # R1
        return multiplier.scaled(at, raised, mult, shift, *alone(row), row.overflow, name + "_")                # R2

    overflow = at.wrap if row.overflow == "wrap" else at.clip
    total = rescaled("a", a, za, ma, sa) + SIGNS[row.join] * rescaled("b", b, zb, mb, sb)         # R2
    if row.joined:
        total = overflow("total", total, I32)
        total = multiplier.scaled(at, total, mo, so, row.high, row.ties, row.overflow, "total_")  # R3
    return at.clip("y", total + zo, row.out)                                                      # R4 R5


@cache
def kernel(row):
    scaled = multiplier.scaler(row.high, row.ties, row.overflow)
    own = multiplier.scaler(*alone(row), row.overflow)
    overflow = (wrapping if row.overflow == "wrap" else saturating)(I32)
    left, joined, sign, lo, hi = row.left, row.joined, SIGNS[row.join], row.out.lo, row.out.hi

    @jit(nogil=True)
    def add(a, b, za, zb, ma, sa, mb, sb, mo, so, zo, y):
        for n in range(a.shape[0]):
            first = own(overflow((a[n] - za) << left), ma, sa)                                    # R1 R2
            total = first + sign * own(overflow((b[n] - zb) << left), mb, sb)                     # R1 R2
            if joined:
                total = scaled(overflow(total), mo, so)                                           # R3
            y[n] = min(max(total + zo, lo), hi)                                                   # R4 R5

    return add


def real(a, b, za, zb, ma, sa, mb, sb, mo, so, zo, row):
    first = Fraction(((int(a) - za) << row.left) * ma, 1 << sa)
    total = first + SIGNS[row.join] * Fraction(((int(b) - zb) << row.left) * mb, 1 << sb)
    return zo + (total * Fraction(mo, 1 << so) if row.joined else total)


def operands_swapped(run, operands, row):
    """The multipliers of the two operands change places."""
    o = operands
    return run({**o, "ma": o["mb"], "sa": o["sb"], "mb": o["ma"], "sb": o["sa"]})


def joined_the_other_way(run, operands, row):
    """A difference is taken where the sum is meant, or the sum of a difference."""
    return run(operands, row=replace(row, join="minus" if row.join == "plus" else "plus"))


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), operands_swapped, joined_the_other_way,
         channels_shifted("b", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_operands_are_alike(a, b, za, zb, ma, sa, mb, sb, mo, so, zo, row):
    """Nothing tells the first operand from the second."""
    if row.a != row.b or row.join == "minus":
        return True
    return spec(a, b, za, zb, ma, sa, mb, sb, mo, so, zo, row) == spec(b, a, zb, za, mb, sb, ma, sa, mo, so, zo, row)


def r4_zeros_give_the_zero_point(a, b, za, zb, ma, sa, mb, sb, mo, so, zo, row):
    return spec(np.full_like(a, za), np.full_like(b, zb), za, zb, ma, sa, mb, sb, mo, so, zo, row) == zo
