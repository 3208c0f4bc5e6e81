"""Files that come quantized: every form of a layer is the same program, and what contradicts itself is refused by name."""
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from load.quantized_models import integer, parts, qdq, qgemm, qonnx, written
from onnx import TensorProto

import refq
from refq import dialects
from refq.errors import Corrupt, IllFormed, Unsupported


def reals(count=200):
    return (np.random.default_rng(1).integers(-20, 300, (count, 4)) * 0.25).astype(np.float32)


def exactly(t, x, bias=True):
    """The layer in unbounded integers and fractions, rounded half to even once."""
    rows = []
    for image in x:
        codes = [min(max(round(Fraction(float(v)) / Fraction(float(t["sx"]))) + int(t["zx"]), 0), 255) for v in image]
        row = []
        for channel, weights in enumerate(t["w"]):
            acc = sum((q - int(t["zx"])) * int(w) for q, w in zip(codes, weights)) + (int(t["bias"][channel]) if bias else 0)
            real = acc * Fraction(float(t["sx"])) * Fraction(float(t["sw"][channel])) / Fraction(float(t["sy"]))
            row.append(min(max(round(real) + int(t["zy"]), 0), 255))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("form", [qdq, qgemm, qonnx, integer], ids=lambda f: f.__name__)
def test_every_form_is_the_layer(tmp_path, form):
    """QDQ, QOperator, QONNX and MatMulInteger give the codes that fractions give, in integers alone."""
    program = refq.quantize(refq.load(written(tmp_path, form)), dialect="onnx", integer_only=True)
    assert not program.left and {s.op for s in program.steps} == {"matmul", "rescale_float32"}
    got = program.run(program.encode(reals()))[program.outputs[0]]
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, exactly(parts(), reals(), form is not integer))


def test_names_and_grids_are_the_files(tmp_path):
    """Tensors keep their names, their grids are the file's, and images become codes of the input itself."""
    network = refq.load(written(tmp_path, qdq))
    program = refq.quantize(network, dialect="tflite")
    assert (program.inputs, program.outputs) == (("x",), ("y",)) and program.recipe == "as filed"
    for name, scale, zero in (("x", 0.5, 3), ("y", 0.25, 120)):
        grid = program.tensors[name].grid
        assert (str(grid.width), float(grid.scale), int(grid.zero)) == ("u8", scale, zero)
    np.testing.assert_array_equal(program.constants["y.w"], parts()["w"])
    np.testing.assert_array_equal(program.constants["y.bias"], parts()["bias"])


def test_a_given_dialect_decides(tmp_path):
    """One file under several dialects: the same grids, other roundings."""
    network = refq.load(written(tmp_path, qdq))
    ties = parts(sw=np.full(3, 1 / 64, np.float32), sb=np.full(3, 1 / 128, np.float32), sy=np.float32(0.5))
    network = refq.load(written(tmp_path, qdq, ties))
    programs = [refq.quantize(network, dialect=d) for d in ("onnx", "tflite", "tosa")]
    codes = [p.run(p.encode(reals()))["y"] for p in programs]
    assert not (codes[0] == codes[2]).all() and np.abs(codes[0].astype(int) - codes[2]).max() == 1


@pytest.mark.parametrize("kind, low, high", [(TensorProto.INT4, -8, 7), (TensorProto.UINT4, 0, 15), (TensorProto.INT2, -2, 1)])
def test_weights_below_eight_bits(tmp_path, kind, low, high):
    """int4, uint4 and int2 codes, zero points of weights too."""
    w = np.random.default_rng(0).integers(low, high + 1, (3, 4))
    zeros = np.array([low, 0, 1])
    t = parts(w=w, zw=zeros)
    path = written(tmp_path, qdq, t, types={"w": kind, "zw": kind})
    program = refq.quantize(refq.load(path), dialect="onnx")
    np.testing.assert_array_equal(program.run(program.encode(reals()))["y"], exactly(t | {"w": w - zeros[:, None]}, reals()))


def test_blocks_are_left_in_float_and_said(tmp_path):
    """A scale for every two codes of a row: no sum has one unit, so the layer runs in float, with the file's own values."""
    t = parts(sw=np.random.default_rng(2).uniform(0.01, 0.05, (3, 2)).astype(np.float32), zw=np.zeros((3, 2), np.int8))
    nodes = [n for n in qdq(t) if n[2] != "b_r"]
    nodes = [(op, i.replace(" b_r", ""), o, a | ({"axis": 1, "block_size": 2} if o == "w_r" else {})) for op, i, o, a in nodes]
    program = refq.quantize(refq.load(written(tmp_path, None, t, nodes=nodes)), dialect="onnx")
    assert list(program.left) == ["y"] and "blocks" in program.left["y"]
    x = reals(5)
    w = t["w"] * np.repeat(t["sw"], 2, 1)
    value = (program.encode(x).astype(np.float64) - 3) * 0.5 @ w.T.astype(np.float64)
    np.testing.assert_array_equal(program.run(program.encode(x))["y"], np.clip(np.rint(value / 0.25) + 120, 0, 255))


def other(form, output, **change):
    """The nodes of a form, the node that makes `output` with another operation, inputs or attributes."""
    def changed(op, inputs, made, attributes):
        return change.get("op", op), change.get("inputs", inputs), made, attributes | change.get("attributes", {})
    return [changed(*n) if n[2] == output else n for n in form(parts())]


BAD = {
    "scale 0": (parts(sy=np.float32(0)), r"scale 'sy' holds 0\.0; a scale is finite and greater than 0"),
    "scale below 0": (parts(sx=np.float32(-0.5)), r"node \w+ \(QuantizeLinear\): scale 'sx' holds -0\.5"),
    "scale NaN": (parts(sw=np.array([0.1, np.nan, 1], np.float32)), "sw holds NaN"),
    "scale infinite": (parts(sy=np.float32(np.inf)), "'sy' holds inf"),
    "scale subnormal": (parts(sy=np.float32(1e-40)), "subnormal"),
    "scales and zero points": (parts(zw=np.zeros(2, np.int8)), "3 scales and 2 zero points"),
    "bias scale": (parts(sb=np.array([1 / 128, 1 / 64, 0.5], np.float32)),
                   r"bias bias: channel 2 has scale 0\.5 and zero point 0; the products that it joins count 0\.01171875 from 0"),
    "bias zero point": (parts(zb=np.array([0, 1, 0], np.int32)), "zero point 1"),
    "scales of another axis": (parts(sw=np.array([0.1, 0.2], np.float32), zw=np.zeros(2, np.int8)), "needs"),
}


@pytest.mark.parametrize("tensors, said", BAD.values(), ids=list(BAD))
def test_what_contradicts_itself_is_refused(tmp_path, tensors, said):
    """One sentence that names the file's node or tensor."""
    with pytest.raises(IllFormed, match=said) as told:
        refq.quantize(refq.load(written(tmp_path, qdq, tensors)), dialect="onnx")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("nodes, tensors, error, said", [
    (other(qdq, "x_r", inputs="x_q sy zy"), {}, IllFormed, r"'x_q' is read with scale 0\.25 .* was made with scale 0\.5 .*"),
    (other(qdq, "x_r", inputs="x_q sx zw"), {}, IllFormed, "zero point"),
    (other(qdq, "x_q", inputs="x missing zx"), {}, Corrupt, "reads missing, which no node before it makes"),
    (other(qdq, "w_r", inputs="sw sw zw"), {}, IllFormed, "'sw' holds floats, and codes are read there"),
    (other(qdq, "y_f", op="Gemm", inputs="x_q w_r b_r"), {}, Unsupported, r"node gemm_y_f \(Gemm\) reads the codes of 'x_q'"),
    ([("DynamicQuantizeLinear", "x", "x_q d_s d_z", {}), ("DequantizeLinear", "x_q d_s d_z", "y", {})], {}, Unsupported,
     r"node dynamicquantizelinear_x_q.*dynamic quantization"),
    (other(qgemm, "y_q", inputs="x_q sy zx w sw zw bias sy zy"), {}, IllFormed, "contradicts itself"),
    (other(qonnx, "x_r", inputs="x sx zxf half"), {"half": np.float32(3.5)}, Unsupported, r"bit width of \[3.5\]"),
])
def test_nodes_that_cannot_be(tmp_path, nodes, tensors, error, said):
    t = parts()
    qonnx(t), integer(t)
    with pytest.raises(error, match=said):
        refq.load(written(tmp_path, None, t | tensors, nodes=nodes))


def test_a_float_bias_is_rounded_and_one_too_large_named(tmp_path):
    """A bias without codes goes onto s_x*s_w; what 32 bits do not hold is refused by channel, saturates or wraps."""
    t = parts(bf=np.array([0.5, 3.0, 1e8], np.float32))
    nodes = [(op, i.replace("b_r", "bf"), o, a) for op, i, o, a in qdq(t) if o != "b_r"]
    network = refq.load(written(tmp_path, None, t, nodes=nodes))
    with pytest.raises(IllFormed, match=r"bf: channel 2 is 8.53333e\+09 times the product of the scales, which i32 does not"):
        refq.quantize(network, dialect="onnx")
    onnx = dialects.load("onnx")
    for policy, code in (("saturate", 2**31 - 1), ("wrap", (8533333333 + 2**31) % 2**32 - 2**31)):
        try:
            program = refq.quantize(network, dialect=replace(onnx, bias=policy))
        except IllFormed as refused:            # a bias at the rail leaves no room for the products
            assert "can reach" in str(refused) and policy == "saturate"
            continue
        assert abs(int(program.constants["y.bias"][2]) - code) <= 1
        assert program.constants["y.bias"][:2].tolist() == [64, 192]
