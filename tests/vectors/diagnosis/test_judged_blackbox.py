"""Runtimes whose sources are not looked at are judged by packs: LiteRT's three ways to round, ONNX Runtime's two to add."""
import platform
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from refq.ints.width import I8, U8
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.record import record
from refq.vectors.verify import verify
from tests.conftest import missing
from tests.kernels.blackbox import models
from tests.kernels.judge import FLOAT, MATMUL, PAIRS, RESCALE, TFLITE, Layer, program
from tests.vectors.diagnosis.layer import inputs, telling

BLACKBOX = Path(__file__).parents[2] / "kernels" / "blackbox"
N, K, M, CASES = 120, 18, 10, 2
SX, SY = np.float32(0.5), np.float32(1)
EVEN, UP, ONCE = FLOAT(), RESCALE(high="half_up", ties="half_up"), RESCALE(ties="half_away")
LITERT = [
    ("fully_connected", "tensor", "AUTO", EVEN, "row high=none, ties=half_even"),
    ("fully_connected", "channel", "AUTO", EVEN, "row high=none, ties=half_even"),
    ("fully_connected", "tensor", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", UP, "ties=half_up"),
    ("fully_connected", "channel", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", UP, "ties=half_up"),
    ("fully_connected", "tensor", "BUILTIN_REF", ONCE, "high=none"),
    ("fully_connected", "channel", "BUILTIN_REF", ONCE, "high=none"),
    ("convolution", "channel", "AUTO", EVEN, "row high=none, ties=half_even"),
    ("convolution", "channel", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", UP, "ties=half_up"),
    ("convolution", "channel", "BUILTIN_REF", TFLITE, None),
]
"""How LiteRT's wheel for x86-64 rescales int8 codes: the row of each of its kernels, and the mutant of TFLite's published
reference that it is (None: it is that reference). AUTO hands over to XNNPACK, the next one to ruy."""


@pytest.fixture(scope="module")
def litert(need):
    """litert(resolver, model, x) is what LiteRT makes of x (cases n k)."""
    interpreter = need("ai_edge_litert.interpreter")

    def run(resolver, model, cases):
        kind = getattr(interpreter.OpResolverType, resolver)
        device = interpreter.Interpreter(model_content=model, experimental_op_resolver_type=kind, num_threads=1)
        device.allocate_tensors()
        taken, given = device.get_input_details()[0], device.get_output_details()[0]
        results = []
        for x in cases:
            device.set_tensor(taken["index"], x.reshape(taken["shape"]))
            device.invoke()
            results.append(device.get_tensor(given["index"]).reshape(len(x), -1))
        return np.stack(results)

    return run


@pytest.mark.parametrize("operation, per, resolver, row, cause", LITERT)
def test_litert_rounds_in_its_own_way(litert, need, tmp_path, operation, per, resolver, row, cause):
    """Each of LiteRT's kernels is bit for bit one row. Where that is not the published reference, verify against a pack of
    the reference names the difference."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("LiteRT's kernels for other processors round otherwise")
    rng = np.random.default_rng(5)
    w, bias, scales = telling(rng, M, K, -127)
    sw = (2 * scales).astype(np.float32) if per == "channel" else np.float32(2.0**-6)
    x = inputs(rng, CASES, N, w, -7, I8)
    model = getattr(models, operation)(need("ai_edge_litert.schema_py_generated"), N, w, bias, -7, 5, SX, sw, SY)
    got = litert(resolver, model, x)
    real = np.float64(SX) * np.float64(sw) / np.float64(SY) * np.ones(M)

    def judged(name, rescale):
        pack = record(program([Layer("matmul", MATMUL(), rescale, (N, K), w, bias, -7, real, 5)]), x, tmp_path / name)
        return verify(pack, {pack.program.outputs[0]: got})

    report = judged("own", row)
    assert report.passed and report.total == CASES * N * M
    if cause:
        diagnosis, = judged("reference", TFLITE).diagnoses
        assert cause in [c.name for c in diagnosis.causes]


def qlinear(row, rescale, w, sw, x, zx, zp, folder):
    """A pack of QLinearMatMul whose sums are made as `row` says. The zero point of x is taken off at the end, as ONNX Runtime
    does it: it is in the bias."""
    scales = np.full(M, SX * sw / SY)           # float32, as ONNX Runtime has it
    layer = Layer("matmul", row, rescale, x.shape[1:], w, -zx * w.astype(int).sum(axis=1), 0, scales, zp)
    return record(program([layer]), x, folder)


def test_onnxruntime_rounds_to_even(need, tmp_path):
    """QLinearMatMul of int8 codes is the float32 row bit for bit; against TFLite's the cause is named."""
    onnxruntime, rng = need("onnxruntime"), np.random.default_rng(7)
    w, sw, x = telling(rng, M, K)[0], np.float32(2.0**-6), inputs(rng, CASES, N, np.zeros((M, K)), -7, I8)
    session = onnxruntime.InferenceSession(models.qlinear(x[0], w, -7, 5, SX, sw, SY), providers=["CPUExecutionProvider"])
    got = np.stack([session.run(None, {"x": case})[0] for case in x])
    pack = qlinear(MATMUL(), FLOAT(), w, sw, x, -7, 5, tmp_path / "own")
    report = verify(pack, {pack.program.outputs[0]: got})
    assert report.passed and report.total == CASES * N * M
    pack = qlinear(MATMUL(), TFLITE, w, sw, x, -7, 5, tmp_path / "other")
    diagnosis, = verify(pack, {pack.program.outputs[0]: got}).diagnoses
    assert "row high=none, ties=half_even" in [c.name for c in diagnosis.causes]


@pytest.fixture(scope="module")
def wide():
    """(w, sw, x): of u8 codes and weights whose pairs of products leave 16 bits."""
    rng = np.random.default_rng(6)
    w = telling(rng, M, K + 1)[0]
    return w, np.float32(2.0**-7), inputs(rng, CASES, N, w, 9, U8)


def session(need, folder, wide, emulated):
    """The kernel.toml of ONNX Runtime in a process of its own, on an emulated CPU or on this one."""
    need("onnxruntime")
    w, sw, x = wide
    shutil.copytree(BLACKBOX, folder)
    (folder / "model.onnx").write_bytes(models.qlinear(x[0], w, 9, 101, SX, sw, SY))
    text, emulator = (folder / "kernel.toml").read_text(), '"qemu-x86_64", "-cpu", "Haswell", '
    assert text.count(emulator + '"python3"') == 1
    text = text.replace('"python3"', f'"{sys.executable}"')
    (folder / "kernel.toml").write_text(text if emulated else text.replace(emulator, ""))
    return folder / "kernel.toml"


def test_onnxruntime_saturates_pairs_on_haswell(need, wide, tmp_path):
    """Without VNNI ONNX Runtime joins u8 and i8 products in pairs that saturate at 16 bits (VPMADDUBSW): bit for bit the row
    with such pairs; where a pack says exact sums the cause is named."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("this ONNX Runtime is for another processor")
    if not shutil.which("qemu-x86_64"):
        missing("qemu-x86_64 is not installed; apt-get install qemu-user brings it")
    pairs = qlinear(MATMUL(x=U8, accumulate=PAIRS), FLOAT(out=U8), *wide, 9, 101, tmp_path / "pairs")
    report = verify_kernel(pairs, session(need, tmp_path / "session", wide, emulated=True))
    assert report.passed and report.total == CASES * N * M
    exact = qlinear(MATMUL(x=U8), FLOAT(out=U8), *wide, 9, 101, tmp_path / "exact")
    y = exact.program.outputs[0]
    diagnosis, = verify(exact, {y: np.stack([pairs.case(i)[y] for i in range(CASES)])}).diagnoses
    assert diagnosis.wrong > 100
    assert any(c.name.startswith("accumulate=pairs(") and "saturate" in c.name for c in diagnosis.causes)


def test_onnxruntime_adds_exactly_with_vnni(need, wide, tmp_path):
    """With VNNI the same model sums exactly."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx_vnni" not in flags and "avx512_vnni" not in flags:
        pytest.skip("this CPU has no VNNI: what it does is what the test before says")
    pack = qlinear(MATMUL(x=U8), FLOAT(out=U8), *wide, 9, 101, tmp_path / "pack")
    assert verify_kernel(pack, session(need, tmp_path / "session", wide, emulated=False)).passed
