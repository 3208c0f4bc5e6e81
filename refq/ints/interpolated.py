"""Tables of 513 entries that stand for a function of a 16-bit code, and the two ways of reading them.

    i = q + 2**15 >> 7,  o = q & 127
    rounded(t, q)   t[i] + ((t[i+1] - t[i]) * o + 64 >> 7)      a code
    raised(t, q)    (t[i] << 7) + (t[i+1] - t[i]) * o           seven bits more, for a rescale to take off

`entries` makes one: each is rounded, half away, from the function at its own place, less half of what the line to the next one
errs in its middle, so that the line errs to both sides alike. `reals`: the type in which all of that is computed, float64 or
float32; the function itself is correctly rounded to it, so that every machine makes the same table.

source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/common.h, LUTPopulate and LUTLookup; TOSA 1.0 TABLE
"""
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache

import numpy as np

from refq.ints import functions
from refq.ints.jit import word

COUNT = 513
REALS = {"float64": np.float64, "float32": np.float32}


@word
def rounded(t, q):
    i = (q + 32768) >> 7
    return t[i] + (((t[i + 1] - t[i]) * (q & 127) + 64) >> 7)


@word
def raised(t, q):
    i = (q + 32768) >> 7
    return (t[i] << 7) + (t[i + 1] - t[i]) * (q & 127)


readings = {"rounded": rounded, "raised": raised}


def single(value):
    """A Decimal as the nearest float32, ties to even: float64 in between would round twice."""
    near = np.float32(float(value))
    if not np.isfinite(near) or Decimal(float(near)) == value:
        return near
    others = [np.nextafter(near, np.float32(way)) for way in (-np.inf, np.inf)]
    exact = Fraction(value)
    return min([near, *others], key=lambda f: (abs(Fraction(float(f)) - exact), int(np.float32(f).view(np.int32)) & 1))


def evaluated(function, x, reals):
    """The function (Decimal to Decimal) of floats, each result rounded to `reals`."""
    nearest = single if reals is np.float32 else float
    with localcontext(prec=functions.DIGITS):
        return np.array([nearest(function(Decimal(float(v)))) for v in x], reals)


def half_away(x):
    return np.copysign(np.floor(np.abs(x) + x.dtype.type(0.5)), x)


def entries(function, s_in, z_in, s_out, z_out, reals=np.float64):
    """The 513 entries, int64, of `function` (Decimal to Decimal) between grids of 16-bit codes."""
    s_in, s_out = reals(s_in), reals(s_out)
    first, last = s_in * reals(-32768 - z_in), s_in * reals(32767 - z_in)
    low, high = s_out * reals(-32768 - z_out), s_out * reals(32767 - z_out)
    step = (last - first) / reals(512)
    half, inverse = step / reals(2), reals(65536) / (high - low)
    x = first + np.arange(512).astype(reals) * step
    with np.errstate(over="ignore"):
        value = evaluated(function, x, reals)
        middle = half_away(evaluated(function, x + half, reals) * inverse)
        following = evaluated(function, first + np.arange(1, 513).astype(reals) * step, reals)
        sample = half_away(value * inverse)
        line = half_away((following * inverse + sample) / reals(2))
        end = half_away(evaluated(function, [last], reals) * inverse)
    made = np.concatenate([sample - half_away((line - middle) / reals(2)), end])
    return np.clip(made, -32768, 32767).astype(np.int64)


@cache
def of_softmax(evaluated):
    """E and R of softmax_table16, made in float64 or float32: exp from -10 to 0, and 1 / (1 + x) from 0 to 1."""
    reals = REALS[evaluated]
    return (entries(functions.exp, 10 / 65535, 32767, 2 / 65535, 0, reals),
            entries(lambda x: 1 / (1 + Decimal(x)), 1 / 65535, -32768, 2 / 65535, 0, reals))
