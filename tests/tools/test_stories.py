"""A model in llama2.c's layout becomes the same network as Hugging Face stores it."""
import numpy as np
import pytest
from networks import decoders

import refq
from refq.graph.evaluate import evaluate
from tools import stories
from tools.bench import language

SMALL = {"hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "vocab_size": 9, "max_position_embeddings": 5}
KINDS = ("input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
         "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj")


def adjacent(weight, heads):
    """Row 2 j of a head is row j of its first half, row 2 j + 1 row j of its second."""
    depth, turned = len(weight) // heads, weight.copy()
    for head in range(heads):
        for j in range(depth // 2):
            turned[head * depth + 2 * j] = weight[head * depth + j]
            turned[head * depth + 2 * j + 1] = weight[head * depth + depth // 2 + j]
    return turned


def packed(path, tensors, config, tied):
    """The file that llama2.c would write."""
    c = config
    turned = {"self_attn.q_proj": c["num_attention_heads"], "self_attn.k_proj": c["num_key_value_heads"]}
    parts = [tensors["model.embed_tokens.weight"]]
    for kind in KINDS:
        for layer in range(c["num_hidden_layers"]):
            weight = tensors[f"model.layers.{layer}.{kind}.weight"]
            parts.append(adjacent(weight, turned[kind]) if kind in turned else weight)
    depth = c["hidden_size"] // c["num_attention_heads"]
    parts += [tensors["model.norm.weight"], np.zeros(c["max_position_embeddings"] * depth, np.float32)]
    parts += [] if tied else [tensors["lm_head.weight"]]
    head = [c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"], c["num_attention_heads"], c["num_key_value_heads"],
            c["vocab_size"] if tied else -c["vocab_size"], c["max_position_embeddings"]]
    path.write_bytes(np.array(head, "<i4").tobytes() + b"".join(part.astype("<f4").tobytes() for part in parts))
    return path


@pytest.mark.parametrize("tied", (True, False))
def test_a_file_is_the_tensors_it_was_made_of(tmp_path, tied):
    config = decoders.CONFIG | SMALL | {"tie_word_embeddings": tied}
    tensors = decoders.drawn(config)
    read, found = stories.read(packed(tmp_path / "small.bin", tensors, config, tied))
    assert found.keys() == tensors.keys() and all(np.array_equal(found[name], tensors[name]) for name in tensors)
    assert {key: read[key] for key in SMALL} == SMALL and read["tie_word_embeddings"] == tied
    stories.write(tmp_path / "small.bin", tmp_path)
    assert refq.load(tmp_path).inputs == {"tokens": (1, 5)}


def test_a_file_of_another_size_is_refused(tmp_path):
    config = decoders.CONFIG | SMALL
    path = packed(tmp_path / "small.bin", decoders.drawn(config), config, True)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="its header speaks of"):
        stories.read(path)


def test_stories260k_writes_a_story(assets):
    """The float network, by its cache: coherent text is a check of weights, pairs and positions in one."""
    model = language.network(assets("models/stories260K.bin"), context=48)
    tokens = language.written(model, 1, language.greedy)
    text = stories.text(tokens[0, 1:], stories.pieces(assets("models/tok512.bin")))
    assert text.strip().startswith("Once upon a time, there was a little girl named Lily.")
    logits = evaluate(model, tokens)[model.outputs[0]]
    assert np.array_equal(logits[0, :-1].argmax(-1), tokens[0, 1:])
    assert language.perplexity(logits, tokens) < 2
