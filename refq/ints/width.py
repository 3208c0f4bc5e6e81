"""Width: how many bits a register has, and whether one of them is a sign.

`I8.clip(x)` saturates, `I8.wrap(x)` keeps the low bits; both serve Python integers, and NumPy integers of any kind, of
which they make int64.
`I8("n c")` declares an operand of that width (see operand.py).
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.ints.operand import Operand


@dataclass(frozen=True)
class Width:
    """A register of `bits` bits, 1 to 64 (63 unsigned: codes live in int64), two's complement where signed."""

    bits: int
    signed: bool = True

    def __post_init__(self):
        most = 64 if self.signed else 63
        if not 1 + self.signed <= self.bits <= most:
            raise IllFormed(f"a width of {self.bits} bits: {'signed' if self.signed else 'unsigned'} widths have "
                            f"{1 + self.signed} to {most} bits")

    @cached_property
    def lo(self):
        return -(1 << (self.bits - 1)) if self.signed else 0

    @cached_property
    def hi(self):
        return (1 << (self.bits - self.signed)) - 1

    @cached_property
    def dtype(self):
        """The smallest NumPy integer that holds every code; never uint64, which mixes with nothing."""
        bits = next(bits for bits in (8, 16, 32, 64) if self.bits <= bits)
        return np.dtype(f"{'int' if self.signed or bits == 64 else 'uint'}{bits}")

    def clip(self, x):
        """Saturate: the nearest value that the width holds."""
        if isinstance(x, int):
            return min(max(x, self.lo), self.hi)
        return np.clip(x.astype(np.int64, casting="safe", copy=False), self.lo, self.hi)

    def wrap(self, x):
        """Keep the low bits; the top one is read as the sign where the width has one."""
        if not isinstance(x, int):
            x = x.astype(np.int64, casting="safe", copy=False)
            if self.bits == 64:
                return x
        low = x & ((1 << self.bits) - 1)
        sign = 1 << (self.bits - 1)
        return (low ^ sign) - sign if self.signed else low

    def __contains__(self, x):
        return self.lo <= x <= self.hi

    def __call__(self, axes="", lo=None, hi=None):
        return Operand(self, axes, lo, hi)

    def __str__(self):
        return f"{'i' if self.signed else 'u'}{self.bits}"

    __repr__ = __str__


def at_most(bits, where, *widths):
    """Refuses widths of more bits than `where`, an operation, is defined for."""
    if wide := [w for w in widths if w.bits > bits]:
        raise IllFormed(f"{where}: an operand of {wide[0]}; at most {bits} bits are defined, rescale it first")


def width(text):
    """`i8`, `u4`, ... as a Width."""
    kind, bits = text[:1], text[1:]
    if kind not in ("i", "u") or not bits.isdigit():
        raise IllFormed(f"a width {text!r}: write i or u and the number of bits, such as i8 or u4")
    return Width(int(bits), kind == "i")


I2, I3, I4, I5, I6, I7, I8, I16, I24, I32, I40, I48, I64 = map(Width, (2, 3, 4, 5, 6, 7, 8, 16, 24, 32, 40, 48, 64))
U1, U2, U4, U8, U16, U32 = (Width(bits, False) for bits in (1, 2, 4, 8, 16, 32))
