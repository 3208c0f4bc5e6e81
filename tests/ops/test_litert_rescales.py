"""What LiteRT's kernels need of a rescale: a mean's multiplier divided in integers, 256ths, zero points folded in float32."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.graph.bounds import bounds
from refq.ints import multiplier, rounding, scales
from refq.ops import rescale, rescale_float32
from refq.vectors.draw import draw
from tests import oracle_litert as oracle


@given(st.floats(2.0 ** -30, 2.0 ** 20), st.integers(1, 2 ** 20))
def test_a_mean_divides_its_multiplier_in_integers(scale, count):
    """TFLite's MEAN: raised as far as 31 bits and the left shift allow, and truncated."""
    mult, shift = multiplier.pair(scale, "q31")
    wanted, left = oracle.mean_pair(mult, 31 - shift, count)
    assert multiplier.shared(mult, shift, count) == (wanted, 31 - left)


def test_only_that_row_counts_in_integers():
    """A mean of 3 codes at one scale: 2**30 // 3 at twice the shift, against a third rounded to 31 bits."""
    how = {"factors": (1.0,), "unit": 1.0, "zin": 0, "zp": 0, "count": 3}
    whole = rescale.build(rescale.Row(count="multiplier"), **how)
    real = rescale.build(rescale.Row(), **how)
    assert (whole["mult"], whole["shift"]) == ([(1 << 31) // 3], [31])
    assert (real["mult"], real["shift"]) == ([1431655765], [32])
    alone = how | {"count": 1}
    assert rescale.build(rescale.Row(count="multiplier"), **alone) == rescale.build(rescale.Row(), **alone)


def test_a_float32_mean_multiplies_by_the_reciprocal():
    """XNNPACK's: the float32 quotient, times float32(1 / 14)."""
    assert scales.ratio("float32", (0.0625,), 0.125, 14) == float(np.float32(0.5) * (np.float32(1) / np.float32(14)))
    assert scales.ratio("float64", (0.0625,), 0.125, 14) == 0.5 / 14


@pytest.mark.parametrize("scale, mult", [(1.0, 256), (0.5, 128), (1 / 512, 0), (3 / 512, 2), (5 / 512, 2), (128.0, 1 << 15)])
def test_256ths_are_rounded_to_even(scale, mult):
    assert multiplier.encode(scale, "fixed8") == (mult, 8)


def test_a_scale_beyond_256ths_is_refused():
    with pytest.raises(IllFormed, match="256ths"):
        multiplier.encode(128.01, "fixed8")


@pytest.mark.parametrize("ties", rounding.names)
@given(acc=st.integers(-2 ** 31, 2 ** 31 - 1) | st.integers(-5000, 5000),
       zin=st.integers(-2 ** 31, 2 ** 31 - 1) | st.integers(-5000, 5000),
       scale=st.floats(2.0 ** -40, 2.0 ** 20, width=32) | st.sampled_from([0.5, 2.0 ** -7]), zp=st.integers(-128, 127))
def test_folded_zero_points_are_the_oracles(ties, acc, zin, scale, zp):
    """Spec and kernel round to float32 where fractions say."""
    row = rescale_float32.Row(ties=ties, zero_point="folded")
    operands = np.array([[acc]], np.int32), zin, np.array([scale], np.float32), zp
    y = np.empty((1, 1), np.int8)
    rescale_float32.kernel(row)(*operands, y)
    assert rescale_float32.spec(*operands, row).item() == y.item() == oracle.folded(acc, zin, scale, zp, ties)


def test_folding_moves_a_tie():
    """The witness that LiteRT gave: a sum of -1414 with 14 zero points of -74, over 28, is -13.5; folded it is less."""
    scale = np.float32(0.5) * (np.float32(1) / np.float32(14))
    operands = np.array([[-1414]], np.int32), -74 * 14, np.array([scale]), -43
    answers = [rescale_float32.spec(*operands, rescale_float32.Row(zero_point=z)).item() for z in ("inside", "folded")]
    assert answers == [-56, -57]


@pytest.mark.parametrize("role, dialect", [("mul", "tflite"), ("sub", "tflite_xnnpack"), ("rescale_linear", "litert_reference"),
                                           ("rescale_mean", "tflite_xnnpack")])
def test_vectors_kill_every_bug(role, dialect):
    """Each mutant that is not proved equivalent is killed in some region."""
    told = draw(role, dialect).score.json()["bugs"]
    assert told["survivors"] == 0 and told["killed"] > 70


def test_the_product_of_a_mul_is_bounded():
    """All codes of both operands less their zero points, and what they are raised to."""
    program = draw("mul", "tflite").program
    found = {b.register: b for b in bounds(program) if b.step == "mul.0"}
    zero = {k: int(program.constants[f"mul.0.{k}"]) for k in ("za", "zb")}
    ends = [(a - zero["za"]) * (b - zero["zb"]) for a in (-128, 127) for b in (-128, 127)]
    assert (found["product"].lo, found["product"].hi) == (min(*ends, 0), max(*ends, 0)) and "lifted" in found
