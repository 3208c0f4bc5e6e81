"""Bad packs, codes, dumps and kernels on the command line: one sentence on stderr, status 2, nothing half-written."""
import json

import numpy as np
import onnx
import pytest

from refq import read as read_pack


def changed(path, change):
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))
    return path


def test_codes_cannot_be_written(refused, made, tmp_path):
    """`refq run --out` to another ending, into a missing folder, or over a folder."""
    (tmp_path / "y.npy").mkdir()
    for out in ("y.txt", "gone/y.npy", "y.npy"):
        assert out in refused("run", made / "pack", "--input", made / "images.npy", "--out", out)


def test_codes_outside_the_range(refused, pack):
    """Images and codes that the pack's input does not take."""
    for array in (np.zeros((1, 3, 8, 9), np.int8), np.full((1, 3, 8, 8), np.nan), np.zeros((1, 3, 8, 8), bool)):
        np.save("x.npy", array)
        refused("run", pack, "--input", "x.npy")


def edit_manifest(pack, change):
    path = pack / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def flip_last(path):
    def change(data):
        data[-1] ^= 1
        return data
    changed(path, change)


DAMAGES = {
    "manifest.json": lambda pack: edit_manifest(pack, lambda m: m.update(seed=5)),
    "pack_hash": lambda pack: edit_manifest(pack, lambda m: m.update(pack_hash="0" * 64)),
    "tensors.safetensors": lambda pack: flip_last(pack / "tensors.safetensors"),
    "cases/0001.safetensors": lambda pack: flip_last(pack / "cases/0001.safetensors"),
    "cases/0000.safetensors": lambda pack: (pack / "cases/0000.safetensors").unlink(),
    "program.onnx": lambda pack: changed(pack / "program.onnx", lambda data: data[:100]),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_a_changed_pack(refused, made, pack, said):
    """Manifest, hash, constants, a case or the program changed: `verify` says which."""
    whole = read_pack(made / "pack")
    np.savez("dump.npz", **{n: np.stack([whole.case(i)[n] for i in range(2)]) for n in whole.program.outputs})
    DAMAGES[said](pack)
    assert said in refused("verify", pack, "--against", "dump.npz")


@pytest.mark.parametrize("verb", [["verify", "--against", "x.npz"], ["run", "--input", "x.npy"], ["show"]])
def test_what_is_no_pack(refused, tmp_path, verb):
    """A folder without a manifest, or a manifest of something else."""
    (tmp_path / "pack").mkdir()
    assert "pack" in refused(verb[0], "pack", *verb[1:])
    for text in ("", "[]", "{}", "hello", '{"format": 99}'):
        (tmp_path / "pack" / "manifest.json").write_text(text)
        assert "manifest.json" in refused(verb[0], "pack", *verb[1:])


def test_dumps_refused(refused, made):
    """A dump that is missing, damaged, shares no tensor with the pack, or has a wrong dtype or shape."""
    whole = read_pack(made / "pack")
    name = whole.program.outputs[0]
    right = np.stack([whole.case(i)[name] for i in range(2)])

    def said(**tensors):
        np.savez("dump.npz", **tensors)
        return refused("verify", made / "pack", "--against", "dump.npz")

    assert "gone.npz" in refused("verify", made / "pack", "--against", "gone.npz")
    assert "other" in said(other=right) or "no tensor" in said(other=right)
    assert name in said(**{name: right.astype(np.float32)})
    assert name in said(**{name: right[:, :-1]})
    assert "required" in refused("verify", made / "pack", "--against", np_saved(right, name), "--require", "all")


def np_saved(array, name):
    np.savez("part.npz", **{name: array})
    return "part.npz"


def test_kernels_refused(refused, made):
    """A kernel.toml that is not there."""
    assert "k.toml" in refused("verify", made / "pack", "--kernel", "k.toml")


def test_an_onnx_file_of_a_pack_is_no_network(golden, pack):
    """The program of a pack, given as a float network."""
    line = golden(pack / "program.onnx")
    assert "program.onnx" in line
    assert onnx.load(pack / "program.onnx", load_external_data=False).graph.node
