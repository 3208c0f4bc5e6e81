"""What refq.testing found in other people's quantizers is still there, on the smallest inputs; the whole is `tools.findings`."""
import json

import numpy as np
import pytest

from refq.testing import quantizer_laws
from refq.testing.found import attempted
from tools import findings
from tools.quantizers.subject import per_axis, per_tensor

STORED = json.loads(findings.RESULTS.read_text())


def subject(family, name):
    return next(s for s in family.subjects() if s.name == name)


def said(law, found, grid, x):
    return attempted(getattr(quantizer_laws, law), found.quantize, found.dequantize, grid, np.array(x, np.float32))


def test_torch(need):
    """Per channel fake quantization sends what is far above the range to its low end; per tensor it saturates. Quantization per
    channel and per tensor differ beside a tie."""
    need("torch")
    from tools.quantizers import pytorch
    fake, tensors = subject(pytorch, "torch fake_quantize_per_channel_affine"), per_axis("int8", axes=(0,))[0]
    assert "code -128" in said("saturates", fake, tensors, [0, 1e21, 0])
    assert said("saturates", subject(pytorch, "torch fake_quantize_per_tensor_affine"), per_tensor("int8")[0], [1e21]) is None
    real = subject(pytorch, "torch quantize_per_channel")
    assert "slice 0" in said("takes_slices_alike", real, tensors, [[-3.3500001430511475], [0], [0]])


def test_ibert(need):
    """The highest code is never used, so x and -x part."""
    need("transformers")
    from tools.quantizers import ibert
    found = ibert.subjects()[0]
    assert "code 126" in said("saturates", found, found.grids[0], [13])
    assert said("is_symmetric", found, found.grids[0], [12.7]) and said("is_symmetric", found, found.grids[0], [12.6]) is None


def test_onnx(need):
    """ONNX Runtime saturates; the evaluator converts what is beyond 32 bits to the lowest code."""
    need("onnxruntime")
    from tools.quantizers import onnx_engines
    ours, evaluator = onnx_engines.subjects()
    assert said("saturates", ours, ours.grids[0], [3e8]) is None
    assert "code -128" in said("saturates", evaluator, ours.grids[0], [3e8])


def test_litert(need):
    """Vectors round ties to even and what is left of them away; the reference converts what is beyond 32 bits to the lowest."""
    need("ai_edge_litert")
    from tools.quantizers import litert
    reference, fast, xnnpack = litert.subjects()
    assert "code -128" in said("saturates", reference, reference.grids[0], [3e8])
    assert said("ignores_neighbours", fast, fast.grids[1], [0.125] * 9)
    assert said("saturates", xnnpack, xnnpack.grids[0], [3e8]) is None


def test_casts(need):
    """Beyond the rails casts to 8-bit floats differ from library to library."""
    for peer in ("torch", "ml_dtypes", "onnxruntime"):
        need(peer)
    from tools.quantizers import casts
    assert casts.differences() == [d for d in STORED["differences"] if d["where"].startswith("cast")]


def test_the_stored_findings_are_whole():
    """Every finding has a law, a grid, an input, what was seen, and a reproducer that is Python."""
    assert len(STORED["findings"]) >= 8 and len(STORED["identified"]) >= 10
    for f in STORED["findings"]:
        assert f["sentence"] == " ".join(getattr(quantizer_laws, f["law"]).__doc__.split()), f["law"]
        compile(f["reproducer"], "reproducer", "exec")
        assert "# put your" not in f["reproducer"], f["function"]


def test_the_table_of_the_readme(root):
    """It is what the stored findings give."""
    text = (root / "README.md").read_text()
    if findings.FIRST not in text:
        pytest.skip("README.md has no table of findings yet")
    assert "\n".join(findings.tables(STORED)) in text
