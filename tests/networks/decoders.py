"""Small decoders of the Llama kind with seeded weights, as Hugging Face stores them."""
import json

import numpy as np
from safetensors.numpy import save_file

CONFIG = {"model_type": "llama", "hidden_act": "silu", "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 37, "max_position_embeddings": 12,
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True}


def drawn(config, seed=0):
    """name -> float32 array."""
    rng = np.random.default_rng(seed)
    width, hidden = config["hidden_size"], config["intermediate_size"]
    depth = width // config["num_attention_heads"]
    heads, shared = config["num_attention_heads"] * depth, config["num_key_value_heads"] * depth
    made = {"model.embed_tokens.weight": rng.normal(size=(config["vocab_size"], width)),
            "model.norm.weight": rng.uniform(0.5, 1.5, width)}
    for i in range(config["num_hidden_layers"]):
        start = f"model.layers.{i}."
        for part in ("input_layernorm", "post_attention_layernorm"):
            made[f"{start}{part}.weight"] = rng.uniform(0.5, 1.5, width)
        for part, shape in (("self_attn.q_proj", (heads, width)), ("self_attn.k_proj", (shared, width)),
                            ("self_attn.v_proj", (shared, width)), ("self_attn.o_proj", (width, heads)),
                            ("mlp.gate_proj", (hidden, width)), ("mlp.up_proj", (hidden, width)),
                            ("mlp.down_proj", (width, hidden))):
            made[f"{start}{part}.weight"] = rng.normal(0, 1.5 / shape[1] ** 0.5, shape)
    if not config["tie_word_embeddings"]:
        made["lm_head.weight"] = rng.normal(size=(config["vocab_size"], width))
    return {name: value.astype(np.float32) for name, value in made.items()}


def written(folder, tensors=None, **changes):
    """config.json and model.safetensors in `folder`; gives the folder. `changes`: keys of config.json, None takes one away."""
    config = {k: v for k, v in (CONFIG | changes).items() if v is not None}
    tensors = drawn(CONFIG | {k: v for k, v in changes.items() if v is not None}) if tensors is None else tensors
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder


def sharded(folder, tensors=None, shards=3, **changes):
    """The same in several files with their index; gives the index."""
    tensors = drawn(CONFIG | changes) if tensors is None else tensors
    written(folder, tensors, **changes)
    (folder / "model.safetensors").unlink()
    placed = {name: f"model-{1 + i % shards:05}-of-{shards:05}.safetensors" for i, name in enumerate(sorted(tensors))}
    for file in set(placed.values()):
        save_file({name: tensors[name] for name, at in placed.items() if at == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return index


def tokens(count=3, length=12, seed=1):
    return np.random.default_rng(seed).integers(0, CONFIG["vocab_size"], (count, length)).astype(np.int32)
