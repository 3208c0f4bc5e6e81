"""Pools against Python integers and fractions, window by window; and what published kernels say of their divisions."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import reciprocal
from refq.ints.width import I8, I16, U8
from refq.ops import average_pool, average_pool_float32, average_pool_values, max_pool
from tests import oracle, oracle_windows
from tests.ops.strategies import by_kernel, by_spec, operands_of, rails, small, uniform

GEOMETRIES = [
    ({}, 4, 5), ({"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1, 2, 0)}, 5, 4),
    ({"kernel": (2, 3), "dilation": (2, 1), "padding": (0, 2, 1, 2), "stride": (1, 2)}, 4, 3),
    ({"kernel": (1, 1)}, 2, 2), ({"kernel": (4, 4), "stride": (3, 3), "padding": (1, 2, 3, 1)}, 6, 5),
]
BEYOND = ({"kernel": (3, 2), "stride": (2, 2), "padding": (1, 0, 1, 1), "beyond": (1, 0)}, 5, 4)


def compared(name, row, h, w, expected, style=uniform):
    """Spec and kernel against `expected(operands)` on an image of h x w."""
    found = {"n": 1, "h": h, "w": w, "c": 19, "p": row.kernel[0] * row.kernel[1]}
    operands = operands_of(row, found, np.random.default_rng(h * w), lambda: style)
    right = np.array(expected(operands))
    for by in (by_spec, by_kernel):
        np.testing.assert_array_equal(by(name, row)(operands)["y"], right)


def largest(codes, valid, n):
    return max(codes)


@pytest.mark.parametrize("q", [I8, U8, I16])
@pytest.mark.parametrize("geometry, h, w", GEOMETRIES)
def test_max_pool_is_the_largest_seen(geometry, h, w, q):
    """The largest code of what is in the image; below 0 as well."""
    row = max_pool.Row(q=q, **geometry)
    for style in (uniform, rails, small):
        compared("max_pool", row, h, w, lambda o: oracle_windows.pooled(o["q"].tolist(), row, largest), style)


@pytest.mark.parametrize("fields", [
    {}, {"q": U8, "out": U8, "counts": "all"}, {"zero_point": "taken", "ties": "half_even", "counts": "all"},
    {"zero_point": "taken", "multiplier": "reciprocal30", "ties": "half_up", "q": I16, "out": I16},
    {"zero_point": "taken", "multiplier": "mantissa24", "counts": "all", "q": U8}, {"multiplier": "q31", "ties": "trunc"}])
@pytest.mark.parametrize("geometry, h, w", [*GEOMETRIES, BEYOND])
def test_means_of_python_integers(geometry, h, w, fields):
    """Sums, counts and one rounding, also of windows that reach beyond the padding."""
    row = average_pool.Row(**fields, **geometry)

    def expected(o):
        pairs = list(zip(o["mult"].tolist(), o["shift"].tolist())) if "mult" in o else None
        return oracle_windows.pooled(o["q"].tolist(), row, oracle_windows.mean(row, o["zin"], o["zp"], pairs))

    for style in (uniform, rails, small):
        compared("average_pool", row, h, w, expected, style)


@pytest.mark.parametrize("zero_point, block", [("after", 1), ("inside", 1), ("fused", 1), ("after", 8), ("fused", 16),
                                               ("kept", 1)])
@pytest.mark.parametrize("geometry, h, w", [*GEOMETRIES[:3], BEYOND])
def test_means_by_one_product(geometry, h, w, zero_point, block):
    """The float32 product of a sum; 19 channels are two blocks of 8 and three more, or one of 16."""
    row = average_pool_float32.Row(counts="all" if block == 8 else "valid", zero_point=zero_point, block=block, **geometry)
    edge = 19 // block * block

    def expected(o):
        made = [np.array(oracle_windows.pooled(o["q"].tolist(), row, oracle_windows.mean_by_product(
            row, o["zin"], o["scale"], o["zp"], joins))) for joins in (zero_point, "inside")]
        return np.concatenate([made[0][..., :edge], made[1][..., edge:]], axis=3)

    compared("average_pool_float32", row, h, w, expected)


@pytest.mark.parametrize("counts", ["valid", "all"])
@pytest.mark.parametrize("geometry, h, w", [*GEOMETRIES, BEYOND])
def test_means_of_values(geometry, h, w, counts):
    """Every float32 rounding is where fractions say."""
    row = average_pool_values.Row(counts=counts, **geometry)
    compared("average_pool_values", row, h, w, lambda o: oracle_windows.pooled(
        o["q"].tolist(), row, oracle_windows.mean_of_values(row, o["sin"], o["zin"], o["sy"], o["zp"])))


@pytest.mark.parametrize("form", reciprocal.forms)
def test_reciprocals_that_lean_divide_half_away(form):
    """For every sum of 8-bit codes that 300 places can have, the product rounded half up is the quotient rounded half away."""
    for n in range(1, 301):
        mult, shift = reciprocal.forms[form](n)
        acc = np.arange(-255 * n, 255 * n + 1, max(1, n // 7)).tolist() + [n * k // 2 for k in range(-511, 512)]
        assert all((a * mult + (1 << shift - 1)) >> shift == oracle.divided("half_away", a, n) for a in acc), n


def test_coarse_constants():
    """A DPU's constants: those that are listed, and the nearest that its search finds."""
    assert [reciprocal.coarse(k, k) for k in (3, 5, 6, 7, 14)] == [(7, 6), (10, 8), (7, 8), (21, 10), (21, 12)]
    assert reciprocal.coarse(2, 2) == (1, 2)
    assert reciprocal.coarse(3, 6) == (57, 10)
    made = average_pool.build(average_pool.Row(multiplier="coarse", zero_point="taken", kernel=(3, 3)), 0.5, 0, 0.25, 0)
    assert made["mult"] == [7] * 9 and made["shift"] == [5] * 9


def test_tflite_rounds_half_away_and_keeps_the_zero_point():
    """-1 and -2 make -1.5: -2 as codes; by their distance from zero point -3 (2 and 1) it is 1.5, 2, and so -1."""
    q = np.array([-1, -2], np.int8).reshape(1, 1, 2, 1)
    row = average_pool.Row(kernel=(1, 2))
    assert average_pool.spec(q, -3, -3, row=row).item() == -2
    assert average_pool.spec(q, -3, -3, row=average_pool.Row(kernel=(1, 2), zero_point="taken")).item() == -1


@pytest.mark.parametrize("fields, h, w, said", [
    ({"kernel": (3, 3)}, 2, 5, "does not fit"), ({"kernel": (1, 2), "padding": (0, 2, 0, 0)}, 3, 3, "sees only padding"),
    ({"kernel": (2, 2), "padding": (0, 0, 2, 0)}, 3, 3, "sees only padding")])
def test_windows_that_see_nothing_are_refused(fields, h, w, said):
    """A window has something of the image to pool, or there is none."""
    for op in (max_pool, average_pool, average_pool_float32, average_pool_values):
        with pytest.raises(IllFormed, match=said):
            op.Row(**fields).sizes({"n": 1, "h": h, "w": w, "c": 1})


@pytest.mark.parametrize("fields, said", [({"kernel": (0, 2)}, "kernel"), ({"stride": (1,)}, "stride"),
                                          ({"padding": (0, 0, -1, 0)}, "padding"), ({"dilation": (1, 0)}, "dilation")])
def test_impossible_geometries_are_refused(fields, said):
    """Numbers that a window cannot have."""
    for op in (max_pool, average_pool):
        with pytest.raises(IllFormed, match=said):
            op.Row(**fields)


def test_one_grid_where_a_row_only_averages():
    """Two grids are refused where no multiplier can carry codes from one to the other."""
    for fields in ({}, {"zero_point": "taken"}, {"multiplier": "reciprocal30", "zero_point": "taken"}):
        with pytest.raises(IllFormed, match="rescale the result"):
            average_pool.build(average_pool.Row(**fields), 0.5, 3, 0.25, 3)
    with pytest.raises(IllFormed, match="power of two"):
        average_pool.build(average_pool.Row(multiplier="coarse", zero_point="taken"), 0.5, 0, 0.3, 0)
