"""A model in llama2.c's layout (stories260K.bin) as Hugging Face stores it: config.json and model.safetensors in a folder.

    python -m tools.stories ../shared/assets/models/stories260K.bin FOLDER

Seven int32 stand in front: width, hidden width, layers, heads, heads of keys and values, vocabulary (negative where the head has
weights of its own) and context; then float32 tensors, kind by kind, each for all layers. llama2.c turns pairs of adjacent depths
and Hugging Face halves of a head, so the rows of q and k are put in the other order. Source: karpathy/llama2.c, run.c and
export.py.
"""
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

EPS = 1e-5
"""run.c has it in its rmsnorm, the file does not."""


def adjacent_to_halves(weight, heads):
    """Rows (heads * depth, k) whose pairs are adjacent, with the first of every pair of a head in front of all second ones."""
    rows, k = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, k).swapaxes(1, 2).reshape(rows, k)


def read(path):
    """(config, tensors) of the file at `path`, by Hugging Face's names, float32; raises ValueError for a file of another size."""
    data = Path(path).read_bytes()
    width, hidden, layers, heads, shared, vocabulary, context = np.frombuffer(data, "<i4", 7).tolist()
    tied, vocabulary, depth = vocabulary > 0, abs(vocabulary), width // heads
    floats, at = np.frombuffer(data, "<f4", offset=28), 0

    def take(*shape):
        nonlocal at
        count = int(np.prod(shape))
        at += count
        return floats[at - count:at].reshape(shape)

    tensors = {"model.embed_tokens.weight": take(vocabulary, width)}
    kinds = (("input_layernorm", (width,)), ("self_attn.q_proj", (width, width)), ("self_attn.k_proj", (shared * depth, width)),
             ("self_attn.v_proj", (shared * depth, width)), ("self_attn.o_proj", (width, width)),
             ("post_attention_layernorm", (width,)), ("mlp.gate_proj", (hidden, width)), ("mlp.down_proj", (width, hidden)),
             ("mlp.up_proj", (hidden, width)))
    turned = {"self_attn.q_proj": heads, "self_attn.k_proj": shared}
    for part, shape in kinds:
        for layer, weight in enumerate(take(layers, *shape)):
            weight = adjacent_to_halves(weight, turned[part]) if part in turned else weight
            tensors[f"model.layers.{layer}.{part}.weight"] = weight
    tensors["model.norm.weight"] = take(width)
    at += context * depth                           # tables of cos and sin, which older files hold
    if not tied:
        tensors["lm_head.weight"] = take(vocabulary, width)
    if at != floats.size:
        raise ValueError(f"{path}: {floats.size} numbers, and its header speaks of {at}")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": width,
              "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": shared, "vocab_size": vocabulary, "max_position_embeddings": context,
              "rms_norm_eps": EPS, "rope_theta": 10000.0, "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2}
    return config, {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def write(path, folder):
    """The model at `path` as config.json and model.safetensors in an existing `folder`."""
    config, tensors = read(path)
    (Path(folder) / "config.json").write_text(json.dumps(config, indent=1))
    save_file(tensors, Path(folder) / "model.safetensors", {"format": "pt"})


def pieces(path):
    """The pieces of text of a tokenizer in llama2.c's layout (tok512.bin), by token."""
    data, at, found = Path(path).read_bytes(), 4, []
    while at < len(data):
        length = int.from_bytes(data[at + 4:at + 8], "little")
        found.append(data[at + 8:at + 8 + length])
        at += 8 + length
    return [bytes([int(p[3:5], 16)]) if p.startswith(b"<0x") and len(p) == 6 else p for p in found]


def text(tokens, parts):
    """What tokens stand for."""
    return b"".join(parts[t] for t in tokens).decode(errors="replace")


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    write(*sys.argv[1:3])
