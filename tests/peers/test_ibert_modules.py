"""transformers' I-BERT modules against refq's operations.

The modules carry integers in the tensor's float type. In float64, and wherever float32 has the bits, they and refq agree; what
float32 rounds is counted, with a witness for each place. Their 16-bit exponents are scaled by a float32 ratio, whose multiplier
is another one in its last bits than that of the exact ratio: where that decides a near tie, refq is given theirs.
"""
from fractions import Fraction
from math import frexp

import numpy as np
import pytest

from refq import dialects
from refq.graph.play import play
from refq.ints import multiplier, polynomial
from refq.ints.width import I16, I32, I64, U16, Width
from refq.ops import gelu_ibert, layernorm_ibert, softmax_ibert
from tests import oracle_ibert as oracle

torch = pytest.importorskip("torch")
modules = pytest.importorskip("transformers.models.ibert.quant_modules")

EXACT, CARRIED = torch.float64, torch.float32
POWERS = [2.0**-k for k in range(1, 9)]
OTHERS = [float(np.float32(s)) for s in (0.05, 0.3, 0.6931 / 7)]


def given(values, scale, dtype):
    """(x, S) as their modules take them."""
    return torch.tensor(np.asarray(values) * scale, dtype=dtype), torch.tensor(np.reshape(scale, -1), dtype=dtype)


def integers(x, scale):
    return np.rint((x / scale).to(EXACT).detach().numpy()).astype(np.int64)


def softmax(q, scale, dtype):
    """Their shares, and the multiplier and shift that bring a polynomial to 16 bits there."""
    module = modules.IntSoftmax(8, quant_mode=True).eval().to(dtype)
    x, s = given(q, scale, dtype)
    exponentials, unit = module.int_exp(torch.zeros(1, dtype=dtype), s)
    module.act.x_max, module.act.x_min = exponentials, torch.zeros(1, dtype=dtype)     # as training leaves it: exp(0)
    shares, one = module(x, s)
    ratio = unit.double() / module.act.act_scaling_factor.float().double()
    mantissa, exponent = frexp(float(ratio))
    exact = Fraction(multiplier.dyadic(mantissa)[0], 2**31) * Fraction(2) ** exponent / Fraction(float(unit)) * 2**30
    return integers(shares, one).reshape(q.shape), multiplier.dyadic(float(exact))


def test_exponentials(tally):
    """int_exp is i-exp, also in float32 while c has 24 bits; beyond, float32 rounds constants and polynomials (witness)."""
    distances, module = -np.arange(0, 256), modules.IntSoftmax(8, quant_mode=True)
    for scale, dtype in [(s, t) for s in POWERS + [2.0**-11] for t in (EXACT, CARRIED)] + [(s, EXACT) for s in OTHERS]:
        x, s = given(distances, 1.0, dtype)[0], torch.tensor([scale], dtype=dtype)
        e, _ = module.int_exp(x, s)
        made = polynomial.constants(scale, "test")
        assert [int(v) for v in e.tolist()] == [oracle.i_exp(d, *made) for d in distances.tolist()]
        tally(f"transformers I-BERT int_exp, {str(dtype)[6:]}", len(distances), 0)
    e, _ = module.int_exp(given(distances, 1.0, CARRIED)[0], torch.tensor([2.0**-13], dtype=CARRIED))
    assert int(e[1]) != oracle.i_exp(-1, *polynomial.constants(2.0**-13, "test"))


@pytest.mark.parametrize("scale", POWERS + OTHERS)
def test_softmax(scale, tally):
    """In float64 every share is refq's; with float32 those of rows that it rounds differ, by 1 on scales of powers of two."""
    rng, row = np.random.default_rng(0), softmax_ibert.Row(out=U16)
    kernel, made = softmax_ibert.kernel(row), softmax_ibert.build(row, scale, 0)
    for length in (1, 2, 3, 16, 64, 197):
        q = np.clip(np.rint(rng.normal(0, 40, (100, length))), -128, 127).astype(np.int8)
        p = np.empty(q.shape, np.uint16)
        theirs, (mult, shift) = softmax(q, scale, EXACT)
        kernel(q, *(made | {"mult": mult, "shift": shift}).values(), p)
        assert np.array_equal(p, theirs)
        kernel(q, *made.values(), p)
        tally("transformers I-BERT softmax, float64", p.size, int((p != theirs).sum()))
        assert (p != theirs).sum() <= 2
        carried, _ = softmax(q, scale, CARRIED)
        tally("transformers I-BERT softmax, float32", p.size, int((p != carried).sum()))
        assert scale in OTHERS or np.abs(p - carried).max() <= 1


def test_a_one_hot_row_leaves_8_bits_in_float32_only():
    """A witness: 32767 * 131076 is 2**32 - 4, which float32 rounds to 2**32: their share of 1 is 256, in integers 255."""
    q = np.array([[100, -128, -128]], np.int8)
    carried, exact = (softmax(q, 0.5, dtype)[0].tolist() for dtype in (CARRIED, EXACT))
    assert carried == [[256, 0, 0]] and exact == [[255, 0, 0]]
    assert play(dialects.load("ibert").role("softmax"), {}, {"q": q}, scale=0.5, zero=0).tolist() == exact


def gelu(q, scales, dtype):
    """(their integers, their scale) with the sign turned, as refq's has it."""
    x, s = given(q, scales, dtype)
    y, unit = modules.IntGELU(quant_mode=True)(x, s)
    return -integers(y, unit), -unit.to(EXACT).numpy()


@pytest.mark.parametrize("scales", [[2.0**-10], [2.0**-14], [2.0**-18], [2.0**-20], [2.0**-12, 2.0**-17, 2.0**-10, 2.0**-15]],
                         ids=str)
def test_gelu(scales, tally):
    """In float64 the product is refq's in all its bits, a scale for each channel as behind their linear layers; in float32 it is
    at 2**-10, where nothing has more than 24 bits, and differs in nearly all elsewhere."""
    rng, row, scales = np.random.default_rng(1), gelu_ibert.Row(out=I64), np.array(scales)
    q = np.clip(np.rint(rng.normal(0, 2, (400, 4)) / scales), -(2**23), 2**23).astype(np.int32)
    made = gelu_ibert.build(row, np.broadcast_to(scales, 4), 0, 4)
    arrays = [made.pop("zp"), *(np.array(made[k], row.takes[k].width.dtype) for k in made)]
    y = np.empty(q.shape, np.int64)
    gelu_ibert.kernel(row)(q, *arrays, y)
    theirs, unit = gelu(q, scales, EXACT)
    assert np.array_equal(y, theirs)
    np.testing.assert_allclose(np.broadcast_to(unit, 4), gelu_ibert.result(row, np.broadcast_to(scales, 4)), rtol=1e-12)
    carried, _ = gelu(q, scales, CARRIED)
    apart = int((carried != y).sum())
    tally("transformers I-BERT GELU, float64", y.size, 0)
    tally("transformers I-BERT GELU, float32", y.size, apart)
    assert apart == 0 if scales.tolist() == [2.0**-10] else apart > 0
    assert np.abs(carried - y).max() <= np.abs(y).max() * 2.0**-18


def layernorm(q, gamma, beta, sh, dtype):
    """Their integers u + beta / gamma, and the scale that goes with each channel."""
    module = modules.IntLayerNorm(q.shape[-1], 1e-5, 32, quant_mode=True).eval().to(dtype)
    module.weight.data, module.bias.data = (torch.tensor(v, dtype=dtype) for v in (gamma, beta))
    module.shift = torch.tensor([sh], dtype=dtype)
    x, s = given(q[None], 1.0, dtype)
    y, unit = module(x, s)
    return integers(y, unit)[0], unit.to(EXACT).detach().numpy()


@pytest.mark.parametrize(("width", "sh"), [(I16, 0), (I16, 2), (Width(22), 7), (Width(8), 0)], ids=str)
def test_layernorm(width, sh, tally):
    """In float64 every register is refq's, whose sign is gamma's; in float32 u has 24 of its 30 bits, and nearly all differ."""
    rng, row = np.random.default_rng(2), layernorm_ibert.Row(q=width)
    gamma, beta = rng.uniform(0.6, 1.4, 64), rng.uniform(-0.5, 0.5, 64)
    gamma[5] = -gamma[5]
    q = width.clip(np.rint(rng.normal(3, width.hi / 6, (200, 64))).astype(np.int64)).astype(width.dtype)
    made = layernorm_ibert.build(row, 1.0, 0, gamma, beta, 0, sh)
    assert not any(made["down"])
    y = np.empty(q.shape, np.int32)
    arrays = [np.array(made[k], t) for k, t in (("beta", np.int32), ("sign", np.int8), ("down", np.int8))]
    layernorm_ibert.kernel(row)(q, *arrays, sh, y)
    theirs, unit = layernorm(q, gamma, beta, sh, EXACT)
    assert np.array_equal(y * arrays[1], theirs)
    np.testing.assert_allclose(np.abs(unit), layernorm_ibert.result(row, 1.0, gamma, beta), rtol=1e-6)
    carried, _ = layernorm(q, gamma, beta, sh, CARRIED)
    apart = np.abs(y * arrays[1] - carried)
    tally("transformers I-BERT LayerNorm, float64", y.size, 0)
    tally("transformers I-BERT LayerNorm, float32", y.size, int((apart > 0).sum()))
    assert 0 < apart.max() <= 2**14


def test_layernorm_in_float32_where_it_has_the_bits():
    """Rows of +-d whose deviation is a power of two: every integer is a small one times a power of two, and all agree."""
    row, q = layernorm_ibert.Row(q=I16), np.array([[16, -16] * 8, [64, -64] * 8, [3, 1] * 8], np.int16)
    made = layernorm_ibert.build(row, 1.0, 0, np.ones(16), np.zeros(16), 0, 0)
    y = np.empty(q.shape, np.int32)
    layernorm_ibert.kernel(row)(q, *(np.array(made[k], t) for k, t in (("beta", np.int32), ("sign", np.int8), ("down", np.int8))),
                                0, y)
    for dtype in (CARRIED, EXACT):
        assert np.array_equal(layernorm(q, np.ones(16), np.zeros(16), 0, dtype)[0], y)


@pytest.mark.parametrize("bits", [8, 16])
def test_requantize(bits, tally):
    """QuantAct of an accumulator is the dialect's rescale, for accumulators of 24 bits in either float type."""
    rng, role = np.random.default_rng(3), dialects.load("ibert").role("rescale")
    for _ in range(20):
        module = modules.QuantAct(bits, quant_mode=True).eval()
        module.x_max = torch.tensor([float(np.float32(rng.uniform(0.5, 8)))])
        units = (rng.uniform(0.5, 1, 16) * 2.0**-12).astype(np.float32)
        q = rng.integers(-(2**18), 2**18, (1, 8, 16))
        y, s = module(torch.tensor(q * units, dtype=EXACT), torch.tensor(units))
        ours = play(role, {"acc": I32, "out": Width(bits)}, {"acc": q.astype(np.int32)}, factors=(units.astype(float),),
                    unit=float(s), zin=0, zp=0)
        assert np.array_equal(integers(y, s), ours)
        tally("transformers I-BERT QuantAct", q.size, 0)


def test_residual_sum(tally):
    """QuantAct of a tensor and its identity is the dialect's add: each rescaled alone, the sum clipped."""
    rng, role = np.random.default_rng(4), dialects.load("ibert").role("add")
    for _ in range(20):
        module = modules.QuantAct(16, quant_mode=True).eval()
        module.x_max = torch.tensor([float(np.float32(rng.uniform(0.5, 8)))])
        sa, sb = (torch.tensor([float(s)]) for s in (rng.uniform(0.5, 1, 2) * 2.0**-12).astype(np.float32))
        a, b = rng.integers(-(2**15), 2**15, (2, 1, 8, 16))
        y, s = module(torch.tensor(a, dtype=EXACT) * sa, sa, torch.tensor(b, dtype=EXACT) * sb, sb)
        ours = play(role, dict.fromkeys(("a", "b", "out"), I16), {"a": a.astype(np.int16), "b": b.astype(np.int16)},
                    sa=float(sa), za=0, sb=float(sb), zb=0, so=float(s), zo=0)
        assert np.array_equal(integers(y, s), ours)
        tally("transformers I-BERT QuantAct with an identity", a.size, 0)
