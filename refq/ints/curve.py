"""The parabola that stands for erf in I-BERT's GELU, as integers: `channel(scale, bits)` gives its constants for registers of a
scale, decided exactly.

    erf(v) = sign(v) * (a * (min(|v|, -b) + b)**2 + 1),  a = -0.2888, b = -1.769, v = x / 1.4142

For x that counts t, with v = t / 1.4142: b = floor(-1.769 / v), c = floor(-1 / 0.2888 / v**2), and behind a drop of 14 bits
one = floor(-1 / (0.2888 * 2**14 * v**2)). They need 2**-21 <= t <= 2**-10: a scale below is lowered by `down` bits, one above
raised by `up` bits, to 2**-16. x * (curve + one) counts t * 0.2888 * 2**13 * v**2, and `fall` is the shift that leaves `bits`.

source   Kim et al., I-BERT, ICML 2021, section 3.4; kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py, IntGELU
"""
from fractions import Fraction
from math import ceil, ldexp

from refq.errors import IllFormed

SQUARE, TURN, ROOT = Fraction(2888, 10000), Fraction(1769, 1000), Fraction(14142, 10000)
DROPPED = 14
FINEST, COARSEST, RAISED = Fraction(1, 1 << 21), Fraction(1, 1 << 10), Fraction(1, 1 << 16)


def doublings(ratio):
    """The least k >= 0 with 2**k >= ratio, a Fraction."""
    return max(ceil(ratio) - 1, 0).bit_length()


def channel(scale, bits):
    """(b, c, one, up, down and fall by name, the positive unit of the result) for a scale of a register and a result of so many
    bits; raises IllFormed for a scale that is none."""
    if not 0 < scale <= 1 << 12:
        raise IllFormed(f"gelu_ibert: a scale of {float(scale)!r}; it takes scales above 0, to 4096")
    s = Fraction(scale)
    down, up = doublings(FINEST / s), doublings(s / RAISED) if s > COARSEST else 0
    t = s * (1 << down) / (1 << up)
    bend = SQUARE * (t / ROOT) ** 2
    unit = bend * (1 << DROPPED - 1)
    fall = doublings(1 / unit / (1 << bits - 32))
    made = {"b": int(-TURN * ROOT // t), "c": int(-1 // bend), "one": int(-1 // (bend * (1 << DROPPED))), "up": up,
            "down": down, "fall": fall}
    return made, ldexp(float(t * unit), fall)
