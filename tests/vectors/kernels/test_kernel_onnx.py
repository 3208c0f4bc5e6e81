"""onnxruntime is judged as a black box: the small program as an ONNX model in integers, right and wrong."""
import numpy as np
import onnx
import pytest
import small
from onnx import TensorProto, helper, numpy_helper

from refq.errors import RefqError
from refq.vectors.kernels.kernel_onnx import verify_onnxruntime

LIFT = 1 << 20                          # a multiple that keeps quotients above 0, where truncation is floor


@pytest.fixture(autouse=True)
def runtime(need):
    """onnxruntime, or a skip that says so."""
    need("onnxruntime")


class Built:
    """Nodes and constants of a model, one after another."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def __call__(self, op, *inputs, name=None, **attributes):
        """A node's output, named or numbered; arrays become constants."""
        names = []
        for one in inputs:
            if not isinstance(one, str):
                self.constants.append(numpy_helper.from_array(np.asarray(one), f"c{len(self.constants)}"))
                one = self.constants[-1].name
            names.append(one)
        self.nodes.append(helper.make_node(op, names, [name or f"v{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def floor_shift(self, x, shift):
        """x >> shift of int64, |x| < 2**50."""
        lifted = self("Add", x, np.int64(LIFT) << shift)
        return self("Sub", self("Div", lifted, np.int64(1) << shift), np.int64(LIFT))

    def layer(self, program, name, x, result, half):
        c = {key: np.asarray(program.constants[f"{name}.{key}"]) for key in
             ("w", "bias", "zx", "rescale.mult", "rescale.shift", "rescale.zp")}
        acc = self("Add", self("MatMulInteger", x, c["w"].T.copy(), c["zx"].astype(np.int8)), c["bias"], name=f"{name}.acc")
        wide = self("Mul", self("Cast", acc, to=TensorProto.INT64), c["rescale.mult"].astype(np.int64))
        high = self.floor_shift(self("Add", wide, np.int64(1 << 30)), np.int64(31))
        shift = c["rescale.shift"].astype(np.int64) - 31
        nudge = self("Add", self("Abs", high), half * (np.int64(1) << shift >> 1))
        scaled = self("Mul", self("Sign", high), self("Div", nudge, np.int64(1) << shift))
        code = self("Clip", self("Add", scaled, c["rescale.zp"].astype(np.int64)), np.int64(-128), np.int64(127))
        return self("Cast", code, name=result, to=TensorProto.INT8)


def made(folder, half=1, real=False, extra=(), names=("x", "logits", "top"), logits=TensorProto.INT8, factor=None):
    """The small program as a model: `half`: 0 truncates; `real`: x is float; `extra`: more outputs; `names`; of `logits` the
    type, as float times `factor`."""
    program, add = small.program(), Built()
    grid = program.tensors["x"].grid
    x = add("QuantizeLinear", names[0], np.float32(grid.scale), np.int8(grid.zero)) if real else names[0]
    hidden = add.layer(program, "fc1", x, "hidden", half)
    codes = add.layer(program, "fc2", hidden, names[1] if logits == TensorProto.INT8 else "codes", half)
    if logits != TensorProto.INT8:
        grid = program.tensors["logits"].grid
        value = add("DequantizeLinear", codes, np.float32(grid.scale), np.int8(grid.zero))
        add("Mul", value, np.float32(factor), name=names[1])
    top = add("ArgMax", add("Cast", codes, to=TensorProto.INT32), axis=1, keepdims=0)
    add("Cast", top, name=names[2], to=TensorProto.INT32)
    kinds = {"hidden": TensorProto.INT8, "fc1.acc": TensorProto.INT32}
    outputs = [(names[1], logits), (names[2], TensorProto.INT32), *((name, kinds[name]) for name in extra)]
    graph = helper.make_graph(add.nodes, "small",
                              [helper.make_tensor_value_info(names[0], TensorProto.FLOAT if real else TensorProto.INT8,
                                                             small.SHAPE)],
                              [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs], add.constants)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]), folder / "m.onnx")
    return folder / "m.onnx"


def test_right_models_pass(pack, tmp_path):
    """By name, by order (which is said), with a float input, with exact float outputs, and with more tensors shown."""
    report = verify_onnxruntime(pack, made(tmp_path))
    assert report.passed and {v.tensor for v in report.verdicts} == {"logits", "top"} and not report.notes
    report = verify_onnxruntime(pack, made(tmp_path, names=("image", "scores", "best")))
    assert report.passed and "input 'image' of the model was given 'x', by order" in report.notes
    assert "output 'best' of the model was taken for 'top', by order" in report.notes
    assert verify_onnxruntime(pack, made(tmp_path, real=True)).passed
    assert verify_onnxruntime(pack, made(tmp_path, logits=TensorProto.FLOAT, factor=1)).passed
    report = verify_onnxruntime(pack, made(tmp_path, extra=("hidden", "fc1.acc")))
    assert report.passed and {v.tensor for v in report.verdicts} == {"fc1.acc", "hidden", "logits", "top"}


def test_a_wrong_model_fails(pack, tmp_path):
    """Truncation for rounding fails; what originates in the first rescale is told from what follows."""
    report = verify_onnxruntime(pack, made(tmp_path, half=0, extra=("hidden", "fc1.acc")))
    assert not report.passed and report.first.tensor == "hidden" and report.first.pack.largest == 1
    assert next(v for v in report.verdicts if v.tensor == "fc1.acc").kind == "right"


def test_a_unit(pack, tmp_path):
    """A unit's operands are the model's inputs; constants may be in the model."""
    add, program = Built(), small.program()
    zx = np.int8(program.constants["fc1.zx"])
    sums = add("MatMulInteger", "x", add("Transpose", "w"), zx)
    add("Add", sums, "bias", name="acc")
    shapes = {"x": small.SHAPE, "w": (small.HIDDEN, small.SHAPE[1]), "bias": (small.HIDDEN,)}
    kinds = {"x": TensorProto.INT8, "w": TensorProto.INT8, "bias": TensorProto.INT32, "acc": TensorProto.INT32}
    graph = helper.make_graph(add.nodes, "unit", [helper.make_tensor_value_info(n, kinds[n], s) for n, s in shapes.items()],
                              [helper.make_tensor_value_info("acc", kinds["acc"], None)], add.constants)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]), tmp_path / "unit.onnx")
    assert verify_onnxruntime(pack, tmp_path / "unit.onnx", ["fc1"]).passed


@pytest.mark.parametrize("change,words", [
    ({"logits": TensorProto.FLOAT, "factor": 1.01}, "gives 'logits' as float32, and .* is no value of its grid of i8 codes"),
    ({"logits": TensorProto.FLOAT, "factor": np.nan}, "gives NaN in 'logits'"),
    ({"names": ("x", "logits", "best"), "extra": ("hidden",)}, "the model gives logits, best, hidden; name its outputs")])
def test_models_refused(pack, tmp_path, change, words):
    """Floats that are no codes, and outputs that mean nothing, are refused in one sentence."""
    with pytest.raises(RefqError, match=words) as refused:
        verify_onnxruntime(pack, made(tmp_path, **change))
    assert "m.onnx" in str(refused.value) and "\n" not in str(refused.value)


def test_no_model_and_no_runtime(pack, tmp_path, monkeypatch):
    """A file that is missing or no model, and a machine without onnxruntime, are told."""
    with pytest.raises(RefqError, match="gone.onnx: no such file"):
        verify_onnxruntime(pack, tmp_path / "gone.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    with pytest.raises(RefqError, match="the model cannot be loaded"):
        verify_onnxruntime(pack, tmp_path / "bad.onnx")
    (tmp_path / "onnxruntime.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RefqError, match="onnxruntime is not installed; pip install onnxruntime"):
        verify_onnxruntime(pack, tmp_path / "bad.onnx")
