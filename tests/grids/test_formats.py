"""Minifloat and block-scaled grids: exact decisions, there and back, descriptions, refusals; and the choosers of both."""
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import grids, quantizers
from refq.errors import IllFormed
from refq.grids.block_scaled import BlockScaled
from refq.grids.minifloat import Minifloat
from refq.ints import minifloat
from refq.ops.quantize_blocks import PUBLISHED, spec
from tests import oracle_formats as oracle

F = np.float32
BLOCKED = {"mx": {"element": "e2m1fn"}, "nvfp4": {}, "ggml_q4_0": {}, "ggml_q8_0": {}, "ggml_mxfp4": {}}


@pytest.mark.parametrize("name", ["e2m1fn", "e2m3fn", "e4m3fn", "e5m2", "e4m3fnuz"])
@given(scale=st.floats(2.0 ** -20, 16),
       places=st.lists(st.tuples(st.integers(0, 250), st.integers(-1, 1)), min_size=1, max_size=9))
def test_float64_is_decided_exactly(name, scale, places):
    """Middles times any float64 scale, and the float64 numbers beside them."""
    f = minifloat.load(name)
    known = np.unique(np.abs(f.values[np.isfinite(f.values)]))
    x = []
    for at, side in places:
        middle = (known[at % (len(known) - 1)] + known[at % (len(known) - 1) + 1]) / 2 * scale
        x.append(float(np.nextafter(middle, side * np.inf)) if side else middle)
    expected = [oracle.encoded(name, Fraction(v) / Fraction(scale)) for v in x]
    assert Minifloat(name, scale).encode(np.array(x)).tolist() == [f.most if v is None else v for v in expected]


@pytest.mark.parametrize("name", minifloat.names)
def test_every_code_there_and_back(name):
    f = minifloat.load(name)
    grid = Minifloat(name, np.array([1.0, 0.25]), axis=1)
    q = np.arange(1 << f.bits)[np.isfinite(f.values)]
    both = np.stack([q, q], 1)
    assert np.array_equal(grid.encode(grid.decode(both)), both)
    assert grid.same(grids.from_description(json.loads(json.dumps(grid.describe()))))
    assert grids.zero_code(grid) == 0


@pytest.mark.parametrize("name", BLOCKED)
def test_choosers(name):
    """Merged they give what one gives that has seen all; the grid's reals lie within half a step of the largest element."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(5, 64)) * 2.0 ** rng.integers(-8, 8, (5, 1))).astype(F)
    x[3] = 0
    one, a, b = (quantizers.load(name, **BLOCKED[name]) for _ in range(3))
    for seen in (x, x * F(0.5)):
        one.see(seen)
    a.see(x)
    b.see(x * F(0.5))
    a.merge(b)
    grid = one.grid()
    assert a.grid().same(grid) and grid.same(grids.from_description(json.loads(json.dumps(grid.describe()))))
    a = quantizers.load(name, **BLOCKED[name])
    a.see(x)
    grid, row = a.grid(), PUBLISHED[{"mx": "mxfp4", "ggml_mxfp4": "mxfp4_ggml"}.get(name, name.removeprefix("ggml_"))]
    codes = spec(x, a.tensor(), row)
    largest = np.abs(x.reshape(5, -1, grid.shared)).max(-1).repeat(grid.shared, 1)
    for found in (codes, grid.encode(x)):
        assert (np.abs(grid.decode(found) - x) <= largest * (0.26 if name != "ggml_q8_0" else 0.005)).all()
    if name in ("mx", "nvfp4", "ggml_mxfp4"):
        near = np.abs(grid.decode(codes) - x) <= np.abs(grid.decode(grid.encode(x)) - x) * (1 + 1e-6) + 1e-12
        assert near.all()


def test_minifloat_chooser():
    chooser = quantizers.load("minifloat", format="e4m3fn")
    chooser.see(np.array([1.0, -896.0]))
    assert chooser.range() == (-896.0, 896.0) and chooser.grid().scale == 2.0
    assert chooser.grid().decode(chooser.grid().encode([-896.0])).tolist() == [-896.0]


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Minifloat("e4m3fn", 0.0), "greater than 0"), (lambda: Minifloat("e4m3fn", [1.0]), "no axis"),
    (lambda: Minifloat("e9", 1.0), "number format"), (lambda: Minifloat("e2m1fn").encode([np.nan]), "NaN"),
    (lambda: Minifloat("e4m3fn", [1.0, 2.0], 0).encode(np.zeros(3)), "does not fit"),
    (lambda: BlockScaled("floor", "int4", [[1]]), "elements of its own"),
    (lambda: BlockScaled("floor", "int8", [[256]]), "codes of u8"),
    (lambda: BlockScaled("floor", "int8", [[1]], 0), "at least one number"),
    (lambda: BlockScaled("floor", "int8", [[127]]).encode(np.zeros((1, 40))), "does not fit"),
    (lambda: BlockScaled("floor", "int8", [[127]]).encode(np.full((1, 32), np.nan)), "NaN"),
    (lambda: quantizers.load("mx").see(np.zeros((2, 40))), "do not divide"),
    (lambda: quantizers.load("mx").see(np.full((1, 32), np.inf)), "not finite"),
    (lambda: quantizers.load("nvfp4").grid(), "no value was seen"),
    (lambda: quantizers.load("minifloat").grid(), "no value was seen"),
    (lambda: grids.from_description({"kind": "minifloat"}), "damaged"),
    (lambda: grids.from_description({"kind": "block_scaled"}), "damaged")])
def test_refusals(make, words):
    with pytest.raises(IllFormed, match=words):
        make()


@pytest.mark.parametrize("codes", [[16], [-1], [0, 99]])
def test_numbers_that_are_no_codes(codes):
    with pytest.raises(IllFormed, match="it has 0 to 15"):
        Minifloat("e2m1fn").decode(codes)
