"""Square roots and bit counts: one text for Python integers, arrays and kernels, right at every rail."""
from math import isqrt

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import bits, roots
from tests.ints.compiled import compiled

HI = 2 ** 63 - 1
RAILS = sorted({v for bit in range(63) for v in (2 ** bit - 1, 2 ** bit, 2 ** bit + 1)} | {HI - 1, HI}
               | {m * m + d for m in (2, 255, 2 ** 15, 2 ** 16 - 1, 46341, 2 ** 26, 2 ** 31 - 1, 3037000499)
                  for d in (-1, 0, 1)})


def three_ways(word, numbers):
    """The results as one list; fails unless Python integers, arrays and kernels agree."""
    array = np.array(numbers, np.int64)
    scalars = [int(word(int(v))) for v in numbers]
    assert word(array).tolist() == scalars
    assert compiled(word, array).tolist() == scalars
    return scalars


def newton(v):
    k = 2 ** 16
    for _ in range(10):
        k = (k + v // k) // 2
    return k


def test_the_exact_root_is_the_floor_of_the_square_root():
    """Every number below 2**16, and the rails up to 2**63 - 1."""
    numbers = [*range(1 << 16), *RAILS]
    assert three_ways(roots.exact, numbers) == [isqrt(v) for v in numbers]


def test_ten_newton_steps_end_where_the_published_code_ends():
    """The check values of I-ViT's LayerNorm, and the formula on everything else."""
    published = {0: 64, 1: 64, 100: 64, 1000: 68, 4096: 83, 10 ** 4: 108, 10 ** 5: 316, 999999: 1000, 10 ** 6: 1000,
                 10 ** 9: 31622, 2 ** 32 - 1: 65536}
    assert three_ways(roots.newton10, list(published)) == list(published.values())
    numbers = [*range(1 << 14), *RAILS]
    assert three_ways(roots.newton10, numbers) == [newton(v) for v in numbers]


def test_newton_is_the_exact_root_or_one_more_at_a_square_less_one():
    """From 142883 on, as the facts of I-ViT say; below it stops too early."""
    v = np.arange(142883, 400000)
    exact, ten = roots.exact(v), roots.newton10(v)
    square_less_one = (exact + 1) ** 2 - 1 == v
    assert np.array_equal(ten[~square_less_one], exact[~square_less_one])
    assert set((ten - exact)[square_less_one].tolist()) == {0, 1}
    assert roots.newton10(142882) != roots.exact(142882)


def test_an_unknown_root_is_refused():
    """With the names there are."""
    with pytest.raises(IllFormed, match="'fast'; there are exact, newton10"):
        roots.word("fast")


SIGNED = [*range(-300, 300), *RAILS, *(-v for v in RAILS), -(2 ** 63)]


def test_bits_are_counted_as_the_64_bit_pattern_has_them():
    """Length, leading and trailing zeros by the text of the pattern."""
    patterns = [format(v % 2 ** 64, "064b") for v in SIGNED]
    assert three_ways(bits.length, SIGNED) == [len(p.lstrip("0")) for p in patterns]
    assert three_ways(bits.clz64, SIGNED) == [64 - len(p.lstrip("0")) for p in patterns]
    assert three_ways(bits.ctz64, SIGNED) == [64 - len(p.rstrip("0")) for p in patterns]
    assert three_ways(bits.clz32, SIGNED) == [32 - len(p[32:].lstrip("0")) for p in patterns]
