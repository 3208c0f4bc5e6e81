"""Real scales as integers, and the word that applies them, against fractions and published pairs."""
from fractions import Fraction
from itertools import product
from math import frexp

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import multiplier, rounding
from refq.ints.jit import jit
from refq.ints.sites import unwatched
from tests import oracle

scales = st.floats(2.0 ** -40, 2.0 ** 20, exclude_min=True)


def mantissa(scale, bits):
    """scale = fraction in [1/2, 1) * 2**exponent; the fraction in `bits` bits, half up, and the exponent."""
    exponent = frexp(scale)[1]
    return oracle.roundings["half_up"](Fraction(scale) / Fraction(2) ** exponent * 2 ** bits), exponent


def test_the_published_pairs_come_out():
    """TFLite's QuantizeMultiplier; TOSA writes the same multiplier with the shift 31 - exponent."""
    for scale, mult, exponent in ((0.0472, 1621779651, -4), (1 / 256, 1073741824, -7), (0.75, 1610612736, 0),
                                  (1.5, 1610612736, 1), (1 - 2.0 ** -33, 1073741824, 1)):
        assert multiplier.encode(scale, "q31") == (mult, 31 - exponent)
    assert multiplier.encode(1 - 2.0 ** -33, "dyadic") == (2 ** 31, 31)
    assert multiplier.encode(1 - 2.0 ** -33, "q15") == (2 ** 14, 14)
    assert multiplier.encode(1 - 2.0 ** -31, "q15") == (0x7FFF, 15)
    assert multiplier.encode(0.75, "mantissa24") == (3 << 22, 24)
    assert multiplier.encode(0.25, "pow2") == (1, 2) and multiplier.encode(1.0, "pow2") == (1, 0)
    assert multiplier.encode(8.0, "pow2") == (8, 0)                      # to the left
    assert multiplier.encode(1 - 2.0 ** -33, "dyadic15") == (2 ** 15, 15)


@settings(max_examples=200, deadline=None)
@given(scales)
@example(2.0 ** -32)
@example(np.nextafter(2.0 ** -32, 0))
@example(2.0 ** -33)
@example(1 - 2.0 ** -53)
@example(5e-324)
@example(1.0)
def test_every_form_is_its_formula(scale):
    """Fractions for q31, q15, mantissa24 and dyadic: the carry and the flush included."""
    mult, exponent = mantissa(scale, 31)
    assert multiplier.encode(scale, "dyadic") == ((mult, 31 - exponent) if exponent >= -31 else (0, 31))
    if mult == 2 ** 31:
        mult, exponent = 2 ** 30, exponent + 1
    flushed = exponent < -31
    assert multiplier.encode(scale, "q31") == ((0, 31) if flushed else (mult, 31 - exponent))
    carried = multiplier.encode(scale, "dyadic")[0]
    assert multiplier.encode(scale, "dyadic15")[0] == oracle.shifted("half_up", carried, 16)
    high = min(oracle.shifted("half_up", mult, 16), 0x7FFF)
    assert multiplier.encode(scale, "q15") == ((0, 31) if flushed else (high, 15 - exponent))
    if scale > 2.0 ** -120:
        m, s = multiplier.encode(scale, "mantissa24")
        assert 2 ** 23 <= m < 2 ** 24 and Fraction(m) / Fraction(2) ** s == oracle.float32_of(Fraction(scale))


@settings(max_examples=100, deadline=None)
@given(scales, st.sampled_from(["q31", "dyadic", "mantissa24", "q15"]))
def test_a_pair_is_near_its_scale_and_decodes_exactly(scale, form):
    """Half a unit of the last place of its bits; decode is the fraction that the pair is."""
    mult, shift = multiplier.encode(scale, form)
    value = Fraction(multiplier.decode(mult, shift))
    assert value == Fraction(mult) / Fraction(2) ** shift
    if mult:
        bits = {"q31": 31, "dyadic": 31, "mantissa24": 24, "q15": 14}[form]
        assert abs(value / Fraction(scale) - 1) <= Fraction(1, 2 ** bits)


def test_no_scale_is_zero_in_every_form_but_the_shift():
    """Zero stays zero; a shift cannot say it."""
    for form in ("q31", "q15", "mantissa24", "dyadic"):
        assert multiplier.encode(0.0, form) == multiplier.FLUSHED


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf"), -0.5])
def test_a_scale_that_is_none_is_refused(scale):
    """By every form."""
    for form in multiplier.forms:
        with pytest.raises(IllFormed, match="finite and at least 0"):
            multiplier.encode(scale, form)


def test_scales_that_a_form_cannot_say_are_refused():
    """Not a power of two; beyond float32; a form that does not exist."""
    for scale in (0.3, 0.0, 3.0):
        with pytest.raises(IllFormed, match="power of two"):
            multiplier.encode(scale, "pow2")
    with pytest.raises(IllFormed, match="float32"):
        multiplier.encode(1e39, "mantissa24")
    with pytest.raises(IllFormed, match="there are q31"):
        multiplier.encode(0.5, "q63")


TIES = [
    # acc, k (scale 2**-k), TFLite twice, NEON helper, once half up, half even, half away, trunc, floor
    (1, 1, 1, 1, 1, 0, 1, 0, 0), (-1, 1, 0, 0, 0, 0, -1, 0, -1), (3, 1, 2, 2, 2, 2, 2, 1, 1),
    (-3, 1, -1, -1, -1, -2, -2, -1, -2), (5, 1, 3, 3, 3, 2, 3, 2, 2), (-5, 1, -2, -2, -2, -2, -3, -2, -3),
    (10, 2, 3, 3, 3, 2, 3, 2, 2), (-10, 2, -3, -2, -2, -2, -3, -2, -3), (6, 2, 2, 2, 2, 2, 2, 1, 1),
    (-6, 2, -2, -1, -1, -2, -2, -1, -2), (-24, 4, -2, -1, -1, -2, -2, -1, -2), (40, 4, 3, 3, 3, 2, 3, 2, 2),
    (-40, 4, -3, -2, -2, -2, -3, -2, -3)]


def apply(high, ties, left, acc, mult, shift):
    """The spec's text and the kernel's word on one triple; they must agree."""
    fields = [np.array([v], np.int64) for v in (acc, mult, shift)]
    spec = multiplier.scaled(unwatched, *fields, high, ties, left)
    assert int(spec[0]) == int(multiplier.scaler(high, ties, left)(acc, mult, shift))
    return int(spec[0])


def test_ties_fall_as_the_targets_were_measured():
    """Thirteen ties through seven ways of rounding."""
    ways = [("half_up", "half_away"), ("half_up", "half_up"), ("none", "half_up"), ("none", "half_even"),
            ("none", "half_away"), ("none", "trunc"), ("none", "floor")]
    for acc, k, *expected in TIES:
        mult, shift = multiplier.encode(2.0 ** -k, "q31")
        assert [apply(*way, "wrap", acc, mult, shift) for way in ways] == expected, (acc, k)


def test_rounding_twice_is_one_off_where_it_was_measured():
    """Published triples of accumulator, multiplier, exponent: twice, then once; and the NEON witness."""
    for acc, mult, exponent, twice, once in (
            (1553, 1083860905, -5, 25, 24), (3180, 1323544176, -4, 123, 122), (-450, 1248901663, -2, -66, -65),
            (-760, 2089687561, -3, -93, -92), (1999, 1177086202, -4, 69, 68), (-534, 1447038007, -4, -23, -22)):
        assert apply("half_up", "half_away", "wrap", acc, mult, 31 - exponent) == twice
        assert apply("none", "half_up", "wrap", acc, mult, 31 - exponent) == once
    assert apply("half_up", "half_away", "wrap", -633, 1495323184, 32) == -221
    assert apply("half_up", "half_up", "wrap", -633, 1495323184, 32) == -220


ACCS = [-(2 ** 31), -(2 ** 31) + 1, -(2 ** 30), -70000, -128, -3, -1, 0, 1, 2, 5, 127, 65535, 2 ** 30, 2 ** 31 - 1]
MULTS = [0, 1, 3 << 22, 2 ** 24 - 1, 2 ** 30, 2 ** 30 + 1, 1621779651, 2 ** 31 - 1, 2 ** 31]
SHIFTS = [0, 1, 5, 24, 30, 31, 32, 38, 61, 62]


@pytest.mark.parametrize("high, left", [("none", "wrap"), ("half_up", "wrap"), ("half_up", "saturate"),
                                        ("floor", "wrap")])
@pytest.mark.parametrize("ties", ["half_up", "half_away", "half_even"])
def test_the_word_is_the_spec_and_both_are_the_fractions(high, left, ties):
    """Over the rails of accumulator, multiplier and shift."""
    acc, mult, shift = (np.array(v, np.int64) for v in zip(*product(ACCS, MULTS, SHIFTS)))
    scale = multiplier.scaler(high, ties, left)

    @jit()
    def loop(acc, mult, shift, out):
        for i in range(acc.size):
            out[i] = scale(acc[i], mult[i], shift[i])

    out = np.empty_like(acc)
    loop(acc, mult, shift, out)
    assert np.array_equal(out, multiplier.scaled(unwatched, acc, mult, shift, high, ties, left))
    keep = oracle.wrapped if left == "wrap" else oracle.saturated
    for a, m, s, found in zip(acc.tolist(), mult.tolist(), shift.tolist(), out.tolist()):
        if high == "none":
            assert found == oracle.shifted(ties, a * m, s)
        else:
            lifted = keep(a * 2 ** max(31 - s, 0), 32)
            assert found == oracle.shifted(ties, oracle.shifted(high, lifted * m, 31), max(s - 31, 0))


def test_every_rounding_can_be_the_high_one():
    """The kernel's word takes any of the ten for either rounding."""
    for high, ties in product(rounding.names, rounding.names):
        apply(high, ties, "wrap", -12345, 1621779651, 35)
