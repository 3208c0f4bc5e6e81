"""Decoders of the Llama kind from named tensors: what they compute in float, their two forms, and what is refused."""
import json

import numpy as np
import pytest
from networks import decoders

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.graph.evaluate import evaluate
from refq.load.network import load


def computed(tensors, config, tokens):
    """The logits of one sequence, token by token, straight from the formulas: no graph, no groups, no masks."""
    w = {name: value.astype(np.float64) for name, value in tensors.items()}
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    depth = config["hidden_size"] // heads
    turns = 1 / config["rope_theta"] ** (np.arange(0, depth, 2) / depth)
    keys, values, logits = {}, {}, []

    def normed(x, name):
        return x / np.sqrt((x * x).mean() + config["rms_norm_eps"]) * w[name]

    def turned(head, position):
        z = (head[:depth // 2] + 1j * head[depth // 2:]) * np.exp(1j * position * turns)
        return np.concatenate([z.real, z.imag])

    for position, token in enumerate(tokens):
        x = w["model.embed_tokens.weight"][token]
        for i in range(config["num_hidden_layers"]):
            layer = f"model.layers.{i}."
            y = normed(x, f"{layer}input_layernorm.weight")
            q, k, v = ((w[f"{layer}self_attn.{p}_proj.weight"] @ y).reshape(-1, depth) for p in "qkv")
            keys.setdefault(i, []).append([turned(head, position) for head in k])
            values.setdefault(i, []).append(v)
            mixed = []
            for h, head in enumerate(q):
                scores = np.array([turned(head, position) @ past[h * shared // heads] for past in keys[i]]) / depth ** 0.5
                share = np.exp(scores - scores.max())
                mixed.append(sum(s * past[h * shared // heads] for s, past in zip(share / share.sum(), values[i], strict=True)))
            x = x + w[f"{layer}self_attn.o_proj.weight"] @ np.concatenate(mixed)
            y = normed(x, f"{layer}post_attention_layernorm.weight")
            gate, up = (w[f"{layer}mlp.{p}_proj.weight"] @ y for p in ("gate", "up"))
            x = x + w[f"{layer}mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * up)
        head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
        logits.append(w[head] @ normed(x, "model.norm.weight"))
    return np.array(logits)


@pytest.mark.parametrize("changes", ({}, {"num_key_value_heads": 4}, {"num_key_value_heads": 1, "tie_word_embeddings": False}))
def test_the_graph_computes_the_formulas(tmp_path, changes):
    config, tokens = decoders.CONFIG | changes, decoders.tokens(2)
    tensors = decoders.drawn(config)
    network = load(decoders.written(tmp_path / "model", tensors, **changes))
    logits = evaluate(network, tokens)[network.outputs[0]]
    for mine, sequence in zip(logits, tokens, strict=True):
        assert np.abs(mine - computed(tensors, config, sequence)).max() < 1e-5


def test_beside_a_cache_it_computes_the_same(tmp_path):
    """One token at a time, and four at once, at run-time positions."""
    network, tokens = load(decoders.written(tmp_path / "model")), decoders.tokens(2)
    logits = evaluate(network, tokens)[network.outputs[0]]
    for count in (1, 4):
        graph = network.family.stepwise(12, count)
        cache = {name: np.zeros((2, *shape[1:])) for name, shape in graph.inputs.items() if name not in graph.places}
        assert graph.places == {"tokens": 37, "positions": 12}
        for at in range(0, 12, count):
            places = np.broadcast_to(np.arange(at, at + count), (2, count))
            made = evaluate(graph, {"tokens": tokens[:, at:at + count], "positions": places, **cache})
            cache = {name: made[f"{name}.next"] for name in cache}
            assert np.abs(made[graph.outputs[0]] - logits[:, at:at + count]).max() < 1e-9


def test_files_with_an_index_are_one_network(tmp_path):
    tensors, tokens = decoders.drawn(decoders.CONFIG), decoders.tokens(1)
    whole, index = load(decoders.written(tmp_path / "whole", tensors)), decoders.sharded(tmp_path / "parts", tensors)
    for network in (load(index), load(index.parent)):
        assert network.name == "model" == whole.name
        assert np.array_equal(*(evaluate(n, tokens)[n.outputs[0]] for n in (whole, network)))


def test_another_context_is_another_graph(tmp_path):
    """A long context of config.json is cut, and says so; `family.whole` makes others."""
    network = load(decoders.written(tmp_path / "model", max_position_embeddings=4096))
    assert network.inputs == {"tokens": (1, 512)} and "512 of the 4096" in network.notes[0]
    assert network.family.whole(5).inputs == {"tokens": (1, 5)}
    with pytest.raises(IllFormed, match="1 to 4096"):
        network.family.whole(4097)
    with pytest.raises(IllFormed, match="1 to 8 fit"):
        network.family.stepwise(8, 9)


@pytest.mark.parametrize("kind, said", (
    ({"rope_type": "default", "rope_theta": 500.0}, [1.0, 500.0 ** (-1 / 3), 500.0 ** (-2 / 3)]),
    ({"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}, [0.25, 10000.0 ** (-1 / 3) / 4, 10000.0 ** (-2 / 3) / 4]),
    ({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 10000.0,
      "original_max_position_embeddings": 256}, [1.0, None, 10000.0 ** (-2 / 3) / 8])))
def test_frequencies_of_rotary_positions(tmp_path, kind, said):
    """Position 1 turns by them; llama3 keeps short waves, stretches long ones, and lies between on the way."""
    network = load(decoders.written(tmp_path / "model", rope_parameters=kind, rope_theta=None))
    turned = np.arctan2(network.constants["rotary.sin"][1], network.constants["rotary.cos"][1])
    for angle, expected in zip(turned, said, strict=True):
        if expected is None:
            assert 10000.0 ** (-1 / 3) / 8 < angle < 10000.0 ** (-1 / 3)
        else:
            assert abs(angle - expected) < 1e-6


@pytest.mark.parametrize("changes, error, said", (
    ({"num_attention_heads": None}, IllFormed, "num_attention_heads"), ({"num_key_value_heads": 3}, IllFormed, "cannot share 3"),
    ({"num_attention_heads": 5}, IllFormed, "5 heads do not divide"), ({"num_hidden_layers": 3}, IllFormed, "3 layers"),
    ({"head_dim": 5}, IllFormed, "odd"), ({"head_dim": 8}, IllFormed, "q_proj.weight"), ({"rms_norm_eps": 0}, IllFormed, "eps"),
    ({"max_position_embeddings": "long"}, IllFormed, "max_position_embeddings"), ({"hidden_act": "gelu"}, Unsupported, "gelu"),
    ({"model_type": "gemma"}, Unsupported, "gemma"), ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, Unsupported, "yarn"),
    ({"rope_scaling": {"type": "linear"}}, IllFormed, "factor"), ({"rope_scaling": "linear"}, IllFormed, "rope_scaling"),
    ({"rms_norm_eps": float("inf")}, IllFormed, "rms_norm_eps"), ({"sliding_window": 4}, Unsupported, "sliding_window")))
def test_configurations_that_cannot_be_are_refused(tmp_path, changes, error, said):
    tensors = decoders.drawn(decoders.CONFIG)
    with pytest.raises(error, match=said) as refused:
        load(decoders.written(tmp_path / "model", tensors, **changes))
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


def test_tensors_that_are_missing_or_too_many_are_named(tmp_path):
    tensors = decoders.drawn(decoders.CONFIG)
    lost = {k: v for k, v in tensors.items() if k != "model.layers.1.mlp.up_proj.weight"}
    with pytest.raises(IllFormed, match="missing: model.layers.1.mlp.up_proj.weight"):
        load(decoders.written(tmp_path / "a", lost))
    with pytest.raises(IllFormed, match="unexpected: model.layers.0.self_attn.q_norm.weight"):
        load(decoders.written(tmp_path / "b", tensors | {"model.layers.0.self_attn.q_norm.weight": np.ones(6, np.float32)}))
    with pytest.raises(IllFormed, match=r"up_proj.weight is \(\)"):
        load(decoders.written(tmp_path / "d", tensors | {"model.layers.1.mlp.up_proj.weight": np.array(1, np.float32)}))
    with pytest.raises(IllFormed, match="missing: lm_head.weight"):
        load(decoders.written(tmp_path / "c", tensors, tie_word_embeddings=False))


def test_an_index_that_does_not_fit_its_files_is_refused(tmp_path):
    index = decoders.sharded(tmp_path / "model")
    placed = json.loads(index.read_text())["weight_map"]
    for change, error, said in (({"model.norm.weight": "model-9.safetensors"}, IllFormed, "model-9.safetensors, which"),
                                ({"model.norm.weight": "../model.safetensors"}, Corrupt, "leads out of its folder"),
                                ({"strange": placed["model.norm.weight"]}, Corrupt, "holds strange, and it does not")):
        index.write_text(json.dumps({"weight_map": placed | change}))
        with pytest.raises(error, match=said):
            load(index)
    for text, said in (("[]", "no JSON object"), ("{", "cannot be read as JSON"), ("{}", "no weight_map")):
        index.write_text(text)
        with pytest.raises(Corrupt, match=said):
            load(index)


@pytest.mark.parametrize("wrong, said", ((37, "to 37; it takes whole numbers from 0 to 36"), (-1, "from -1"), (0.5, "whole")))
def test_tokens_that_are_none_are_refused(tmp_path, wrong, said):
    network, tokens = load(decoders.written(tmp_path / "model")), decoders.tokens(1).astype(float)
    tokens[0, 3] = wrong
    with pytest.raises(IllFormed, match=said):
        evaluate(network, tokens)
