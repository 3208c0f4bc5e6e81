"""ONNX Runtime, live: what turns reals into codes and codes into codes, against refq's grids, specs and kernels.

refq's rows are those of its `onnx` dialect; nothing is fused in the runtime (graph optimizations are off). The runtime
computes in float32 where the standard speaks of real numbers: where that shows, the test computes what float32 makes of
it, asserts that nothing else differs, and gives a small witness. The session's last lines say how much was compared.
"""
from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import product
from platform import machine

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints import functions
from refq.ints.width import I8, I16, I32, U8, U16
from refq.ops import add_float32, arrange, table
from tests.peers.live import ROLES, STYLES, F, both, codes, departs_at_ties, equal, near_ties, scales


@pytest.mark.parametrize("axis", [None, 0, 2])
@pytest.mark.parametrize("width", [I8, U8, I16, U16], ids=str)
def test_quantize_linear(run, tally, width, axis):
    """QuantizeLinear is Affine.encode but where its float32 quotient is a tie that the true quotient is not.

    Witness: x = 0.75, scale = float32(0.1) = 0.100000001490116...: x / scale is 7.49999988..., so the code is 7; float32
    has 7.5 for it and ONNX Runtime gives 8. Scales that are powers of two show nothing of the kind.
    """
    rng, count, departing = np.random.default_rng(4), 0, 0
    shape = (5, 40, 7)
    slices = () if axis is None else (shape[axis],)
    over = tuple(-1 if i == axis else 1 for i in range(3)) if slices else ()
    for case in range(24):
        even = case % 3 == 0
        scale = F(np.exp2(rng.integers(-9, 5, slices))) if even else scales(rng, slices)
        zero = codes(rng, width, slices, STYLES[case % 3])
        wide = np.reshape(scale, over), np.reshape(zero, over).astype(int)
        x = near_ties(rng, width, *wide, shape)
        got = run({"x": x, "s": scale, "z": zero}, width.dtype, ("QuantizeLinear", "x s z", "y", {"axis": axis or 0}))
        exact = Affine(width, scale, zero, axis).encode(x, ties="half_even")
        differing = departs_at_ties(x, *wide, width, exact, got)
        assert not (even and differing)
        count, departing = count + got.size, departing + differing
    tally(f"ONNX Runtime QuantizeLinear {width}", count, departing)
    assert count == 24 * 1400 and departing > 100


def test_a_quotient_that_float32_makes_a_tie(run):
    """The witness of test_quantize_linear, and the same upwards: 1.75 / float32(0.7) is above 2.5, and ONNX Runtime says 2."""
    for x, scale, exact, other in ((0.75, 0.1, 7, 8), (1.75, 0.7, 3, 2)):
        scale, zero = np.array(scale, F), np.array(0, np.int8)
        assert Affine(I8, scale, zero).encode(np.array(x)) == exact
        assert run({"x": np.array([x], F), "s": scale, "z": zero}, "i1", ("QuantizeLinear", "x s z", "y", {})) == other


def test_nothing_is_the_code_of_a_nan(run):
    """refq refuses to encode a NaN; the standard is silent, and ONNX Runtime gives the lowest code (on x86)."""
    nan, one, zero = np.array([np.nan], F), np.array(1, F), np.array(3, np.int8)
    with pytest.raises(IllFormed, match="NaN"):
        Affine(I8, one, zero).encode(nan)
    got = run({"x": nan, "s": one, "z": zero}, "i1", ("QuantizeLinear", "x s z", "y", {})).item()
    assert got == -128 if machine() in ("x86_64", "AMD64") else got in range(-128, 128)


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("width", [I8, U8, I16, U16], ids=str)
def test_dequantize_linear(run, tally, width, axis):
    """DequantizeLinear of every code is decode, rounded to float32 once."""
    rng, count = np.random.default_rng(5), 0
    q = np.arange(width.lo, width.hi + 1).astype(width.dtype)[:, None].repeat(3, 1)
    slices = () if axis is None else (3,)
    for style in STYLES:
        scale, zero = scales(rng, slices), codes(rng, width, slices, style)
        got = run({"q": q, "s": scale, "z": zero}, "f4", ("DequantizeLinear", "q s z", "y", {"axis": 1}))
        count += equal(Affine(width, scale, zero, axis).decode(q).astype(F), got)
    tally("ONNX Runtime DequantizeLinear", count)
    assert count == 5 * 3 << width.bits


def test_dequantize_linear_of_32_bits(run, tally):
    """Codes of a bias: exact decode, rounded once, while they fit float32's 24 bits. Beyond, ONNX Runtime rounds the code
    before it multiplies.

    Witness: code 2**24 + 1, scale 3: the nearest float32 to 50331651 is 50331652; ONNX Runtime gives 3 * 2**24 = 50331648.
    """
    rng, count, departing = np.random.default_rng(6), 0, 0
    for scale in (F(3), *scales(rng, 20)):
        q = np.concatenate([[2**24 + 1], codes(rng, I32, 500, STYLES[3]), codes(rng, I32, 500)]).astype(np.int32)
        got = run({"q": q, "s": np.array(scale)}, "f4", ("DequantizeLinear", "q s", "y", {}))
        once = Affine(I32, scale, np.array(0)).decode(q).astype(F)
        np.testing.assert_array_equal(got, q.astype(F) * scale)
        differ = got != once
        assert not (differ & (q.astype(F).astype(np.int64) == q)).any()
        count, departing = count + q.size, departing + differ.sum()
        if scale == 3:
            assert (got[0], once[0]) == (50331648, 50331652)
    tally("ONNX Runtime DequantizeLinear i32", count, int(departing))
    assert count == 21 * 1001 and departing > 1000


def quantized(function, inputs, **fields):
    """DequantizeLinear, a function, QuantizeLinear."""
    pieces = [("DequantizeLinear", f"{v} s{v} z{v}", f"real_{v}", {}) for v in inputs]
    middle = (function, " ".join(f"real_{v}" for v in inputs), "real", fields)
    return *pieces, middle, ("QuantizeLinear", "real so zo", "y", {})


@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_add(run, tally, width):
    """DequantizeLinear, Add, QuantizeLinear on all pairs of codes is add_float32, to the last bit of every float32."""
    rng, count, ties = np.random.default_rng(10), 0, 0
    every = np.arange(width.lo, width.hi + 1)
    a, b = (v.ravel().astype(width.dtype) for v in np.meshgrid(every, every))
    row = replace(ROLES["add"], a=width, b=width, out=width)
    for case in range(8):
        single = scales(rng, 3) * [1, 1, 2]
        sa, sb, so = (0.25, 0.5, 1.0) if case == 0 else (0.5, 0.5, 1.0) if case == 1 else map(float, single.astype(F))
        za, zb, zo = codes(rng, width, 3, STYLES[case % 3]).tolist()
        built = add_float32.build(row, sa, za, sb, zb, so, zo)
        feeds = {"a": a, "b": b} | {k: np.array(v, F if k[0] == "s" else width.dtype) for k, v in built.items()}
        got = run(feeds, width.dtype, *quantized("Add", "ab"))
        count += equal(both("add_float32", row, a=a, b=b, **built), got)
        total = (a.astype(int) - za).astype(F) * F(sa) + (b.astype(int) - zb).astype(F) * F(sb)
        ties += int((total / F(so) % 1 == 0.5).sum())
    tally("ONNX Runtime DequantizeLinear, Add, QuantizeLinear", count)
    assert count == 8 << 16 and ties > 30_000


@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_fused_add_departs(run, tally, width):
    """QLinearAdd, which ONNX Runtime puts in place of those three when it optimizes, is another function: the zero point
    is inside the rounding, and ratios of scales take the place of scales. It differs from add_float32 by 1, near ties.

    Witness: scales 1/2, 1/2 and 1, codes 1 + 0, zero points 0, 0 and 1: round(0.5) + 1 is 1; QLinearAdd's
    round(0.5 + 1) is 2. With powers of two and an even zero point nothing differs.
    """
    rng, count, departing = np.random.default_rng(15), 0, 0
    every = np.arange(width.lo, width.hi + 1)
    a, b = (v.ravel().astype(width.dtype) for v in np.meshgrid(every, every))
    row = replace(ROLES["add"], a=width, b=width, out=width)
    for case in range(8):
        sa, sb, so = (0.5, 0.5, 1.0) if case < 2 else map(float, (scales(rng, 3) * [1, 1, 2]).astype(F))
        za, zb, zo = (0, 0, 1) if case == 0 else (3, 5, 8) if case == 1 else codes(rng, width, 3, STYLES[case % 3]).tolist()
        built = add_float32.build(row, sa, za, sb, zb, so, zo)
        feeds = {"a": a, "b": b} | {k: np.array(v, F if k[0] == "s" else width.dtype) for k, v in built.items()}
        got = run(feeds, width.dtype, ("QLinearAdd", "a sa za b sb zb so zo", "y", {"domain": "com.microsoft"}))
        ours = both("add_float32", row, a=a, b=b, **built)
        differ = np.flatnonzero(ours != got)
        first, second = sa / so * (a[differ].astype(int) - za), sb / so * (b[differ].astype(int) - zb)
        reach = (abs(zo) + sa / so * (abs(a[differ].astype(int)) + abs(za)) + sb / so * (abs(b[differ].astype(int)) + abs(zb)))
        assert (abs(ours[differ].astype(int) - got[differ]) == 1).all()
        assert (abs((first + second) % 1 - 0.5) <= reach * 2.0**-21).all()
        assert case != 1 or not len(differ)
        assert case != 0 or (ours[(a == 1) & (b == 0)].item(), got[(a == 1) & (b == 0)].item()) == (1, 2)
        count, departing = count + got.size, departing + len(differ)
    tally("ONNX Runtime QLinearAdd", count, departing)
    assert count == 8 << 16 and departing > 5000


@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_argmax(run, tally, width):
    """ArgMax takes the first of several largest codes, as refq does; asked for the last one it differs."""
    rng, count, other = np.random.default_rng(11), 0, 0
    for size, style in product((1, 2, 8, 17, 64, 1000), STYLES):
        q = codes(rng, width, (60, size), style)
        first = run({"q": q}, "i8", ("ArgMax", "q", "i", {"axis": 1, "keepdims": 0}))
        count += equal(both("argmax", replace(ROLES["argmax"], q=width), q=q), first)
        other += int((run({"q": q}, "i8", ("ArgMax", "q", "i", {"axis": 1, "keepdims": 0, "select_last_index": 1})) != first)
                     .sum())
    tally("ONNX Runtime ArgMax", count)
    assert count == 30 * 60 and other > 300


def integers(*values):
    return np.array(values, np.int64)


MOVES = [        # shapes of one image, moves, and the same in ONNX with the batch of 3
    (((2, 3, 4),), [("transpose", (2, 0, 1))], {}, [("Transpose", "x0", "y", {"perm": [0, 3, 1, 2]})]),
    (((5, 6),), [("transpose", (1, 0))], {}, [("Transpose", "x0", "y", {"perm": [0, 2, 1]})]),
    (((2, 3, 4),), [("reshape", (6, 4))], {"s": integers(0, -1, 4)}, [("Reshape", "x0 s", "y", {})]),
    (((2, 3), (1, 3), (4, 3)), [("concat", 0)], {}, [("Concat", "x0 x1 x2", "y", {"axis": 1})]),
    (((2, 3), (2, 5)), [("concat", 1)], {}, [("Concat", "x0 x1", "y", {"axis": 2})]),
    (((9, 2),), [("slice", 0, 1, 8, 3)], {"a": integers(1), "b": integers(8), "c": integers(1), "d": integers(3)},
     [("Slice", "x0 a b c d", "y", {})]),
    (((9, 2),), [("slice", 0, 0, 1, 1)], {"a": integers(0), "b": integers(1), "c": integers(1)},
     [("Slice", "x0 a b c", "y", {})]),
    (((4, 3),), [("gather", 0, (3, 3, 0))], {"g": integers(3, 3, -4)}, [("Gather", "x0 g", "y", {"axis": 1})]),
    (((4, 3),), [("pad", ((1, 2), (0, 3)))], {"p": integers(0, 1, 0, 0, 2, 3)}, [("Pad", "x0 p zero", "y", {})]),
    (((2, 6), (3, 6)), [("concat", 0), ("reshape", (5, 3, 2)), ("transpose", (1, 0, 2)), ("slice", 1, 1, 5, 2),
                        ("pad", ((0, 0), (1, 0), (0, 1))), ("gather", 2, (2, 0))],
     {"s": integers(3, 5, 3, 2), "a": integers(1), "b": integers(5), "c": integers(2), "d": integers(2),
      "p": integers(0, 0, 1, 0, 0, 0, 0, 1), "g": integers(2, 0)},
     [("Concat", "x0 x1", "t", {"axis": 1}), ("Reshape", "t s", "u", {}), ("Transpose", "u", "v", {"perm": [0, 2, 1, 3]}),
      ("Slice", "v a b c d", "k", {}), ("Pad", "k p zero", "m", {}), ("Gather", "m g", "y", {"axis": 3})]),
]


@pytest.mark.parametrize("width", [I8, U8], ids=str)
@pytest.mark.parametrize("shapes, moves, feeds, nodes", MOVES, ids=lambda v: v[0][0] if isinstance(v, list) else "")
def test_moves(run, tally, width, shapes, moves, feeds, nodes):
    """Transpose, Reshape, Concat, Slice, Gather, Pad and a chain of all six put every code where arrange puts it."""
    rng, row = np.random.default_rng(12), arrange.Row(width=width, shapes=shapes, moves=tuple(moves))
    zero, count = 251 if width == U8 else -5, 0
    for style in STYLES:
        parts = {f"x{i}": codes(rng, width, (3, *shape), style) for i, shape in enumerate(shapes)}
        constant = {k: np.array(v, width.dtype) for k, v in arrange.build(row, zero).items()}
        got = run({**parts, **feeds, **constant}, width.dtype, *nodes)
        count += equal(both("arrange", row, **parts, **constant), got)
    tally("ONNX Runtime moves of data", count)
    assert count >= 5 * 3 * 2


TIE = Decimal("1e-30")      # nearer is a tie; far out Gelu is x, and there are some


@pytest.mark.parametrize("form, function", [("none", "gelu"), ("tanh", "gelu_tanh")])
@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_gelu(run, tally, width, form, function):
    """DequantizeLinear, Gelu, QuantizeLinear is the table, but within float32's error of a tie.

    The table is rounded from the real function. ONNX Runtime's Gelu is up to 2.1 * 2**-24 * |x| off that, its x and its
    quotient are rounded too: so codes differ by 1 where the real quotient is nearer than 2**-21 * |x| / so to a tie.
    At ties they are equal where float32 holds x.

    Witness: scales 0.05 and 0.1, code 107: the real quotient is 53.4999976, code 53; ONNX Runtime gives 54.
    """
    rng, count, departing = np.random.default_rng(13), 0, 0
    q = np.arange(width.lo, width.hi + 1).astype(width.dtype)
    row = replace(ROLES["gelu"], q=width, out=width)
    for case in range(60):
        sq, so = scales(rng, 2) if case else F([0.5, 1])
        zq, zo = codes(rng, width, 2, STYLES[case % 3]).tolist() if case else (width.lo, width.lo)
        so = so if case % 2 or not case else F(sq * 2.0 ** rng.integers(-1, 3))     # further in it comes close to x
        feeds = {"q": q, "sq": np.array(sq), "so": np.array(so), "zq": np.array(zq, q.dtype), "zo": np.array(zo, q.dtype)}
        got = run(feeds, width.dtype, *quantized("Gelu", "q", approximate=form))
        entries = both("table", row, q=q, **table.build(row, function, float(sq), zq, float(so), zo))
        for i in np.flatnonzero(entries != got):
            x = float(sq) * (int(q[i]) - zq)        # exact in float64
            with localcontext(prec=functions.DIGITS):
                distance = abs(abs(table.real(int(q[i]), function, float(sq), zq, float(so)) % 1) - Decimal("0.5"))
            assert abs(int(entries[i]) - int(got[i])) == 1 and distance <= 2.0**-21 * abs(x) / float(so)
            assert distance > TIE or x != float(F(x))
            departing += 1
        count += q.size
    tally(f"ONNX Runtime DequantizeLinear, Gelu ({form}), QuantizeLinear", count, departing)
    assert count == 60 * 256 and 5 < departing < 500


@pytest.mark.parametrize("form, function", [("none", "gelu"), ("tanh", "gelu_tanh")])
def test_a_gelu_beside_a_tie(run, form, function):
    """The witness of test_gelu, by both forms."""
    q, scale, zero = np.array([107], np.int8), F([0.05, 0.1]), np.array(0, np.int8)
    built = table.build(ROLES["gelu"], function, *(v for s in scale.tolist() for v in (s, 0)))
    got = run({"q": q, "sq": scale[0, ...], "so": scale[1, ...], "zq": zero, "zo": zero}, "i1",
              *quantized("Gelu", "q", approximate=form))
    assert (both("table", ROLES["gelu"], q=q, **built).item(), got.item()) == (53, 54)


@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_clip(run, tally, width):
    """Clip of codes, empty ranges too: all codes between all pairs of some bounds."""
    q, count = np.arange(width.lo, width.hi + 1).astype(width.dtype), 0
    for lo, hi in product(q[::15], q[::17]):
        got = run({"q": q, "lo": np.array(lo), "hi": np.array(hi)}, q.dtype, ("Clip", "q lo hi", "y", {}))
        count += equal(both("clip", replace(ROLES["clip"], q=width), q=q, lo=lo, hi=hi), got)
    tally("ONNX Runtime Clip", count)
    assert count == 18 * 16 * 256


@pytest.mark.parametrize("width", [I8, U8], ids=str)
def test_relu(run, tally, width):
    """DequantizeLinear, Relu, QuantizeLinear on one grid is a clip at the zero point; Relu of int8 codes one at 0."""
    rng, count = np.random.default_rng(14), 0
    q, row = np.arange(width.lo, width.hi + 1).astype(width.dtype), replace(ROLES["clip"], q=width)
    for style in STYLES * 8:
        scale, zero = scales(rng), codes(rng, width, (), style)
        got = run({"q": q, "sq": scale, "zq": zero, "so": scale, "zo": zero}, q.dtype, *quantized("Relu", "q"))
        count += equal(both("clip", row, q=q, lo=zero, hi=width.hi), got)
    if width == I8:
        count += equal(both("clip", row, q=q, lo=0, hi=127), run({"q": q}, "i1", ("Relu", "q", "y", {})))
    tally("ONNX Runtime Relu", count)
    assert count >= 40 * 256
