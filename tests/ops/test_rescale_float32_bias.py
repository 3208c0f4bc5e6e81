"""rescale_float32_bias and dequantize_bias: the oracle, what FBGEMM and oneDNN do with a bias, and what is refused."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints import conversions
from refq.ints.width import I16, U8
from refq.ops import dequantize_bias, rescale_float32_bias
from refq.ops.rescale_float32_bias import Row
from tests import oracle_float32 as oracle

ACCUMULATORS = st.integers(-(2**31), 2**31 - 1) | st.integers(-3000, 3000)


def single(least, most):
    return st.floats(least, most, width=32)


def run(module, row, *operands):
    """What spec and kernel give for one accumulator, after making sure that it is the same."""
    made = [np.array([[operands[0]]], row.acc.dtype)]
    made += [np.ravel(v).astype(d.width.dtype) if d.names else d.width.dtype.type(v) if d.width.dtype.kind == "f" else v
             for v, d in zip(operands[1:], list(row.takes.values())[1:])]
    y = np.empty((1, 1), row.gives["y"].width.dtype)
    module.kernel(row)(*made, y)
    assert module.spec(*made, row=row).item() == y.item()
    return y.item()


@pytest.mark.parametrize("far", conversions.names)
@pytest.mark.parametrize("where", ["after", "inside"])
@pytest.mark.parametrize("ties", ["half_even", "half_away", "floor"])
@given(acc=ACCUMULATORS, zin=st.just(0) | st.integers(-300, 300),
       first=st.just(1.0) | single(2.0**-20, 16), second=st.just(1.0) | single(2.0**-20, 16),
       bias=st.integers(-99, 99).map(lambda b: b / 2) | single(-(2.0**40), 2.0**40), unit=st.just(1.0) | single(2.0**-20, 2.0**9),
       last=st.sampled_from([0.5, 0.25, 2.0**-7]) | single(2.0**-30, 2.0**30), zp=st.integers(-128, 127))
def test_oracle_agrees(ties, where, far, acc, zin, first, second, bias, unit, last, zp):
    """Spec and kernel round to float32 where fractions say, and nowhere else."""
    row = Row(ties=ties, zero_point=where, far=far)
    expected = oracle.rescaled_with_bias(acc, zin, first, second, bias, unit, last, zp, row)
    assert run(rescale_float32_bias, row, acc, zin, first, second, bias, unit, last, zp) == expected


@pytest.mark.parametrize("row", [dequantize_bias.Row(), dequantize_bias.Row(sum="fused")])
@given(acc=ACCUMULATORS, first=st.just(1.0) | single(2.0**-20, 16), second=single(2.0**-20, 16), bias=single(-(2.0**40), 2.0**40))
def test_reals_are_the_oracle(row, acc, first, second, bias):
    """dequantize_bias rounds once less where it is fused."""
    assert run(dequantize_bias, row, acc, first, second, bias) == oracle.real_with_bias(acc, first, second, bias, row)


def built(row, bias, sx=0.5, sw=(0.25,), sy=2.0, zp=1):
    return rescale_float32_bias.build(row, [sx, np.array(sw)], sy, 0, zp, bias)


def test_a_bias_at_the_accumulator_counts_its_units():
    """FBGEMM: 3 / (0.5 * 0.25) = 24 accumulators; the multiplier is s_x*s_w / s_y."""
    c = built(Row(), 3.0)
    assert (c["first"], c["second"], c["bias"], c["unit"], c["last"]) == (1, 1, 24, 1, 0.0625)
    assert run(rescale_float32_bias, Row(), 0, *c.values()) == 1 + 2        # 1.5 goes to the even 2


def test_a_bias_in_reals_counts_one():
    """oneDNN: s_x, s_w, bias, 1 / s_y; the zero point is inside, so 1.5 + 1 goes to the even 2."""
    row = Row(bias="reals", zero_point="inside")
    c = built(row, 3.0)
    assert (c["first"], c["second"], c["bias"], c["unit"], c["last"]) == (0.5, 0.25, 3, 1, 0.5)
    assert run(rescale_float32_bias, row, 0, *c.values()) == 2


def test_one_scale_for_the_tensor_takes_the_reciprocal():
    """A witness: 47 / float32(0.1 * 1) is a last bit off 47 * (1 / that), which is moreover not rounded before the sum."""
    channel, tensor = (built(Row(weights=w), 47.0, sx=0.1, sw=(1.0,)) for w in ("channel", "tensor"))
    assert (channel["bias"], channel["unit"]) == (np.float32(47) / np.float32(0.1), 1)
    assert (tensor["bias"], tensor["unit"]) == (47, np.float32(1) / np.float32(0.1))


def test_scales_that_are_inverted_twice_lose_a_bit():
    """ideep hands oneDNN 1/s: the scale that comes back can be its neighbour; s_w only where `both` says so."""
    s = float(np.float32(0.3))
    some = {inverted: built(Row(bias="reals", inverted=inverted), 0.0, sx=s, sw=(s,)) for inverted in ("none", "first", "both")}
    back = np.float32(1) / np.float32(1 / s)
    assert [(c["first"], c["second"][0]) for c in some.values()] == [(np.float32(s),) * 2, (back, np.float32(s)), (back, back)]
    scales = np.float32(np.random.default_rng(1).uniform(0.5, 1, 999))
    assert (np.float32(1) / (np.float32(1) / scales) != scales).any()


def test_far_products():
    """2**31 and more: the highest code, or x86's lowest one; 8-bit and unsigned results alike."""
    for out in (I16, U8):
        operands = 2**20, 0, 1.0, 1.0, 0.0, 1.0, 2.0**11, 3
        assert run(rescale_float32_bias, Row(out=out), *operands) == out.hi
        assert run(rescale_float32_bias, Row(out=out, far="lowest_int32"), *operands) == out.lo


def test_channels_have_their_own():
    """A scale for each channel reaches each; one bias serves all."""
    c = built(Row(bias="reals"), [1.0, 2.0, 3.0], sw=(0.25, 0.5, 1.0))
    assert c["second"].tolist() == [0.25, 0.5, 1] and c["last"].tolist() == [0.5] * 3 and c["bias"].tolist() == [1, 2, 3]
    d = dequantize_bias.build(dequantize_bias.Row(), 0.5, [0.25, 0.5], 1.0)
    assert (d["first"], d["second"].tolist(), d["bias"].tolist()) == (1, [0.125, 0.25], [1, 1])


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf"), 2.0**70])
def test_impossible_scales_are_refused(scale):
    for row in (Row(), Row(bias="reals")):
        with pytest.raises(IllFormed, match="allowed is"):
            built(row, 1.0, sx=scale)
    with pytest.raises(IllFormed, match="allowed is"):
        dequantize_bias.build(dequantize_bias.Row(), scale, 1.0, 0.0)


def test_rows_that_contradict_themselves_are_refused():
    with pytest.raises(IllFormed, match="need the bias in reals"):
        Row(inverted="both")
    with pytest.raises(IllFormed, match="taken each"):
        dequantize_bias.Row(inverted="first")
    with pytest.raises(IllFormed, match="channel or tensor"):
        Row(weights="row")
