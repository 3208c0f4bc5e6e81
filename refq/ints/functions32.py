"""Functions as engines evaluate them for a table: in float32, with every rounding written out.

`named(name)` is a word of a float32 array. Sums and products are rounded to float32 one by one; exp is glibc's, bit for bit
(refq.ints.libm); tanh and erfc are the nearest float32 where C libraries may be off by a few last places, which reaches a code
only beside a tie. A function that no engine writes in a form of its own is the nearest float32 of the real one.

source   LiteRT tflite/kernels/activations.cc and internal/reference/gelu.h; google/XNNPACK src/reference/unary-elementwise.cc
"""
import math
from decimal import Decimal, localcontext
from functools import partial

import numpy as np

from refq.ints import functions, libm
from refq.ints.interpolated import single

F = np.float32


def nearest(exact, quick, x):
    """The nearest float32 of `exact` (Decimal to Decimal); `quick`, the same in float64 to 12 digits, or None, decides most."""
    x = np.asarray(x, F)
    made, sure = np.empty(x.shape, F), np.zeros(x.shape, bool)
    if quick:
        value = np.array([quick(v) for v in x.astype(np.float64).ravel().tolist()]).reshape(x.shape)
        with np.errstate(over="ignore", under="ignore"):
            made = value.astype(F)
            sure = ((value * (1 - 1e-11)).astype(F) == made) & ((value * (1 + 1e-11)).astype(F) == made)
    with localcontext(prec=functions.DIGITS):
        for i in zip(*np.nonzero(~sure)):
            made[i] = single(exact(Decimal(float(x[i]))))
    return made


tanh = partial(nearest, functions.tanh, math.tanh)
erfc = partial(nearest, lambda x: 1 - functions.erf(x), math.erfc)


def sigmoid(x):
    with np.errstate(over="ignore"):
        return F(1) / (F(1) + libm.expf(np.clip(-x, F(-104), F(88.7))))


def silu(x):
    return x * sigmoid(x)


def gelu(x):
    return F(0.5) * x * erfc(x * F(-math.sqrt(0.5)))


def gelu_tanh(x):
    return F(0.5) * x * (F(1) + tanh(F(math.sqrt(2 / math.pi)) * (x + F(0.044715) * x * x * x)))


def hard_swish(x):
    return x * np.minimum(np.maximum(x + F(3), F(0)), F(6)) / F(6)


def exp(x):
    return libm.expf(np.clip(x, F(-104), F(88.7)))


WRITTEN = {f.__name__: f for f in (sigmoid, silu, gelu, gelu_tanh, hard_swish, exp)} | {"tanh": tanh}


def named(name):
    """The function of that name, of a float32 array."""
    return WRITTEN.get(name) or partial(nearest, functions.named(name), functions.quick.get(name))
