"""gelu_ibert: I-BERT's GELU, x/2 * (1 + erf(x / sqrt 2)) with a parabola for erf, of registers as fine as accumulators.

    y = clip(floor(-x * (floor(sign(x) * ((min(|x|, -b) + b)**2 + c) / 2**14) + one) / 2**fall)),
    x = clip(half_even((q - zp) * 2**up / 2**down))

units    q counts s, x counts t = s * 2**(down - up); with v = t / 1.4142: b = floor(-1.769 / v), c = floor(-1 / 0.2888 / v**2),
         one = floor(-1 / (0.2888 * 2**14 * v**2)), all negative; y counts t * 0.2888 * 2**13 * v**2 * 2**fall
R1       the zero point is taken off first
R2       constants need 2**-21 <= t <= 2**-10, and in there up = down = 0, as for the accumulators that the authors feed it
         with. A finer scale is lowered, half to even; a coarser one is raised to 2**-16, exactly. (Ours: the authors' floats
         take any, and are left without a bit of the curve on those of 8-bit codes.) x saturates at 32 bits
R3       erf is the parabola of |x|, which ends where it turns, with the sign of x
R4       its low 14 bits are dropped, floored
R5       the product is exact, and turned: a is negative, so the authors' unit is; ours is positive
R6       lowered by `fall` bits, floored, where y has 32 bits: to a unit of t to 2*t (ours; their product has up to 63 bits,
         in a float); y of 64 bits keeps all
R7       y saturates: idle but at the end of 32 bits
error    |y - GELU| <= 0.0187 + 2**-9 * |x| at t = 2**-10, 2**-20 * |x| at 2**-16, and a unit of y
source   Kim et al., I-BERT, ICML 2021, section 3.4; kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py, IntGELU,
         where float32 carries integers of up to 40 bits
"""
from dataclasses import dataclass
from functools import cache
from math import erf, sqrt

import numpy as np

from refq.errors import IllFormed
from refq.ints import curve, rounding
from refq.ints.curve import DROPPED
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I24, I32, I48, I64, Width, at_most

reads_accumulators = True
"""In a graph it stands behind the sums of a linear layer, not behind their rescale."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_even", *rounding.names)
    q: Width = decided(I32)
    out: Width = I32

    def __post_init__(self):
        super().__post_init__()
        at_most(48, "gelu_ibert", self.q)
        if self.out not in (I32, I64):
            raise IllFormed(f"gelu_ibert: y of {self.out}; registers of 32 or of 64 bits are defined, rescale it afterwards")

    @property
    def rounds(self):
        return f"{self.ties}, floor"

    @property
    def takes(self):
        return {"q": self.q("n c"), "zp": self.q(), "b": I24("c", -5250000, -1), "c": I48("c", -(7 << 42), -1),
                "one": I32("c", -(7 << 28), -1), "up": I8("c", 0, min(31, 61 - self.q.bits)), "down": I8("c", 0, 62),
                "fall": I8("c", 0, 40)}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def channel(row, scale):
    """(constants of one channel, its unit) from a scale of q, decided exactly; raises IllFormed where none suits."""
    made, unit = curve.channel(scale, row.out.bits)
    if made["down"] > 62 or made["up"] > row.takes["up"].hi:
        raise IllFormed(f"gelu_ibert: codes of {row.q} on a scale of {float(scale)!r} would be moved by "
                        f"{made['down'] or made['up']} bits, which 64 do not hold; quantize its input with another scale")
    return made, unit


def build(row, scale, zero, count=1):
    """The constants of a step: `scale` of q, one number or one for each of `count` channels (float64), `zero` its zero point."""
    made = [channel(row, s)[0] for s in np.broadcast_to(np.asarray(scale, np.float64), (count,)).tolist()]
    return {"zp": zero} | {name: [m[name] for m in made] for name in made[0]}


def result(row, scale):
    """The scale of y, for every scale of q."""
    found = np.array([channel(row, s)[1] for s in np.ravel(scale).tolist()])
    return found.reshape(np.shape(scale))


def bound(row, scale, count, largest=None):
    """The largest error of y for reals of up to `largest` in magnitude; by default all that codes of `scale` stand for."""
    made, unit = channel(row, scale)
    largest = (row.q.hi - row.q.lo) * scale if largest is None else largest
    return 0.0187 + largest * 2.0 / -made["one"] + unit


def registers(row, ends, sizes, constants):
    b, c, one = (np.asarray(constants[name], np.int64) for name in ("b", "c", "one"))
    gate = (-c >> DROPPED) + 2 - one
    yield "square", I48, 0 * b, b * b
    yield "product", I64, I32.lo * gate, -I32.lo * gate


def spec(q, zp, b, c, one, up, down, fall, row, at=unwatched):
    b, c, one, up, down, fall = (array.astype(np.int64) for array in (b, c, one, up, down, fall))
    moved = at.shift("moved", row.ties, (q.astype(np.int64) - zp) << up, down, I64)                # R1 R2
    x = at.clip("x", moved, I32)                                                                   # R2
    near = np.minimum(np.maximum(np.maximum(x, -x), 0), -b) + b                                    # R3
    bent = at("curve", np.clip(x, -1, 1) * (at("square", near * near, I48) + c), I48)             # R3
    gate = at("gate", at.shift("kept", "floor", bent, DROPPED, I48) + one, I48)                     # R4
    product = at("product", -x * gate, I64)                                                        # R5
    return at.clip("y", at.shift("lowered", "floor", product, fall, I64), row.out)                 # R6 R7


@cache
def kernel(row):
    ties, lo, hi, least, most = rounding.word(row.ties), I32.lo, I32.hi, row.out.lo, row.out.hi

    @jit(nogil=True)
    def gelu_ibert(q, zp, b, c, one, up, down, fall, y):
        for n in range(q.shape[0]):
            for i in range(q.shape[1]):
                moved = ties((np.int64(q[n, i]) - zp) << np.int64(up[i]), np.int64(down[i]))       # R1 R2
                x, turn = min(max(moved, lo), hi), np.int64(b[i])                                  # R2
                near = min(abs(x), -turn) + turn
                bent = near * near + c[i]                                                            # R3
                gate = ((bent if x > 0 else -bent if x < 0 else 0) >> DROPPED) + one[i]              # R3 R4
                y[n, i] = min(max((-x * gate) >> np.int64(fall[i]), least), most)                  # R5 R6 R7

    return gelu_ibert


def real(q, zp, s):
    """GELU of the real numbers (q - zp) * s; float64."""
    x = (np.asarray(q, np.float64) - zp) * s
    return x * (1 + np.vectorize(erf, otypes=[np.float64])(x * sqrt(0.5))) / 2


slips = (dropped("zp"), negated("zp"), dropped("up"), dropped("down"), dropped("fall"), dropped("one"),
         first_for_all("b", "c", "one"), first_for_all("up", "down", "fall"), channels_shifted("q", 1),
         channels_shifted("y", 1), last_tile_lost("y", 4))


def r3_the_gate_is_odd(q, zp, b, c, one, up, down, fall, row):
    """Behind exact moves, y(x) - y(-x) is x times the gate's constant, to the bits that are dropped."""
    x = np.clip(q.astype(np.int64) - zp, -(1 << 20), 1 << 20)
    still = np.zeros_like(up), np.zeros_like(down), np.zeros_like(fall)
    wide = Row(q=I48, out=I64)
    there, back = (spec(v, 0, b, c, one, *still, wide) for v in (x, -x))
    apart = there - back + 2 * x * one.astype(np.int64)
    return (apart == 0) | (apart == np.abs(x)) | (apart == -np.abs(x))


def r5_zero_gives_zero(q, zp, b, c, one, up, down, fall, row):
    return spec(np.full_like(q, zp), zp, b, c, one, up, down, fall, row) == 0
