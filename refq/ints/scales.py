"""How the real scale of a rescale is made of the scales of tensors: in which precision, and in which order.

    word                how                                                                     seen in
    float64             products and quotient in float64, of scales that are float32            TFLite CONV, ADD
    float32             every product and the quotient rounded to float32, left to right        MLAS, FBGEMM, XNNPACK
    product_float32     the products rounded to float32, the quotient in float64                TFLite's old FULLY_CONNECTED
    reciprocal_float32  the float32 product times the float32 reciprocal of the unit

`ratio(word, factors, unit)` is the product of `factors` over `unit`: numbers, or arrays with one for each channel.
"""
from functools import reduce
from operator import mul

import numpy as np

from refq.errors import IllFormed


def singles(values):
    with np.errstate(over="ignore", under="ignore"):
        return [np.asarray(v, np.float64).astype(np.float32) for v in values]


def product32(factors):
    with np.errstate(over="ignore", under="ignore"):
        return reduce(mul, singles(factors))


def float64(factors, unit):
    return reduce(mul, (np.asarray(f, np.float64) for f in factors)) / np.float64(unit)


def float32(factors, unit):
    with np.errstate(over="ignore", under="ignore"):
        return (product32(factors) / np.float32(unit)).astype(np.float64)


def product_float32(factors, unit):
    return product32(factors).astype(np.float64) / np.float64(unit)


def reciprocal_float32(factors, unit):
    with np.errstate(over="ignore", under="ignore"):
        return (product32(factors) * (np.float32(1) / np.float32(unit))).astype(np.float64)


orders = {f.__name__: f for f in (float64, float32, product_float32, reciprocal_float32)}
names = tuple(orders)


def ratio(word, factors, unit):
    """The product of `factors` over `unit`, as float64 of the shape that they broadcast to; raises IllFormed for a word that
    is none."""
    if word not in orders:
        raise IllFormed(f"an order of scales named {word!r}; there are {', '.join(names)}")
    return np.asarray(orders[word](factors, unit), np.float64)
