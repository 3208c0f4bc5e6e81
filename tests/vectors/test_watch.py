"""Partial sums: what stands in the register behind each tile of products, and the first tile of a device that is wrong."""
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from vectors.single import single

from refq import ops
from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.sites import Sites
from refq.ints.width import I16, I32
from refq.vectors.pack import read
from refq.vectors.verify import verify
from refq.vectors.watch import record_partials, sums, watch

K = 12
RULES = [(None, 5), (Accumulate("sequential", 1, "saturate", I16), 5), (Accumulate("tiles", 4, "saturate", I16), 4),
         (Accumulate("pairs", 1, "saturate", I16), 6), (Accumulate("exact", 1, "wrap", I16), 7)]


class Partials(Sites):
    """Keeps the register behind every addition."""

    def __init__(self):
        self.seen = []

    def keep(self, name, value):
        if name == "partial":
            self.seen.append(value)
        return value

    def __call__(self, name, value, width):
        return self.keep(name, value)

    def clip(self, name, x, width):
        return self.keep(name, width.clip(x))

    def wrap(self, name, x, width):
        return self.keep(name, width.wrap(x))


def operands(op, seed=0):
    """Codes near the ends, so that 16 bits are left."""
    draw = np.random.default_rng(seed)
    codes = lambda *shape: draw.choice([-128, -100, 3, 127, 127], shape)      # noqa: E731
    return {"matmul": {"x": codes(3, K), "w": codes(2, K), "bias": [9, -9], "zx": 1, "zw": [2, -3]},
            "batch_matmul": {"x": codes(2, 3, K), "w": codes(2, 4, K), "zx": -1, "zw": 4},
            "conv2d": {"x": codes(2, 4, 4, 3), "w": codes(2, 2, 2, 3), "bias": [5, 6], "zx": 1, "zw": [0, 1]}}[op]


@pytest.mark.parametrize("op", ["matmul", "batch_matmul", "conv2d"])
@pytest.mark.parametrize("rule,tile", RULES)
def test_sums_are_those_of_the_register(op, rule, tile):
    """Behind each tile stands what the spec's own register holds there, in every declared order."""
    row = ops.load(op).Row(acc=rule.result if rule else I32, accumulate=rule)
    program, inputs = single(op, row, **operands(op))
    w = watch(f"one:acc@k={tile}", program)
    got, at = sums(w, program, inputs), Partials()
    call = [operand if np.ndim(operand) else int(operand)
            for operand in (np.array(operands(op)[name], d.width.dtype) for name, d in row.takes.items())]
    last = ops.load(op).spec(*call, row=row, at=at)
    each = {"tiles": 4, "pairs": 2}.get(rule.order, 1) if rule else 1
    start = 0 if rule is None or rule.order == "exact" else 1
    cases = len(got)
    for t, end in enumerate(w.ends):
        register = last if end == K else row.acc.wrap(at.seen[start + end // each - 1])
        assert np.array_equal(got[:, t].reshape(np.shape(last)), register), (end, cases)


def test_spilled_sums():
    """Where a register is emptied into a wider one, a sum is both together: that of the products so far."""
    rule = Accumulate("pairs", 1, "saturate", I16, 2, I32)
    row = ops.load("matmul").Row(acc=I32, accumulate=rule)
    program, inputs = single("matmul", row, **operands("matmul"))
    got = sums(watch("one:acc@k=6", program), program, inputs)
    given = {k: np.array(v, row.takes[k].width.dtype) for k, v in operands("matmul").items()}
    for t, end in enumerate((6, 12)):
        short = given | {"x": given["x"][:, :end], "w": given["w"][:, :end]}
        assert np.array_equal(got[:, t], ops.load("matmul").spec(*(v if v.ndim else int(v) for v in short.values()), row=row))


def partials(pack, tile=3):
    w = watch(f"fc1:acc@k={tile}", pack.program)
    cases = [pack.case(i) for i in range(pack.cases)]
    return w.name, sums(w, pack.program, {"x": np.stack([c["x"] for c in cases])})


def test_a_pack_keeps_its_hash(recorded, tmp_path, shown):
    """Partial sums lie beside the pack, which stays what it is; they are what a device would dump, and pass."""
    folder = shutil.copytree(recorded, tmp_path / "pack")
    words = record_partials(read(folder), ["fc1:acc@k=3", "fc2:acc@k=4", "fc1:acc@k=3"])
    after = read(folder)
    after.check()
    assert after.hash == read(recorded).hash and words["pack"] == after.hash
    assert json.loads((folder / "partials" / "partials.json").read_text())["watched"] == words["watched"]
    name, expected = partials(after)
    assert np.array_equal(load_file(folder / "partials" / "0001.safetensors")[name], expected[1])
    assert [(w["name"], w["shape"], len(w["sha256"])) for w in words["watched"]] == [
        ("fc1.acc@k=3", [3, 5, 6], 3), ("fc2.acc@k=4", [2, 5, 10], 3)]
    report = verify(after, folder / "partials")
    assert report.passed and report.total == 3 * (90 + 100) and report.cases == 3
    assert verify(after, shown(after) | {name: expected}).passed
    with pytest.raises(IllFormed, match="exists and is not an empty folder"):
        record_partials(after, ["fc1:acc@k=3"])


def test_the_first_wrong_tile(pack, shown):
    """A tile that adds too much in five elements is named, with its products; the sums behind it are wrong by as much."""
    name, got = partials(pack)
    device = shown(pack)
    got[1, 1:, :, 2] += 7
    device["fc1.acc"][1, :, 2] += 7
    report = verify(pack, device | {name: got})
    assert not report.passed and report.first.tensor == name and report.first.step == "fc1"
    assert report.notes[0] == (f"{name}: tile 1, k 3..5, is the first whose sum is wrong; tile 0 is right; 5 elements; "
                               "the tiles after it add what they should")
    assert f"{name}: tile 1, k 3..5" in str(report)


def test_partial_sums_alone(pack):
    """A device may show nothing else; later tiles that are wrong too are listed."""
    name, got = partials(pack)
    got[0, 0, 0, 0] += 1
    report = verify(pack, {name: got})
    assert report.first.pack.wrong == 1 and not report.passed
    assert report.notes[0] == (f"{name}: tile 0, k 0..2, is the first whose sum is wrong; 1 element; "
                               "tiles that add something wrong after it: 1")


def test_wrong_inputs_are_not_its_fault(pack):
    """Sums that follow from the device's own inputs propagate."""
    w, cases = watch("fc1:acc@k=3", pack.program), [pack.case(i) for i in range(pack.cases)]
    x = np.stack([c["x"] for c in cases])
    x[0, 0, 0] ^= 1
    report = verify(pack, {"x": x, w.name: sums(w, pack.program, {"x": x})})
    verdict = next(v for v in report.verdicts if v.tensor == w.name)
    assert verdict.kind == "propagates" and not any("first whose sum" in note for note in report.notes)


@pytest.mark.parametrize("text,sentence", [
    ("fc1", "write STEP:acc@k=32"), ("fc1:acc@k=0", "write STEP:acc@k=32"), ("fc9:acc@k=3", "did you mean fc2 or fc1"),
    ("fc1.rescale:y@k=3", "is no step that sums products"), ("fc1:y@k=3", "is no register of step fc1")])
def test_what_cannot_be_watched(pack, text, sentence):
    with pytest.raises(IllFormed, match=sentence):
        watch(text, pack.program)


def test_tiles_that_cut_a_pair():
    """A tile that ends inside of products that join whole is refused."""
    row = ops.load("matmul").Row(acc=I16, accumulate=Accumulate("pairs", 2, "saturate", I16))
    program, _ = single("matmul", row, **operands("matmul"))
    with pytest.raises(IllFormed, match="take a multiple of 4"):
        watch("one:acc@k=6", program)


@pytest.mark.parametrize("change,sentence", [
    (lambda a: a[:, :2], r"3 tiles of 3 products make \(3, 5, 6\), cases in front \(3\)"),
    (lambda a: a.astype(np.int64), "is int64; its i32 sums are dumped as int32")])
def test_dumps_of_another_shape(pack, change, sentence):
    name, got = partials(pack)
    with pytest.raises(IllFormed, match=sentence):
        verify(pack, {name: change(got)})
