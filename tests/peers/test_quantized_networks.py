"""Whole networks that come quantized: refq under `ort_x86` against ONNX Runtime, every tensor that both have, zero tolerance.

Networks are quantized here by onnxruntime.quantization, in QDQ and in QOperator form. What differs is listed with its reason.
"""
import logging
from dataclasses import replace

import numpy as np
import pytest

import refq
from refq import dialects, embedded
from refq.dialects.base import Role
from refq.graph.store import program_hash
from refq.load.qdq import write
from refq.ops import average_pool_values, softmax_table
from tests.peers.quantized_networks import codes_of, compared, inputs_apart, totals

pytestmark = pytest.mark.filterwarnings("ignore")


def ort_x86():
    """The dialect, with the two roles that these networks ask for besides."""
    dialect = dialects.load("ort_x86")
    own = {"softmax": Role("softmax_table", softmax_table.Row(normalized="quotient", ties="half_even", store="wrap",
                                                              exponentials="raised")),
           "average_pool": Role("average_pool_values", average_pool_values.Row())}
    lacking = {role: part for role, part in own.items() if role not in dialect.roles or dialect.roles[role].borrowed}
    return replace(dialect, roles=dialect.roles | lacking)


@pytest.fixture(scope="module")
def quantized(need, tmp_path_factory):
    """quantized(model, images, form, **options): the file that onnxruntime.quantization makes of a float model."""
    need("onnxruntime")
    quantization = need("onnxruntime.quantization")
    folder = tmp_path_factory.mktemp("quantized")

    def make(model, images, form="QDQ", activations="QUInt8", weights="QInt8", per_channel=True, **extra):
        import onnx
        name = onnx.load(model).graph.input[0].name

        class Reader(quantization.CalibrationDataReader):
            def __init__(self):
                self.left = iter([{name: image[None].astype(np.float32)} for image in images])

            def get_next(self):
                return next(self.left, None)

        out = folder / f"{len(list(folder.iterdir()))}.onnx"
        logging.disable(logging.WARNING)
        try:
            kind = quantization.QuantType
            quantization.quantize_static(str(model), str(out), Reader(), quant_format=quantization.QuantFormat[form],
                                         per_channel=per_channel, activation_type=kind[activations], weight_type=kind[weights],
                                         extra_options=extra)
        finally:
            logging.disable(logging.NOTSET)
        return out

    return make


def everywhere(program, images, theirs, least):
    """No code differs, at once and step by step; at least so many were compared. Gives (that number, codes that differ alone):
    behind an island a few may, by one, since the runtime computes there in float32 and refq in float64; what follows then
    differs at once, and not step by step."""
    assert inputs_apart(program, images, theirs) == 0
    found = compared(program, images, theirs, fed=True)
    count, alone = totals(found)
    assert count >= least and set(alone) <= set(program.left) and sum(alone.values()) <= 10
    assert all(far <= 1 for _, _, far in found.values())
    if not alone:
        assert not totals(compared(program, images, theirs, fed=False))[1]
    return count, sum(alone.values())


def test_resnet8_of_mlperf(need, assets, tally):
    """Quantized by others, in QOperator form: QLinearConv, QLinearAdd, QLinearMatMul, and two ReduceMean left in float."""
    path = assets("models/resnet8_cifar10_mlperf_qlinear_int8.onnx")
    program = refq.quantize(refq.load(path), dialect=ort_x86())
    assert {why.partition(":")[0] for why in program.left.values()} == {"ReduceMean"}
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 32, 32)).astype(np.float32)
    tally("ONNX Runtime resnet8 QOperator", *everywhere(program, images, codes_of(need("onnxruntime"), path, images), 1_000_000))


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_the_embedded_network(need, quantized, tally, form):
    """A vision transformer; LayerNormalization and the GELU's Erf run in float where the file has them so."""
    images = embedded.as_input(embedded.images())[:30].astype(np.float32)
    path = quantized(embedded.exported(), embedded.as_input(embedded.calibration())[:16], form)
    program = refq.quantize(refq.load(path), dialect=ort_x86())
    tally(f"ONNX Runtime digits {form}", *everywhere(program, images, codes_of(need("onnxruntime"), path, images), 4_000_000))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_vit_tiny(need, assets, quantized, tally, form):
    """224x224 pixels, 12 blocks of width 192; one drawn image."""
    source = assets("models/vit_tiny_p16_224_imagenet_fp32.onnx")
    images = np.random.default_rng(5).standard_normal((3, 3, 224, 224)).astype(np.float32)
    path = quantized(source, images[:2], form)
    program = refq.quantize(refq.load(path), dialect=ort_x86())
    theirs = codes_of(need("onnxruntime"), path, images[2:])
    tally(f"ONNX Runtime ViT-tiny {form}", *everywhere(program, images[2:], theirs, 10_000_000))


def small(torch):
    """A small network with every kind of layer that a backend runs on codes."""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.deep, self.wide = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
            self.c2, self.c3, self.fc = nn.Conv2d(16, 12, 3, stride=2), nn.Conv2d(12, 16, 3), nn.Linear(16, 10)

        def forward(self, x):
            f = nn.functional
            x = torch.relu(self.norm(self.c1(x)))
            y = self.wide(torch.relu(self.deep(x))) + x
            y = torch.cat([y, x * torch.sigmoid(y)], 1)
            y = torch.relu(self.c2(torch.max_pool2d(y, 2)))
            y = f.leaky_relu(self.c3(f.avg_pool2d(y, 2, stride=1, padding=1, count_include_pad=False)), 0.1)
            return torch.softmax(self.fc(y.mean((2, 3))), 1)

    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def cnn(need, tmp_path_factory):
    """The small network, exported by torch with its batch normalization folded."""
    torch = need("torch")
    path = tmp_path_factory.mktemp("cnn") / "cnn.onnx"
    torch.onnx.export(small(torch), torch.zeros(1, 3, 18, 18), str(path), dynamo=False, opset_version=17, input_names=["image"],
                      output_names=["p"], dynamic_axes={"image": {0: "n"}, "p": {0: "n"}})
    return path


@pytest.mark.parametrize("form, activations, weights, per_channel", [
    ("QDQ", "QUInt8", "QInt8", True), ("QDQ", "QUInt8", "QUInt8", False), ("QDQ", "QInt8", "QInt8", True),
    ("QOperator", "QUInt8", "QInt8", True), ("QOperator", "QUInt8", "QUInt8", False), ("QOperator", "QInt8", "QInt8", False)])
def test_a_small_cnn(need, cnn, quantized, tally, tmp_path, form, activations, weights, per_channel):
    """u8 and s8 activations, u8 and s8 weights; written again in QDQ form it is the same program."""
    images = np.random.default_rng(1).standard_normal((40, 3, 18, 18)).astype(np.float32)
    path = quantized(cnn, images[:8], form, activations, weights, per_channel)
    network = refq.load(path)
    program = refq.quantize(network, dialect=ort_x86())
    theirs = codes_of(need("onnxruntime"), path, images[8:])
    if (form, activations) == ("QDQ", "QInt8"):
        # a signed grid does not cut at 0: a ReLU stays between Conv and QuantizeLinear, and the runtime computes such in float
        _, wrong = totals(compared(program, images[8:], theirs, fed=True))
        assert sum(wrong.values()) <= 20
    else:
        tally(f"ONNX Runtime CNN {form} {activations} {weights}", *everywhere(program, images[8:], theirs, 300_000))
    write(network, tmp_path / "again.onnx")
    assert program_hash(refq.quantize(refq.load(tmp_path / "again.onnx"), dialect=ort_x86())) == program_hash(program)


def test_sixteen_bits(need, cnn, quantized):
    """The runtime has no integer kernels for 16-bit activations: it computes them in float, refq in integers; they are one code
    apart, rarely."""
    images = np.random.default_rng(1).standard_normal((24, 3, 18, 18)).astype(np.float32)
    path = quantized(cnn, images[:8], "QDQ", "QInt16", ActivationSymmetric=True)
    program = refq.quantize(refq.load(path), dialect=ort_x86())
    found = compared(program, images[8:], codes_of(need("onnxruntime"), path, images[8:]), fed=True)
    assert max(far for _, _, far in found.values()) <= 1
    assert sum(wrong for _, wrong, _ in found.values()) <= sum(count for count, _, _ in found.values()) / 500
