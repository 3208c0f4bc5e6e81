"""Each format that a device can answer in: what was exported comes back the same; the index says all that it takes."""
import json
import re

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.graph.describe import grid_of
from refq.vectors.dump import Dump
from refq.vectors.exchange import formats
from refq.vectors.exchange.exported import choose, export
from refq.vectors.exchange.imported import import_
from refq.vectors.verify import verify

WAYS = [("npy", {}), ("npz", {}), ("csv", {}), ("bin", {}), ("bin", {"endian": "big", "align": 64}),
        ("bin", {"word": 16, "first": "high"}), ("bin", {"word": 8, "endian": "big"}), ("hex", {}),
        ("hex", {"word": 7, "first": "high"}), ("hex", {"word": 24, "endian": "little"}), ("memb", {"word": 13}),
        ("memb", {"word": 8, "endian": "little", "first": "high"}), ("hex", {"word": 512})]


@pytest.mark.parametrize("to,options", WAYS)
def test_there_and_back(narrow, out, tmp_path, to, options):
    """The import of an export is the pack, code for code, and verify takes it, as a folder and as the .npz written."""
    folder, index = out(narrow, to, **options)
    arrays, found = import_(folder, narrow, tmp_path / "dump.npz")
    assert found["unknown"] == 0 and found["files"] == found["as_exported"] and found["tensors"] == 6
    for i in range(narrow.cases):
        for name, codes in narrow.case(i).items():
            assert np.array_equal(arrays[f"{i:04d}/{name}"], codes) and arrays[f"{i:04d}/{name}"].dtype == codes.dtype
    for dump in (folder, tmp_path / "dump.npz"):
        report = verify(narrow, dump, require="all")
        assert report.passed and len(report.verdicts) == 6
    said = {(e["tensor"], e["case"]) for e in index["entries"]}
    tensors, constants = narrow.program.tensors, narrow.program.constants
    assert said == {(n, None) for n in constants} | {(n, i) for n in tensors if n not in constants for i in range(3)}


def test_an_index_needs_nothing_else(narrow, out):
    """Role, true width, signedness, shape, axes, exact scale, zero point, order, bytes, sha256: all in index.json."""
    folder, index = out(narrow, "hex", word=16, first="high")
    assert json.loads((folder / "index.json").read_text()) == json.loads(json.dumps(index))
    entry = next(e for e in index["entries"] if e["tensor"] == "hidden" and e["case"] == 2)
    assert entry | {"grid": 0, "sha256": 0} == {
        "tensor": "hidden", "case": 2, "is": "result", "role": "activation", "width": "i4", "bits": 4, "signed": True,
        "shape": [5, 6], "axes": "n c", "grid": 0, "order": "row-major", "file": "0002/hidden.hex", "word": 16, "lanes": 4,
        "words_per_code": 1, "first": "high", "words": 8, "padding": "2 codes of 0 at the end", "bytes": "big-endian",
        "sha256": 0}
    assert re.fullmatch("0x1.*p-?[0-9]+", entry["grid"]["scale"])
    assert grid_of(entry["grid"]).same(narrow.program.tensors["hidden"].grid)
    rescale = next(s for s in index["steps"] if s["name"] == "fc1.rescale")
    assert rescale["row"]["ties"] == "half_away" and rescale["row"]["multiplier"] == "q31"


def test_nibbles_are_nibbles(narrow, out):
    """A 4-bit code is one hex digit, the first lowest; the same bytes in a raw file."""
    folder, _ = out(narrow, "hex")
    lines = [line for line in (folder / "0000/hidden.hex").read_text().splitlines() if "//" not in line]
    codes = [f"{c & 15:x}" for c in narrow.case(0)["hidden"].reshape(-1).tolist()]
    codes += ["0"] * 2
    assert lines == ["".join(codes[i:i + 8][::-1]) for i in range(0, 32, 8)]
    raw, _ = out(narrow, "bin", word=32)
    assert (raw / "0000/hidden.bin").read_bytes() == b"".join(int(line, 16).to_bytes(4, "little") for line in lines)


def test_a_unit(narrow, out):
    """With a unit only what its steps take and give goes out; constants once, cases as many as asked for."""
    _, index = out(narrow, "npy", unit="fc1,fc1.rescale", cases=2)
    assert index["unit"] == [["fc1", "fc1.rescale"]] and index["cases"] == 2
    what = {e["tensor"]: e["is"] for e in index["entries"]}
    assert what == {"x": "operand", "fc1.acc": "result", "hidden": "result"} | {
        n: "constant" for n in narrow.program.constants if n.startswith("fc1.")}
    both = choose(narrow, "fc?")
    assert [u.name for u in both.units] == ["fc1", "fc2"] and both.results == ["fc1.acc", "fc2.acc"]


def test_refused(narrow, tmp_path, out):
    """A format, an option, a unit, a number of cases that is not there; a folder that is not empty: one sentence each."""
    def refused(to="hex", **options):
        with pytest.raises(IllFormed) as said:
            export(narrow, to, tmp_path / "new", **options)
        assert not (tmp_path / "new").exists()
        return str(said.value)

    assert refused("hexx") == "no format 'hexx'; did you mean hex?"
    assert refused("npy", word=8) == "--word: the format npy takes no option; leave it out"
    assert "did you mean 'fc2' or 'fc1'" in refused(unit="fc7")
    assert refused(cases=4) == "--cases 4: the pack has 3; take 1 to 3"
    assert "--endian middle: little or big" in refused(endian="middle") and "no whole bytes" in refused(endian="little", word=12)
    assert "multiple of 8 bits" in refused("bin", word=12) and "--align 0" in refused("bin", align=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(IllFormed, match="not an empty folder"):
        export(narrow, "npy", tmp_path / "full")


def test_the_folder_is_the_registry():
    """Every format has an export, and says in its docstring what it is."""
    assert {"npy", "npz", "bin", "c", "hex", "memb", "onnx", "lines", "csv"} <= set(formats.names())
    for name in formats.names():
        module = formats.load(name)
        assert callable(module.export) and module.__doc__.startswith(f"{name}: ")


def test_a_dump_of_an_export_shows_what_is_there(narrow, out):
    """A file that the device did not write is a tensor that is not shown; only inputs are no dump."""
    folder, _ = out(narrow, "memb")
    for i in range(3):
        (folder / f"{i:04d}" / "hidden.memb").unlink()
    assert Dump(folder, narrow).names == {"x", "fc1.acc", "fc2.acc", "logits", "top"}
    report = verify(narrow, folder)
    assert report.passed and report.json()["not_compared"] == ["hidden"]
