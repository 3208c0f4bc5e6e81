"""Decoders of transformers with seeded weights, saved as it saves them: refq's graph computes the same logits."""
import numpy as np
import pytest

from refq.graph.evaluate import evaluate
from refq.load.network import load

SIZES = {"vocab_size": 41, "hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4,
         "max_position_embeddings": 16, "initializer_range": 0.15}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}


@pytest.mark.parametrize("kind, options, shard", [
    ("Llama", {"num_key_value_heads": 4}, "1GB"), ("Llama", {"num_key_value_heads": 2, "tie_word_embeddings": True}, "20KB"),
    ("Llama", {"num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True, "head_dim": 12}, "1GB"),
    ("Llama", {"num_key_value_heads": 2, "rope_parameters": LLAMA3}, "1GB"),
    ("Mistral", {"num_key_value_heads": 2, "sliding_window": None}, "1GB"), ("Qwen2", {"num_key_value_heads": 2}, "1GB")])
def test_logits_are_those_of_transformers(need, tmp_path, tally, kind, options, shard):
    torch, transformers = need("torch"), need("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SIZES, **options)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                values += torch.rand_like(values) - 0.5
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard == "20KB")
    network, tokens = load(tmp_path), np.random.default_rng(0).integers(0, 41, (3, 16))
    with torch.no_grad():
        expected = model(torch.from_numpy(tokens)).logits.numpy()
    logits = evaluate(network, tokens)[network.outputs[0]]
    tally("transformers logits", logits.size)
    assert np.abs(logits - expected).max() < 1e-5
