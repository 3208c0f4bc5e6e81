"""Vision networks, exported by torch or from their tensors: the same values in float, and integer programs that are recorded."""
import nets_torch
import numpy as np
import pytest
from safetensors.numpy import save_file

import refq
from refq.graph.evaluate import evaluate
from refq.vectors.verify import verify_itself

NEW = ("deit", "swin", "mobilevit_v2", "shufflenet_v2", "mobilenet_v3")
"""The networks that the new exporter writes here too."""
OLD = tuple(name for name in nets_torch.NETWORKS if name != "mobilevit_v2")
"""torch's old exporter fails on MobileViT v2's fold."""
HARD = {"mobilevit": 10, "mobilevit_v2": 12, "deit": 15, "vit": 15}
"""Decibels of the networks in which small random weights go through many softmaxes; the others have 20."""
SPINE = ("tflite", "ivit", "tosa")


@pytest.fixture(scope="module")
def peers(need):
    need("onnxscript")
    return need("torch"), need("transformers"), need("onnxruntime")


def exported(peers, name, exporter, folder):
    """(model in float32, the path of its export, images (4 3 side side))."""
    torch, transformers, _ = peers
    model = nets_torch.network(torch, name, transformers).float()
    side = nets_torch.SIDE[name]
    path = nets_torch.exported(torch, model, folder / f"{name}.onnx", exporter, side)
    return model, path, np.random.default_rng(1).standard_normal((4, 3, side, side)).astype(np.float32)


def by_runtime(onnxruntime, path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {entry: images[i:i + 1]})[0] for i in range(len(images))])


def decibels(exact, integer):
    return 10 * np.log10((exact ** 2).sum() / ((exact - integer) ** 2).sum())


@pytest.mark.parametrize("name, exporter, dialects", [
    *((name, "old", SPINE[i % 3:i % 3 + 1]) for i, name in enumerate(OLD)), ("mobilevit_v2", "new", SPINE[:1]),
    *(pytest.param(name, "old", SPINE, marks=pytest.mark.slow) for name in OLD),
    *(pytest.param(name, "new", SPINE, marks=pytest.mark.slow) for name in NEW)])
def test_an_export_has_its_values_and_a_recorded_program(peers, tmp_path, name, exporter, dialects):
    """In float64 as torch, and as ONNX Runtime to float32's digits; the integer program is near under each dialect, its kernels
    give what its specs give, and its pack verifies."""
    torch, _, onnxruntime = peers
    model, path, images = exported(peers, name, exporter, tmp_path)
    graph = refq.load(path)
    exact = evaluate(graph, images)[graph.outputs[0]]
    large = np.abs(exact).max()
    np.testing.assert_allclose(by_runtime(onnxruntime, path, images), exact, rtol=0, atol=1e-4 * large)
    wide = nets_torch.logits(model.double(), torch.from_numpy(images).double())
    np.testing.assert_allclose(exact, wide, rtol=0, atol=1e-6 * large)
    for dialect in dialects:
        program = refq.quantize(graph, images, "int8", dialect)
        integer = program.decode(program.run(program.encode(images))[program.outputs[0]]).reshape(exact.shape)
        assert decibels(exact, integer) > HARD.get(name, 20), dialect
        verify_itself(refq.record(program, images, tmp_path / dialect, cases=1))


@pytest.mark.parametrize("name, changed", [
    ("swin", {}), ("swin", {"image_size": 30}), ("swin", {"image_size": 26, "patch_size": 4, "window_size": 2}),
    ("swin", {"use_absolute_embeddings": True, "layer_norm_eps": 1e-3}),
    ("mobilevit", {}), ("mobilevit", {"hidden_act": "relu", "num_attention_heads": 4}),
    ("mobilevit_v2", {}), ("mobilevit_v2", {"patch_size": 1, "width_multiplier": 0.5}),
    ("vit", {}), ("deit", {}), ("deit taught", {})])
@pytest.mark.parametrize("saved", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["saved", "in memory"])
def test_a_network_of_tensors_has_its_authors_values(peers, tmp_path, name, changed, saved):
    """What transformers saves, and the names that it has in memory, with its config.json: the same logits."""
    torch, transformers, _ = peers
    model = nets_torch.drawn(torch, nets_torch.TRANSFORMERS[name](transformers, **changed))
    model.save_pretrained(tmp_path)
    if not saved:
        save_file({k: v.numpy() for k, v in model.state_dict().items()}, tmp_path / "model.safetensors")
    graph = refq.load(tmp_path / "model.safetensors")
    images = np.random.default_rng(2).standard_normal((2, *next(iter(graph.inputs.values()))[1:]))
    expected = nets_torch.logits(model, torch.from_numpy(images))
    np.testing.assert_allclose(evaluate(graph, images)[graph.outputs[0]], expected, rtol=0, atol=1e-9 * np.abs(expected).max())
