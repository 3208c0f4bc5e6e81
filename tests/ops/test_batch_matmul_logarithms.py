"""Products with logarithmic and twin codes: they are the products of what the codes stand for, in fractions; registers."""
from fractions import Fraction

import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.grids.adalog import reaching
from refq.grids.log2 import Log2
from refq.grids.log_sqrt2 import LogSqrt2
from refq.grids.twin import Twin
from refq.ints.accumulate import Accumulate
from refq.ints.width import I8, I16, I48, U4, U8, Width
from tests import oracle_logarithms as oracle

U5 = Width(5, False)
GRIDS = (Log2(), Log2(U4, "zero", switch="inverse"), Log2(U5, "zero", 15), Log2(U8, "zero", 30), LogSqrt2(),
         LogSqrt2(U5, "zero", 15), reaching(U4, 1.0, 20), reaching(U4, 1.0, 13, 37, "zero"), Twin(), Twin(I8),
         Twin(U4, 9), Twin(U8, 20))
OPS = {"log2": "batch_matmul_log2", "log_sqrt2": "batch_matmul_adalog", "adalog": "batch_matmul_adalog",
       "twin": "batch_matmul_twin"}


def made(grid, w=I8, acc=I48, zero=0, **row):
    """(module, row, unit, constants) of a product whose left side lies on `grid`."""
    module = ops.load(OPS[grid.kind])
    widths, unit = module.geometry(grid)
    row = module.Row(x=grid.width, w=w, acc=acc, **widths, **row)
    built = module.build(row, zw=zero, **module.constants(grid))
    return module, row, unit, {k: np.asarray(v, row.takes[k].width.dtype) if np.ndim(v) else v for k, v in built.items()}


def level(grid, code):
    if grid.kind == "twin":
        return oracle.twin_level(code, grid.width.bits, grid.shift, grid.width.signed, grid.fine)
    if grid.kind == "log2":
        return oracle.log2_level(code, grid.deepest, grid.first)
    if grid.kind == "log_sqrt2":
        return oracle.sqrt2_level(code, grid.deepest, grid.fraction, grid.first)
    return oracle.adalog_level(code, grid.deepest, grid.q, grid.r, grid.width.bits, grid.unit)


def by_kernel(module, row, x, w, constants):
    acc = np.empty((len(x), x.shape[1], w.shape[1]), row.acc.dtype)
    module.kernel(row)(x, w, *constants.values(), acc)
    return acc


@pytest.mark.parametrize("count", (1, 2, 3, 197))
@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: f"{g.kind}-{g.width}-{g.hi}")
def test_acc_is_the_product_of_the_levels(grid, count):
    """Kernel and spec, for signed and unsigned values: in fractions, with no rounding anywhere."""
    rng = np.random.default_rng(count)
    for w, zero in ((I8, 0), (U8, 131)):
        module, row, unit, constants = made(grid, w, zero=zero)
        x = rng.integers(grid.lo, grid.hi, (1, 3, count), endpoint=True).astype(grid.width.dtype)
        x[0, 0] = [grid.lo, grid.hi, x[0, 0, -1]][:count] + [grid.hi] * (count - 3)
        v = rng.integers(w.lo, w.hi, (1, 2, count), endpoint=True).astype(w.dtype)
        acc = by_kernel(module, row, x, v, constants)
        assert np.array_equal(acc, module.spec(x, v, **constants, row=row))
        for r in range(3):
            for m in range(2):
                exact = sum((level(grid, int(c)) * (int(b) - zero) for c, b in zip(x[0, r], v[0, m])), Fraction(0))
                assert Fraction(int(acc[0, r, m])) * Fraction(unit) == exact


@pytest.mark.parametrize("grid", [g for g in GRIDS if np.ptp(g.levels) < 2 ** 29 * np.diff(np.unique(g.levels)).min()],
                         ids=lambda g: f"{g.kind}-{g.width}-{g.hi}")
def test_long_rows_and_rails(grid):
    """4096 codes at the rails: kernel and spec agree, and the ends that `registers` states are reached, or nearly."""
    module, row, _, constants = made(grid)
    top = int(np.argmax(grid.levels)) + grid.lo
    x = np.full((1, 2, 4096), top, grid.width.dtype)
    w = np.stack([np.full(4096, -128), np.full(4096, 127)])[None].astype(np.int8)
    acc = by_kernel(module, row, x, w, constants)
    assert np.array_equal(acc, module.spec(x, w, **constants, row=row))
    ends = {"x": (grid.lo, grid.hi), "w": (-128, 127)}
    ((_, width, lo, hi),) = module.registers(row, ends, {"k": 4096}, {k: np.asarray(v) for k, v in constants.items()})
    assert (lo <= acc).all() and (acc <= hi).all() and acc.max() == hi and (acc.min() == lo or grid.width.signed)
    assert hi <= width.hi


@pytest.mark.parametrize("rule", (
    Accumulate(overflow="wrap", width=I16), Accumulate(order="sequential", overflow="saturate", width=I16),
    Accumulate(order="pairs", size=2, overflow="saturate", width=I16, spill=3),
    Accumulate(order="tiles", size=4, overflow="wrap", width=I16)), ids=lambda r: f"{r.order}-{r.overflow}")
@pytest.mark.parametrize("grid", (GRIDS[2], GRIDS[5], GRIDS[8]), ids=lambda g: g.kind)
def test_narrow_accumulators(grid, rule):
    """Terms that join in registers that wrap, saturate and spill: kernel == spec where the order matters."""
    module, row, _, constants = made(grid, acc=rule.result, accumulate=rule)
    rng = np.random.default_rng(7)
    x = rng.integers(grid.lo, grid.hi, (2, 5, 37), endpoint=True).astype(grid.width.dtype)
    w = rng.integers(-128, 127, (2, 4, 37), endpoint=True).astype(np.int8)
    acc = by_kernel(module, row, x, w, constants)
    assert np.array_equal(acc, module.spec(x, w, **constants, row=row))
    assert (acc != made_exact(grid, x, w, constants)).any()


def made_exact(grid, x, w, constants):
    module, row, _, _ = made(grid)
    return by_kernel(module, row, x, w, constants)


def test_bits_lost_by_shifting_right():
    """Shifting the values right by their codes first, as a reader may take it, loses what the sum still needs."""
    module, row, _, constants = made(Log2(U4, "zero"))
    x, w = np.full((1, 1, 8), 3, np.uint8), np.full((1, 1, 8), 7, np.int8)
    assert by_kernel(module, row, x, w, constants) == 8 * 7 << 11
    assert sum(7 >> 3 for _ in range(8)) == 0


def test_what_cannot_be_is_refused_by_a_sentence():
    log2, adalog, twin = (ops.load(f"batch_matmul_{n}").Row for n in ("log2", "adalog", "twin"))
    for make, words in ((lambda: log2(x=I8), "no sign"), (lambda: log2(deepest=60, highest=60, x=U8), "bits"),
                        (lambda: log2(deepest=3, highest=9), "at most one lies beyond"), (lambda: log2(acc=U8), "needs a sign"),
                        (lambda: log2(accumulate=Accumulate(width=I16)), "let both be the same"),
                        (lambda: adalog(mantissa=16), "mantissas"), (lambda: adalog(deepest=60), "bits"),
                        (lambda: twin(shift=-1), "at least 0"), (lambda: twin(shift=55), "bits"),
                        (lambda: adalog().sizes({"i": 3}), "16")):
        with pytest.raises(IllFormed, match=words):
            make()
