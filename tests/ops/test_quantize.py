"""quantize: the oracle, the whole of some grids, what engines give at ties, far out and for a NaN."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints import rounding
from refq.ints.operand import check
from refq.ints.width import I8, I16, I48, U8
from refq.ops import quantize
from refq.ops.quantize import Row
from tests import oracle_quantize as oracle

F = np.float32
FORMS = [Row(quotient=q, zero_point=z) for q, z in (("exact", "after"), ("float32", "after"), ("float32", "inside"),
                                                    ("reciprocal_float32", "after"), ("reciprocal_float32", "inside"),
                                                    ("reciprocal_float32", "fused"))]
ORT, TORCH = Row(quotient="float32", nan="lowest"), Row(quotient="reciprocal_float32", zero_point="fused", nan="highest")
TFLITE = Row(quotient="float32", ties="half_away")
EVALUATOR = Row(quotient="float32", far="lowest_int32", nan="converted")


def given_to(row, x, scale, zp):
    """Numbers of one channel and its constants, as operands."""
    built = quantize.build(row, scale, zp)
    return np.asarray(x, F).reshape(-1, 1), built["scale"], np.ascontiguousarray(built["zp"], row.out.dtype)


def both(x, scale, zp, row):
    """What spec and kernel give for numbers of one channel, after making sure that it is the same."""
    operands = given_to(row, x, scale, zp)
    y = np.empty(operands[0].shape, row.out.dtype)
    quantize.kernel(row)(*operands, y)
    np.testing.assert_array_equal(quantize.spec(*operands, row), y)
    return y[:, 0].tolist()


def by_spec(x, scale, zp, row):
    return quantize.spec(*given_to(row, x, scale, zp), row)[:, 0].tolist()


@pytest.mark.parametrize("form", range(len(FORMS)), ids=[f"{r.quotient}-{r.zero_point}" for r in FORMS])
@given(data=st.data())
def test_oracle_agrees(form, data):
    """Numbers at and around ties, and anywhere, under every rounding. A third of the kernels, of which each takes a second to
    compile: every rounding under two forms, one of them by reciprocals, and every form under nearest and directed ones."""
    turn = data.draw(st.integers(0, len(rounding.names) - 1))
    row, made = Row(FORMS[form].quotient, FORMS[form].zero_point, rounding.names[turn]), both if turn % 3 == form % 3 else by_spec
    scale = F(data.draw(st.floats(2.0 ** -20, 16, width=32) | st.sampled_from([0.5, 0.25, 1.0, 0.1, 0.7])))
    zp = data.draw(st.integers(-128, 127))
    k = np.array(data.draw(st.lists(st.integers(-300, 300), min_size=1, max_size=20)))
    x = F((k / 2) * np.float64(scale))
    x = np.concatenate([x, np.nextafter(x, F(np.inf)), np.nextafter(x, F(-np.inf))])
    x = x[(abs(x) > 1e-30) | (x == 0)]
    assert made(x, scale, zp, row) == [oracle.quantized(v, scale, zp, row) for v in x]


@given(scale=st.floats(2.0 ** -20, 16, width=32), zero=st.integers(-128, 127),
       x=st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=30))
def test_exact_quotients_are_those_of_grids(scale, zero, x):
    """The exact form is Affine.encode."""
    assert both(x, scale, zero, Row()) == Affine(I8, np.array(scale), np.array(zero)).encode(np.array(x, F)).tolist()


@pytest.mark.parametrize("scale", [0.1, 0.7, 1 / 3, 0.02, 1.0])
def test_quotients_beside_all_ties_of_16_bits(scale):
    """The float64 quotient of the exact form, at every half of 16-bit codes and one step beside it, against fractions."""
    ties = F((np.arange(-33000, 33000) + 0.5) * np.float64(F(scale)))
    x = np.concatenate([ties, np.nextafter(ties, F(np.inf)), np.nextafter(ties, F(-np.inf))])
    grid = Affine(I16, np.array(F(scale)), np.array(5))
    for ties in ("half_even", "half_away", "floor"):
        assert both(x, scale, 5, Row(ties=ties, out=I16)) == grid.encode(x, ties).tolist()


def test_what_engines_make_of_ties():
    """-128.5, 127.5 and 128.5 at a scale of 1, zero points 0 and 3; run under onnxruntime 1.31.1 and torch 2.13."""
    x = [-128.5, 127.5, 128.5]
    assert (both(x, 1, 3, ORT)[0], both(x, 1, 3, TORCH)[0]) == (-125, -126)
    u8 = {name: Row(**{f: getattr(row, f) for f in ("quotient", "zero_point", "ties")}, out=U8)
          for name, row in (("ort", ORT), ("torch", TORCH), ("tflite", TFLITE))}
    assert [both(x, 1, 3, row) for row in u8.values()] == [[0, 131, 131], [0, 130, 132], [0, 131, 132]]


def test_a_float32_quotient_can_be_a_tie_that_none_is():
    """0.75 / float32(0.1) is 7.49999988: the exact quotient gives 7, the float32 one 8; the reciprocal of 0.1 is 10 too."""
    assert [both([0.75], 0.1, 0, row) for row in (Row(), ORT, TORCH)] == [[7], [8], [8]]


EDGES = [np.nan, np.inf, -np.inf, 3e38, -3e38, 2.2e9, -2.2e9, 2147483520]


@pytest.mark.parametrize(("row", "zero", "codes"), [
    (ORT, 3, [-128, 127, -128, 127, -128, 127, -128, 127]), (TORCH, 3, [127, 127, -128, 127, -128, 127, -128, 127]),
    (EVALUATOR, 0, [-128, -128, -128, -128, -128, -128, -128, 127]),
    (EVALUATOR, -3, [127, 127, 127, 127, 127, 127, 127, 127])])
def test_far_numbers_and_none(row, zero, codes):
    """As engines give them: the evaluator's int32 conversion gives the lowest, and a negative zero point wraps it around."""
    assert both(EDGES, 1, zero, row) == codes


def test_a_nan_is_refused_where_no_engine_is_followed():
    """At the door, and by the spec."""
    x, row = np.full((1, 1), np.nan, F), Row()
    operands = {"x": x, "scale": np.ones(1, F), "zp": np.zeros(1, np.int8)}
    with pytest.raises(IllFormed, match="x reaches from nan"):
        check(row.takes, operands, "quantize")
    with pytest.raises(IllFormed, match="has a NaN"):
        quantize.spec(*operands.values(), row)
    check(ORT.takes, operands, "quantize")


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 2.0 ** -127])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(IllFormed, match="allowed is"):
        quantize.build(Row(), [1.0, scale], 0)


@pytest.mark.parametrize(("fields", "words"), [
    ({"zero_point": "inside"}, "zero point can be after"), ({"quotient": "float32", "zero_point": "fused"}, "after, inside"),
    ({"far": "lowest_int32"}, "what is far saturates"), ({"quotient": "float32", "nan": "converted"}, "needs far"),
    ({"out": I48}, "at most 16 bits")])
def test_contradictory_rows_are_refused(fields, words):
    with pytest.raises(IllFormed, match=words):
        Row(**fields)


def test_real_is_the_formula():
    assert abs(float(quantize.real(F(0.75), F(0.1), 3, Row())) - 10.5) < 1e-6
