"""A language model on the command line: quantized, recorded, run, shown and verified on tokens."""
import numpy as np
import pytest
from networks import decoders


@pytest.fixture
def model(tmp_path):
    np.save(tmp_path / "tokens.npy", decoders.tokens(5, 6))
    return decoders.written(tmp_path / "model", max_position_embeddings=32)


def test_golden_run_and_verify(refq, refq_json, model):
    """The sequences of the file decide the context; a pack runs and is verified by the codes that it exports."""
    made = refq_json("golden", model, "--data", "tokens.npy", "--cases", "2", "--out", "pack")
    assert made["read_as"] == "tokens" and made["tokens"] == 30 and made["agreement"] <= 30
    assert {"embed", "rope"} <= set(made["borrowed"])
    run = refq_json("run", "pack", "--input", "tokens.npy", "--out", "codes.npy")
    codes = np.load("codes.npy")
    assert codes.shape == (5, 6, 37) and [top["class"] for top in run["top"]] == codes[:, -1].argmax(-1).tolist()
    assert "text     4   token" in refq("run", "pack", "--input", "tokens.npy").out
    refq("export", "pack", "--to", "npz", "--out", "exported")
    refq("verify", "pack", "--against", "exported")
    assert "rope" in refq("show", "pack").out and "borrowed from refq" in refq("show", "pack").out
    assert "the pack holds the same" in refq("explain", "pack", "model.layers.0.self_attn.q.turned[0,1,2]").out


def test_what_cannot_be_run_is_refused(refused, model):
    for name, tokens, said in (("strange", np.full((1, 6), 37), "whole numbers from 0 to 36"),
                               ("long", np.zeros((1, 33), int), "a context of 33 tokens; the network has positions for 1 to 32"),
                               ("reals", np.full((1, 6), 0.5), "whole numbers"), ("empty", np.zeros((0, 6), int), "no image")):
        np.save(f"{name}.npy", tokens)
        assert said in refused("golden", model, "--data", f"{name}.npy", "--out", "new")
    np.save("labels.npy", np.zeros(5, int))
    assert "leave them out" in refused("golden", model, "--data", "tokens.npy", "--labels", "labels.npy", "--out", "new")
