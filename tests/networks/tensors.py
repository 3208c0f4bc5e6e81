"""Random tensors of small vision transformers under the names that timm and Hugging Face give them, and what they
compute."""
import math

import numpy as np

TIMM = {"cls": "cls_token", "pos": "pos_embed", "patch": "patch_embed.proj", "block": "blocks.{}.", "norm1": "norm1",
        "qkv": ["attn.qkv"], "proj": "attn.proj", "norm2": "norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2", "norm": "norm",
        "head": "head"}
HF = {"cls": "vit.embeddings.cls_token", "pos": "vit.embeddings.position_embeddings",
      "patch": "vit.embeddings.patch_embeddings.projection", "block": "vit.encoder.layer.{}.",
      "norm1": "layernorm_before",
      "qkv": [f"attention.attention.{word}" for word in ("query", "key", "value")], "proj": "attention.output.dense",
      "norm2": "layernorm_after", "fc1": "intermediate.dense", "fc2": "output.dense", "norm": "vit.layernorm",
      "head": "classifier"}
HF5 = HF | {"block": "vit.layers.{}.", "qkv": [f"attention.{word}_proj" for word in "qkv"], "proj": "attention.o_proj",
            "fc1": "mlp.fc1", "fc2": "mlp.fc2"}


def drawn(names, width=12, depth=2, patch=4, side=8, classes=5, hidden=20, dtype=np.float64):
    """name -> array, as such a file holds them; images are (n 3 side side)."""
    draw, count = np.random.default_rng(0), (side // patch) ** 2
    tensors = {names["cls"]: draw.normal(size=(1, 1, width)), names["pos"]: draw.normal(size=(1, count + 1, width))}

    def part(name, *shape):
        tensors[f"{name}.weight"] = draw.normal(0, 1 / math.sqrt(math.prod(shape[1:])), shape)
        tensors[f"{name}.bias"] = draw.normal(size=shape[:1])

    part(names["patch"], width, 3, patch, patch)
    for i in range(depth):
        block = names["block"].format(i)
        for norm in ("norm1", "norm2"):
            part(block + names[norm], width)
        for name in names["qkv"]:
            part(block + name, 3 * width // len(names["qkv"]), width)
        part(block + names["proj"], width, width)
        part(block + names["fc1"], hidden, width)
        part(block + names["fc2"], width, hidden)
    part(names["norm"], width)
    part(names["head"], classes, width)
    return {name: value.astype(dtype) for name, value in tensors.items()}


def forward(tensors, names, images, heads, eps, averaged=False):
    """The logits, written with einsum straight from the paper; exact Gelu."""
    def part(name, x):
        return np.einsum("...k,mk->...m", x, tensors[f"{name}.weight"]) + tensors.get(f"{name}.bias", 0)

    def norm(name, x):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + eps) * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    kernel = tensors[f"{names['patch']}.weight"]
    p, n = kernel.shape[-1], len(images)
    cut = images.reshape(n, 3, images.shape[2] // p, p, images.shape[3] // p, p)
    x = np.einsum("ncypxq,mcpq->nyxm", cut, kernel).reshape(n, -1, len(kernel)) + tensors[f"{names['patch']}.bias"]
    if names["cls"] in tensors:
        x = np.concatenate([np.repeat(tensors[names["cls"]], n, 0), x], 1)
    x = x + tensors[names["pos"]]
    block = 0
    while f"{names['block'].format(block)}{names['norm1']}.weight" in tensors:
        start = names["block"].format(block)
        y = norm(start + names["norm1"], x)
        joined = np.concatenate([part(start + name, y) for name in names["qkv"]], -1)
        q, k, v = joined.reshape(n, x.shape[1], 3, heads, -1).transpose(2, 0, 3, 1, 4)
        logits = np.einsum("nhid,nhjd->nhij", q, k) / math.sqrt(q.shape[-1])
        p = np.exp(logits - logits.max(-1, keepdims=True))
        y = np.einsum("nhij,nhjd->nihd", p / p.sum(-1, keepdims=True), v).reshape(x.shape)
        x = x + part(start + names["proj"], y)
        y = part(start + names["fc1"], norm(start + names["norm2"], x))
        y = y * np.vectorize(lambda t: 0.5 * (1 + math.erf(t / math.sqrt(2))))(y)
        x = x + part(start + names["fc2"], y)
        block += 1
    x = norm(names["norm"], x)
    return part(names["head"], x.mean(1) if averaged else x[:, 0])
