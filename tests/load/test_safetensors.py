"""Loading safetensors: the same network from any float type; damaged files and tensors are refused by name."""
import json

import numpy as np
import pytest
from networks.tensors import HF, TIMM, drawn, forward
from safetensors.numpy import save_file

from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.graph.evaluate import evaluate
from refq.load.safetensors import load

IMAGES = np.random.default_rng(9).standard_normal((2, 3, 8, 8))


def saved(folder, tensors, config=None):
    path = folder / "small.safetensors"
    save_file(tensors, path)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("names", [TIMM, HF], ids=["timm", "hf"])
def test_the_file_and_its_configuration_make_the_network(tmp_path, names):
    """config.json beside the file is read; the graph is called as the file is."""
    tensors = drawn(names)
    graph = load(saved(tmp_path, tensors, {"num_attention_heads": 3, "layer_norm_eps": 1e-6}))
    expected = forward(tensors, names, IMAGES, 3, 1e-6)
    np.testing.assert_allclose(evaluate(graph, IMAGES)[graph.outputs[0]], expected, rtol=1e-9)
    assert graph.name == "small"


def test_half_precision_is_read_exactly(tmp_path):
    """float16 and bfloat16 weights arrive with their own values, as float64."""
    tensors = drawn(TIMM, dtype=np.float16)
    graph = load(saved(tmp_path, tensors))
    assert np.array_equal(graph.constants["head.weight"], tensors["head.weight"].astype(np.float64))
    whole = {name: (value.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16) for name,
             value in tensors.items()}
    save_file(whole, tmp_path / "upper.safetensors")
    data = (tmp_path / "upper.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8:8 + size].replace(b'"dtype":"U16"', b'"dtype":"BF16"')
    (tmp_path / "upper.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size:])
    graph = load(tmp_path / "upper.safetensors")
    bits = (whole["head.weight"].astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(graph.constants["head.weight"], bits)


def test_a_flipped_bit_in_the_header_is_refused_or_harmless(tmp_path):
    """Every single bit of the header: refq's own error in one line, or the same network."""
    path = saved(tmp_path, drawn(TIMM, depth=1))
    data, images = path.read_bytes(), IMAGES[:1]
    graph = load(path)
    expected = evaluate(graph, images)[graph.outputs[0]]
    size, refused = 8 + int.from_bytes(data[:8], "little"), 0
    for bit in range(0, 8 * size, 11):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            graph = load(path)
        except RefqError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
        else:
            assert np.array_equal(evaluate(graph, images)[graph.outputs[0]], expected)
    assert refused > 8 * size / 11 * 0.9


def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path):
    """Every prefix is Corrupt."""
    path = saved(tmp_path, drawn(TIMM, depth=1))
    data = path.read_bytes()
    for end in (*range(1, 100), *range(100, len(data), 311)):
        path.write_bytes(data[:end])
        with pytest.raises(Corrupt, match="damaged"):
            load(path)


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    """Missing, empty, a folder, text."""
    path = tmp_path / "s.safetensors"
    with pytest.raises(IllFormed, match="no file"):
        load(path)
    with pytest.raises(IllFormed, match="is a folder"):
        load(tmp_path)
    for data in (b"", b"hello, this is text and nothing else"):
        path.write_bytes(data)
        with pytest.raises(Corrupt, match="s.safetensors is"):
            load(path)


def test_weights_that_are_not_finite_or_not_floats_are_refused(tmp_path):
    """The tensor is named."""
    for bad, word in ((np.nan, "NaN"), (np.inf, "an infinite value")):
        tensors = drawn(TIMM)
        tensors["blocks.1.norm2.bias"][3] = bad
        with pytest.raises(IllFormed, match=f"blocks.1.norm2.bias holds {word}"):
            load(saved(tmp_path, tensors))
    with pytest.raises(Unsupported, match="head.weight holds I8"):
        load(saved(tmp_path, drawn(TIMM) | {"head.weight": np.zeros((5, 12), np.int8)}))


def test_tensors_of_another_architecture_are_refused(tmp_path):
    """The sentence names a few tensors and what refq builds."""
    with pytest.raises(Unsupported, match=r"conv1.weight, fc.bias .* \(.*vit\): give the network as ONNX"):
        load(saved(tmp_path, {"conv1.weight": np.zeros((3, 3)), "fc.bias": np.zeros(3)}))


def test_a_broken_configuration_is_refused(tmp_path):
    """Not JSON, or no object."""
    path = saved(tmp_path, drawn(TIMM))
    for text in ("{", "[1]", "\xff"):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(Corrupt, match="config.json"):
            load(path)
