"""Matrix products: every vector unit of this processor and the plain loop agree with NumPy's int64, to the bit."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from refq.ints.jit import jit
from refq.machine import dot
from refq.machine.tile import available, best

paths = [*available(), None]
wide_paths = [unit for unit in paths if unit is None or unit.form == "pairs"]
by_name = {"ids": lambda unit: f"{unit.feature}-{unit.form}" if unit else "plain"}

edges = [
    (0, 5, 3), (3, 5, 0), (3, 0, 5), (0, 0, 0), (1, 1, 1), (1, 3, 1), (2, 4, 2), (7, 9, 31), (8, 64, 32), (9, 65, 33),
    (16, 63, 48), (1, 192, 10), (33, 2, 1), (5, 31, 65), (197, 197, 64), (40, 509, 17), (3, 1021, 34),
]
drawn = [tuple(int(size) for size in shape) for shape in np.random.default_rng(1).integers(0, [80, 300, 90], (20, 3))]


def codes(rng, shape, dtype):
    """Random codes, with a third of them on the rails."""
    lo, hi = np.iinfo(dtype).min, np.iinfo(dtype).max
    anywhere, rails = rng.integers(lo, hi + 1, shape), rng.choice([lo, hi, -1, 0], shape)
    return np.where(rng.integers(0, 3, shape) == 0, rails, anywhere).astype(dtype)


def truth(x, w):
    return x.astype(np.int64) @ w.astype(np.int64).T


def product(function, x, w, dtype):
    """acc, after checking that not a byte around it was written."""
    size, guard = x.shape[0] * w.shape[0], 77
    memory = np.full(size + 2 * guard, 99, dtype)
    acc = memory[guard:guard + size].reshape(x.shape[0], w.shape[0])
    function(x, w, acc)
    assert (memory[:guard] == 99).all() and (memory[guard + size:] == 99).all()
    return acc


@pytest.mark.parametrize("unit", paths, **by_name)
def test_int8_is_the_product(unit):
    rng = np.random.default_rng(2)
    for n, k, m in edges + drawn:
        x, w = codes(rng, (n, k), np.int8), codes(rng, (m, k), np.int8)
        np.testing.assert_array_equal(product(dot.int8(unit), x, w, np.int32), truth(x, w), f"{n, k, m}")


@pytest.mark.parametrize("unit", paths, **by_name)
@pytest.mark.parametrize("left", [-128, 127])
@pytest.mark.parametrize("right", [-128, 127])
def test_int8_holds_at_the_rails(unit, left, right):
    for k in (4, 5, 766):
        x, w = np.full((9, k), left, np.int8), np.full((35, k), right, np.int8)
        assert (product(dot.int8(unit), x, w, np.int32) == left * right * k).all()


@pytest.mark.parametrize("unit", paths, **by_name)
def test_int8_wraps_modulo_32_bits(unit):
    x, w = np.full((1, 2**17 + 3), -128, np.int8), np.full((2, 2**17 + 3), -128, np.int8)
    assert (product(dot.int8(unit), x, w, np.int32) == 2**14 * (2**17 + 3) - 2**32).all()


@pytest.mark.parametrize("unit", paths, **by_name)
def test_int8_partial_sums_may_wrap(unit):
    x, w = np.full((1, 2**18), -128, np.int8), np.full((1, 2**18), -128, np.int8)
    w[:, 2**17 + 1:] = 127
    assert truth(x[:, :2**17 + 1], w[:, :2**17 + 1]) >= 2**31
    np.testing.assert_array_equal(product(dot.int8(unit), x, w, np.int32), truth(x, w))


@pytest.mark.parametrize("unit", wide_paths, **by_name)
@pytest.mark.parametrize("kinds", [(np.int16, np.int8), (np.int16, np.int16), (np.int8, np.int16), (np.int8, np.int8)],
                         ids=lambda kinds: "x".join(str(np.iinfo(kind).bits) for kind in kinds))
def test_wide_is_the_product(unit, kinds):
    rng = np.random.default_rng(3)
    for n, k, m in edges + drawn:
        x, w = codes(rng, (n, k), kinds[0]), codes(rng, (m, k), kinds[1])
        np.testing.assert_array_equal(product(dot.wide(unit), x, w, np.int64), truth(x, w), f"{n, k, m}")


@pytest.mark.parametrize("unit", wide_paths, **by_name)
@pytest.mark.parametrize("right", [np.int8, np.int16])
def test_wide_holds_where_a_block_is_fullest(unit, right):
    for left in (-2**15, 2**15 - 1, -1, 255):
        for rail in (np.iinfo(right).min, np.iinfo(right).max):
            for k in (256, 257, 480, 512, 1100):
                x, w = np.full((8, k), left, np.int16), np.full((33, k), rail, right)
                assert (product(dot.wide(unit), x, w, np.int64) == left * rail * k).all()


@pytest.mark.parametrize("kind", [np.int8, np.int16])
@pytest.mark.parametrize("into", [np.int32, np.int64])
def test_row_sums_are_the_sums(kind, into):
    rng = np.random.default_rng(4)
    for n, k in ((0, 3), (3, 0), (1, 1), (7, 1001)):
        x, sums = codes(rng, (n, k), kind), np.full(n, 99, into)
        dot.row_sums(x, sums)
        np.testing.assert_array_equal(sums, x.sum(1, dtype=into))


def test_zero_points_come_out_by_row_sums():
    rng = np.random.default_rng(5)
    x, w, acc, a, b = codes(rng, (9, 50), np.int8), codes(rng, (40, 50), np.int8), np.empty((9, 40), np.int32), -7, 11
    of_x, of_w = np.empty(9, np.int32), np.empty(40, np.int32)
    dot.dot_int8(x, w, acc)
    dot.row_sums(x, of_x)
    dot.row_sums(w, of_w)
    without = acc - b * of_x[:, None] - a * of_w + 50 * a * b
    np.testing.assert_array_equal(without, truth(x - np.int64(a), w - np.int64(b)))


def test_kernels_call_it_on_views_and_constants():
    """Heads of a batch are C-contiguous views, and weights may be read-only."""
    dot_int8 = dot.dot_int8

    @jit(nogil=True)
    def heads(x, w, acc):
        for h in range(x.shape[0]):
            dot_int8(x[h], w[h], acc[h])

    rng = np.random.default_rng(6)
    x, w, acc = codes(rng, (3, 19, 64), np.int8), codes(rng, (3, 37, 64), np.int8), np.empty((3, 19, 37), np.int32)
    w.flags.writeable = False
    heads(x, w, acc)
    np.testing.assert_array_equal(acc, [truth(*pair) for pair in zip(x, w)])
    dot_int8(x[1], w[1], acc[0])
    np.testing.assert_array_equal(acc[0], acc[1])


@pytest.mark.parametrize("shapes", [((4, 8), (5, 9), (4, 5)), ((4, 8), (5, 8), (3, 5)), ((4, 8), (5, 8), (4, 6))])
def test_shapes_that_do_not_fit_are_refused(shapes):
    x, w, acc = (np.zeros(shape, dtype) for shape, dtype in zip(shapes, (np.int8, np.int8, np.int32)))
    for function in (dot.dot_int8, dot.int8(None)):
        with pytest.raises(ValueError, match="do not fit together"):
            function(x, w, acc)
    with pytest.raises(ValueError, match="do not fit together"):
        dot.dot_wide(x, w, acc.astype(np.int64))


program = """
import json
import numpy as np
from refq.machine import dot, tile
rng, acc = np.random.default_rng(7), np.empty((20, 40), np.int32)
dot.dot_int8(rng.integers(-128, 128, (20, 90), np.int8), rng.integers(-128, 128, (40, 90), np.int8), acc)
print(json.dumps([getattr(tile.best("quads", "pairs"), "feature", None), acc.tolist()]))
"""


def test_another_processor_takes_another_path_to_the_same_bits(tmp_path):
    """Kernels of two processors share one cache folder; Numba is told that the second has no vector unit."""
    def run(**extra):
        environment = {**os.environ, "REFQ_CACHE_DIR": str(tmp_path), **extra}
        return json.loads(subprocess.check_output([sys.executable, "-c", program], env=environment, text=True))

    here, generic = run(), run(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    unit = best("quads", "pairs")
    assert here[0] == (unit.feature if unit else None) and generic[0] is None
    assert here[1] == generic[1]
