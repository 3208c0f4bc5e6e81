"""The ten roundings against fractions, as Python integers, NumPy arrays and jitted kernels."""
import re
from fractions import Fraction

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import rounding
from tests import oracle
from tests.ints.compiled import compiled

LO, HI = -(2 ** 63), 2 ** 63 - 1
EIGHT = range(-128, 128)


def three_ways(word, x, y):
    """The results as one list; fails unless Python integers, arrays and kernels agree."""
    a, b = np.array(x, np.int64), np.array(y, np.int64)
    scalars = [int(word(int(i), int(j))) for i, j in zip(x, y)]
    assert word(a, b).tolist() == scalars
    assert compiled(word, a, b).tolist() == scalars
    return scalars


def around(*centres):
    return sorted({c + d for c in centres for d in range(-3, 4)})


@pytest.mark.parametrize("name", rounding.names)
def test_shifts_are_exact_for_every_8_bit_code_and_shift(name):
    """256 codes, 64 shifts."""
    x, s = zip(*((x, s) for x in EIGHT for s in range(64)))
    assert three_ways(rounding.word(name), x, s) == [oracle.shifted(name, *pair) for pair in zip(x, s)]


@pytest.mark.parametrize("name", rounding.names)
def test_divisions_are_exact_for_every_8_bit_code_and_divisor(name):
    """256 codes, 127 divisors."""
    x, d = zip(*((x, d) for x in EIGHT for d in range(1, 128)))
    assert three_ways(rounding.divide(name), x, d) == [oracle.divided(name, *pair) for pair in zip(x, d)]


@pytest.mark.parametrize("name", rounding.names)
def test_shifts_are_exact_at_the_rails(name):
    """The ends of 16, 32 and 64 bits, powers of two and halves of them, with every shift."""
    rails = around(0, *(sign * 2 ** bit for bit in (14, 15, 16, 30, 31, 32, 61, 62) for sign in (-1, 1)), 3 * 2 ** 61)
    rails = sorted({x for x in [*rails, *range(LO, LO + 4), *range(HI - 3, HI + 1)] if LO <= x <= HI})
    x, s = zip(*((x, s) for x in rails for s in range(64)))
    assert three_ways(rounding.word(name), x, s) == [oracle.shifted(name, *pair) for pair in zip(x, s)]


@pytest.mark.parametrize("name", rounding.names)
def test_divisions_are_exact_at_the_rails(name):
    """The ends of 16, 32 and 63 bits over small, large and equal divisors."""
    ends = around(*(sign * 2 ** bit for bit in (15, 31, 62) for sign in (-1, 1))) + [-HI, -HI + 1, HI - 1, HI]
    divisors = [*range(1, 8), *(d for d in ends if d > 0)]
    x, d = zip(*((x, d) for x in ends for d in divisors))
    assert three_ways(rounding.divide(name), x, d) == [oracle.divided(name, *pair) for pair in zip(x, d)]


@pytest.mark.parametrize("name", rounding.names)
def test_a_shift_is_a_division_by_a_power_of_two(name):
    """Two texts, one meaning: for every shift that has a divisor."""
    x, s = zip(*((x, s) for x in (*EIGHT, -HI, HI, 2 ** 40 + 2 ** 20) for s in range(63)))
    x, s = np.array(x), np.array(s)
    assert np.array_equal(rounding.word(name)(x, s), rounding.divide(name)(x, np.int64(1) << s))


def test_the_table_in_the_docstring_is_what_the_words_do():
    """Every row of it: shifts, divisions and the oracle at +-0.5, +-1.5 and +-2.5."""
    header = next(line for line in rounding.__doc__.splitlines() if "ties" in line)
    halves = [int(2 * Fraction(text)) for text in re.findall(r"-?\d\.5", header)]
    assert halves == [-5, -3, -1, 1, 3, 5]
    rows = re.findall(r"^    (\w+) .*?((?:\s+-?\d){6})(?:\s|$)", rounding.__doc__, re.M)
    assert tuple(name for name, _ in rows) == rounding.names
    for name, cells in rows:
        expected = [int(cell) for cell in cells.split()]
        assert [int(rounding.word(name)(x, 1)) for x in halves] == expected, name
        assert [int(rounding.divide(name)(x, 2)) for x in halves] == expected, name
        assert [oracle.shifted(name, x, 1) for x in halves] == expected, name


def test_an_unknown_rounding_is_refused_with_the_names_there_are():
    """On shifts and on divisions."""
    for find in rounding.word, rounding.divide:
        with pytest.raises(IllFormed, match="'nearest'; there are floor, ceil"):
            find("nearest")
