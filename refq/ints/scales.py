"""How the real scale of a rescale is made of the scales of tensors: in which precision, and in which order.

    word                how                                                                     seen in
    float64             products and quotient in float64, of scales that are float32            TFLite CONV, ADD
    float32             every product and the quotient rounded to float32, left to right        MLAS, FBGEMM, XNNPACK
    product_float32     the products rounded to float32, the quotient in float64                TFLite's old FULLY_CONNECTED
    reciprocal_float32  the float32 product times the float32 reciprocal of the unit

`ratio(word, factors, unit, count)` is the product of `factors` over `unit`: numbers, or arrays with one for each channel; over
`count` too, which float64 divides by, and float32 multiplies by the reciprocal of, last.
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


def there_and_back(scale):
    """The float32 reciprocal of the float32 reciprocal: where a library takes 1/s and inverts it again (ideep, for oneDNN)."""
    return np.float32(1) / (1 / np.asarray(scale, np.float64)).astype(np.float32)


def pair(first, second, inverted):
    """Two scales as float32; there_and_back where `inverted` says so: none, first, both."""
    first = there_and_back(first) if inverted != "none" else np.float32(first)
    return np.asarray(first, np.float32), there_and_back(second) if inverted == "both" else np.asarray(second).astype(np.float32)


orders = {f.__name__: f for f in (float64, float32, product_float32, reciprocal_float32)}
names = tuple(orders)


def ratio(word, factors, unit, count=1):
    """The product of `factors` over `unit`, and over the number `count` of summands whose mean is meant, as float64 of the shape
    that they broadcast to; raises IllFormed for a word that is none."""
    if word not in orders:
        raise IllFormed(f"an order of scales named {word!r}; there are {', '.join(names)}")
    single, found = word in ("float32", "reciprocal_float32"), np.asarray(orders[word](factors, unit), np.float64)
    if count == 1:
        return found
    return (found.astype(np.float32) * (np.float32(1) / np.float32(count))).astype(np.float64) if single else found / count
