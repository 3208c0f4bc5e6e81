"""i-exp, the exponential of I-BERT by a parabola and halvings: `parts(x, x0, b, c)` gives (p, z) for a code x <= 0 of
scale s, and exp(x * s) is about p / (2**z * c).

    t = max(x, 30 * x0)                     x0 = floor(-0.6931 / s), the code of -ln 2
    z = floor(t / x0);  r = t - z * x0      a whole number of halvings, and what is left: x0 < r <= 0
    p = r * (r + b) + c                     0.35815147 * v**2 + 0.96963238 * v + 1 of v = r * s, over 0.35815147 * s**2

with b = floor(0.96963238 / 0.35815147 / s) and c = floor(1 / 0.35815147 / s**2). The authors go on to e = p * 2**(30 - z),
in units of 0.35815147 * s**2 / 2**30: a whole number, of up to 60 bits. With constants of `constants` p is from 2 to c.
The parabola is within 0.0019 of exp on (-ln 2, 0]; what a scale loses where 0.6931 / s is not whole comes on top.

For -2**18 < x <= 0 and constants within `X0`, `B` and `C`: |p| < 2**31.

check    s = 1/16: x0, b, c = -12, 43, 714; e of 0, -1, -8, -16, -64, -320 is 766651662336, 721554505728, 466003951616,
         299573968896, 18723373056, 6944
source   Kim et al., I-BERT, ICML 2021, section 3.5; kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py,
         IntSoftmax: constants there are floors of float32 quotients
"""
from fractions import Fraction

import numpy as np

from refq.errors import IllFormed
from refq.ints.exponential import whole
from refq.ints.jit import word
from refq.ints.width import I16, I32, U16, Width

LN2, A, B1 = Fraction(6931, 10 ** 4), Fraction(35815147, 10 ** 8), Fraction(96963238, 10 ** 8)
HALVINGS = 30
FINEST = 2.0 ** -14
"""The finest scale: what 64 bits hold of p times a multiplier of 31 bits."""

X0, B, C = I16("", -(1 << 14), -1), U16(), Width(30, False)("", 1)
"""x0, b and c as operands."""


def constants(scale, name):
    """(x0, b, c) of a scale, decided exactly; raises IllFormed for one at which -ln 2 has no code, and one below 2**-14."""
    # `whole` may round 0.6931 up to the next float32
    if not FINEST <= scale <= float(LN2) * (1 + 2 ** -20):
        raise IllFormed(f"{name}: codes of scale {float(scale)!r} have no code for -0.6931 between {X0.lo} and -1; quantize its "
                        "input with a scale between 2**-14 and 0.6931, or use a wider input")
    s = Fraction(scale)
    return int(-LN2 // s), int(B1 / A // s), int(1 / A // s ** 2)


def fitting(scale):
    """The least scale not below `scale` at which -ln 2 has a code of its own: the formula errs least there."""
    return max(whole(scale, 1 / LN2), FINEST)


@word
def parts(x, x0, b, c):
    """(p, z) for one int64 x <= 0 in a kernel, or Python integers."""
    t = max(x, HALVINGS * x0)
    z = t // x0
    r = t - z * x0
    return r * (r + b) + c, z


def exponential(at, name, x, x0, b, c):
    """`parts` of an int64 array with its registers at the sites `name_t`, `name_z`, `name_r` and `name`."""
    t = at(f"{name}_t", np.clip(x, HALVINGS * x0, 0 * x0), I32)
    z = at(f"{name}_z", t // x0, Width(5, False))
    r = at(f"{name}_r", t - z * x0, I16)
    return at(name, r * (r + b) + c, I32), z
