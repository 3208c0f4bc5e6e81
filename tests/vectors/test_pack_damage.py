"""A pack that was changed after it was recorded is refused in one sentence that says where."""
import json
import shutil
from pathlib import Path

import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from refq.errors import Corrupt, IllFormed, RefqError, Unsupported
from refq.graph import store
from refq.vectors import manifest as manifests
from refq.vectors.pack import read


@pytest.fixture
def pack(recorded, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(recorded, tmp_path / "pack"))


def refusal(pack, kind=Corrupt):
    with pytest.raises(kind) as refused:
        read(pack).check()
    message = str(refused.value)
    assert "\n" not in message and len(message) < 600
    return message


def edited(pack, *path, to):
    """Set one place of the manifest."""
    file = pack / "manifest.json"
    manifest = json.loads(file.read_text())
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    file.write_text(json.dumps(manifest))
    return manifest


@pytest.mark.parametrize("path,to,words", [
    (("pack_hash",), "0" * 64, "pack_hash"), (("program_hash",), "0" * 64, "program_hash"),
    (("tensors", "hidden", "width"), "i4", "tensors.hidden.width"),
    (("tensors", "hidden", "grid", "scale"), "0x1p-3", "tensors.hidden.grid.scale"),
    (("tensors", "hidden", "sha256", 1), "0" * 64, "manifest.json"), (("dialect", "name"), "tosa", "dialect.name"),
    (("seed",), 5, "manifest.json"), (("seal",), "0" * 64, "seal"), (("about", "accuracy"), 1.0, "about"),
    (("events", 0, "ties"), 99, "events")])
def test_changed_manifest(pack, path, to, words):
    """Any change of the manifest is refused as one of the manifest, with its place where that follows from the rest."""
    edited(pack, *path, to=to)
    message = refusal(pack)
    assert "manifest.json" in message and words in message and "was changed" in message


@pytest.mark.parametrize("path,to", [
    (("pack_hash",), "short"), (("tensors", "hidden", "width"), "q8"), (("cases",), []), (("seed",), "none"),
    (("surprise",), 1), (("cases", 0), "../../etc/passwd")])
def test_manifest_against_the_schema(pack, path, to):
    """What the schema does not allow is refused with its place."""
    edited(pack, *path, to=to)
    assert "manifest.json" in refusal(pack)


def test_newer_format(pack):
    """A pack of a later format is said to be that."""
    edited(pack, "format", to=2)
    assert "format 2" in refusal(pack, Unsupported)


def test_changed_code(pack):
    """One changed code of one case is named by file and tensor."""
    path = pack / "cases" / "0001.safetensors"
    codes = load_file(path)
    codes["hidden"][2, 3] ^= 1
    save_file(codes, path)
    message = refusal(pack)
    assert "0001.safetensors" in message and "'hidden'" in message


def test_changed_constant(pack):
    """One changed weight is named by file and tensor."""
    path = pack / "tensors.safetensors"
    data = bytearray(path.read_bytes())
    data[store.entries(path)["fc1.w"][0]] ^= 1
    path.write_bytes(data)
    message = refusal(pack)
    assert "tensors.safetensors" in message and "'fc1.w'" in message


def test_changed_program(pack):
    """A program of other arithmetic under the same manifest is refused as program.onnx changed."""
    for name in ("program.onnx", "tensors.safetensors"):
        (pack / name).unlink()
    store.save(small.program(ties="half_even"), pack)
    assert "program.onnx: was changed" in refusal(pack)


@pytest.mark.parametrize("damage", ["missing", "truncated", "tensor missing"])
def test_damaged_case(pack, damage):
    """A case file that is missing, truncated or lacks a tensor is named."""
    path = pack / "cases" / "0002.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        codes = load_file(path)
        del codes["logits"]
        save_file(codes, path)
    assert "0002.safetensors" in refusal(pack)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["manifest.json", "program.onnx", "tensors.safetensors", "cases/0001.safetensors"]),
       st.integers(0, 10**9), st.integers(0, 7))
def test_flipped_bit(recorded, tmp_path_factory, name, place, bit):
    """A bit flipped anywhere is refused in one sentence; only in program.onnx some bits mean nothing to the pack."""
    pack = Path(shutil.copytree(recorded, tmp_path_factory.mktemp("flipped") / "pack"))
    data = bytearray((pack / name).read_bytes())
    data[place % len(data)] ^= 1 << bit
    (pack / name).write_bytes(data)
    try:
        again = read(pack)
        again.check()
    except RefqError as refused:
        assert "\n" not in str(refused)
    else:
        assert name == "program.onnx" and again.hash == read(recorded).hash


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"format": "one"}'])
def test_manifest_that_is_none(pack, text):
    """A manifest that is empty, not JSON, or not of this kind is refused."""
    (pack / "manifest.json").write_text(text)
    assert "manifest.json" in refusal(pack)


def test_first_difference():
    """`difference` names the first place where two manifests differ."""
    one = {"a": [1, {"b": 2}], "c": 0}
    assert manifests.difference(one, {"a": [1, {"b": 3}], "c": 0}) == "a[1].b"
    assert manifests.difference(one, {"a": [1, {"b": 2}]}) == "c"
    assert manifests.difference(one, one) is None


def test_what_is_no_pack(tmp_path):
    """A file, or what is no path at all, is told that it is no pack."""
    (tmp_path / "mlp.onnx").write_bytes(b"?")
    with pytest.raises(IllFormed, match=r"mlp.onnx: is no pack \(a folder with manifest.json\)$"):
        read(tmp_path / "mlp.onnx")
    for strange in (None, 3, ["pack"]):
        with pytest.raises(IllFormed, match="a pack is .*; it is a folder with manifest.json$"):
            read(strange)
