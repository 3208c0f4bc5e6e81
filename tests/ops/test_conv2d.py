"""conv2d against windows looked up place by place in Python integers."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, U8
from refq.machine import window
from refq.ops import conv2d
from tests import oracle_linear as oracle
from tests.ops.strategies import by_kernel, by_spec, operands_of, small, uniform

GEOMETRIES = [
    ({}, {"h": 3, "w": 4, "kh": 2, "kw": 3, "d": 2, "m": 3}),
    ({"stride": (3, 2), "padding": (2, 1, 0, 3)}, {"h": 7, "w": 5, "kh": 3, "kw": 2, "d": 1, "m": 2}),
    ({"dilation": (2, 3), "padding": (1, 2, 3, 4)}, {"h": 4, "w": 5, "kh": 3, "kw": 2, "d": 3, "m": 1}),
    ({"stride": (2, 2)}, {"h": 9, "w": 7, "kh": 2, "kw": 2, "d": 3, "m": 4}),
    ({"groups": 2, "padding": (1, 1, 1, 1)}, {"h": 4, "w": 4, "kh": 3, "kw": 3, "d": 2, "m": 6}),
    ({"groups": 4, "padding": (0, 1, 2, 0), "stride": (1, 2)}, {"h": 4, "w": 5, "kh": 3, "kw": 3, "d": 1, "m": 4}),
    ({"groups": 3, "dilation": (2, 1)}, {"h": 5, "w": 4, "kh": 3, "kw": 2, "d": 1, "m": 6}),
    ({"padding": (2, 2, 2, 2)}, {"h": 1, "w": 1, "kh": 1, "kw": 1, "d": 1, "m": 1}),
]
SUMS = [({"accumulate": Accumulate(overflow="wrap")}, oracle.wrapped(32)),
        ({"x": U8, "accumulate": Accumulate(overflow="wrap")}, oracle.wrapped(32)),
        ({"acc": I16, "accumulate": Accumulate(order="sequential", overflow="saturate", width=I16)}, oracle.saturated(16))]


@pytest.mark.parametrize("fields, joined", SUMS)
@pytest.mark.parametrize("geometry, sizes", GEOMETRIES)
def test_windows_of_python_integers(fields, joined, geometry, sizes, monkeypatch):
    """Spec and kernel give the oracle's sums for every geometry; also where windows come in several blocks."""
    monkeypatch.setattr(window, "BLOCK", 0)
    row = conv2d.Row(**fields, **geometry)
    found = {"n": 2, "c": sizes["d"] * row.groups, **sizes}
    operands = operands_of(row, found, np.random.default_rng(sizes["h"]), lambda: uniform)
    lists = [v.tolist() if isinstance(v, np.ndarray) else v for v in operands.values()]
    expected = oracle.conv2d(*lists, row.stride, row.padding, row.dilation, row.groups, joined)
    for by in (by_spec, by_kernel):
        np.testing.assert_array_equal(by("conv2d", row)(operands)["acc"], np.array(expected, row.acc.dtype))


def test_blocks_of_windows_join():
    """An image of more windows than a block has none lost or doubled where blocks meet."""
    row = conv2d.Row(padding=(1, 1, 1, 1), accumulate=Accumulate(overflow="wrap"))
    found = {"n": 1, "h": 130, "w": 131, "c": 8, "d": 8, "kh": 3, "kw": 3, "m": 3}
    operands = operands_of(row, found, np.random.default_rng(0), lambda: uniform)
    assert 130 * 131 * 72 > window.BLOCK
    np.testing.assert_array_equal(by_kernel("conv2d", row)(operands)["acc"], by_spec("conv2d", row)(operands)["acc"])


def test_patch_embedding_is_a_matmul():
    """Where the stride is the kernel and nothing is padded, a convolution is a matmul of patches."""
    row = conv2d.Row(stride=(4, 4))
    found = {"n": 2, "h": 8, "w": 12, "c": 3, "d": 3, "kh": 4, "kw": 4, "m": 5}
    operands = operands_of(row, found, np.random.default_rng(0), lambda: uniform)
    operands["bias"] = np.arange(5, dtype=np.int32)
    patches = operands["x"].reshape(2, 2, 4, 3, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(12, 48)
    expected = oracle.matmul(patches.tolist(), operands["w"].reshape(5, 48).tolist(), range(5), operands["zx"],
                             operands["zw"].tolist())
    np.testing.assert_array_equal(by_kernel("conv2d", row)(operands)["acc"].reshape(12, 5), expected)


@pytest.mark.parametrize("geometry, sizes", GEOMETRIES)
def test_codes_stand_for_real_numbers(geometry, sizes):
    """On grids of powers of two, where float64 is exact, the accumulator decodes to the real convolution."""
    row = conv2d.Row(**geometry)
    found = {"n": 2, "c": sizes["d"] * row.groups, **sizes}
    x, w, bias, zx, zw = operands_of(row, found, np.random.default_rng(5), lambda: small).values()
    acc = conv2d.spec(x, w, bias, zx, zw, row=row)
    decoded = conv2d.real((x.astype(float) - zx) / 8, (w - zw[:, None, None, None].astype(float)) / 4, bias / 32, row)
    np.testing.assert_array_equal(acc / 32, decoded)


@pytest.mark.parametrize("fields, found, said", [
    ({"stride": (0, 1)}, None, "stride"), ({"padding": (0, 0, 0)}, None, "padding"),
    ({"dilation": (1, -1)}, None, "dilation"),
    ({"groups": 0}, None, "groups"),
    ({"groups": 2}, {"h": 3, "w": 3, "c": 3, "d": 1, "kh": 1, "kw": 1, "m": 2}, "channels"),
    ({"groups": 3}, {"h": 3, "w": 3, "c": 3, "d": 1, "kh": 1, "kw": 1, "m": 4}, "filters"),
    ({"dilation": (2, 1)}, {"h": 4, "w": 3, "c": 1, "d": 1, "kh": 3, "kw": 1, "m": 1}, "does not fit")])
def test_impossible_geometries_are_refused(fields, found, said):
    """What cannot be meant is refused in a sentence: by the row, or when it sees the sizes."""
    with pytest.raises(IllFormed, match=said):
        conv2d.Row(**fields).sizes(found)
