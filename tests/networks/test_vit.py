"""Vision transformers from named tensors compute what the paper says, under each project's names."""
import numpy as np
import pytest
from networks.tensors import HF, HF5, TIMM, drawn, forward

from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical, operations
from refq.graph.evaluate import evaluate
from refq.networks import vit

IMAGES = np.random.default_rng(9).standard_normal((2, 3, 8, 8))


def logits(graph, images=IMAGES):
    return evaluate(graph, images)[graph.outputs[0]]


@pytest.mark.parametrize("names, eps", [(TIMM, 1e-6), (HF, 1e-12), (HF5, 1e-12)], ids=["timm", "hf", "hf5"])
@pytest.mark.parametrize("heads", [1, 3])
def test_every_naming_gives_the_same_network(names, eps, heads):
    """The values are the paper's, with that project's epsilon; every shape is known and every operation canonical."""
    tensors = drawn(names)
    graph = vit.build(tensors, {"num_attention_heads": heads}, "file")
    np.testing.assert_allclose(logits(graph), forward(tensors, names, IMAGES, heads, eps), rtol=1e-9)
    assert {node.op for node in graph.nodes} <= operations and canonical(graph) is graph
    assert graph.shapes[graph.outputs[0]] == (1, 5) and all(graph.shapes[n.outputs[0]] for n in graph.nodes)


def test_the_names_of_the_steps_are_those_of_the_tensors():
    """A step that has weights is called as they are."""
    for names in (TIMM, HF):
        tensors = drawn(names)
        steps = {node.name for node in vit.build(tensors, {}, "file").nodes}
        assert {name.removesuffix(".weight") for name in tensors if name.endswith(".weight")} <= steps


def test_what_the_file_does_not_say_is_inferred_and_noted():
    """Heads of width 64, a square image, the project's epsilon: each with a note; a configuration takes the notes
    away."""
    tensors = drawn(TIMM, width=128, hidden=16)
    graph = vit.build(tensors, {}, "file")
    assert [any(word in note for note in graph.notes) for word in ("heads", "image size", "epsilon")] == [True] * 3
    np.testing.assert_allclose(logits(graph), forward(tensors, TIMM, IMAGES, 2, 1e-6), rtol=1e-9)
    config = {"num_attention_heads": 2, "image_size": 8, "layer_norm_eps": 1e-6}
    assert vit.build(tensors, config, "file").notes == ()


def test_the_configuration_decides():
    """Epsilon, activation, image size of timm's and Hugging Face's keys, names of the classes."""
    tensors = drawn(HF)
    graph = vit.build(tensors, {"num_attention_heads": 3, "layer_norm_eps": 0.5, "image_size": 8, "id2label": {
        str(i): f"class {i}" for i in range(5)}}, "file")
    np.testing.assert_allclose(logits(graph), forward(tensors, HF, IMAGES, 3, 0.5), rtol=1e-9)
    assert graph.labels == tuple(f"class {i}" for i in range(5))
    relu = vit.build(tensors, {"hidden_act": "relu", "num_attention_heads": 3}, "file")
    assert "Relu" in {node.op for node in relu.nodes}
    wide = vit.build(drawn(TIMM), {"pretrained_cfg": {"input_size": [3, 8, 8]}, "num_heads": 3}, "file")
    assert wide.inputs == {"images": (1, 3, 8, 8)}


def test_parts_that_some_leave_out():
    """No class token and an average instead; no biases of qkv; layer scale."""
    tensors = drawn(TIMM)
    del tensors["cls_token"]
    tensors["pos_embed"] = tensors["pos_embed"][:, 1:]
    for i in range(2):
        del tensors[f"blocks.{i}.attn.qkv.bias"]
    graph = vit.build(tensors, {"num_heads": 3}, "file")
    np.testing.assert_allclose(logits(graph), forward(tensors, TIMM, IMAGES, 3, 1e-6, averaged=True), rtol=1e-9)
    scaled = {f"blocks.{i}.ls{j}.gamma": np.full(12, 0.5 * i + j) for i in range(2) for j in (1, 2)}
    folded = dict(tensors)
    for i in range(2):
        for j, part in ((1, "attn.proj"), (2, "mlp.fc2")):
            gamma = scaled[f"blocks.{i}.ls{j}.gamma"]
            folded[f"blocks.{i}.{part}.weight"] = tensors[f"blocks.{i}.{part}.weight"] * gamma[:, None]
            folded[f"blocks.{i}.{part}.bias"] = tensors[f"blocks.{i}.{part}.bias"] * gamma
    graph = vit.build(tensors | scaled, {"num_heads": 3}, "file")
    np.testing.assert_allclose(logits(graph), forward(folded, TIMM, IMAGES, 3, 1e-6, averaged=True), rtol=1e-9)


def test_missing_and_unexpected_tensors_are_listed():
    """Both lists stand in one sentence."""
    tensors = drawn(TIMM)
    del tensors["blocks.1.mlp.fc1.bias"], tensors["head.weight"]
    tensors["mask_token"] = np.zeros((1, 1, 12))
    with pytest.raises(IllFormed) as caught:
        vit.build(tensors, {}, "file")
    assert "missing: blocks.1.mlp.fc1.bias, head.weight" in str(caught.value)
    assert "unexpected: mask_token" in str(caught.value)


def test_tensors_that_do_not_fit_are_named():
    """Shape against shape."""
    tensors = drawn(TIMM)
    tensors["blocks.0.mlp.fc2.weight"] = np.zeros((12, 21))
    with pytest.raises(IllFormed, match=r"blocks.0.mlp.fc2.weight is \(12, 21\), the other tensors ask for \(12, 20\)"):
        vit.build(tensors, {}, "file")


@pytest.mark.parametrize("config, error, sentence", [
    ({"num_attention_heads": 5}, IllFormed, "5 heads do not divide the width 12"),
    ({"num_attention_heads": "many"}, IllFormed, "'many' heads"),
    ({"image_size": 16}, IllFormed, "images of 16x16 give 16 patches, the positions are for 4"),
    ({"image_size": -8}, IllFormed, "not two positive integers"),
    ({"image_size": [8]}, IllFormed, "not two positive integers"),
    ({"layer_norm_eps": -1e-6}, IllFormed, "the epsilon -1e-06 of LayerNorm in config.json is not a finite number above 0"),
    ({"hidden_act": "mish"}, Unsupported, "the activation 'mish'"),
])
def test_a_configuration_that_contradicts_the_tensors_is_refused(config, error, sentence):
    """One sentence says which number, and what the tensors ask for."""
    with pytest.raises(error, match=sentence):
        vit.build(drawn(TIMM), {"num_heads": 3} | config, "file")
