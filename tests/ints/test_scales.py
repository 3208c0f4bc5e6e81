"""scales: each order of products against rounding written out with fractions; witnesses where two orders differ."""
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import multiplier, scales
from tests.oracle import float32_of

exponents = st.floats(2.0 ** -20, 2.0 ** 4, width=32)


@given(exponents, exponents, exponents)
def test_every_float32_product_and_quotient_is_rounded(sx, sw, sy):
    """float32: twice; product_float32: the product alone; reciprocal_float32: product, reciprocal and their product."""
    exact = Fraction(sx) * Fraction(sw)
    product = float32_of(exact)
    assert scales.ratio("float32", (sx, sw), sy) == float32_of(product / Fraction(sy))
    assert scales.ratio("product_float32", (sx, sw), sy) == float(product) / sy
    assert scales.ratio("reciprocal_float32", (sx, sw), sy) == float32_of(product * float32_of(1 / Fraction(sy)))
    assert scales.ratio("float64", (sx, sw), sy) == float(sx) * float(sw) / float(sy)


def test_orders_give_other_multipliers():
    """Scales of 0.1, 0.3 and 0.7 as float32: the four orders make three different q31 multipliers."""
    sx, sw, sy = (float(np.float32(s)) for s in (0.1, 0.3, 0.7))
    made = {word: multiplier.encode(float(scales.ratio(word, (sx, sw), sy)), "q31") for word in scales.names}
    assert len(set(made.values())) >= 3, made


def test_channels_keep_their_place():
    assert scales.ratio("float32", (0.5, np.array([1.0, 2.0, 4.0])), 2.0).tolist() == [0.25, 0.5, 1.0]


def test_an_unknown_order_is_refused():
    with pytest.raises(IllFormed, match="float46.*there are float64, float32"):
        scales.ratio("float46", (1.0,), 1.0)
