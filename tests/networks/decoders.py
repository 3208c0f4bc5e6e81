"""Small decoders of the Llama kind with seeded weights, as Hugging Face stores them."""
import json

import numpy as np
from safetensors.numpy import save_file

from tools.families import DECODER as CONFIG
from tools.families import decoder as drawn


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
