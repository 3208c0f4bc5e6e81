"""Thresholds: each rounding against fractions; the compiled rescale against the spec, over rows, shifts and rails."""
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, trunc

import numpy as np
import pytest

from refq.ints import multiplier, rounding
from refq.ints.row import alternatives
from refq.ints.width import I16, I48, U8
from refq.ops import rescale
from refq.vectors.prove.thresholds import rescaled, thresholds


def exactly(ties, x):
    """A Fraction rounded, as the table of refq/ints/rounding.py says."""
    low, high, sign = floor(x), ceil(x), 1 if x >= 0 else -1
    plain = {"floor": low, "ceil": high, "trunc": trunc(x), "away": high if x >= 0 else low,
             "odd": low if low == high or low % 2 else high}
    if ties in plain:
        return plain[ties]
    if x - low != Fraction(1, 2):
        return low if x - low < Fraction(1, 2) else high
    return {"half_up": high, "half_down": low, "half_away": high if sign > 0 else low,
            "half_zero": low if sign > 0 else high, "half_even": low if low % 2 == 0 else high}[ties]


@pytest.mark.parametrize("ties", rounding.names)
def test_a_rounding_is_four_thresholds(ties):
    """q + (r >= threshold) is the rounding of q + r / d, for every remainder of the divisors 1 to 64, over both signs."""
    for d in (1, 2, 4, 8, 64):
        least = thresholds(ties, d)
        for q in range(-4, 5):
            for r in range(d):
                got = q + (r >= least[2 * (q < 0) + q % 2])
                assert got == exactly(ties, q + Fraction(r, d)), (q, r, d)


def rows():
    base = rescale.Row(high="half_up", ties="half_away")
    yield from (row for _, row in alternatives(rescale.Row()))
    yield from (row for _, row in alternatives(base))
    yield from (rescale.Row(out=I16), rescale.Row(out=U8), rescale.Row(zero_point="inside"),
                rescale.Row(multiplier="q15", acc=I48), replace(base, overflow="saturate"))


@pytest.mark.parametrize("row", dict.fromkeys(rows()), ids=str)
def test_rescaled_is_the_spec(row):
    """Around 0 and both rails of the accumulator, for shifts from the least to the most, small and full multipliers."""
    rng, takes = np.random.default_rng(3), row.takes
    most = min(takes["mult"].hi, 2 ** multiplier.bits[row.multiplier])
    for shift in {takes["shift"].lo, 5, 29, 30, 31, 32, 38, 50, takes["shift"].hi} & set(range(takes["shift"].hi + 1)):
        if shift < takes["shift"].lo:
            continue
        for mult, zp in ((most, row.out.lo), (int(rng.integers(most // 2, most, endpoint=True)), row.out.hi), (1, 0)):
            zin = int(rng.integers(-9, 10))
            constants = {"zin": zin, "mult": np.array([mult]), "shift": np.array([shift], np.int8), "zp": zp}
            for start in (takes["acc"].lo, -700, takes["acc"].hi - 1499):
                y = np.empty(1500, row.out.dtype)
                rescaled(row, constants)(start, y)
                acc = (np.arange(1500) + start)[:, None]
                np.testing.assert_array_equal(y, rescale.spec(acc, **constants, row=row)[:, 0])


