"""Backends without an engine here: from float32 scales to the code, by each project's own formula; and claimed equalities."""
from fractions import Fraction
from math import frexp

import numpy as np
import oracle_backends as b
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ops.strategies import by_kernel, by_spec

from refq import dialects, ops
from refq.errors import IllFormed
from refq.ints import preshift
from refq.ints.width import I8, I48
from refq.ops import rescale
from tests.oracle import float32_of, saturated, wrapped

single = st.builds(lambda m, e: float(np.ldexp(np.float32(m), e)), st.sampled_from((1.0, 1.5, 2 - 2.0 ** -23, 1 + 2.0 ** -23))
                   | st.floats(1, 2, width=32, exclude_max=True), st.integers(-10, 2))


def exact(sx, sw, sy):
    """The quotient in float64 of a product in float64, as TFLite makes it."""
    return Fraction(float(sx) * float(sw) / float(sy))


def float32(sx, sw, sy):
    return float32_of(float32_of(Fraction(sx) * Fraction(sw)) / Fraction(sy))


def product32(sx, sw, sy):
    return Fraction(float(float32_of(Fraction(sx) * Fraction(sw))) / sy)


def by_multiplier(formula):
    return lambda acc, *scales: formula(acc, *b.quantized_multiplier(exact(*scales)))


def tosa(acc, *scales):
    m, s = b.quantized_multiplier(exact(*scales))
    return b.apply_scale_32(acc, m, 31 - s, True)


def of_float32(formula):
    return lambda acc, *scales: formula(acc, float32(*scales))


def pulp(acc, *scales):
    return b.requant_shift(acc, b.even(float32(*scales) * 2 ** 20), 0, 20)


MEANT = {
    "tflite_single": by_multiplier(b.tflite_single), "cmsis_nn": by_multiplier(b.cmsis_double),
    "cmsis_nn_single": by_multiplier(b.cmsis_single), "tosa_double": tosa, "qnnpack": of_float32(b.qnnpack_q31),
    "qnnpack_precise": of_float32(b.qnnpack_precise), "xnnpack_rndnu": of_float32(b.xnnpack_rndnu),
    "xnnpack_rndnu16": of_float32(b.xnnpack_rndnu16), "glow": of_float32(b.glow), "gemmini": of_float32(b.gemmini),
    "nvdla": lambda acc, *s: b.nvdla(acc, 0, 0, *b.nvdla_scale(exact(*s))),
    "ethosu_tfl": lambda acc, *s: b.ethosu(acc, exact(*s), "tfl"),
    "ethosu_natural": lambda acc, *s: b.ethosu(acc, exact(*s), "natural"),
    "ethosu_truncate": lambda acc, *s: b.ethosu(acc, exact(*s), "truncate"),
    "ibert": lambda acc, *s: b.ibert(acc, exact(*s)), "pulp": pulp,
    "ivit_tvm": lambda acc, *s: b.tflite_single(acc, *b.quantized_multiplier(product32(*s))),
}
POWERS = {"vta": lambda acc, n: b.vta(acc, n), "tvm": b.tvm, "dpu": lambda acc, n: b.dpu_round(Fraction(acc) / Fraction(2) ** n)}


def drawn(seed, ratio, count=60):
    """Accumulators: rails, ties and beside them, anything."""
    rng = np.random.default_rng(seed)
    made = [-(2 ** 31), -(2 ** 31) + 1, 2 ** 31 - 1, -1, 0, 1]
    for k in rng.integers(-300, 300, count).tolist():
        made += [saturated(int(Fraction(2 * k + 1, 2) / Fraction(ratio)) + d, 32) for d in (-1, 0, 1)]
    return made + rng.integers(-(2 ** 31), 2 ** 31, count).tolist() + (rng.integers(-(2 ** 31), 2 ** 31, count) >> 12).tolist()


def same(role, acc, expected, zp, **build):
    """Spec and kernel of a Role give the codes `expected`, not clipped yet, with the zero point `zp`."""
    row = type(role.row)(**{**vars(role.row), "out": I8})
    made = ops.load(role.op).build(row, zin=0, zp=zp, **build)
    operands = {k: np.array(made[k], d.width.dtype) if d.names else made[k] for k, d in row.takes.items() if k != "acc"}
    operands = {"acc": np.array(acc, row.acc.dtype)[:, None], **operands}
    keep = wrapped if getattr(row, "store", "clip") == "wrap" else saturated
    expected = [keep(y + zp, 8) for y in expected]
    for run in (by_spec, by_kernel):
        found = run(role.op, row)(operands)["y"][:, 0].tolist()
        wrong = [(a, y, e) for a, y, e in zip(acc, found, expected) if y != e]
        assert not wrong, (len(wrong), wrong[:3], made)


@pytest.mark.parametrize("name", sorted(MEANT))
@settings(max_examples=25, deadline=None)
@example(sx=0.5, sw=0.25, sy=1.0, zp=0, seed=0)
@example(sx=float(np.float32(0.1)), sw=float(np.float32(0.3)), sy=float(np.float32(0.7)), zp=-3, seed=1)
@given(sx=single, sw=single, sy=single, zp=st.integers(-128, 127), seed=st.integers(0, 2 ** 32 - 1))
def test_from_scales_to_codes(name, sx, sw, sy, zp, seed):
    """Every rescale is its project's formula, at ties, rails and anywhere, with the multiplier that the project makes."""
    role, build = dialects.load(name).roles["rescale"], {"factors": (sx, sw), "unit": sy}
    below = getattr(role.row, "below", 0)
    ratio = float32(sx, sw, sy)
    if below and ratio >= below:
        with pytest.raises(IllFormed, match=f"this row takes scales below {below}"):
            rescale.build(role.row, zin=0, zp=zp, **build)
        return
    if name == "xnnpack_rndnu16" and ratio >= 256 or name == "pulp" and ratio >= 128:
        return
    acc = drawn(seed, ratio)
    if name in ("tflite_single", "cmsis_nn", "cmsis_nn_single", "tosa_double", "ethosu_tfl") and ratio >= 1:
        acc = [a >> 10 for a in acc]                # a left shift that leaves 32 bits is not defined
    if name == "tosa_double":                       # nor is an accumulator of shift - 1 bits and more
        acc = [a for a in acc if abs(a) < 2 ** (30 - b.quantized_multiplier(exact(sx, sw, sy))[1])]
    same(role, acc, [MEANT[name](a, sx, sw, sy) for a in acc], zp, **build)


@pytest.mark.parametrize("name", sorted(POWERS))
@pytest.mark.parametrize("n", [-2, -1, 0, 1, 2, 5, 9, 16, 24])
def test_shifts(name, n):
    """Grids of powers of two: rounding shifts to the right, exact ones to the left."""
    role = dialects.load(name).roles["rescale"]
    for zp in (0, 5) if name != "vta" else (0,):
        acc = [a >> 4 if n < 0 else a for a in drawn(n + 50, 2.0 ** -n, 400)]
        same(role, acc, [POWERS[name](a, n) for a in acc], zp, factors=(2.0 ** -n,), unit=1.0)


def test_a_scale_that_is_no_power_of_two_is_refused():
    """By what only shifts; and the role for other ratios takes it."""
    for name in ("vta", "dpu"):
        roles = dialects.load(name).roles
        with pytest.raises(IllFormed, match="power of two"):
            rescale.build(roles["rescale"].row, (0.3,), 1.0, 0, 0)
        assert not rescale.allows(roles["rescale"].row, np.array([0.25, 0.3])) and roles["rescale_any"].borrowed == "tvm"


@given(acc=st.integers(-(2 ** 47), 2 ** 47 - 1), pre=st.integers(0, 31), mult=st.integers(0, 2 ** 15 - 1),
       post=st.integers(0, 62), zp=st.integers(-128, 127))
@example(acc=2 ** 47 - 1, pre=0, mult=2 ** 15 - 1, post=38, zp=0)
@example(acc=24, pre=4, mult=1, post=0, zp=0)
def test_nvdla_with_its_accumulators_truncation(acc, pre, mult, post, zp):
    """48-bit sums, truncated by CACC, saturated to 32 bits, converted by SDP."""
    role = dialects.load("nvdla").roles["rescale_wide"]
    row = role.row
    assert row.acc == I48
    operands = {"acc": np.array([[acc]], np.int64), "zin": 0, "pre": np.array([pre], np.int8),
                "mult": np.array([mult], np.int32), "post": np.array([post], np.int8), "zp": zp}
    expected = saturated(b.nvdla(acc, pre, 0, mult, post) + zp, 8)
    assert {run(role.op, row)(operands)["y"].item() for run in (by_spec, by_kernel)} == {expected}


@given(st.integers(-(2 ** 31), 2 ** 31 - 1), st.integers(0, 30))
def test_gemminis_integer_shift_is_half_to_even(x, u):
    """Its other configuration: a shift by u, to the even neighbour (its comment says away from zero)."""
    assert b.gemmini_shift(x, u) == b.even(Fraction(x, 2 ** u))


def test_ibert_meets_ties_that_are_none():
    """A product just above a tie, which float64 holds as that tie."""
    row = dialects.load("ibert").roles["rescale"].row
    for acc, mult, shift in ((1065657421, 1504499885, 55), (425655121, 2126659543, 53)):
        near = Fraction(acc * mult, 2 ** shift)
        assert 0 < near - (near.__floor__() + Fraction(1, 2)) < Fraction(1, 2 ** 40)
        operands = {"acc": np.array([[acc], [-acc]], np.int32), "zin": 0, "mult": np.array([mult]),
                    "shift": np.array([shift], np.int8), "zp": 0}
        held, exactly = (by_kernel("rescale_float64", type(row)(product=p))(operands)["y"][:, 0].tolist()
                         for p in ("float64", "exact"))
        assert held == [near.__floor__(), -near.__floor__()] and exactly == [near.__ceil__(), -near.__ceil__()]


@given(single, single, single)
def test_glow_and_rndnu16_constants(sx, sw, sy):
    """The three numbers of each are those that the projects' searches give."""
    scale = float(float32(sx, sw, sy))
    pre, post, mult = b.glow_transform(scale)
    assert preshift.encode(scale, "glow") == (pre, mult, post)
    if scale < 256:
        mantissa, exponent = frexp(scale)
        nearest = int(Fraction(mantissa) * 2 ** 15 + Fraction(1, 2))
        assert preshift.encode(scale, "rndnu16") == (-exponent, min(2 ** 15 - 1, nearest), 15)
    for form in preshift.forms:
        assert preshift.encode(2.0 ** -33, form) == preshift.FLUSHED


@pytest.mark.parametrize("form, scale", [("fixed24", 128.0), ("rndnu16", 256.0), ("sdp", 65536.0), ("glow", 2.0 ** 31),
                                         ("fixed", -1.0), ("glow", float("nan")), ("none", 0.5)])
def test_what_a_form_cannot_say_is_refused(form, scale):
    with pytest.raises(IllFormed):
        preshift.encode(scale, form)


# Equalities that the projects' documents claim, over many values, by NumPy on 64 bits.

COUNT = 2_000_000


def many(seed, float24=False):
    """(accumulators, multipliers of 31 bits, shifts 31 to 58); half of the products are ties or beside them."""
    rng = np.random.default_rng(seed)
    mult = rng.integers(1 << 30, 1 << 31, COUNT)
    mult[::3] = 1 << 30
    mult[1::3] &= ~np.int64((1 << 20) - 1)
    if float24:
        mult &= ~np.int64(127)
    shift = rng.integers(31, 59, COUNT)
    acc = rng.integers(-(1 << 31), 1 << 31, COUNT) >> rng.integers(0, 24, COUNT)
    return acc, mult, shift


def of_row(row, acc, mult, shift):
    """What the kernel makes of one accumulator for each multiplier, as 32 bits."""
    y = np.empty((1, COUNT), np.int32)
    run = rescale.kernel(type(row)(**{**vars(row), "out": rescale.I32}))
    run(acc.astype(np.int32)[None], 0, mult, shift.astype(np.int8), 0, y)
    return y[0].astype(np.int64)


def test_tosa_double_round_is_tflites_two_roundings():
    """One shift with 2**30 more or less is half up at bit 31 and then half away."""
    acc, mult, shift = many(1)
    rounding = (np.int64(1) << shift - 1) + np.where(shift > 31, np.where(acc >= 0, 1 << 30, -(1 << 30)), 0)
    row = dialects.load("tosa_double").roles["rescale"].row
    assert np.array_equal((acc * mult + rounding) >> shift, of_row(row, acc, mult, shift))
    assert row == dialects.load("tflite").roles["rescale"].row


def test_qnnpack_q31_is_tflite_with_24_bits():
    """Its remainder and threshold are TFLite's, with a multiplier whose low 7 bits are 0."""
    acc, mult, shift = many(2, float24=True)
    q, s = (acc * mult + (1 << 30)) >> 31, shift - 31
    mask = (np.int64(1) << s) - 1
    found = (q >> s) + ((q & mask) - (q < 0) > mask >> 1)
    assert np.array_equal(found, of_row(dialects.load("tflite").roles["rescale"].row, acc, mult, shift))
    row = dialects.load("qnnpack").roles["rescale"].row
    for scale in np.random.default_rng(3).uniform(2.0 ** -20, 1, 2000).astype(np.float32).tolist():
        made = rescale.build(row, (scale,), 1.0, 0, 0)
        mantissa, biased = b.mantissa24(scale)
        assert (made["mult"], made["shift"]) == ([mantissa << 7], [31 + 126 - biased])


def test_qnnpack_precise_is_rounding_away_once():
    """|x| * mantissa, a half and the sign again: the same as half away (XNNPACK's rndna)."""
    acc, mult, shift = many(4, float24=True)
    mult, shift = mult >> 7, shift - 7
    size = (np.abs(acc) * mult + (np.int64(1) << shift - 1)) >> shift
    row = dialects.load("qnnpack_precise").roles["rescale"].row
    assert np.array_equal(np.where(acc < 0, -size, size), of_row(row, acc, mult, shift))


def test_rndnu_on_neon_is_its_scalar_form():
    """A shift to the left, the high half cut off, and a rounding shift: the same as half up once."""
    acc, mult, shift = many(5, float24=True)
    total = shift - 31
    post = np.maximum(total, 1)
    high = ((acc << np.maximum(post - total, 0)) * mult) >> 31
    keep = total >= 1                               # a left shift may leave 32 bits, which NEON then saturates
    found = (high + (np.int64(1) << post - 1)) >> post
    expected = of_row(dialects.load("xnnpack_rndnu").roles["rescale"].row, acc, mult >> 7, shift - 7)
    assert np.array_equal(found[keep], expected[keep])


def test_cmsis_single_is_half_up_once():
    """((v * m) >> (30 - s)) + 1 >> 1."""
    acc, mult, shift = many(6)
    found = ((acc * mult) >> shift - 1) + 1 >> 1
    assert np.array_equal(found, of_row(dialects.load("cmsis_nn_single").roles["rescale"].row, acc, mult, shift))


def test_two_roundings_and_one_differ_where_they_were_measured_to():
    """At scales of 2**-14 to 2**-6, about two in a thousand results within 8 bits differ, and always by one."""
    rng = np.random.default_rng(7)
    mult, shift = rng.integers(1 << 30, 1 << 31, COUNT), rng.integers(31 + 6, 31 + 14, COUNT)
    acc = (rng.uniform(-140, 140, COUNT) * 2.0 ** shift / mult).astype(np.int64)
    twice, once = (of_row(dialects.load(n).roles["rescale"].row, acc, mult, shift) for n in ("tflite", "tflite_single"))
    differ = twice != once
    assert 0.001 < differ.mean() < 0.004 and (np.abs(twice - once) <= 1).all()
