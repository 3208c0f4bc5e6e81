"""matmul_groups: against sums of fractions and unbounded integers; the bound of its multipliers; what is refused."""
from fractions import Fraction

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.width import I8, I16, U4, U8, Width
from refq.ops import matmul_groups
from refq.ops.matmul_groups import Row


def drawn(row, n, m, k, seed):
    rng, g = np.random.default_rng(seed), -(-k // row.block)

    def codes(width, shape):
        return rng.integers(width.lo, width.hi + 1, shape).astype(width.dtype)
    return {"x": codes(row.x, (n, k)), "w": codes(row.w, (m, k)), "bias": rng.integers(-2**40, 2**40, m),
            "zx": int(codes(row.x, ())), "zw": codes(row.w, (m, g)), "mult": rng.integers(1, 2**16, (m, g)).astype(np.uint16)}


def by_hand(row, x, w, bias, zx, zw, mult):
    return [[int(b) + sum(int(mult[j, i // row.block]) * (int(a) - zx) * (int(c) - int(zw[j, i // row.block]))
                          for i, (a, c) in enumerate(zip(line, w[j], strict=True))) for j, b in enumerate(bias)] for line in x]


@pytest.mark.parametrize("row", (Row(block=16), Row(x=U8, w=U4, block=5), Row(w=Width(3), block=1)), ids=str)
def test_unbounded_integers_give_the_same(row):
    kernel = matmul_groups.kernel(row)
    for seed, (n, m, k) in enumerate(((1, 1, 1), (2, 3, 2), (3, 2, 3), (2, 5, 197), (1, 1, 4096), (0, 3, 16), (3, 2, 0))):
        operands = drawn(row, n, m, k, seed)
        expected = np.array(by_hand(row, **operands), np.int64).reshape(n, m)
        acc = np.empty((n, m), np.int64)
        kernel(*operands.values(), acc)
        assert np.array_equal(acc, expected) and np.array_equal(matmul_groups.spec(*operands.values(), row=row), expected)


def test_the_product_of_the_reals_within_its_bound():
    """Half of u for the scale of each group, times what its codes add up to."""
    row, rng = Row(w=I8, block=8), np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (4, 32)), rng.integers(-128, 128, (3, 32))
    scale, zw = rng.uniform(2.0 ** -12, 1, (3, 4)), rng.integers(-9, 9, (3, 4))
    unit = matmul_groups.unit(row, scale)
    made = matmul_groups.build(row, w, np.zeros(3, np.int64), 5, zw, scale)
    assert made["mult"].max() == 1 << row.fraction and made["mult"].min() >= 1
    acc = matmul_groups.spec(x, *made.values(), row=row)
    for n in range(4):
        for m in range(3):
            terms = [(int(x[n, i]) - 5) * (int(w[m, i]) - int(zw[m, i // 8])) for i in range(32)]
            exact = sum(Fraction(float(scale[m, i // 8])) * t for i, t in enumerate(terms)) / Fraction(float(unit[m]))
            bound = sum(abs(sum(terms[g * 8:g * 8 + 8])) for g in range(4)) / Fraction(2)
            assert abs(int(acc[n, m]) - exact) <= bound


def test_scales_that_are_multiples_are_exact():
    """QServe's groups: whole multiples of the scale of the channel."""
    row, whole = Row(block=8), np.array([[3, 128, 77, 1], [128, 128, 2, 5]])
    made = matmul_groups.build(row, np.zeros((2, 32), int), np.zeros(2, int), 0, np.zeros((2, 4), int), whole * 2.0 ** -9)
    assert np.array_equal(made["mult"] * matmul_groups.unit(row, whole * 2.0 ** -9)[:, None], whole * 2.0 ** -9)


def test_what_is_refused():
    for fields in ({"block": 0}, {"x": Width(17)}, {"part": U8}, {"acc": U8}):
        with pytest.raises(IllFormed):
            Row(**fields)
    with pytest.raises(IllFormed, match="3 groups of 16 codes, and 32 codes in a row"):
        Row(block=16).sizes({"k": 32, "g": 3})
    row, reach = Row(x=I16, w=I16, block=128), {"x": (I16.lo, I16.hi)}
    fixed = {"w": np.full((1, 128), I16.hi), "zw": np.zeros((1, 1)), "zx": 0, "bias": np.zeros(1), "mult": np.ones((1, 1))}
    ends = {name: lo for name, _, lo, _ in matmul_groups.registers(row, reach, {}, fixed)}
    assert ends["part"] < row.part.lo        # which `Program.prove` refuses
