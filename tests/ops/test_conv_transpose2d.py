"""conv_transpose2d against windows thrown place by place in Python integers."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, U8
from refq.ops import conv_transpose2d
from tests import oracle_linear, oracle_windows
from tests.ops.strategies import by_kernel, by_spec, operands_of, small, uniform

GEOMETRIES = [
    ({}, {"h": 3, "w": 4, "kh": 2, "kw": 3, "d": 2, "m": 3}),
    ({"stride": (3, 2), "padding": (2, 1, 0, 3)}, {"h": 3, "w": 5, "kh": 3, "kw": 2, "d": 1, "m": 2}),
    ({"dilation": (2, 3), "padding": (1, 2, 3, 4), "stride": (2, 1)}, {"h": 4, "w": 5, "kh": 3, "kw": 2, "d": 3, "m": 1}),
    ({"stride": (2, 2), "padding": (1, 1, 0, -2)}, {"h": 2, "w": 3, "kh": 3, "kw": 3, "d": 2, "m": 4}),
    ({"groups": 2, "padding": (-1, 0, 1, -3), "stride": (1, 4)}, {"h": 4, "w": 2, "kh": 3, "kw": 3, "d": 2, "m": 6}),
    ({"groups": 3, "stride": (4, 3)}, {"h": 2, "w": 2, "kh": 2, "kw": 2, "d": 1, "m": 3}),
    ({"stride": (5, 5), "padding": (-2, -1, -3, 0)}, {"h": 2, "w": 2, "kh": 1, "kw": 2, "d": 1, "m": 2}),
]
SUMS = [({"accumulate": Accumulate(overflow="wrap")}, oracle_linear.wrapped(32)),
        ({"x": U8, "accumulate": Accumulate(overflow="wrap")}, oracle_linear.wrapped(32)),
        ({"acc": I16, "accumulate": Accumulate(order="sequential", overflow="saturate", width=I16)},
         oracle_linear.saturated(16))]


@pytest.mark.parametrize("fields, joined", SUMS)
@pytest.mark.parametrize("geometry, sizes", GEOMETRIES)
def test_windows_thrown_in_python_integers(fields, joined, geometry, sizes):
    """Spec and kernel give the oracle's sums for every geometry, in its order where that is seen."""
    row = conv_transpose2d.Row(**fields, **geometry)
    found = {"n": 2, "c": sizes["d"] * row.groups, **sizes}
    operands = operands_of(row, found, np.random.default_rng(sizes["h"]), lambda: uniform)
    lists = [v.tolist() if isinstance(v, np.ndarray) else v for v in operands.values()]
    expected = oracle_windows.conv_transpose2d(*lists, row.stride, row.padding, row.dilation, row.groups, joined)
    for by in (by_spec, by_kernel):
        np.testing.assert_array_equal(by("conv_transpose2d", row)(operands)["acc"], np.array(expected, row.acc.dtype))


@pytest.mark.parametrize("geometry, sizes", GEOMETRIES)
def test_codes_stand_for_real_numbers(geometry, sizes):
    """On grids of powers of two, where float64 is exact, the accumulator decodes to the real transposed convolution."""
    row = conv_transpose2d.Row(**geometry)
    found = {"n": 2, "c": sizes["d"] * row.groups, **sizes}
    x, w, bias, zx, zw = operands_of(row, found, np.random.default_rng(5), lambda: small).values()
    acc = conv_transpose2d.spec(x, w, bias, zx, zw, row=row)
    decoded = conv_transpose2d.real((x.astype(float) - zx) / 8, (w - zw[:, None, None, None].astype(float)) / 4, bias / 32, row)
    np.testing.assert_array_equal(acc / 32, decoded)


@pytest.mark.parametrize("fields, found, said", [
    ({"stride": (0, 1)}, None, "stride"), ({"padding": (0, 0, 0)}, None, "padding"), ({"dilation": (1, 0)}, None, "dilation"),
    ({"groups": 0}, None, "groups"),
    ({"groups": 2}, {"h": 3, "w": 3, "c": 3, "d": 1, "kh": 1, "kw": 1, "m": 2}, "channels"),
    ({"padding": (2, 0, 2, 0)}, {"h": 3, "w": 3, "c": 1, "d": 1, "kh": 2, "kw": 1, "m": 1}, "leaves 0 x 3")])
def test_impossible_geometries_are_refused(fields, found, said):
    """What cannot be meant is refused in a sentence: by the row, or when it sees the sizes."""
    with pytest.raises(IllFormed, match=said):
        conv_transpose2d.Row(**fields).sizes(found)
