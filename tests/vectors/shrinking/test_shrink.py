"""The smallest failing case: still wrong, in the same unit, and as small as its mistake allows."""
import shutil

import numpy as np
import pytest
import small
from vectors.single import packed

from refq import ops
from refq.errors import IllFormed
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.pack import read
from refq.vectors.record import record
from refq.vectors.shrinking import shrink_search
from refq.vectors.shrinking.excerpt import cut, excerpt
from refq.vectors.shrinking.shrink import shrink_dump, shrink_kernel
from refq.vectors.shrinking.shrink_search import Failure, Search, least
from refq.vectors.verify import verify


def ties_program(**roundings):
    """The small program with scales that are powers of two, so that ties are common."""
    program = small.program(**roundings)
    program.constants["fc1.rescale.mult"][:] = 1 << 30
    program.constants["fc1.rescale.shift"][:] = 37
    return program


needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc builds the kernels: apt-get install gcc")


def tail_lost(ex):
    """Products past the last whole four are forgotten."""
    k = ex.codes["x"].shape[1]
    return products(ex, ex.codes["x"][:, :k // 4 * 4], ex.program.constants["fc1.w"][:, :k // 4 * 4])


def saturating_pairs(ex):
    """Two products in a row join in 16 bits."""
    x, w = ex.codes["x"].astype(np.int64) - 3, ex.program.constants["fc1.w"].astype(np.int64)
    each = x[:, None, :] * w
    each = np.pad(each, ((0, 0), (0, 0), (0, each.shape[2] % 2)))
    return np.clip(each[..., ::2] + each[..., 1::2], -32768, 32767).sum(2) + ex.program.constants["fc1.bias"]


def rows_past_three(ex):
    """From the fourth row on, sums are one too large."""
    return right(ex) + (np.arange(len(ex.codes["x"])) > 3)[:, None]


def bias_of_the_next(ex):
    """Every channel has the bias of the next."""
    bias = ex.program.constants["fc1.bias"].astype(np.int64)
    return right(ex) - bias + np.roll(bias, -1)


def right(ex):
    return products(ex, ex.codes["x"], ex.program.constants["fc1.w"])


def products(ex, x, w):
    return (x.astype(np.int64) - 3) @ w.astype(np.int64).T + ex.program.constants["fc1.bias"]


@pytest.fixture
def layer():
    """The first matmul of the small program on an image with large codes."""
    program = small.program()
    ends = np.where(np.arange(35).reshape(5, 7) % 3, 127, -128).astype(np.int8)
    ends[:, 2:4] = -128
    wide = program.constants["fc1.w"].copy()
    wide[2, 2:6] = [127, 127, -127, 127]
    program.constants["fc1.w"] = wide
    return excerpt(program, [s for s in program.steps if s.name == "fc1"], {"x": ends})


@pytest.mark.parametrize("device,sizes", [(tail_lost, (1, 1, 1)), (saturating_pairs, (1, 2, 1)), (rows_past_three, (5, 1, 1)),
                                          (bias_of_the_next, (1, 1, 2))])
def test_as_small_as_the_mistake_allows(layer, monkeypatch, device, sizes):
    """Rows, K and channels that have no part in it leave; what the mistake needs stays, with codes near zero."""
    def asked(kernel, ex):
        got, true = device(ex), ex.truth()["fc1.acc"]
        wrong = [tuple(at) for at in np.argwhere(got != true).tolist()]
        return Failure("fc1.acc", wrong[0], int(true[wrong[0]]), int(got[wrong[0]])) if wrong else None

    monkeypatch.setattr(shrink_search, "asked", asked)
    search = Search(None, layer, None)
    assert search.better(layer)
    search.run()
    best = search.best
    assert (*best.codes["x"].shape, len(best.program.constants["fc1.w"])) == sizes
    assert asked(None, best) == search.failure and search.tries < shrink_search.TRIES
    if device is rows_past_three:
        assert (best.codes["x"] == 3).all() and not best.program.constants["fc1.w"].any()
    if device is saturating_pairs:
        pair = (best.codes["x"].astype(int) - 3) @ best.program.constants["fc1.w"].T.astype(int)
        assert abs(int(pair[0, 0])) > 32767


def test_least_is_a_part_that_works():
    """Delta debugging finds the two items that are needed among a hundred; none where none is."""
    asked = []

    def works(items):
        asked.append(items)
        return {17, 80} <= set(items)

    assert sorted(least(list(range(100)), works)) == [17, 80] and len(asked) < 100
    assert least([1, 2, 3], lambda items: True, none=True) == []
    assert least([1, 2, 3], lambda items: len(items) == 3, none=True) == [1, 2, 3]


def test_what_is_cut_is_the_same_arithmetic(pack):
    """Rows and channels of a unit that are kept have the codes that the pack recorded."""
    golden = pack.case(0)
    ex = excerpt(pack.program, [s for s in pack.program.steps if s.name.startswith("fc2")], golden)
    assert [(a.name, ex.size(a), a.whole, a.fixed) for a in ex.axes] == [("n", 5, False, False), ("k", 6, True, False),
                                                                        ("m", 10, False, False)]
    less = cut(cut(ex, ex.axis("logits", 0), [4, 1]), ex.axis("logits", 1), [9, 0, 3])
    assert np.array_equal(less.truth()["logits"], golden["logits"][[4, 1]][:, [9, 0, 3]])
    assert less.program.tensors["fc2.w"].grid is None or less.program.tensors["fc2.w"].grid.scale.shape in ((), (3,))


@pytest.mark.parametrize("hidden", [(), ("fc1.acc",)])
def test_of_a_dump_remains_one_element(pack, tmp_path, shown, hidden):
    """One row, one channel, all of K, the device's own code: a folder that fails by itself; hidden steps come along."""
    device = shown(pack, *hidden)
    device["hidden"][1, 3, 4] ^= 1
    made = shrink_dump(pack, device, tmp_path / "small")
    again = read(tmp_path / "small")
    names = ["fc1", "fc1.rescale"] if hidden else ["fc1.rescale"]
    assert [s.name for s in again.program.steps] == names and again.cases == 1 and again.program.tensors["hidden"].shape == (1, 1)
    assert made.failure.expected == pack.case(1)["hidden"][3, 4] and made.failure.got == device["hidden"][1, 3, 4]
    report = verify(again, tmp_path / "small" / "dump.npz")
    assert report.first.pack.first == [{"case": 0, "place": [0, 0], "got": made.failure.got, "expected": made.failure.expected}]
    if hidden:
        assert again.program.tensors["x"].shape == (1, 7)
        assert made.text.startswith(f"1 row, k = 7, m = 1: x = {pack.case(1)['x'][[3]].tolist()}, w = [[")
    assert f"expected {made.failure.expected}, device {made.failure.got}" in (tmp_path / "small" / "shrunk.txt").read_text()


def test_of_an_image_remains_one_window(tmp_path):
    """A conv2d's wrong element is a window with its padding, without the rest of the image."""
    draw = np.random.default_rng(3)
    row = ops.load("conv2d").Row(padding=(1, 1, 1, 1), stride=(2, 2))
    made = packed(tmp_path, "conv2d", row, x=draw.integers(-128, 128, (2, 6, 6, 3)), w=draw.integers(-128, 128, (4, 3, 3, 3)),
                  bias=draw.integers(-99, 99, 4), zx=5, zw=[0, 1, 2, 3])
    got = np.stack([made.case(i)["one.acc"] for i in range(2)])
    got[1, 0, 2, 3] += 4
    small_one = shrink_dump(made, {"one.acc": got}, tmp_path / "small")
    shapes = {name: t.shape for name, t in small_one.pack.program.tensors.items()}
    assert shapes["one.x"] == (3, 3, 3) and shapes["one.w"] == (1, 3, 3, 3) and shapes["one.acc"] == (1, 1, 1)
    assert small_one.failure.got == got[1, 0, 2, 3] == small_one.failure.expected + 4


@needs_gcc
def test_a_kernel_is_asked_until_little_is_left(tmp_path, changed, monkeypatch):
    """TFLite's second rounding left out: one row, one product, the one sum that shows it; and the folder fails by itself."""
    monkeypatch.setattr(shrink_search, "TRIES", 12)
    program = ties_program()
    images = np.random.default_rng(5).integers(-128, 127, (400, *small.SHAPE), np.int8)
    other, seen = ties_program(high="none", ties="half_up"), [[], []]
    for p, into in zip((program, other), seen):
        p.run(images, watch=lambda step, name, a, into=into: into.append(a) if name == "hidden" else None)
    (differs, *_) = np.flatnonzero((np.concatenate(seen[0]) != np.concatenate(seen[1])).any(axis=(1, 2)))
    pack = record(program, images[[differs]], tmp_path / "pack")
    toml = changed(('"-O2"', '"-O2", "-DSINGLE_ROUNDING"'))
    asked = []
    made = shrink_kernel(pack, toml, tmp_path / "small", asked.append)
    assert made.pack.program.tensors["x"].shape == (1, 1) and made.pack.program.tensors["hidden"].shape == (1, 1)
    assert made.text.startswith("1 row, k = 1, m = 1: x = ") and asked == list(range(1, made.tries + 1))
    report = verify_kernel(read(tmp_path / "small"), toml)
    assert report.first.step == "fc1 + fc1.rescale" and report.first.pack.wrong == report.first.pack.total == 1


@needs_gcc
def test_right_devices_are_not_shrunk(pack, place, shown, tmp_path):
    """Where nothing fails there is nothing to shrink, and nothing is written."""
    with pytest.raises(IllFormed, match="the kernel is right on every case"):
        shrink_kernel(pack, place / "kernel.toml", tmp_path / "small")
    with pytest.raises(IllFormed, match="nothing to shrink"):
        shrink_dump(pack, shown(pack), tmp_path / "small")
    assert not (tmp_path / "small").exists()
