"""What a simulator or device wrote comes in as it is: x and z are unknown and wrong, never 0; what cannot be read is refused."""
import json
from dataclasses import replace

import numpy as np
import pytest

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.vectors.exchange.imported import import_, index_of
from refq.vectors.verify import verify


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def body(path):
    """The first line that is a word."""
    return next(line for line in path.read_text().splitlines() if "//" not in line)


@pytest.mark.parametrize("to", ["hex", "memb"])
@pytest.mark.parametrize("digit", "xXzZ")
def test_unknown_is_wrong(narrow, out, tmp_path, to, digit):
    """One x or z digit makes its codes unknown; verify counts them as wrong, and says why."""
    folder, _ = out(narrow, to)
    file = folder / f"0001/hidden.{to}"
    first = body(file)
    changed(file, first, first[:-1] + digit)
    arrays, found = import_(folder, narrow, tmp_path / "dump.npz")
    assert found["unknown"] == 1 and arrays["0001/hidden.unknown"].reshape(-1).nonzero()[0].tolist() == [0]
    for dump in (folder, tmp_path / "dump.npz"):
        report = verify(narrow, dump)
        assert not report.passed and report.first.tensor == "hidden" and report.first.pack.wrong == 1
        assert report.first.pack.first[0]["place"] == [0, 0] and report.first.pack.first[0]["case"] == 1
        assert report.notes == ["1 codes of hidden are unknown (x or z): they count as wrong"]


def test_unknown_zero_is_wrong(cut, out):
    """Where the pack holds 0, an x is wrong all the same; in padding it is nothing."""
    folder, _ = out(cut, "hex", word=16)
    file = folder / "0001/y.hex"
    assert cut.case(1)["y"][2] == 0 and file.read_text().splitlines()[-1] == "0000"
    changed(file, "\n0000", "\n00xx")
    assert verify(cut, folder).first.pack.wrong == 1
    changed(file, "\n00xx", "\nxx00")
    assert verify(cut, folder).passed


@pytest.mark.parametrize("text,unknown", [
    ("// made by\n9_C_5a 0 /* tail\n of it */", []), ("@0 9c5a\n@1 0000", []), ("@1 0\n@0 9C5A", []), ("9c5a x", [2]),
    ("@1 0", [0, 1]), ("9c5a", [2]), ("", [0, 1, 2]), ("z 0", [0, 1])])
def test_as_verilog_reads(cut, out, text, unknown):
    """Comments, underscores, addresses, short numbers; what no address names is unknown."""
    folder, _ = out(cut, "hex", word=16)
    (folder / "0001/y.hex").write_text(text)
    arrays, _ = import_(folder, cut)
    lost = arrays.get("0001/y.unknown", np.zeros(3, bool))
    assert lost.nonzero()[0].tolist() == unknown
    assert np.array_equal(arrays["0001/y"][~lost], cut.case(1)["y"][~lost])


@pytest.mark.parametrize("to,name,text,said", [
    ("hex", "y.hex", "9c5a 00 00", "holds a word at 0x2; 2 words were expected"),
    ("hex", "y.hex", "19c5a 0", "a word of 5 digits; a word of 16 bits has 4"),
    ("hex", "y.hex", "9c5g 0", "'9c5g' is no word of hex digits"), ("memb", "y.memb", "2 0", "no word of binary digits"),
    ("hex", "y.hex", "@g 9c5a", "'@g' is no address"), ("csv", "y.csv", "i8\n1\n2\n", "2 numbers; y takes 3"),
    ("csv", "y.csv", "i8\n1\n2\n1e3\n", "'1e3' is no number"), ("csv", "y.csv", "i8\n1\n2\n128\n", "128, which i8 does not hold"),
    ("bin", "y.bin", "12", "2 bytes; y takes 3"), ("npy", "y.npy", "12", "cannot be read"),
    ("lines", "cut.txt", "00 00\n", "1 lines; y has 3 elements"),
    ("lines", "cut.txt", "0 0 0 1ff\n" * 3, "1ff has more than the 8"),
    ("lines", "cut.txt", "0 0 0 qq\n" * 3, "'qq' is no hex number"), ("onnx", "output_0.pb", "12", "is no TensorProto")])
def test_what_cannot_be_read(cut, out, to, name, text, said):
    """A device's file that is none is refused by its name."""
    folder, _ = out(cut, to, **({"word": 16} if to in ("hex", "memb") else {}))
    (file,) = (f for f in folder.rglob(name) if f.parent.name in ("0001", "test_data_set_1"))
    file.write_text(text)
    with pytest.raises((Corrupt, IllFormed)) as refused:
        import_(folder, cut)
    assert said in str(refused.value) and str(file) in str(refused.value)


def test_csv_and_lines_have_unknowns(cut, out):
    """An x in a list of numbers, or in the result of a line, is unknown."""
    folder, _ = out(cut, "csv")
    (folder / "0000/y.csv").write_text("i8\n-100\nx\n90\n")
    assert import_(folder, cut)[0]["0000/y.unknown"].tolist() == [False, True, False]
    folder, _ = out(cut, "lines")
    changed(folder / "0001/cut.txt", " 00 0\n", " 0x 0\n")
    assert import_(folder, cut)[0]["0001/y.unknown"].tolist() == [False, False, True]


def test_another_folder(cut, out, tmp_path):
    """The device's files may lie apart, with the export's index named; none at all is refused."""
    folder, _ = out(cut, "csv")
    (tmp_path / "device" / "0000").mkdir(parents=True)
    with pytest.raises(IllFormed, match="has none of the results"):
        import_(tmp_path / "device", cut, index=folder)
    (tmp_path / "device" / "0000" / "y.csv").write_text("-100\n5\n91\n")
    arrays, found = import_(tmp_path / "device", cut, index=folder)
    assert list(arrays) == ["0000/y"] and found["as_exported"] == 0
    assert verify(cut, arrays).first.pack.wrong == 1


def test_refused(cut, out, tmp_path):
    """No folder, no index, an index that is damaged, of another pack, or of a newer refq."""
    folder, index = out(cut, "npy")
    with pytest.raises(IllFormed, match="no such folder"):
        import_(tmp_path / "no", cut)
    with pytest.raises(IllFormed, match="dump is written as .npz"):
        import_(folder, cut, tmp_path / "dump.npy")
    with pytest.raises(IllFormed, match="of another pack"):
        import_(folder, replace(cut, manifest=cut.manifest | {"pack_hash": "0" * 64}))
    for wrong, said in ((index | {"format": 2}, "an index of format 2"), ([1], "is no index of an export"),
                        (index | {"to": "paper"}, "no format 'paper'"), (index | {"entries": [{}]}, "an entry {}")):
        (folder / "index.json").write_text(json.dumps(wrong))
        with pytest.raises((IllFormed, Corrupt, Unsupported)) as refused:
            index_of(folder / "index.json")
        assert said in str(refused.value)
    entry = index["entries"][-1] | {"file": "../../secret.npy"}
    (folder / "index.json").write_text(json.dumps(index | {"entries": [entry]}))
    with pytest.raises(Corrupt, match="is not as refq wrote it"):
        import_(folder, cut)
    (folder / "index.json").unlink()
    with pytest.raises(IllFormed, match="written by `refq export`"):
        import_(folder, cut)
