"""ONNX Runtime, live: integer sums and what rescales them, one operation at a time, against refq's spec and kernel.

refq's rows are those of its `onnx` dialect; nothing is fused in the runtime (graph optimizations are off). All is equal;
one thing differs: how the runtime makes a multiplier of three scales. The session's last lines say how much was compared.
"""
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.width import I8, U8
from refq.ops import matmul, rescale_float32
from tests.peers.live import ROLES, STYLES, F, both, codes, equal, scales

PAIRS = [(I8, I8), (U8, I8), (U8, U8)]                  # QLinearMatMul and QLinearConv know these
NAMES = "x sx zx w sw zw sy zy"


@pytest.fixture(scope="module")
def weights(run):
    """weights(x, w): draws weights for activations of width x. On x86 without VNNI the runtime's u8 by s8 products
    saturate in pairs at 16 bits; there, as its documentation advises, weights keep to 7 bits."""
    @cache
    def exact(x, w):
        ends = [np.full((64, 1), end, w.dtype) for end in (w.lo, w.hi)]
        row = np.full((1, 64), x.hi, x.dtype)
        return all(run({"x": row, "w": end}, "i4", ("MatMulInteger", "x w", "y", {})).item() == 64 * x.hi * int(end[0, 0])
                   for end in ends)

    def draw(rng, x, w, shape, style):
        return codes(rng, w, shape, style) if exact(x, w) else codes(rng, w, shape, style) // 2

    return draw


@pytest.mark.parametrize("frozen", [(), ("w", "zw")], ids=["fed", "constant"])
@pytest.mark.parametrize("x, w", [*PAIRS, (I8, U8)], ids=str)
def test_matmul_integer(run, weights, tally, x, w, frozen):
    """MatMulInteger is matmul, whatever the zero points: one for x, one or one per column for w (ONNX Runtime 1.31
    refuses one per row of x); weights fed, or constant and packed beforehand."""
    rng, count = np.random.default_rng(1), 0
    row = replace(ROLES["matmul"], x=x, w=w)
    for (n, k, m), a, b, columns in product([(1, 1, 1), (3, 7, 5), (5, 16, 17), (9, 133, 33)], STYLES[:4], STYLES[:3], (0, 1)):
        feeds = {"x": codes(rng, x, (n, k), a), "w": weights(rng, x, w, (k, m), b), "zx": codes(rng, x, (), a),
                 "zw": weights(rng, x, w, (m,) if columns else (), b)}
        got = run(feeds, "i4", ("MatMulInteger", "x w zx zw", "y", {}), frozen=frozen)
        built = matmul.build(row, feeds["w"].T, None, feeds["zx"], feeds["zw"])
        count += equal(both("matmul", row, x=feeds["x"], **built), got)
    tally("ONNX Runtime MatMulInteger", count)
    assert count == 24 * (1 + 15 + 85 + 297)


def test_matmul_integer_of_batches(run, weights, tally):
    """Two activations of three axes: MatMulInteger is batch_matmul."""
    rng, count = np.random.default_rng(2), 0
    for (x, w), a, b in product(PAIRS, STYLES[:3], STYLES[:3]):
        feeds = {"x": codes(rng, x, (4, 5, 19), a), "w": weights(rng, x, w, (4, 19, 6), b), "zx": codes(rng, x, (), a),
                 "zw": weights(rng, x, w, (), b)}
        got = run(feeds, "i4", ("MatMulInteger", "x w zx zw", "y", {}))
        count += equal(both("batch_matmul", replace(ROLES["batch_matmul"], x=x, w=w),
                            **feeds | {"w": feeds["w"].transpose(0, 2, 1)}), got)
    tally("ONNX Runtime MatMulInteger", count)
    assert count == 27 * 120


def test_a_sum_of_33_bits(run, tally):
    """33,100 products of 255 * 255 leave an int32: the runtime wraps, so does refq under a row that says so, and the
    dialect's own row refuses."""
    x = np.full((1, 33100), 255, np.uint8)
    got = run({"x": x, "w": x.T}, "i4", ("MatMulInteger", "x w", "y", {}))
    row = replace(ROLES["matmul"], x=U8, w=U8, accumulate=Accumulate(overflow="wrap"))
    operands = {"x": x, **matmul.build(row, x, None, 0, 0)}
    tally("ONNX Runtime MatMulInteger", equal(both("matmul", row, **operands), got))
    assert got.item() == 33100 * 255 * 255 - 2**32
    with pytest.raises(IllFormed):
        both("matmul", replace(row, accumulate=None), **operands)


GEOMETRIES = [       # of the image (n c h w), the filters (m d kh kw), and what conv2d's row says
    ((2, 3, 6, 7), (4, 3, 3, 2), {}),
    ((1, 2, 7, 5), (3, 2, 3, 2), {"stride": (3, 2), "padding": (2, 1, 0, 1)}),
    ((2, 3, 5, 6), (2, 3, 2, 3), {"dilation": (2, 1), "padding": (1, 2, 2, 1)}),
    ((1, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": (1, 1, 1, 1)}),
    ((2, 6, 6, 6), (6, 1, 3, 3), {"groups": 6, "padding": (0, 1, 2, 0), "stride": (2, 1)}),
    ((1, 3, 8, 8), (5, 3, 4, 4), {"stride": (4, 4)}),
    ((1, 33, 4, 3), (18, 33, 1, 1), {}),
    ((1, 16, 9, 9), (16, 1, 5, 3), {"groups": 16, "dilation": (1, 2), "padding": (2, 2, 2, 2)}),
]


def attributes(fields):
    """The same in ONNX."""
    row = replace(ROLES["conv2d"], **fields)
    return {"strides": row.stride, "pads": row.padding, "dilations": row.dilation, "group": row.groups}


def last(x):
    """Channels last, as refq wants images and filters."""
    return x.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("x, w", [*PAIRS, (I8, U8)], ids=str)
def test_conv_integer(run, weights, tally, x, w):
    """ConvInteger is conv2d, and its padding reads the zero point of x: strides, dilations, groups, uneven padding."""
    rng, count = np.random.default_rng(3), 0
    for (image, filters, fields), a, b in product(GEOMETRIES, STYLES[:3], STYLES[:3]):
        feeds = {"x": codes(rng, x, image, a), "w": weights(rng, x, w, filters, b), "zx": codes(rng, x, (), a),
                 "zw": weights(rng, x, w, (), b)}
        got = run(feeds, "i4", ("ConvInteger", "x w zx zw", "y", attributes(fields)))
        row = replace(ROLES["conv2d"], x=x, w=w, **fields)
        count += equal(both("conv2d", row, x=last(feeds["x"]), w=last(feeds["w"]), bias=np.zeros(len(feeds["w"]), int),
                            zx=feeds["zx"], zw=np.full(len(feeds["w"]), feeds["zw"])), last(got))
    tally("ONNX Runtime ConvInteger", count)
    assert count > 12_000


def test_conv_integer_has_one_zero_point_of_weights(run):
    """The standard allows one per filter; ONNX Runtime 1.31 refuses it here, and takes it in QLinearConv (below)."""
    x = np.ones((1, 2, 3, 3), np.uint8)
    with pytest.raises(Exception, match="conv_integer"):
        run({"x": x, "w": x[:, :, :1, :1].repeat(3, 0), "zx": x[0, 0, 0, 0], "zw": np.arange(3, dtype=np.uint8)}, "i4",
            ("ConvInteger", "x w zx zw", "y", {}))


def multiplier(sx, sw, sy):
    """As ONNX Runtime makes it: a float32 product, and a float32 quotient of that."""
    return np.atleast_1d(F(F(sx * sw) / sy))


def rescaled(acc, multiplier, zero, width):
    row = replace(ROLES["rescale"], out=width)
    found = np.broadcast_to(multiplier, acc.shape[-1:])
    return both("rescale_float32", row, acc=acc.reshape(-1, acc.shape[-1]), zin=0, scale=found, zp=zero).reshape(acc.shape)


STEPS = (0, 4, 16, 64)
FEEDS = "sx zx w sw zw sy zy".split()
constant_or_not = pytest.mark.parametrize("frozen", [(), FEEDS], ids=["fed", "constant"])


def drawn(rng, weights, x, w, image, filters, slices, style, step):
    """Feeds of a QLinear operation. With a `step` scales are powers of two and codes its multiples, which makes ties."""
    feeds = {"x": codes(rng, x, image, style), "sx": scales(rng), "zx": codes(rng, x, (), style),
             "w": weights(rng, x, w, filters, STYLES[0]), "sw": scales(rng, slices),
             "zw": weights(rng, x, w, slices, STYLES[0]), "sy": None, "zy": codes(rng, x)}
    if step:
        feeds |= {"sx": np.array(0.5, F), "sw": np.exp2(rng.integers(-3, 0, slices)).astype(F)}
        feeds |= {k: feeds[k] // step * step for k in ("x", "zx", "w", "zw")}
    return feeds


def output_scale(rng, feeds, acc, step):
    """One under which most sums stay in range and some saturate."""
    spread = max(np.abs(acc).max() / 2.0 ** rng.integers(4, 9), 2)
    spread = 2.0 ** np.round(np.log2(spread)) if step else spread
    return np.array(np.max(feeds["sw"]) * feeds["sx"] * spread, F)


def checked(acc, feeds, got):
    """Asserts that the sums, rescaled, are what the engine gave: how many, ties among them, codes at the rails."""
    width = I8 if got.dtype == np.int8 else U8
    scale = multiplier(feeds["sx"], feeds["sw"], feeds["sy"])
    inside = (got > width.lo) & (got < width.hi)
    ties = (acc.astype(F) * scale % 1 == 0.5) & inside
    return np.array([equal(rescaled(acc, scale, feeds["zy"], width), got), ties.sum(), (~inside).sum()])


@constant_or_not
@pytest.mark.parametrize("x, w", PAIRS, ids=str)
def test_qlinear_matmul(run, weights, tally, x, w, frozen):
    """QLinearMatMul is matmul and rescale_float32, the zero point after the rounding: scales without pattern, and powers
    of two that make ties; per tensor and per column; sums that saturate."""
    rng, counts = np.random.default_rng(7), 0
    row, sizes = replace(ROLES["matmul"], x=x, w=w), [(8, 7, 5), (5, 16, 17), (4, 133, 33), (16, 700, 9)]
    for (n, k, m), style, columns, step in product(sizes, STYLES[:3], (0, 1), STEPS):
        feeds = drawn(rng, weights, x, w, (n, k), (k, m), (m,) if columns else (), style, step)
        acc = both("matmul", row, x=feeds["x"], **matmul.build(row, feeds["w"].T, None, feeds["zx"], feeds["zw"]))
        feeds["sy"] = output_scale(rng, feeds, acc, step)
        counts += checked(acc, feeds, run(feeds, x.dtype, ("QLinearMatMul", NAMES, "y", {}), frozen=frozen))
    count, ties, ends = counts
    tally("ONNX Runtime QLinearMatMul", int(count))
    assert count == 24 * (40 + 85 + 132 + 144) and ties > 100 and ends > 200


def test_sums_beyond_24_bits(run, tally):
    """Accumulators from 2**24 to 2**26 around ties: first rounded to float32, so 2**20 * 32.5 + 1 is no longer above a tie.

    One row of codes (255, ..., 255, 1) and columns of weights that give each wanted sum.
    """
    wanted = np.array([(2 * k + 1) * 2**19 + d for k in range(16, 64) for d in (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5)])
    high, low = np.divmod(wanted, 255)
    full = np.clip(high[None] - 255 * np.arange(1100)[:, None], 0, 255)
    x = np.array([[255] * 1100 + [1]], np.uint8)
    w = np.concatenate([full, low[None]]).astype(np.uint8)
    row = replace(ROLES["matmul"], x=U8, w=U8)
    acc = both("matmul", row, x=x, **matmul.build(row, w.T, None, 0, 0))
    np.testing.assert_array_equal(acc[0], wanted)
    one, zero = np.array(1, F), np.array(0, np.uint8)
    got = run({"x": x, "sx": one, "zx": zero, "w": w, "sw": one, "zw": zero, "sy": np.array(2**20, F), "zy": zero}, "u1",
              ("QLinearMatMul", NAMES, "y", {}))
    tally("ONNX Runtime QLinearMatMul", equal(rescaled(acc, multiplier(one, one, F(2**20)), 0, U8), got))
    exact = np.array([round(Fraction(int(v), 2**20)) for v in wanted])
    assert got.size == 528 and (got[0] != exact).sum() > 20


def test_a_multiplier_of_two_roundings(run, tally):
    """ONNX Runtime rounds sx * sw and then the quotient; a program of the dialect is built from the real ratio, rounded
    once, so its multiplier can be one step of float32 away, and a code beside a tie 1 away.

    Witness: sx = sy = 0.01, sw = 0.1, a sum of 5. The ratio is sw; 5 * sw is 0.5 in float32, a tie, code 0. The runtime
    has the multiplier one step above, 0.50000006, and code 1.
    """
    built, count, departing, apart = 0, 0, 0, 0
    acc = np.arange(-127, 128)
    x, zero = acc.astype(np.int8)[:, None], np.array(0, np.int8)
    for a, b, c in product((1, 5, 9, 10, 18), (3, 7, 10, 19), (1, 6, 9, 23, 38)):
        sx, sw, sy = (np.array(v / 100, F) for v in (a, b, c))
        got = run({"x": x, "sx": sx, "zx": zero, "w": np.ones((1, 1), np.int8), "sw": sw, "zw": zero, "sy": sy, "zy": zero},
                  "i1", ("QLinearMatMul", NAMES, "y", {}))
        twice = multiplier(sx, sw, sy)
        once = rescale_float32.build(ROLES["rescale"], (float(sx) * float(sw),), float(sy), 0, 0)["scale"]
        assert abs(twice - once) <= 2 * np.spacing(once)
        count += equal(rescaled(acc[:, None], twice, 0, I8), got)
        own = rescaled(acc[:, None], once, 0, I8)
        differ = own != got
        assert not (differ.any() and twice == once)
        assert (np.abs(own.astype(int) - got) <= 1).all()
        if (a, b, c) == (1, 10, 1):
            assert (own[acc == 5].item(), got[acc == 5].item()) == (0, 1)
        built, apart, departing = built + 1, apart + int((twice != once).item()), departing + int(differ.sum())
    tally("ONNX Runtime QLinearMatMul with the dialect's own multiplier", count, departing)
    assert built == 100 and apart > 20 and departing > 0


@constant_or_not
@pytest.mark.parametrize("x, w", PAIRS, ids=str)
def test_qlinear_conv(run, weights, tally, x, w, frozen):
    """QLinearConv is conv2d with a bias and rescale_float32; scales and zero points of weights per tensor or per filter."""
    rng, counts = np.random.default_rng(9), 0
    for (image, filters, fields), style, channels, step in product(GEOMETRIES, STYLES[:3], (0, 1), STEPS):
        feeds = drawn(rng, weights, x, w, image, filters, filters[:1] if channels else (), style, step)
        bias = 256 * rng.integers(-16, 16, filters[:1], np.int32) + (0 if step else 77)
        acc = both("conv2d", replace(ROLES["conv2d"], x=x, w=w, **fields), x=last(feeds["x"]), w=last(feeds["w"]),
                   bias=bias, zx=feeds["zx"], zw=np.broadcast_to(feeds["zw"], filters[:1]))
        feeds["sy"] = output_scale(rng, feeds, acc, step)
        got = run({**feeds, "b": bias}, x.dtype, ("QLinearConv", f"{NAMES} b", "y", attributes(fields)), frozen=frozen)
        counts += checked(acc, feeds, last(got))
    count, ties, ends = counts
    tally("ONNX Runtime QLinearConv", int(count))
    assert count == 53_976 and ties > 300 and ends > 500
