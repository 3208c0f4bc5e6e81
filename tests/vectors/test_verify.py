"""Verify says exactly what differs from a pack, and tells error that originates from error that propagates."""
import json

import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from refq.errors import Corrupt, IllFormed
from refq.vectors.pack import read
from refq.vectors.record import record
from refq.vectors.report import Tally
from refq.vectors.verify import verify, verify_itself

CASES = 3


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return record(small.program(), small.images(CASES), tmp_path_factory.mktemp("recorded") / "pack")


def shown(pack, *without):
    """What a right device dumps: name to (cases *shape)."""
    cases = [pack.case(i) for i in range(pack.cases)]
    return {name: np.stack([case[name] for case in cases]) for name in pack.recorded if name not in without}


def on_disk(folder, arrays, form):
    """The dump in one of the accepted layouts."""
    keyed = {f"{i:04d}/{name}": array[i] for name, array in arrays.items() for i in range(CASES)}
    if form in ("folder", "cases"):
        for name, array in (arrays if form == "folder" else keyed).items():
            path = folder / "dump" / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
        return folder / "dump"
    if form == "files":
        for i in range(CASES):
            (folder / "dump").mkdir(exist_ok=True)
            save_file({name: array[i] for name, array in arrays.items()}, folder / "dump" / f"{i:04d}.safetensors")
        return folder / "dump"
    name, arrays = form.removesuffix(" by case"), keyed if "by case" in form else arrays
    path = folder / f"dump.{name}"
    np.savez(path, **arrays) if name == "npz" else save_file(arrays, path)
    return path


FORMS = ["folder", "cases", "files", "npz", "npz by case", "safetensors", "safetensors by case"]


@pytest.mark.parametrize("form", FORMS)
def test_right_dump_passes(pack, tmp_path, form):
    """Every layout of a right dump passes, with every tensor compared."""
    report = verify(pack, on_disk(tmp_path, shown(pack), form), require="all")
    assert report.passed and report.first is None and report.cases == CASES and not report.left_out
    assert len(report.verdicts) == len(pack.recorded)
    assert str(report).startswith("PASS") and "tolerance 0" in str(report)


@pytest.mark.parametrize("form", FORMS)
def test_one_wrong_element(pack, tmp_path, form):
    """One wrong element is found in every layout, with its step, place, value and count."""
    arrays = shown(pack)
    arrays["logits"][1, 2, 3] ^= 1
    report = verify(pack, on_disk(tmp_path, arrays, form))
    assert not report.passed and report.first.step == "fc2.rescale" and report.first.tensor == "logits"
    tally = report.first.pack
    expected = pack.case(1)["logits"][2, 3]
    assert (tally.wrong, tally.total, tally.largest) == (1, CASES * 50, 1)
    assert tally.first == [{"case": 1, "place": [2, 3], "got": int(expected ^ 1), "expected": int(expected)}]


def test_a_pack_is_a_dump(pack):
    """A pack can be verified against itself, by its folder."""
    assert verify(pack.folder, pack.folder, require="all").passed


def test_a_pack_against_itself(pack, tmp_path):
    """A pack's cases run anew are the pack; a program that did not make them shows, by step."""
    assert verify_itself(pack.folder).passed
    other = read(pack.folder)
    other.program.constants["fc2.w"] = other.program.constants["fc2.w"] ^ np.int8(1)
    report = verify_itself(other)
    assert not report.passed and report.first.step == "fc2" and report.first.pack.wrong
    with pytest.raises(Corrupt, match="manifest.json"):
        verify_itself(tmp_path / "nothing")


def test_slashes_and_dots(tmp_path):
    """Where a tensor's name holds a slash, a folder or a dot may stand for it."""
    from refq.vectors.dump import Dump

    class Slashed:
        recorded, cases = ("a/b/c", "d"), 1
    for key in ("a/b/c", "a.b.c", "0000/a/b/c", "0000/a.b.c"):
        assert Dump({key: np.zeros(1)}, Slashed).names == {"a/b/c"}


def test_propagates_and_originates(pack):
    """A wrong hidden tensor originates; the logits that follow from it propagate; the report tells them apart."""
    arrays, program = shown(pack), pack.program
    arrays["hidden"] = np.where(arrays["hidden"] < 100, arrays["hidden"] + 20, arrays["hidden"]).astype(np.int8)
    for call in program.plan("kernel")[2:]:
        call(arrays, CASES, None)
    report = verify(pack, arrays)
    kinds = {v.tensor: v.kind for v in report.verdicts}
    assert kinds["hidden"] == "originates" and kinds["fc2.acc"] == kinds["logits"] == "propagates"
    assert kinds["x"] == kinds["fc1.acc"] == "right" and report.first.step == "fc1.rescale"
    assert report.verdicts[3].own.wrong == 0 and report.verdicts[3].pack.wrong > 0
    arrays["logits"][0, 0, 0] ^= 64
    again = {v.tensor: v for v in verify(pack, arrays).verdicts}
    assert again["logits"].kind == "originates" and again["logits"].own.wrong == 1
    text = str(verify(pack, arrays))
    assert "originates in fc1.rescale" in text and "propagates" in text


def test_hidden_steps_are_named(pack):
    """An error behind tensors that the device does not show is put down to all the steps it may have come from."""
    arrays = shown(pack, "fc1.acc", "hidden", "fc2.acc")
    arrays["logits"][2] += 1
    report = verify(pack, arrays)
    assert report.first.unit == "fc1 + fc1.rescale + fc2 + fc2.rescale" and report.first.kind == "originates"
    assert report.left_out == ["fc1.acc", "hidden", "fc2.acc"]
    assert "not compared" in str(report) and "fc1.acc" in str(report)


def test_wrong_input(pack):
    """A device that was fed something else is told so first, and its arithmetic is still judged."""
    arrays = shown(pack)
    other = pack.program
    arrays["x"] = small.images(CASES, seed=9)
    seen = {}
    other.run(arrays["x"], watch=lambda step, name, array: seen.setdefault(name, []).append(array))
    arrays |= {name: np.concatenate(parts) for name, parts in seen.items()}
    report = verify(pack, arrays)
    assert report.first.step == "input" and not report.passed
    assert all(v.kind != "originates" for v in report.verdicts if v.tensor != "x")


def test_require_all(pack):
    """Tensors, or cases of them, that are not shown are refused where all are required."""
    with pytest.raises(IllFormed, match="fc1.acc"):
        verify(pack, shown(pack, "fc1.acc"), require="all")
    partly = {f"{i:04d}/{k}": v[i] for k, v in shown(pack).items() for i in range(CASES) if (k, i) != ("hidden", 1)}
    with pytest.raises(IllFormed, match=r"hidden \(cases 0001\)"):
        verify(pack, partly, require="all")
    assert verify(pack, partly).left_out == ["hidden (cases 0001)"]


def test_tolerance_is_said(pack):
    """A tolerance turns differences up to it into right ones, and is printed with how many there were."""
    arrays = shown(pack)
    arrays["logits"] = np.clip(arrays["logits"].astype(int) + 2, -128, 127).astype(np.int8)
    assert not verify(pack, arrays, tolerance=1).passed
    report = verify(pack, arrays, tolerance=2)
    assert report.passed and "tolerance 2" in str(report) and "within the tolerance" in str(report)
    assert report.json()["tolerance"] == 2
    for bad in (-1, 0.5, True):
        with pytest.raises(IllFormed, match="tolerance"):
            verify(pack, arrays, tolerance=bad)


def test_codes_outside_the_width(tmp_path):
    """Codes that a narrow width cannot hold are wrong, said, and not fed to kernels."""
    pack = record(small.program(hidden=small.W4), small.images(CASES), tmp_path / "pack")
    arrays = shown(pack)
    arrays["hidden"][:] = 100
    report = verify(pack, arrays)
    assert "hidden holds codes outside i4" in str(report)
    assert [v.tensor for v in report.verdicts if v.kind != "right"] == ["hidden"]


@pytest.mark.parametrize("change,words", [
    (lambda a: a | {"logits": a["logits"].astype(np.int32)}, "'logits' is int32.*int8"),
    (lambda a: a | {"logits": a["logits"].astype(np.float32)}, "'logits' is float32"),
    (lambda a: a | {"logits": a["logits"][:, :-1]}, r"'logits' has shape \(3, 4, 10\)"),
    (lambda a: a | {"logits": a["logits"][:2]}, r"'logits' has shape \(2, 5, 10\)"),
    (lambda a: {"some": a["x"], "other": a["x"]}, "none of the pack's tensors.*some, other"),
    (lambda a: {}, "none of the pack's tensors"),
    (lambda a: {"0003/x": a["x"][0]}, "case 0003")])
def test_dumps_refused(pack, change, words):
    """A wrong dtype or shape, no tensor shared, or a case too many is refused in one sentence."""
    with pytest.raises(IllFormed, match=words) as refused:
        verify(pack, change(shown(pack)))
    assert "\n" not in str(refused.value)


def test_dump_files_refused(pack, tmp_path):
    """A dump that is missing, of another kind, or damaged is refused by its name."""
    for name, content, kind in (("gone", None, IllFormed), ("x.txt", b"?", IllFormed), ("x.npz", b"?", Corrupt),
                                ("x.safetensors", b"?", Corrupt), ("x.npz", b"", Corrupt)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(kind, match=name):
            verify(pack, tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(Corrupt, match="x.npy"):
        verify(pack, tmp_path / "folder")
    np.save(tmp_path / "folder" / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(Corrupt, match="x.npy"):
        verify(pack, tmp_path / "folder")


def test_unknown_arrays_are_listed(pack):
    """Arrays that are no tensor of the pack are listed."""
    report = verify(pack, shown(pack) | {"scratch": np.zeros(3)})
    assert report.passed and report.unknown == ["scratch"] and "scratch" in str(report)


def test_json(pack):
    """The report as JSON holds what the text says."""
    arrays = shown(pack)
    arrays["hidden"][0, 0, :3] ^= 1
    said = json.loads(json.dumps(verify(pack, arrays).json()))
    assert said["passed"] is False and said["first_wrong_step"] == "fc1.rescale"
    hidden = next(t for t in said["tensors"] if t["tensor"] == "hidden")
    assert hidden["pack"]["wrong"] == 3 and hidden["verdict"] == "originates"
    assert sum(b["count"] for b in hidden["pack"]["histogram"]) == 3 and len(hidden["pack"]["first"]) == 3


def test_changed_pack_is_refused(tmp_path):
    """Verify reads every case: one that was changed is refused though the dump shows another."""
    pack = record(small.program(), small.images(CASES), tmp_path / "pack")
    dump = {"0000/x": pack.case(0)["x"]}
    path = pack.folder / "cases" / "0002.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="0002.safetensors"):
        verify(pack.folder, dump)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["int8", "uint8", "int32", "int64"]), st.integers(0, 3), st.data())
def test_tally_counts(dtype, tolerance, data):
    """Counts, histogram, largest difference and first places are those of plain Python integers, at the rails too."""
    rails = np.iinfo(dtype)
    code = st.sampled_from([rails.min, rails.min + 1, 0, 1, 2, 3, rails.max]) | st.integers(rails.min, rails.max)
    codes = st.lists(code, min_size=12, max_size=12)
    got, expected = (np.array(data.draw(codes), dtype).reshape(3, 4) for _ in range(2))
    tally = Tally(tolerance)
    tally.add(7, got, expected)
    apart = [int(a) - int(b) for a, b in zip(got.flat, expected.flat)]
    wrong = [i for i, d in enumerate(apart) if abs(d) > tolerance]
    assert (tally.total, tally.wrong, tally.largest) == (12, len(wrong), max(map(abs, apart)))
    assert tally.near == sum(0 < abs(d) <= tolerance for d in apart)
    assert dict(tally.histogram) == {d: apart.count(d) for d in apart if d}
    assert [w["place"] for w in tally.first] == [[i // 4, i % 4] for i in wrong][:10]
