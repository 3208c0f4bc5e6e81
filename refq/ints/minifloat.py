"""Small floating-point formats: what each bit pattern means, and the words that take a number apart.

A pattern is a sign, `exponent` bits and `mantissa` bits. Where the exponent bits are 0 it is subnormal: f * 2**(1 - bias -
mantissa); else it is (2**mantissa + f) * 2**(e - bias - mantissa). What the topmost patterns stand for is the `kind`:

    kind    infinity      NaN                        formats
    ieee    e all ones    e all ones, f not 0        float16 bfloat16 e5m2 e4m3 e3m4
    fn      none          all ones                   e4m3fn
    fnuz    none          the pattern of -0          e4m3fnuz e5m2fnuz e4m3b11fnuz
    finite  none          none                       e3m2fn e2m3fn e2m1fn

source   ml_dtypes 0.6 README; onnx docs/docsgen/source/technical/float8.md and float4.md; OCP Microscaling Formats v1.0, 5.3
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import word
from refq.ints.width import Width


@dataclass(frozen=True)
class Format:
    """One format: how many bits its exponent and its mantissa have, the bias of the exponent, and its kind."""

    name: str
    exponent: int
    mantissa: int
    bias: int
    kind: str

    @property
    def bits(self):
        return 1 + self.exponent + self.mantissa

    @property
    def width(self):
        """The width of its codes, which are bit patterns."""
        return Width(self.bits, False)

    @property
    def sign(self):
        """The bit of the sign."""
        return 1 << self.bits - 1

    @property
    def least(self):
        """The exponent of its smallest normal number, and of its subnormal ones."""
        return 1 - self.bias

    @property
    def most(self):
        """The code of its largest finite number."""
        return {"ieee": (1 << self.exponent) - 1 << self.mantissa, "fn": self.sign - 1}.get(self.kind, self.sign) - 1

    @property
    def infinity(self):
        """The code of infinity, or None."""
        return self.most + 1 if self.kind == "ieee" else None

    @property
    def nan(self):
        """The code of the NaN that conversions give, or None."""
        quiet = 1 << self.mantissa - 1
        return {"ieee": self.most + 1 + quiet, "fn": self.sign - 1, "fnuz": self.sign}.get(self.kind)

    @property
    def special(self):
        """What numbers beyond the largest become where they do not saturate: infinity, else NaN, else None."""
        return self.nan if self.infinity is None else self.infinity

    @cached_property
    def values(self):
        """The number of every code, exact in float64: (2**bits,)."""
        codes = np.arange(1 << self.bits)
        low = codes & self.sign - 1
        e, f = low >> self.mantissa, low & (1 << self.mantissa) - 1
        made = np.ldexp(f + np.where(e > 0, 1 << self.mantissa, 0.0), np.maximum(e, 1) - self.bias - self.mantissa)
        made[low > self.most] = np.nan
        if self.infinity is not None:
            made[low == self.infinity] = np.inf
        made[codes >= self.sign] *= -1
        if self.kind == "fnuz":
            made[self.sign] = np.nan
        made.flags.writeable = False
        return made


formats = {f.name: f for f in (
    Format("float16", 5, 10, 15, "ieee"), Format("bfloat16", 8, 7, 127, "ieee"),
    Format("e5m2", 5, 2, 15, "ieee"), Format("e4m3", 4, 3, 7, "ieee"), Format("e3m4", 3, 4, 3, "ieee"),
    Format("e4m3fn", 4, 3, 7, "fn"),
    Format("e4m3fnuz", 4, 3, 8, "fnuz"), Format("e5m2fnuz", 5, 2, 16, "fnuz"), Format("e4m3b11fnuz", 4, 3, 11, "fnuz"),
    Format("e3m2fn", 3, 2, 3, "finite"), Format("e2m3fn", 2, 3, 1, "finite"), Format("e2m1fn", 2, 1, 1, "finite"))}
names = tuple(formats)


def load(name):
    """The format of that name; raises IllFormed where there is none."""
    if name not in formats:
        raise IllFormed(f"a number format named {name!r}; there are {', '.join(names)}")
    return formats[name]


@word
def exponent(x):
    """floor(log2(|x|)) of a float64 number; -1023 for 0 and what is subnormal there."""
    return ((np.float64(x).view(np.int64) >> 52) & 0x7FF) - 1023


@word
def power(e):
    """2**e in float64, for -1022 <= e <= 1023."""
    return np.int64((np.int64(e) + 1023) << 52).view(np.float64)


@word
def pattern(x):
    """The 32 bits of a float32 number, as an integer."""
    return np.int64(np.float32(x).view(np.uint32))


@word
def negative(x):
    """Whether the sign bit of a float64 number is set: of -0 and of a NaN too."""
    return np.float64(x).view(np.int64) < 0
