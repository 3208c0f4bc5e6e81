"""The forms of add_float32 and add_ratio_float32: the oracle, and witnesses that tell engines apart."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.width import I16, I48, U8
from refq.ops import add_float32, add_ratio_float32, conv2d, matmul
from tests import oracle_quantize as oracle

CODES = st.integers(-128, 127)
SCALES = st.integers(1, 99).map(lambda k: k / 100) | st.floats(0.01, 1)
FORMS = [add_float32.Row(product=p, quotient=q, zero_point=z, join=j) for p in ("float32", "fused") for q, z in (
    ("float32", "after"), ("float32", "inside"), ("reciprocal_float32", "after"), ("reciprocal_float32", "fused"))
    for j in ("plus", "minus")]
PAIRS = st.lists(st.tuples(CODES, CODES), min_size=1, max_size=30)


def both(module, row, pairs, constants):
    a, b = (np.array(column, np.int8) for column in zip(*pairs))
    y = np.empty(a.shape, np.int8)
    module.kernel(row)(a, b, *constants.values(), y)
    np.testing.assert_array_equal(module.spec(a, b, *constants.values(), row), y)
    return y.tolist()


@pytest.mark.parametrize("row", FORMS, ids=lambda r: f"{r.product}-{r.quotient}-{r.zero_point}-{r.join}")
@given(sa=SCALES, sb=SCALES, so=SCALES, za=CODES, zb=CODES, zo=CODES, pairs=PAIRS)
def test_add_float32_is_the_oracle(row, sa, sb, so, za, zb, zo, pairs):
    c = add_float32.build(row, sa, za, sb, zb, so, zo)
    assert both(add_float32, row, pairs, c) == [oracle.added(a, b, c, row) for a, b in pairs]


@given(sa=SCALES, sb=SCALES, so=SCALES, za=CODES, zb=CODES, zo=CODES, pairs=PAIRS)
def test_add_ratio_float32_is_the_oracle(sa, sb, so, za, zb, zo, pairs):
    row = add_ratio_float32.Row()
    c = add_ratio_float32.build(row, sa, za, sb, zb, so, zo)
    assert list(c) == list(row.takes)[2:]
    ra, rb, rest = oracle.ratios(np.float32(sa), za, np.float32(sb), zb, np.float32(so), zo)
    assert [float(v) for v in c.values()] == [float(ra), float(rb), float(rest)]
    assert both(add_ratio_float32, row, pairs, c) == [oracle.added_by_ratios(a, b, ra, rb, rest, row.ties) for a, b in pairs]


def test_the_zero_point_inside():
    """Scales 1/2, 1/2 and 1, codes 1 + 0, zero point 1: round(0.5) + 1 is 1 as the standard words it, QLinearAdd gives 2."""
    scales = 0.5, 0, 0.5, 0, 1.0, 1
    plain, ratio = add_float32.Row(), add_ratio_float32.Row()
    assert both(add_float32, plain, [(1, 0)], add_float32.build(plain, *scales)) == [1]
    assert both(add_ratio_float32, ratio, [(1, 0)], add_ratio_float32.build(ratio, *scales)) == [2]


@pytest.mark.parametrize("so", [0.0, -1.0, float("nan"), 2.0 ** 70])
def test_impossible_ratios_are_refused(so):
    with pytest.raises(IllFormed, match="ratios from"):
        add_ratio_float32.build(add_ratio_float32.Row(), 0.1, 0, 0.1, 0, so, 0)


def test_contradictory_rows_are_refused():
    with pytest.raises(IllFormed, match="zero point can be after, inside"):
        add_float32.Row(zero_point="fused")
    with pytest.raises(IllFormed, match="join is 'times'"):
        add_float32.Row(join="times")
    with pytest.raises(IllFormed, match="up to 24 bits"):
        add_ratio_float32.Row(a=I48)


VPMADDUBSW = Accumulate(order="pairs", size=1, overflow="saturate", width=I16, spill=1, products="codes")


@given(st.data(), st.integers(0, 255), st.integers(1, 9))
def test_pairs_of_codes_saturate(data, zx, k):
    """matmul and conv2d whose rule is for the codes: zero points and bias come afterwards; signed by signed is exact."""
    x = data.draw(st.lists(st.sampled_from([0, 1, 128, 254, 255]), min_size=k, max_size=k))
    w = data.draw(st.lists(st.sampled_from([-128, -127, 0, 1, 127]), min_size=k, max_size=k))
    zw, bias = data.draw(CODES), data.draw(st.integers(-999, 999))
    operands = {"x": np.array([x], np.uint8), "w": np.array([w], np.int8), "bias": np.array([bias], np.int32), "zx": zx,
                "zw": np.array([zw], np.int8)}
    row, acc = matmul.Row(x=U8, accumulate=VPMADDUBSW), np.empty((1, 1), np.int32)
    matmul.kernel(row)(*operands.values(), acc)
    assert matmul.spec(*operands.values(), row).item() == acc.item() == oracle.paired(x, w, zx, zw, bias)
    image = operands | {"x": np.array(x, np.uint8).reshape(1, 1, 1, k), "w": np.array(w, np.int8).reshape(1, 1, 1, k)}
    row, acc = conv2d.Row(x=U8, accumulate=VPMADDUBSW), np.empty((1, 1, 1, 1), np.int32)
    conv2d.kernel(row)(*image.values(), acc)
    assert conv2d.spec(*image.values(), row).item() == acc.item() == oracle.paired(x, w, zx, zw, bias)
    signed = operands | {"x": np.array([x], np.uint8).view(np.int8), "zx": zx - 128}
    row, acc = matmul.Row(accumulate=VPMADDUBSW), np.empty((1, 1), np.int32)
    matmul.kernel(row)(*signed.values(), acc)
    exact = sum((int(a) - zx + 128) * (b - zw) for a, b in zip(signed["x"][0], w)) + bias
    assert matmul.spec(*signed.values(), row).item() == acc.item() == exact
