"""refq export and refq import, as a shell calls them."""
import json

import numpy as np

from refq import read


def test_there_and_back(refq, made, tmp_path):
    """Export, a device's answer, import, verify: exit status 0; one wrong digit: 1, and the step is named."""
    said = refq("export", made / "pack", "--to", "hex", "--word", "16", "--out", "hex", "--cases", "1").out
    assert "arrays of 1 cases" in said and "hex/index.json" in said
    assert "byte for byte those that were exported" in refq("import", "hex", "--pack", made / "pack", "--out", "dump.npz").out
    refq("verify", made / "pack", "--against", "dump.npz")
    index = json.loads((tmp_path / "hex" / "index.json").read_text())
    entry = next(e for e in index["entries"] if e["is"] == "result")
    file = tmp_path / "hex" / entry["file"]
    lines = file.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if "//" not in line)
    file.write_text("\n".join([*lines[:first], "xxxx", *lines[first + 1:]]))
    assert "codes with x or z" in refq("import", "hex", "--pack", made / "pack", "--out", "dump.npz").out
    said = refq("verify", made / "pack", "--against", "dump.npz", status=1).out
    assert entry["tensor"] in said and "unknown (x or z)" in said
    assert np.load(tmp_path / "dump.npz")[f"0000/{entry['tensor']}.unknown"].any()


def test_checksums(refq, made, tmp_path):
    """Checksums compare without a dump; one wrong: exit status 1, and tensor and tile are named."""
    assert "lines" in refq("export", "--help").out
    refq("export", made / "pack", "--to", "checksums", "--out", "sums", "--tile", "16")
    file = tmp_path / "sums" / "checksums.txt"
    assert refq("import", file, "--pack", made / "pack").out.startswith("pass: ")
    file.write_text(file.read_text().replace(" 3 ", " 3 f", 1))
    said = json.loads(refq("import", file, "--pack", made / "pack", "--json", status=1).out)
    assert not said["passed"] and said["wrong"][0]["tile"] == "3"


def test_json(refq_json, made):
    """--json is the index."""
    pack = read(made / "pack")
    said = refq_json("export", made / "pack", "--to", "npy", "--out", "npy", "--unit", pack.program.steps[0].name)
    assert said["pack_hash"] == pack.hash and said["out"] == "npy" and said["unit"] == [[pack.program.steps[0].name]]


def test_refused(refused, made, tmp_path):
    """One sentence each; nothing is written."""
    pack = made / "pack"
    assert "did you mean hex?" in refused("export", pack, "--to", "hxe", "--out", "new")
    assert "--word: the format npz takes no option" in refused("export", pack, "--to", "npz", "--out", "new", "--word", "8")
    assert "no step is 'nothing'" in refused("export", pack, "--to", "npy", "--out", "new", "--unit", "nothing")
    assert "standard ONNX" in refused("export", pack, "--to", "onnx", "--out", "new")
    assert "--out: name the .npz" in refused("import", "folder", "--pack", pack)
    assert "no such folder" in refused("import", "folder", "--pack", pack, "--out", "d.npz")
    assert "cannot be read" in refused("import", "sums.txt", "--pack", pack)
