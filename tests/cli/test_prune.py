"""refq prune, refq show --masks and refq golden --masks: what they say, what they write, and what they refuse."""
import numpy as np
import pytest

from refq.pruners import mask
from refq.pruners.mask import Mask, Masks
from refq.vectors.pack import read


def test_the_embedded_network_from_masks_to_a_pack(refq, refq_json, tmp_path):
    """Prune, look at the masks, record both ways, and prove the masks in the packs."""
    said = refq("prune", "--method", "n_m", "--pattern", "2:4", "--layers", "!edges", "--out", "m.safetensors").out
    assert said.startswith("digits: 65,536 of 131,072 (50.0 %) weights of 16 tensors masked, 2:4 along k\nhash ")
    assert "blocks.0.attn.qkv.weight, 2:4 along k:\n" in said and said.endswith("written to m.safetensors\n")
    shown = refq_json("show", "--masks", "m.safetensors")
    masks = mask.load("m.safetensors")
    assert shown["hash"] == masks.hash and shown["pruned"] == 65536
    assert all(t["satisfies"][:2] == ["2:4", "4:8"] and t["pruned"] * 2 == t["weights"] for t in shown["tensors"].values())
    report = refq_json("golden", "--masks", "m.safetensors", "--cases", "1")
    assert report["pack"] == "golden-digits-int8-tflite-pruned" and report["masks"]["grids"] == "pruned"
    assert report["masks"]["pruned"] == 65536 and 200 < report["float_right"] < 340
    pack = read(report["pack"])
    assert pack.manifest["about"]["masks"]["hash"] == masks.hash and set(masks.hold(pack.program).values()) == {None}
    said = refq("show", report["pack"], "--masks", "m.safetensors").out
    assert said.endswith("proved            every masked weight of 16 tensors is exactly 0 in the pack's program\n"
                         "recorded with     these masks\n")
    refq("prune", "--sparsity", "0.1", "--layers", "head", "--out", "h.safetensors")
    found = refq_json("show", report["pack"], "--masks", "h.safetensors", status=1)
    assert list(found["broken"]) == ["head.weight"] and found["recorded_with"] == masks.hash
    assert found["broken"]["head.weight"].startswith("step head: head.w[")
    said = refq("golden", "--masks", "m.safetensors", "--dense-grids", "--cases", "1", "--out", "behind").out
    assert "\npruned            65,536 of 131,072 (50.0 %) weights of 16 tensors, behind the choice of grids\n" in said
    assert set(masks.hold(read("behind").program).values()) == {None}
    assert read("behind").hash != pack.hash


def test_masks_of_a_model_joined_and_drawn(refq, refq_json, made):
    """--within and --also join with masks made before; a picture of the patterns."""
    model = made / "model.onnx"
    refq("prune", model, "--method", "block", "--pattern", "4x4", "--sparsity", "0.5", "--out", "b.safetensors")
    refq("prune", model, "--method", "random", "--sparsity", "0.5", "--seed", "7", "--out", "r.safetensors")
    refq("prune", model, "--sparsity", "0.5", "--within", "b.safetensors", "--out", "both.safetensors")
    refq("prune", model, "--sparsity", "0.5", "--also", "b.safetensors", "--out", "either.safetensors")
    refq("prune", model, "--sparsity", "0.5", "--out", "own.safetensors")
    own, b, both, either = (mask.load(f"{name}.safetensors") for name in ("own", "b", "both", "either"))
    for name in own:
        assert (both[name].kept == own[name].kept & b[name].kept).all()
        assert (either[name].kept == own[name].kept | b[name].kept).all()
    assert next(iter(both.tensors.values())).pattern == "(magnitude 0.5, over all layers) and (blocks of 4x4, 0.5 by sum)"
    assert not own.same(mask.load("r.safetensors"))
    pytest.importorskip("matplotlib")
    value = refq_json("show", model, "--masks", "both.safetensors", "--plot", "p.png")
    assert value["picture"] == "p.png" and len(value["drawn"]) == min(6, len(both))
    with open("p.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


@pytest.mark.parametrize("arguments, said", [
    (["--method", "taylor"], "a pruner named 'taylor': there are"),
    ([], "pruner magnitude needs its sparsity; it takes sparsity"),
    (["--sparsity", "1.5"], "a sparsity of 1.5: it is the share of the weights that go, from 0 to 1"),
    (["--sparsity", "nan"], "a sparsity of nan: it is the share"),
    (["--sparsity", "half"], "'half' is not a valid float"),
    (["--sparsity", "0.5", "--seed", "1"], "pruner magnitude takes no seed"),
    (["--method", "n_m", "--pattern", "5:4"], "a pattern '5:4': n is at least 1 and at most m"),
    (["--method", "n_m", "--pattern", "2:4", "--axis", "x"], "groups along 'x': it is k, or an axis of the tensor"),
    (["--method", "block", "--pattern", "2:4", "--sparsity", "0.5"], "a block of '2:4': it is rows x columns"),
    (["--sparsity", "0.5", "--layers", "nothing*"], "no layer matches 'nothing*'"),
    (["--sparsity", "0.5", "--within", "no.safetensors"], "no.safetensors: no such file; masks come as .safetensors"),
    (["--sparsity", "0.5", "--layers", ""], "no layer matches ''"),
])
def test_what_prune_refuses(refused, made, arguments, said):
    """One sentence, status 2, and no file."""
    assert said in refused("prune", made / "model.onnx", *arguments, "--out", "m.safetensors")


def test_places_that_prune_refuses(refused, made):
    """Another ending, a folder that is not there, no place at all, an empty one, a model that is not there."""
    given = ["prune", made / "model.onnx", "--sparsity", "0.5", "--out"]
    assert "m.npz: masks are written as .safetensors" in refused(*given, "m.npz")
    assert "no/m.safetensors: cannot be written: No such file or directory" in refused(*given, "no/m.safetensors")
    assert "missing option '--out'" in refused(*given[:-1])
    assert "--out: is empty" in refused(*given, "")
    assert "none.onnx: no such file" in refused("prune", "none.onnx", "--sparsity", "0.5", "--out", "m.safetensors")


@pytest.fixture
def foreign(tmp_path):
    """Masks of no network here."""
    Masks({"stem.weight": Mask(np.eye(4, dtype=bool), "x", ("stem",))}).save(tmp_path / "f.safetensors")
    return "f.safetensors"


def test_masks_that_are_refused(refused, made, foreign, tmp_path):
    """Of another network, damaged, and with options that have no use."""
    model, data = made / "model.onnx", ["--data", made / "images.npy"]
    for call in (["show", model], ["golden", model, *data, "--out", "new"]):
        assert "has no weight 'stem.weight', for which there is a mask" in refused(*call, "--masks", foreign)
    (tmp_path / "d.safetensors").write_bytes((tmp_path / foreign).read_bytes()[:-3])
    for call in (["show", model], ["show", made / "pack"], ["golden", model, *data, "--out", "new"]):
        assert "d.safetensors: is damaged or was changed: " in refused(*call, "--masks", "d.safetensors")
    assert "--data: --masks shows masks, which need none; leave it out" in refused("show", model, *data, "--masks", foreign)
    assert "--dense-grids is for --masks, which is not given" in refused("golden", "--dense-grids", "--out", "new")
    assert "m.txt: a picture ends in .png, .svg, .pdf" in refused("show", made / "pack", "--masks", foreign, "--plot", "m.txt")


def test_masks_of_another_network_in_a_pack(refq, made, foreign):
    """A pack has no step of theirs: not proved, status 1."""
    said = refq("show", made / "pack", "--masks", foreign, status=1).out
    assert "broken            stem.weight: step stem: there is none with weights of that name in integers\n" in said
    assert said.endswith("recorded with     no masks\n")
