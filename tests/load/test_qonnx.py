"""QONNX's nodes: every rounding, narrow codes, both Truncs, against qonnx's formulas in fractions; what is refused is named."""
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from load.quantized_models import written

import refq
from refq.errors import IllFormed, Unsupported
from refq.grids.affine import Affine
from refq.ints.width import Width
from refq.load.qdq import model_of, write
from refq.load.qonnx import encoded

F = np.float32
QUANT, INTQUANT, TRUNC = (f"qonnx.custom_op.general.{op}" for op in ("Quant", "IntQuant", "Trunc"))


def sign(x):
    return (x > 0) - (x < 0)


ROUND = {"ROUND": round, "half_even": round, "CEIL": ceil, "FLOOR": floor, "UP": lambda x: sign(x) * ceil(abs(x)),
         "DOWN": int, "HALF_UP": lambda x: sign(x) * floor(abs(x) + Fraction(1, 2)),
         "HALF_DOWN": lambda x: sign(x) * ceil(abs(x) - Fraction(1, 2))}
"""qonnx's resolve_rounding_mode, of a fraction."""


def quant(x, scale, zero, bits, mode="ROUND", signed=1, narrow=0):
    lo = -2 ** (bits - 1) + narrow if signed else 0
    hi = 2 ** (bits - 1) - 1 if signed else 2 ** bits - 1 - narrow
    real = Fraction(float(x)) / Fraction(float(scale)) + int(zero)
    return (ROUND[mode](min(max(real, lo), hi)) - int(zero)) * float(scale)


def run(path, x, dialect="onnx", left=0):
    program = refq.quantize(refq.load(path), dialect=dialect)
    assert len(program.left) == left, program.left
    return program, program.decode(program.run(program.encode(x))[program.outputs[0]])


def values(count=150, step=0.0625):
    return (np.random.default_rng(4).integers(-160, 160, (count, 4)) * step).astype(F)


T = {"sx": F(0.25), "sy": F(1.0), "zero": F(0), "three": F(3), "eight": F(8), "four": F(4), "five": F(5),
     "w": np.eye(4, dtype=F)[:, ::-1].copy(), "sw": F(0.5), "ten": F(10), "sz": F(2.0)}


@pytest.mark.parametrize("signed, zero", [(1, "zero"), (0, "zero"), (0, "three")])
@pytest.mark.parametrize("mode", ["CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_a_files_rounding_is_the_steps_own(tmp_path, mode, signed, zero):
    """A product onto a coarser grid: in integers alone, under dialects that round in other ways, what fractions give."""
    nodes = [(QUANT, "x sx zero eight", "a", {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}),
             (INTQUANT, "w sw zero eight", "b", {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}),
             ("MatMul", "a b", "c", {}),
             (INTQUANT, f"c sy {zero} four", "y", {"signed": signed, "narrow": 0, "rounding_mode": mode})]
    path = written(tmp_path, None, T, nodes=nodes)
    x = values(step=0.25)
    expected = [[quant(v, 1.0, T[zero], 4, mode, signed) for v in row[::-1]] for row in np.clip(x, -32, 31.75)]
    for dialect in ("onnx", "tflite", "tosa"):
        program, got = run(path, x, dialect)
        np.testing.assert_array_equal(got, expected)
        own = [s.row for s in program.steps if s.op.startswith("rescale")]
        assert len(own) == 1 and own[0].ties not in ("half_even",) and getattr(own[0], "high", "none") == "none"


@pytest.mark.parametrize("mode", ["FLOOR", "HALF_UP"])
def test_images_are_rounded_as_the_file_says(tmp_path, mode):
    """A Quant of the input itself, directly or behind a move, is a step: nothing outside has to know."""
    move = [("Transpose", "x", "t", {"perm": [0, 2, 1]})]
    for shape, nodes, source in ((("n", 4), [], "x"), (("n", 2, 2), move, "t")):
        nodes = [*nodes, (QUANT, f"{source} sy zero four", "q", {"signed": 1, "narrow": 0, "rounding_mode": mode}),
                 ("Relu", "q", "y", {})]
        x = values().reshape(-1, *shape[1:])
        program, got = run(written(tmp_path, None, T, shape, nodes), x, "tflite", left=len(nodes) - 2)
        assert "quantize" in {s.op for s in program.steps}
        seen = x if source == "x" else x.transpose(0, 2, 1)
        np.testing.assert_array_equal(got, np.vectorize(lambda v: max(quant(v, 1.0, 0, 4, mode), 0))(seen))


def test_two_roundings_of_one_tensor_stay_two(tmp_path):
    """Nodes that differ in an attribute alone are not one."""
    nodes = [(QUANT, "x sx zero eight", "a", {}), (QUANT, "a sy zero eight", "f", {"rounding_mode": "FLOOR"}),
             (QUANT, "a sy zero eight", "c", {"rounding_mode": "CEIL"}), ("Sub", "c f", "d", {}),
             (QUANT, "d sy zero eight", "y", {})]
    x = values(step=0.25)
    _, got = run(written(tmp_path, None, T, nodes=nodes), x)
    np.testing.assert_array_equal(got, np.ceil(np.clip(x, -32, 31.75)) - np.floor(np.clip(x, -32, 31.75)))


def test_bounds_between_two_codes_are_rounded_as_the_file_says(tmp_path):
    """Rounding and then cutting is cutting and then rounding, where the bounds round the same way."""
    for mode, low, high in (("FLOOR", -2, 2), ("CEIL", -1, 3)):
        nodes = [(QUANT, "x sx zero eight", "a", {}), ("Clip", "a least most", "c", {}),
                 (QUANT, "c sy zero four", "y", {"rounding_mode": mode})]
        t = T | {"least": F(-1.25), "most": F(2.625)}
        program, got = run(written(tmp_path, None, t, nodes=nodes), values(step=0.25))
        assert not program.left and (got.min(), got.max()) == (low, high)


def test_the_lowest_code_of_a_narrow_grid_is_left_out(tmp_path):
    """narrow: a clip follows what makes the codes."""
    nodes = [(QUANT, "x sx zero eight", "a", {"signed": 1, "narrow": 1}), (QUANT, "a sy zero four", "y", {"narrow": 1})]
    program, got = run(written(tmp_path, None, T, nodes=nodes), values(step=0.25))
    assert got.min() == -7 and got.max() == 7 and [s.op for s in program.steps][-1] == "clip"
    with pytest.raises(Unsupported, match="its lowest code is left out; QDQ form"):
        model_of(refq.load(tmp_path / "layer.onnx"))
    nodes = [(QUANT, "x sx zero eight", "a", {"signed": 0, "narrow": 1}),
             (QUANT, "a sy three four", "y", {"signed": 0, "narrow": 1})]
    program, got = run(written(tmp_path, None, T, nodes=nodes), values(step=0.25))
    assert got.min() == 0 and got.max() == 11 and not program.left


@pytest.mark.parametrize("mode", ["CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "ROUND"])
@pytest.mark.parametrize("signed", [0, 1])
def test_trunc_of_opset_1_shrinks_what_codes_mean(tmp_path, mode, signed):
    """Eight bits to four, the scale stays; nothing is clipped, so ceilings take one bit more."""
    nodes = [(QUANT, "x sx zero eight", "a", {"signed": signed, "narrow": 0}),
             (TRUNC, "a sx zero eight four", "y", {"rounding_mode": mode})]
    x = values(step=0.25)
    path = written(tmp_path, None, T, nodes=nodes)
    codes = np.clip(x * 4, *((-128, 127) if signed else (0, 255))).astype(int)
    expected = [[ROUND[mode](Fraction(int(c), 16)) * 0.25 for c in row] for row in codes]
    for dialect in ("onnx", "ort_x86") + ("tflite",) * (mode != "ROUND"):
        np.testing.assert_array_equal(run(path, x, dialect)[1], expected)


@pytest.mark.parametrize("mode", ["CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "ROUND"])
def test_trunc_of_opset_2_keeps_what_codes_mean(tmp_path, mode):
    """Eight or ten bits, a zero point that divides, clipped to four unsigned or signed bits."""
    for signed, zero, narrow, bits in ((0, F(16 if mode == "ROUND" else 24), 0, 8), (1, F(0), 1, 10), (0, F(0), 1, 10)):
        t = T | {"zp": zero, "bits": F(bits)}
        nodes = [(QUANT, "x sx zp bits", "a", {"signed": signed, "narrow": 0}),
                 (TRUNC, "a sx zp bits sz four", "y", {"rounding_mode": mode, "signed": signed, "narrow": narrow})]
        x = values(step=0.25)
        codes = np.clip(x * 4 + zero, -2 ** (bits - 1) * signed, 2 ** (bits - signed) - 1).astype(int)
        lo, hi = (-8 + narrow, 7) if signed else (0, 15 - narrow)
        expected = [[(ROUND[mode](min(max(Fraction(int(c), 8), lo), hi)) - int(zero) // 8) * 2.0 for c in row] for row in codes]
        np.testing.assert_array_equal(run(written(tmp_path, None, t, nodes=nodes), x)[1], expected)


def test_a_sum_that_has_no_grid_of_its_own_is_counted_first(tmp_path):
    """Trunc behind an Add, as Brevitas writes averages: the sum's grid is the one that Trunc says."""
    nodes = [(QUANT, "x sx zero eight", "a", {}), ("Add", "a a", "s", {}),
             (TRUNC, "s sx zero ten four", "y", {"rounding_mode": "FLOOR"})]
    x = values(step=0.25)
    _, got = run(written(tmp_path, None, T, nodes=nodes), x)
    np.testing.assert_array_equal(got, np.floor(2 * np.clip(x * 4, -128, 127) / 64) * 0.25)


def test_constants_are_rounded_in_float32():
    """0.75 / float32(0.1) is a tie in float32, though not in reals; the zero point is inside the rounding."""
    grid = Affine(Width(8), np.float32(0.1), np.int64(0))
    assert encoded(np.array([0.75, -0.75]), grid, "half_even", 127).tolist() == [8, -8]
    grid = Affine(Width(4, False), np.float64(1.0), np.int64(3))
    assert encoded(np.array([0.5, 1.5, -2.5, -9, 90]), grid, "half_even", 15).tolist() == [4, 4, 0, 0, 15]
    assert encoded(np.array([-0.5, 0.5]), grid, "trunc", 15).tolist() == [2, 3]
    wide = Affine(Width(32), np.float64(1.0), np.int64(0))
    assert encoded(np.array([2.0 ** 31, -2.0 ** 40]), wide, "floor", wide.hi).tolist() == [2 ** 31 - 1, -2 ** 31]


@pytest.mark.parametrize("node, error, said", [
    ((QUANT, "x sx zero eight", "y", {"rounding_mode": "ROUND_TO_ZERO"}), Unsupported, "mode ROUND_TO_ZERO; QONNX has ROUND"),
    ((QUANT, "x sx three eight", "y", {"rounding_mode": "DOWN"}), Unsupported, r"signed codes with zero point 3 .* by the sign"),
    ((QUANT, "x sx sx eight", "y", {}), IllFormed, "zero point 'sx' holds 0.25; it is a whole number"),
    ((QUANT, "x tiny zero eight", "y", {}), IllFormed, r"scale 'tiny' holds 9\.99\S+e-41, which is subnormal"),
    ((QUANT, "x sx zero", "y", {}), IllFormed, "3 inputs; it has 4"),
    (("qonnx.custom_op.general.BipolarQuant", "x sx", "y", {}), Unsupported, r"\(BipolarQuant\): codes -1 and \+1"),
    ((TRUNC, "x sx zero eight", "y", {}), IllFormed, r"4 inputs; it has 5 \(opset 1\) or 6 \(opset 2\)"),
    ((TRUNC, "x sx three eight four", "y", {}), Unsupported, "opset 1 takes off zero point 3 without dividing it"),
    ((TRUNC, "x sx zero four eight", "y", {}), IllFormed, "4 bits become 8; it takes bits away"),
    ((TRUNC, "x sx zero eight odd four", "y", {}), Unsupported, "scales 0.25 and 3.0, whose quotient is no power of two"),
    ((TRUNC, "x sx three eight sz four", "y", {}), Unsupported, "zero point 3 becomes 0.375; refq takes a whole code of i4"),
    ((TRUNC, "w sx zero eight four", "y", {}), Unsupported, "'w' is a constant; fold it before")])
def test_what_is_refused(tmp_path, node, error, said):
    with pytest.raises(error, match=said) as told:
        refq.load(written(tmp_path, None, T | {"tiny": F(1e-40), "odd": F(3.0)}, nodes=[node]))
    assert "np." not in str(told.value) and "\n" not in str(told.value)


def test_export_says_a_trunc_as_a_product_and_refuses_other_roundings(tmp_path):
    """QDQ form rounds half to even: that Trunc gives the same codes read back, a floor has no form."""
    def nodes(mode):
        return [(QUANT, "x sx zero four", "a", {}), (TRUNC, "a sx zero five four", "y", {"rounding_mode": mode})]
    network = refq.load(written(tmp_path, None, T, nodes=nodes("ROUND")))
    write(network, tmp_path / "again.onnx")
    x = values(step=0.25)
    expected = [[round(Fraction(int(c), 2)) * 0.25 for c in row] for row in np.clip(x * 4, -8, 7)]
    np.testing.assert_array_equal(run(tmp_path / "again.onnx", x, "ort_x86", left=1)[1], expected)
    with pytest.raises(Unsupported, match="tensor y: rounded by floor; QDQ form rounds half to even"):
        model_of(refq.load(written(tmp_path, None, T, nodes=nodes("FLOOR"))))
