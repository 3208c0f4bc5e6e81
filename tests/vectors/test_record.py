"""A pack is written whole or not at all, says what is in it, and its hash is a statement about arithmetic."""
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import small

from refq.errors import IllFormed, RefqError
from refq.graph import store
from refq.vectors.pack import read
from refq.vectors.record import machine, record


def leftovers(folder):
    return sorted(p.name for p in folder.iterdir())


def test_layout(recorded):
    """The folder holds what house.md says, and nothing lies beside it."""
    files = sorted(str(p.relative_to(recorded)) for p in recorded.rglob("*") if p.is_file())
    assert files == ["cases/0000.safetensors", "cases/0001.safetensors", "cases/0002.safetensors", "manifest.json",
                     "program.onnx", "tensors.safetensors"]
    assert leftovers(recorded.parent) == ["pack"]


def test_every_tensor_of_every_case(recorded):
    """Inputs, every intermediate and outputs are there, and are what the program computes."""
    pack, program = read(recorded), small.program()
    images = small.images(5)
    assert pack.recorded == ("x", "fc1.acc", "hidden", "fc2.acc", "logits", "top")
    for i in range(pack.cases):
        case = pack.case(i)
        assert tuple(case) == pack.recorded
        image = images[pack.manifest["images"][i]]
        assert np.array_equal(case["x"], image)
        program.run(image[None], engine="spec", watch=lambda step, name, array, case=case:
                    np.testing.assert_array_equal(array[0], case[name]))


def test_what_record_gives_is_what_lies_there(tmp_path):
    """The Pack that `record` gives and the one that `read` gives are the same; many images run in several groups."""
    given = record(small.program(), small.images(7), tmp_path / "pack", cases=7)
    pack = read(tmp_path / "pack")
    pack.check()
    assert given.manifest == pack.manifest and given.hash == pack.hash and given.folder == pack.folder


def test_groups_do_not_matter(tmp_path, monkeypatch):
    """However many images run at once, hash and events are the same."""
    whole = record(small.program(), small.images(7), tmp_path / "whole")
    monkeypatch.setattr("refq.vectors.record.ROOM", 1)
    single = record(small.program(), small.images(7), tmp_path / "single")
    assert single.manifest == whole.manifest
    for i in range(7):
        assert np.array_equal(whole.case(i)["x"], small.images(7)[i])


def test_manifest_describes(recorded):
    """The manifest names role, step, grid with exact scales, width, shape, axes and storage of every tensor."""
    said, program = json.loads((recorded / "manifest.json").read_text()), small.program()
    hidden = said["tensors"]["hidden"]
    assert (hidden["role"], hidden["step"]) == ("activation", "fc1.rescale")
    assert (hidden["axes"], hidden["shape"]) == ("n c", [5, 6])
    assert (hidden["width"], hidden["bits"], hidden["signed"]) == ("i8", 8, True)
    assert float.fromhex(hidden["grid"]["scale"]) == float(program.tensors["hidden"].grid.scale)
    assert said["tensors"]["fc1.w"]["file"] == "tensors.safetensors" and said["tensors"]["fc1.w"]["axes"] == "m [k]"
    assert said["dialect"] == {"name": "tflite", "roles": {
        "rescale": {"op": "rescale", "borrowed": None, "is": "own"},
        "softmax": {"op": "shiftmax", "borrowed": "ivit", "is": "borrowed"}}}
    assert (said["recipe"], said["seed"], said["about"]) == ("int8", 4, {"model": "small", "accuracy": 0.5})
    assert set(said["tensors"]) == set(program.tensors)


def test_pack_hash(recorded, tmp_path):
    """Recorded again the pack has the same hash, whatever it says beside; another code or row gives another one."""
    first, program, images = read(recorded), small.program(), small.images(5)
    again = record(program, images, tmp_path / "again", cases=3, seed=4)
    assert again.hash == first.hash and again.manifest["seal"] != first.manifest["seal"]
    renamed = replace(program, recipe="w4a8", dialect="tosa", roles={})
    assert record(renamed, images, tmp_path / "renamed", cases=3, seed=4).hash == first.hash
    assert record(program, images, tmp_path / "seeded", cases=3, seed=5).hash != first.hash
    assert record(small.program(ties="half_even"), images, tmp_path / "row", cases=3, seed=4).hash != first.hash


def test_images_are_chosen_by_seed_alone(tmp_path):
    """Which images become cases depends on the seed and their number, on no library's random stream."""
    pack = record(small.program(), small.images(40), tmp_path / "pack", cases=4, seed=0)
    assert pack.manifest["images"] == [15, 20, 25, 36]


def test_float_images_are_encoded(tmp_path):
    """Float images become codes by the input's grid."""
    program = small.program()
    if not hasattr(program.tensors["x"].grid, "encode"):
        pytest.skip("the grid cannot encode yet")
    codes = small.images(2)
    grid = program.tensors["x"].grid
    images = (codes.astype(np.float64) - int(grid.zero)) * float(grid.scale)
    assert np.array_equal(record(program, images, tmp_path / "pack").case(1)["x"], codes[1])


@pytest.mark.parametrize("inputs,words", [
    (np.zeros((0, 5, 7), np.int8), "no images"), (np.zeros((2, 5, 8), np.int8), "shape"),
    (np.zeros((2, 5, 7), np.int32), "int32"), ({"y": np.zeros((2, 5, 7), np.int8)}, "'y'"), ({}, "no images")])
def test_inputs_refused(tmp_path, inputs, words):
    """Inputs of a wrong shape, dtype or name, or none at all, are refused and leave nothing."""
    with pytest.raises(IllFormed, match=words):
        record(small.program(), inputs, tmp_path / "pack")
    assert leftovers(tmp_path) == []


def test_no_cases_refused(tmp_path):
    with pytest.raises(IllFormed, match="at least 1"):
        record(small.program(), small.images(), tmp_path / "pack", cases=0)


def test_about_must_be_json(tmp_path):
    """An `about` that JSON cannot hold is refused and leaves nothing."""
    for about in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(IllFormed, match="about"):
            record(small.program(), small.images(), tmp_path / "pack", about=about)
    assert leftovers(tmp_path) == []


def test_target_that_is_not_empty(tmp_path):
    """An existing folder with something in it, or a file, is refused untouched; an empty folder is filled."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("full", "file"):
        with pytest.raises(IllFormed, match="not an empty folder"):
            record(small.program(), small.images(), tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert record(small.program(), small.images(), tmp_path / "empty").cases == 3
    assert leftovers(tmp_path) == ["empty", "file", "full"]


def test_kernel_and_spec_must_agree(tmp_path, monkeypatch):
    """A kernel that differs from its spec is an internal error that names the step, and nothing is recorded."""
    from refq.ops import argmax
    spec = argmax.spec
    monkeypatch.setattr(argmax, "spec", lambda q, row, at: spec(q, row, at) + 1)
    with pytest.raises(RefqError, match="internal error.*'argmax'"):
        record(small.program(), small.images(), tmp_path / "pack")
    assert leftovers(tmp_path) == []


SCRIPT = """
import sys, small
from pathlib import Path
from refq.graph import store
from refq.vectors.record import record
write, left = store.write, [int(sys.argv[2])]
def slowly(path, data):
    write(path, data)
    left[0] -= 1
    if not left[0]:
        print("now", flush=True)
        sys.stdin.read()
store.write = slowly
record(small.program(), small.images(3), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("after", [1, 4, 6])
def test_killed_while_recording(tmp_path, after):
    """Killed after any file no pack appears, and recording again into the same place works."""
    out = tmp_path / "pack"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(out), str(after)], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as child:
        assert child.stdout.readline() == "now\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not out.exists() and len(leftovers(tmp_path)) == 1
    assert record(small.program(), small.images(3), out).cases == 3
    assert leftovers(tmp_path) == ["pack"]


def test_only_stale_parts_are_removed(tmp_path):
    """Of unfinished folders those of killed recordings into the same place go; all others stay."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    gone, runs, here = ended.pid, os.getpid(), machine()
    stale = [f".pack.{here}-{gone}-0123abcd.part"]
    kept = [f".pack.{here}-{runs}-0123abcd.part", f".other.{here}-{gone}-0123abcd.part", f".pack.x.{here}-{gone}-0123abcd.part",
            f".pack.00000000-{gone}-0123abcd.part", f".pack.{here}-{gone}.part", f".pack.{here}-0-0123abcd.part"]
    for name in (*stale, *kept):
        (tmp_path / name / "cases").mkdir(parents=True)
    record(small.program(), small.images(), tmp_path / "pack", cases=1)
    assert leftovers(tmp_path) == sorted([*kept, "pack"])


def test_full_disk(tmp_path, monkeypatch):
    """A disk that fills up at any file leaves neither a pack nor a temporary folder, and says so in one sentence."""
    write = store.write
    for last in range(6):
        left = [last]

        def filling(path, data, left=left):
            if not left[0]:
                write(path, data[:len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            left[0] -= 1
            write(path, data)
        monkeypatch.setattr(store, "write", filling)
        with pytest.raises(RefqError, match="No space left") as refused:
            record(small.program(), small.images(3), tmp_path / "pack")
        assert "\n" not in str(refused.value)
        assert leftovers(tmp_path) == []


def test_file_size_limit(tmp_path):
    """The same through a limit that the system itself enforces."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(RefqError, match="no pack was written"):
            record(small.program(), small.images(3), tmp_path / "pack")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert leftovers(tmp_path) == []
