"""Dumps come as folders, files or arrays, by tensor or by case; what cannot be meant is refused."""
import numpy as np
import pytest
from safetensors.numpy import save_file

from refq.errors import Corrupt, IllFormed
from refq.vectors.dump import Dump
from refq.vectors.verify import verify

CASES = 3


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
def test_right_dump_passes(pack, shown, tmp_path, form):
    """Every layout of a right dump passes, with every tensor compared."""
    report = verify(pack, on_disk(tmp_path, shown(pack), form), require="all")
    assert report.passed and report.first is None and report.cases == CASES and not report.left_out
    assert len(report.verdicts) == len(pack.recorded)
    assert str(report).startswith("PASS") and "tolerance 0" in str(report)


@pytest.mark.parametrize("form", FORMS)
def test_one_wrong_element(pack, shown, tmp_path, form):
    """One wrong element is found in every layout, with its step, place, value and count."""
    arrays = shown(pack)
    arrays["logits"][1, 2, 3] ^= 1
    report = verify(pack, on_disk(tmp_path, arrays, form))
    assert not report.passed and report.first.step == "fc2.rescale" and report.first.tensor == "logits"
    tally = report.first.pack
    expected = pack.case(1)["logits"][2, 3]
    assert (tally.wrong, tally.total, tally.largest) == (1, CASES * 50, 1)
    assert tally.first == [{"case": 1, "place": [2, 3], "got": int(expected ^ 1), "expected": int(expected)}]


def test_slashes_and_dots(tmp_path):
    """Where a tensor's name holds a slash, a folder or a dot may stand for it."""
    class Slashed:
        recorded, cases, steps = ("a/b/c", "d"), 1, {"a/b/c": "a step"}
    for key in ("a/b/c", "a.b.c", "0000/a/b/c", "0000/a.b.c"):
        assert Dump({key: np.zeros(1)}, Slashed).names == {"a/b/c"}


@pytest.mark.parametrize("change,words", [
    (lambda a: a | {"logits": a["logits"].astype(np.int32)}, "'logits' is int32.*int8"),
    (lambda a: a | {"logits": a["logits"].astype(np.float32)}, "'logits' is float32"),
    (lambda a: a | {"logits": a["logits"][:, :-1]}, r"'logits' has shape \(3, 4, 10\)"),
    (lambda a: a | {"logits": a["logits"][:2]}, r"'logits' has shape \(2, 5, 10\)"),
    (lambda a: {"some": a["x"], "other": a["x"]}, "none of the pack's tensors.*some, other"),
    (lambda a: {}, "none of the pack's tensors"), (lambda a: {"\u00b2/x": a["x"], "9" * 5000 + "/x": a["x"]}, "none of the"),
    (lambda a: {"x": a["x"]}, r"only what the network is given \(x\)"),
    (lambda a: {f"000{i}/x": a["x"][i] for i in range(3)}, r"only what the network is given \(x\)"),
    (lambda a: {"logits": a["logits"], "0000/logits": a["logits"][0]}, "'logits' twice, as 'logits' and as '0000/logits'"),
    (lambda a: {"1/x": a["x"][1], "01/x": a["x"][1]}, "'x' twice, as '1/x' and as '01/x'"),
    (lambda a: {"fc1.acc": a["fc1.acc"], "fc1/acc": a["fc1.acc"]}, "'fc1.acc' twice, as 'fc1.acc' and as 'fc1/acc'"),
    (lambda a: {"0003/x": a["x"][0]}, "case 0003")])
def test_dumps_refused(pack, shown, change, words):
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
    (tmp_path / "folder" / "top.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(Corrupt, match="top.npy"):
        verify(pack, tmp_path / "folder")
    np.save(tmp_path / "folder" / "top.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(Corrupt, match="top.npy"):
        verify(pack, tmp_path / "folder")


def test_files_that_show_a_tensor_twice(pack, tmp_path, shown):
    """Two files for one tensor are refused, both named, whichever is right."""
    arrays = shown(pack)
    for folder, files in (("dots", ["fc1/acc.npy", "fc1.acc.npy"]), ("cases", ["fc1.acc.npy", "0001/fc1/acc.npy"])):
        for file in files:
            path = tmp_path / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, arrays["fc1.acc"])
        with pytest.raises(IllFormed, match="'fc1.acc' twice") as refused:
            verify(pack, tmp_path / folder)
        assert all(file in str(refused.value) for file in files)
    (tmp_path / "both" / "0000").mkdir(parents=True)
    np.save(tmp_path / "both" / "0000" / "top.npy", arrays["top"][0])
    np.savez(tmp_path / "both" / "0000.npz", top=arrays["top"][0])
    with pytest.raises(IllFormed, match="as 0000/top.npy and as 0000.npz: top"):
        verify(pack, tmp_path / "both")


@pytest.mark.parametrize("key,words", [
    ("fc1.rescale", "'fc1.rescale', which is a step of the pack; its result is the tensor hidden: rename it"),
    ("0001/fc1/rescale", "'0001/fc1/rescale', which is a step of the pack; its result is the tensor hidden: rename it"),
    ("hiden", "'hiden', which is no tensor of the pack: did you mean hidden.* rename it or leave it out"),
    ("QQQ", "'QQQ', which is no tensor of the pack: rename it or leave it out$"),
    ("fc2.w", "'fc2.w', which is a constant of the program, not computed: leave it out")])
def test_arrays_that_nothing_would_judge(pack, shown, tmp_path, key, words):
    """An array that is no tensor of a case is refused, with what it may have been meant to be."""
    with pytest.raises(IllFormed, match=words) as refused:
        verify(pack, shown(pack, "hidden") | {key: np.zeros(3)})
    assert "\n" not in str(refused.value)
    np.savez(tmp_path / "dump.npz", **shown(pack), **{key: np.zeros(3)}, ZZZ=np.zeros(3))
    with pytest.raises(IllFormed, match="dump.npz: holds .*2 arrays are no tensor of a case"):
        verify(pack, tmp_path / "dump.npz")


def test_a_dump_of_steps_only(pack, shown):
    """A dump whose only arrays carry the names of steps is told how to rename them."""
    with pytest.raises(IllFormed, match="fc2.rescale.* is a step .* tensor logits: rename it"):
        verify(pack, {"fc2.rescale": shown(pack)["logits"]})


def test_dtype_of_the_accumulator(pack, shown):
    """A tensor that has the dtype of its accumulator is told the accumulator's name; others are not."""
    dump = Dump(shown(pack), pack)
    assert dump.before("fc1", np.dtype("int32")) == "; the i32 accumulator is 'fc1.acc'"
    assert dump.before("fc1", np.dtype("int8")) == dump.before("hidden", np.dtype("int32")) == ""


def test_shape_says_where_the_case_is(pack, shown):
    """A wrong shape is told which axis is the case; an array of one case is not."""
    arrays = shown(pack, "logits")
    with pytest.raises(IllFormed, match=r"has \(3, 5, 10\): the first axis is the case \(3 cases\)$"):
        verify(pack, arrays | {"logits": pack.case(0)["logits"]})
    with pytest.raises(IllFormed, match=r"has \(5, 10\)$"):
        verify(pack, arrays | {"0000/logits": pack.case(0)["logits"][0]})


@pytest.mark.parametrize("against", [None, 3, [1, 2], {3: np.zeros(3)}, {None: np.zeros(3)}, {("a", "b"): np.zeros(3)}])
def test_what_is_no_dump(pack, against):
    """What is no folder, file or dict of arrays by name is refused in one sentence."""
    with pytest.raises(IllFormed, match="a dump is|is no text") as refused:
        verify(pack, against)
    assert "\n" not in str(refused.value)
