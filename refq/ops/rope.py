"""rope: rotary position embedding: pairs of codes of a head turned by the angle of their position, by tables.

    y1 = clip(zx + R((x1 - zx) * cos[i] - (x2 - zx) * sin[i]; fraction))
    y2 = clip(zx + R((x1 - zx) * sin[i] + (x2 - zx) * cos[i]; fraction))

R(a; f) is a / 2**f, rounded as the row says. x (n h t d): image, head, token, depth; i (n t) the positions of the tokens; cos
and sin (p d/2) hold an entry for each position and pair.

units    x and y lie on one grid; the entries of cos and sin count 2**-fraction
R1       depth j makes a pair with j + d/2 (halves, as Hugging Face stores heads), or with j + 1, j even (adjacent, as llama2.c)
R2       the tables are read at the token's position; one that they do not have is refused at the door
R3       the products of a pair are exact in 32 bits
R4       rounded once; the zero point joins after that
R5       clipped to the width, never wrapped
error    while R5 is idle, half a code (a whole one for a rounding that is not to the nearest), and of the tables, whose entries
         are off by half of 2**-fraction: (|x1 - zx| + |x2 - zx|) / 2**(fraction + 1) codes
source   refq's own reading. Su et al. 2021 (RoFormer), equation 34; ONNX RotaryEmbedding (opset 23); transformers
         modeling_llama.py apply_rotary_pos_emb (halves); karpathy/llama2.c run.c (adjacent)
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, counted_from_the_start, dropped, negated, place_off_by, previous_case
from refq.ints.width import I8, I16, I32, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    """`places`: how many positions the tables have, so that the declared range of i refuses any other."""

    pairing: str = choice("halves", "adjacent")
    fraction: int = choice(14, 13, 12, 7)
    ties: str = choice("half_even", *rounding.names)
    width: Width = decided(I8)
    places: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "rope", self.width)
        if self.places < 1:
            raise IllFormed(f"rope: tables of {self.places} positions; there must be at least one")

    @property
    def takes(self):
        one = 1 << self.fraction
        return {"x": self.width("n h t [d]"), "i": I32("n t", 0, self.places - 1),              # R2
                "cos": I16("[p] [e]", -one, one), "sin": I16("[p] [e]", -one, one), "zx": self.width()}

    @property
    def gives(self):
        return {"y": self.width("n h t d")}

    def sizes(self, found):
        if found["d"] != 2 * found["e"] or not found["d"]:
            raise IllFormed(f"rope: heads {found['d']} deep and tables for {found['e']} pairs; a head is so many pairs")
        if found["p"] != self.places:
            raise IllFormed(f"rope: tables of {found['p']} positions, and the row says {self.places}")
        return {}


def table(row, reals):
    """The codes of real cosines or sines (p e): the nearest, ties to even; raises IllFormed for what is none."""
    if not (np.abs(reals) <= 1).all():
        raise IllFormed("rope: a table of cosines or sines holds values beyond -1 to 1")
    return np.rint(np.ldexp(reals, row.fraction)).astype(np.int16)


def build(row, zero):
    """The constants of a step beside the tables: the zero point of x and y."""
    return {"zx": zero}


def pairs(row, d):
    """Of each depth below `d`: its pair, its partner, and the sign of the sine there."""
    j, half = np.arange(max(d, 2)), max(d, 2) // 2
    if row.pairing == "halves":
        return j % half, (j + half) % (2 * half), np.where(j < half, -1, 1)
    return j // 2, j ^ 1, np.where(j % 2, 1, -1)


def spec(x, i, cos, sin, zx, row, at=unwatched):
    pair, partner, sign = pairs(row, x.shape[3])                                                # R1
    place = i.astype(np.int64)[:, None, :, None]
    c, s = (t.astype(np.int64)[place, pair] for t in (cos, sin))                                # R2
    d = x.astype(np.int64) - zx
    turned = at("turned", d * c + sign * (d[..., partner] * s), I32)                            # R3
    scaled = at.shift("scaled", row.ties, turned, row.fraction, I32)                            # R4
    return at.clip("y", scaled + zx, row.width)                                                 # R4 R5


@cache
def kernel(row):
    ties, fraction, lo, hi = rounding.word(row.ties), row.fraction, row.width.lo, row.width.hi
    step, halves = (1, 1) if row.pairing == "halves" else (2, 0)

    @jit(nogil=True)
    def rope(x, i, cos, sin, zx, y):
        pairs = x.shape[3] // 2
        apart = pairs * halves + 1 - halves                                                     # R1
        for n in range(x.shape[0]):
            for h in range(x.shape[1]):
                for t in range(x.shape[2]):
                    place = np.int64(i[n, t])                                                   # R2
                    for e in range(pairs):
                        j = e * step
                        x1, x2 = np.int64(x[n, h, t, j]) - zx, np.int64(x[n, h, t, j + apart]) - zx
                        c, s = np.int64(cos[place, e]), np.int64(sin[place, e])
                        y1, y2 = ties(x1 * c - x2 * s, fraction), ties(x1 * s + x2 * c, fraction)    # R3 R4
                        y[n, h, t, j] = min(max(y1 + zx, lo), hi)                               # R4 R5
                        y[n, h, t, j + apart] = min(max(y2 + zx, lo), hi)

    return rope


def registers(row, ends, sizes, constants):
    """What a pair can reach: by the entries that stand together, and all codes."""
    most = max(int(np.max(np.abs(np.asarray(end, np.int64) - int(constants["zx"])))) for end in ends["x"])
    most *= sum(np.abs(constants[k].astype(np.int64)) for k in ("cos", "sin")).max(initial=0).item()
    yield "turned", I32, -most, most


def real(x, i, cos, sin, row):
    """The same of real numbers: x (n h t d), positions i (n t), real tables (p d/2)."""
    pair, partner, sign = pairs(row, x.shape[3])
    place = i[:, None, :, None]
    return x * cos[place, pair] + sign * x[..., partner] * sin[place, pair]


slips = (place_off_by("i", 1), place_off_by("i", -1), counted_from_the_start("i"), negated("sin"), dropped("zx"), dropped("sin"),
         previous_case("x"), channels_shifted("cos", 1), channels_shifted("y", 1))


def r4_an_angle_of_zero_changes_nothing(x, i, cos, sin, zx, row):
    return spec(x, i, np.full_like(cos, 1 << row.fraction), np.zeros_like(sin), zx, row) == x


def r4_near_the_real_rotation(x, i, cos, sin, zx, row):
    """Within one code of the rotation by these very entries, half a one for a rounding to the nearest."""
    turned = real(x.astype(np.float64) - zx, i, np.ldexp(cos.astype(float), -row.fraction),
                  np.ldexp(sin.astype(float), -row.fraction), row)
    exact = np.clip(turned + zx, row.width.lo, row.width.hi)
    off = np.abs(spec(x, i, cos, sin, zx, row) - exact)
    return off <= 0.5 if row.ties.startswith("half") else off < 1


def r4_length_is_kept(x, i, cos, sin, zx, row):
    """Of a pair, to one code of each and what the entries miss of length 1, where nothing is clipped."""
    y, partner = spec(x, i, cos, sin, zx, row), pairs(row, x.shape[3])[1]
    before, after = (np.hypot(v.astype(float) - zx, v[..., partner].astype(float) - zx) for v in (x, y))
    long = np.ldexp(np.hypot(cos.astype(float), sin.astype(float)), -row.fraction)[i[:, None, :, None], pairs(row, x.shape[3])[0]]
    inside = (y > row.width.lo) & (y < row.width.hi)
    return (np.abs(after - before * long) <= 1.5) | ~(inside & inside[..., partner])
