"""Exports to ONNX are standard: ONNX's own loader and runner, its reference and ONNX Runtime accept them, bit for bit."""
import unittest

import onnx
import pytest
from graph.test_lower import NETWORKS
from nets import images, network
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test import runner
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner
from onnx.reference import ReferenceEvaluator

from refq.errors import IllFormed, Unsupported
from refq.graph.quantize import quantize
from refq.vectors.exchange.exported import export
from refq.vectors.record import record

SAID = ("relu between", "clip", "overlapping windows", "groups", "residual", "class token", "mean of channels", "pad", "slices",
        "gather", "expanded", "gelu")


class Reference(Backend):
    """ONNX's reference evaluator as a backend."""

    @classmethod
    def prepare(cls, model, device="CPU", **options):
        return Prepared(model)

    @classmethod
    def supports_device(cls, device):
        return device == "CPU"


class Prepared(BackendRep):
    def __init__(self, model):
        self.evaluator = ReferenceEvaluator(model)

    def run(self, inputs, **options):
        return self.evaluator.run(None, dict(zip(self.evaluator.input_names, inputs)))


@pytest.fixture
def made(tmp_path):
    """made(name, recipe) is a pack of one of the NETWORKS under the onnx dialect."""
    def pack(name, recipe="int8"):
        net = network(tmp_path, NETWORKS[name])
        data = images(net)
        return record(quantize(net, data, recipe, "onnx"), data, tmp_path / "pack", cases=2)

    return pack


class Alone(Runner):
    """ONNX's runner without ONNX's own two thousand cases."""

    def __init__(self, backend):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "load_model_tests", lambda **kind: [])
            super().__init__(backend, parent_module=__name__)


def runs_in_backend(folder):
    """Run what lies in folder/simple/NAME by ONNX's loader and backend test runner, under its reference evaluator; how many."""
    alone = Alone(Reference)
    for case in load_model_tests(str(folder), "simple"):
        alone._add_model_test(case, "Simple")
    result = unittest.TestResult()
    alone.test_suite.run(result)
    assert not result.failures and not result.errors, (result.failures + result.errors)[0][1]
    return result.testsRun - len(result.skipped)


@pytest.mark.parametrize("name", SAID)
def test_runners_accept_it(made, tmp_path, need, name):
    """The backend runner of ONNX passes the folder; ONNX Runtime gives the same codes and dtypes."""
    folder = tmp_path / "simple" / "test_refq"
    export(made(name), "onnx", folder)
    assert runs_in_backend(tmp_path) == 1
    ort = need("onnxruntime")
    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    for case in (folder / "test_data_set_0", folder / "test_data_set_1"):
        feeds = {i.name: tensor(case / f"input_{n}.pb") for n, i in enumerate(session.get_inputs())}
        (y,), expected = session.run(None, feeds), tensor(case / "output_0.pb")
        assert y.dtype == expected.dtype and y.shape == expected.shape and (y == expected).all()


def tensor(path):
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def test_a_wrong_output_fails(made, tmp_path):
    """The runner is no formality: one changed code in output_0.pb, and it fails."""
    folder = tmp_path / "simple" / "test_refq"
    export(made("dense"), "onnx", folder)
    file = folder / "test_data_set_1" / "output_0.pb"
    codes = tensor(file).copy()
    codes.reshape(-1)[0] ^= 1
    file.write_bytes(numpy_helper.from_array(codes, "y").SerializeToString())
    with pytest.raises(AssertionError, match="Mismatch|Not equal"):
        runs_in_backend(tmp_path)


def test_a_unit_is_standard_operators(made, tmp_path):
    """A layer is MatMulInteger, Add, Mul and QuantizeLinear; its accumulator can be the output."""
    pack = made("dense")
    steps = [s.name for s in pack.program.steps if s.op in ("matmul", "rescale_float32")]
    export(pack, "onnx", tmp_path / "out", unit=",".join(steps[:2]))
    kinds = [n.op_type for n in onnx.load(tmp_path / "out" / "model.onnx").graph.node]
    assert kinds == ["MatMulInteger", "Add", "Cast", "Cast", "Mul", "Clip", "QuantizeLinear"]
    export(pack, "onnx", tmp_path / "acc", unit=steps[0])
    assert [n.op_type for n in onnx.load(tmp_path / "acc" / "model.onnx").graph.node] == ["MatMulInteger", "Add"]
    assert tensor(tmp_path / "acc" / "test_data_set_0" / "output_0.pb").dtype == "int32"


def test_refused_by_name(made, once, tmp_path):
    """What standard ONNX cannot say is refused by the step's name, and nothing is left behind."""
    def refused(pack, **options):
        with pytest.raises((Unsupported, IllFormed)) as said:
            export(pack, "onnx", tmp_path / "new", **options)
        assert not (tmp_path / "new").exists()
        return str(said.value)

    assert "step fc1.rescale (rescale): standard ONNX has no operator with its meaning" in refused(once)
    assert "--unit matches 2 units" in refused(once, unit="fc?")
    wide = refused(made("dense", "w8a16"))
    assert "standard ONNX multiplies 8-bit codes into 32 bits only" in wide and "step " in wide
