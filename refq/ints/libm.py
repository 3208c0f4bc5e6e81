"""exp of a float32 as C libraries compute it: bit for bit, where a target's table hangs on the last bit.

`expf(x)` is what glibc (2.27 and newer, from Arm's optimized routines) gives: in float64, by 32 powers of two and a polynomial
of three terms, rounded to float32. It is the nearest float32 in all but 7 of 10,000 cases. x: a float32 array, -104 to 88;
`nearest(x)` is the nearest one, for targets that compute in float64 and round.

source   ARM-software/optimized-routines math/expf.c
"""
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from refq.ints import functions
from refq.ints.interpolated import single

TERMS = tuple(map(float.fromhex, ("0x1.c6af84b912394p-5", "0x1.ebfce50fac4f3p-3", "0x1.62e42ff0c52d6p-1")))
STEPS = float.fromhex("0x1.71547652b82fep+0") * 32
"""32 / ln 2, by whose whole part the power of two is found."""


@cache
def powers():
    """2**(i / 32) as float64."""
    with localcontext(prec=functions.DIGITS):
        return np.array([float(Decimal(2) ** (Decimal(i) / 32)) for i in range(32)])


def expf(x):
    z = STEPS * np.asarray(x, np.float32).astype(np.float64)
    whole = np.rint(z)
    rest, k = z - whole, whole.astype(np.int64)
    a, b, c = TERMS[0] / 32 ** 3, TERMS[1] / 32 ** 2, TERMS[2] / 32
    value = (a * rest + b) * (rest * rest) + (c * rest + 1.0)
    with np.errstate(under="ignore"):
        return (value * np.ldexp(powers()[k & 31], k >> 5)).astype(np.float32)


def nearest(x):
    with localcontext(prec=functions.DIGITS):
        return np.array([single(functions.exp(Decimal(float(v)))) for v in np.ravel(x)], np.float32).reshape(np.shape(x))
