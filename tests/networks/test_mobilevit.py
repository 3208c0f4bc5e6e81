"""MobileViT and its second form from named tensors: canonical graphs, integers that follow, refusals with a sentence.

Their values are held against transformers in tests/peers/test_exported_networks.py."""
import nets
import numpy as np
import pytest
from safetensors.numpy import save_file

import refq
from refq.errors import IllFormed, Unsupported
from refq.graph.canonical import canonical, operations
from refq.networks import mobilevit as first
from refq.networks import mobilevit2 as second
from tools.families import mobilevit

FORMS = {"mobilevit": first, "mobilevitv2": second}
CONFIG = {"image_size": 64, "num_attention_heads": 2}


def built(root, config=CONFIG):
    return FORMS[root].build(mobilevit(root), config, "file")


@pytest.mark.parametrize("root", FORMS)
def test_the_graph_is_canonical_and_integers_follow(root):
    """Every operation canonical, every shape known; kernels equal specs under int8."""
    graph = built(root)
    assert {node.op for node in graph.nodes} <= operations and canonical(graph) is graph
    assert all(graph.shapes[node.outputs[0]] for node in graph.nodes)
    nets.near(graph, "int8", "tflite", 10, count=3)


@pytest.mark.parametrize("root", FORMS)
def test_steps_have_the_names_of_the_tensors(root):
    """A step that has weights is called as they are; batch norms are in the convolutions before them."""
    names = {node.name for node in built(root).nodes}
    weighted = {n.removesuffix(".weight") for n in mobilevit(root) if n.endswith(".weight") and "normalization" not in n}
    assert weighted <= names


def test_only_one_of_the_two_recognizes_a_file():
    """Names tell them apart."""
    for root in FORMS:
        assert [other for other, form in FORMS.items() if form.recognizes(mobilevit(root))] == [root]


def test_counters_in_a_file_are_passed_over(tmp_path):
    """Integers that batch norms count their batches in stand in files, and nothing depends on them."""
    tensors = {k: v.astype(np.float32) for k, v in mobilevit().items()}
    counters = {k.replace("running_mean", "num_batches_tracked"): np.array(7) for k in tensors if k.endswith("running_mean")}
    save_file(tensors | counters, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"image_size": 64, "num_attention_heads": 2}')
    graph = refq.load(tmp_path)
    assert {node.op for node in graph.nodes} == {node.op for node in built("mobilevit").nodes}


@pytest.mark.parametrize("root, config, error, said", [
    ("mobilevit", CONFIG | {"image_size": 72}, IllFormed, "patches of 2x2 do not divide the image of .*layer.2, which is 9x9"),
    ("mobilevitv2", CONFIG | {"image_size": 72}, IllFormed, "patches of 2x2 do not divide the image of .*layer.2, which is 9x9"),
    ("mobilevit", CONFIG | {"num_attention_heads": 3}, IllFormed, "3 heads do not divide the width 8 of mobilevit"),
    ("mobilevit", CONFIG | {"output_stride": 16}, Unsupported, "output_stride 16 in config.json is not supported"),
    ("mobilevit", CONFIG | {"hidden_act": "mish"}, Unsupported, "the activation 'mish'"),
    ("mobilevit", CONFIG | {"patch_size": 0.5}, IllFormed, "not a positive integer"),
    ("mobilevitv2", CONFIG | {"layer_norm_eps": -1}, IllFormed, "the epsilon -1 of LayerNorm in config.json is not a finite"),
])
def test_what_is_refused(root, config, error, said):
    """One sentence each, which names the block or the setting."""
    with pytest.raises(error, match=said) as refused:
        built(root, config)
    assert "\n" not in str(refused.value)


def test_what_the_file_does_not_say_is_noted():
    """The image size and the number of heads, each with a note."""
    graph = built("mobilevit", {})
    assert graph.inputs["images"] == (1, 3, 256, 256) and len(graph.notes) == 2
