"""Masks as values: combined, saved, read back, refused where they are damaged or of something else, inspected and drawn."""
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from refq.errors import Corrupt, IllFormed, RefqError
from refq.pruners import mask
from refq.pruners.inspect import facts, longest_gap, satisfies
from refq.pruners.mask import Mask, Masks, matrix, unmatrix
from refq.view import pattern


@st.composite
def some(draw, names="abc", shape=(3, 5)):
    """Masks of one shape on some of the names."""
    of = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    bits = [np.random.default_rng(draw(st.integers(0, 999))).integers(0, 2, shape).astype(bool) for _ in of]
    return Masks({name: Mask(b, f"way {name}", (f"layer.{name}",)) for name, b in zip(of, bits)})


def bits(masks):
    return {name: m.kept.tolist() for name, m in masks.tensors.items()}


@given(some(), some(), some())
def test_laws_of_joining(a, b, c):
    """And, or: each again is itself, order and grouping do not count, one absorbs the other; a weight without a mask is kept."""
    assert (a & a).same(a) and (a | a).same(a)
    assert bits(a & b) == bits(b & a) and bits(a | b) == bits(b | a)
    assert bits(a & (b & c)) == bits((a & b) & c) and bits(a | (b | c)) == bits((a | b) | c)
    absorbed = bits(a & (a | b))
    assert absorbed == bits(a)
    assert set(a & b) == set(a) | set(b) and set(a | b) == set(a) & set(b)
    for name in (a & b):
        parts = [m[name].kept for m in (a, b) if name in m]
        assert ((a & b)[name].kept == np.logical_and.reduce(parts)).all()
    assert (a & b).pruned >= max(a.pruned, b.pruned) and (a | b).pruned <= min(a.pruned, b.pruned)


def test_joined_masks_say_both_patterns():
    """The words of both, once where they are the same; the layers of both."""
    a, b = (Mask(np.eye(2, dtype=bool), word, (layer,)) for word, layer in (("2:4 along k", "x"), ("random 0.5, seed 0", "y")))
    assert (a & b).pattern == "(2:4 along k) and (random 0.5, seed 0)" and (a & b).layers == ("x", "y")
    assert (a | b).pattern == "(2:4 along k) or (random 0.5, seed 0)" and (a & a).pattern == a.pattern


def test_masks_of_other_shapes_are_not_joined():
    """The tensor and both shapes are named; neither is broadcast."""
    a, b = (Masks({"w": Mask(np.ones(shape, bool), "all")}) for shape in ((2, 3), (1, 3)))
    for join in (lambda: a & b, lambda: a | b):
        with pytest.raises(IllFormed, match=r"^w: masks of shapes \(2, 3\) and \(1, 3\) cannot be combined; they must be of one"):
            join()


@given(some())
def test_saved_and_read_back(tmp_path_factory, masks):
    """The same masks, patterns, layers and hash; any reader of safetensors gives the booleans."""
    path = tmp_path_factory.mktemp("masks") / "m.safetensors"
    masks.save(path)
    again = mask.load(path)
    assert again.same(masks) and again.hash == masks.hash and list(again) == list(masks)
    assert {name: a.tolist() for name, a in load_file(path).items()} == bits(masks)
    assert [p.name for p in path.parent.iterdir()] == ["m.safetensors"]


def test_the_hash_is_of_everything():
    """Another bit, shape, pattern, name or layer is another hash; the order of tensors is none."""
    def made(kept=((1, 0), (0, 1)), pattern="p", layer="l", name="w"):
        return Masks({name: Mask(np.array(kept, bool), pattern, (layer,))})
    others = [made(), made(kept=((1, 1), (0, 1))), made(kept=((1, 0, 0, 1),)), made(pattern="q"), made(layer="m"), made(name="v")]
    assert len({m.hash for m in others}) == len(others)
    a, b = made().tensors["w"], made(pattern="q").tensors["w"]
    assert Masks({"a": a, "b": b}).hash == Masks({"b": b, "a": a}).hash


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    Masks({"w": Mask(np.eye(4, dtype=bool), "2:4 along k", ("fc",)),
           "v": Mask(np.ones((2, 4), bool), "all", ("head",))}).save(path)
    return path


def rewritten(path, arrays=None, **about):
    """The file with other tensors, or other words about them."""
    from safetensors import safe_open
    with safe_open(path, "numpy") as file:
        said = json.loads(file.metadata()["refq.masks"])
        held = {name: file.get_tensor(name) for name in file.keys()}
    save_file(held if arrays is None else arrays(held), path, {"refq.masks": json.dumps(said | about)})


DAMAGE = {
    "its masks do not have the hash that it says": lambda p: rewritten(p, lambda held: held | {"w": ~held["w"]}),
    "its masks do not have the hash": lambda p: rewritten(p, hash="0" * 64),
    "'w'": lambda p: rewritten(p, lambda held: {"v": held["v"]}),
    "its metadata do not speak of tensor 'x'": lambda p: rewritten(p, lambda held: held | {"x": held["w"]}),
    "is uint8, not boolean": lambda p: rewritten(p, lambda held: {n: a.astype(np.uint8) for n, a in held.items()}),
    "string indices": lambda p: rewritten(p, tensors="w"),
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-5]),
    "empty": lambda p: p.write_bytes(b""),
    "noise": lambda p: p.write_bytes(b"\xff" * 100),
    "no masks of refq": lambda p: save_file({"w": np.ones((2, 2), bool)}, p),
    "masks of format 2": lambda p: rewritten(p, format=2),
    "no metadata": lambda p: save_file({"w": np.ones((2, 2), bool)}, p, {"refq.masks": "{"}),
}


@pytest.mark.parametrize("word", sorted(DAMAGE))
def test_damaged_and_foreign_files(saved, word):
    """One sentence that names the file, and never masks."""
    DAMAGE[word](saved)
    with pytest.raises(RefqError) as refused:
        mask.load(saved)
    assert str(refused.value).startswith(f"{saved}: ") and "\n" not in str(refused.value)
    if word not in ("truncated", "empty", "noise", "no metadata", "string indices"):
        assert word in str(refused.value)
    assert isinstance(refused.value, Corrupt) == (word not in ("no masks of refq", "masks of format 2"))


def test_every_byte_counts(saved):
    """A file with any byte changed is refused, or gives the same masks (the header ends in blanks)."""
    whole, masks = saved.read_bytes(), mask.load(saved)
    for at in range(len(whole)):
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        try:
            assert mask.load(saved).same(masks)
        except RefqError:
            pass


def test_booleans_are_0_and_1(saved):
    """Another byte, which some readers take for True, is refused."""
    saved.write_bytes(saved.read_bytes()[:-1] + b"\x02")
    with pytest.raises(Corrupt, match="tensor 'v' holds a byte that is neither 0 nor 1|tensor 'w' holds a byte"):
        mask.load(saved)


def test_files_that_are_not_there_or_cannot_be(tmp_path, saved):
    """Missing, a folder, another ending, no masks at all, a folder that is not there: refused, nothing half-written."""
    for path in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(IllFormed, match="no such file; masks come as .safetensors, and refq prune writes them"):
            mask.load(path)
    masks = mask.load(saved)
    with pytest.raises(IllFormed, match="masks are written as .safetensors"):
        masks.save(tmp_path / "m.npz")
    with pytest.raises(IllFormed, match="there is no mask to write"):
        Masks({}).save(tmp_path / "e.safetensors")
    with pytest.raises(RefqError, match="cannot be written: No such file"):
        masks.save(tmp_path / "no" / "m.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_what_is_no_mask():
    """Masks are boolean, and Masks hold Mask; an unknown name is refused with the nearest."""
    with pytest.raises(IllFormed, match="^a mask of dtype float64; it is boolean"):
        Mask(np.ones((2, 2)), "all")
    with pytest.raises(IllFormed, match="^masks: 'w' is ndarray; give a Mask for each weight$"):
        Masks({"w": np.ones((2, 2), bool)})
    with pytest.raises(IllFormed, match="^no mask for 'head.weigth'; did you mean head.weight"):
        Masks({"head.weight": Mask(np.ones((2, 2), bool), "all")})["head.weigth"]


def test_a_mask_does_not_change():
    """Neither by its own array nor by the one that it was made of."""
    given = np.ones((2, 2), bool)
    made = Mask(given, "all")
    given[0, 0] = False
    assert made.kept.all()
    with pytest.raises(ValueError, match="read-only"):
        made.kept[0, 0] = False


@given(st.sampled_from(((4, 5), (2, 3, 2, 2), (1, 4, 3, 1), (0, 3, 1, 1), (3, 0))))
def test_the_matrix_is_what_conv2d_walks(shape):
    """(m d kh kw) as (m kh kw d), and back."""
    w = np.arange(np.prod(shape)).reshape(shape)
    there = matrix(w)
    assert there.shape == (shape[0], int(np.prod(shape[1:]))) and (unmatrix(there, shape) == w).all()
    if len(shape) == 4 and w.size:
        assert there[0].tolist() == [w[0, c, y, x] for y in range(shape[2]) for x in range(shape[3]) for c in range(shape[1])]


def kept(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def test_facts():
    """What each mask satisfies, what of it is empty, and its longest gap: by hand."""
    made = facts(Mask(kept("##..#.#.", "........", "#..##..#"), "2:4 along k", ("fc",)))
    assert made == {"pattern": "2:4 along k", "layers": ["fc"], "shape": [3, 8], "weights": 24, "pruned": 16,
                    "satisfies": ["2:4", "4:8"], "empty_rows": 1, "empty_columns": 2, "longest_gap": 8}
    assert facts(Mask(kept("##....##", "..####.."), "4:8x2 along k"))["satisfies"] == ["2:4", "4:8", "4:8x2"]
    half = Mask(kept("####....", "####....", "####....", "####...."), "x")
    assert facts(half)["satisfies"] == ["4:8", "4:8x2", "1x4", "4x4", "8x1"]
    assert facts(Mask(kept("##.", "##."), "blocks of 2x2, 0.5 by sum"))["satisfies"] == ["2:4", "4:8", "4:8x2", "8x1", "2x2"]
    assert facts(Mask(kept("####"), "all"))["satisfies"] == []
    assert longest_gap(kept("#..#", "...#", "#...")) == 3 and longest_gap(kept("##")) == 0 and longest_gap(kept("..", "..")) == 2


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 999), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_satisfies_by_counting(rows, k, seed, n, m, unit):
    """n:m and blocks, one group at a time."""
    bits = np.random.default_rng(seed).random((rows, k)) < np.random.default_rng(seed + 1).random()
    n = min(n, m)
    groups = [[any(row[i:i + unit]) for i in range(g, min(g + m * unit, k), unit)] for row in bits.tolist()
              for g in range(0, k, m * unit)]
    assert satisfies(bits, f"{n * unit}:{m * unit}x{unit}") == all(sum(g) <= n for g in groups)
    whole = all(len(set(bits[i:i + n, j:j + m].ravel().tolist())) == 1 for i in range(0, rows, n) for j in range(0, k, m))
    assert satisfies(bits, f"{n}x{m}") == whole


def test_the_corner_in_text():
    """# stays, . goes; what is left out is told."""
    assert pattern.corner(Mask(kept("#.", ".#"), "x")) == "#.\n.#"
    cut = pattern.corner(Mask(np.ones((9, 65), bool), "x")).splitlines()
    assert cut == ["#" * 64 + " ..."] * 8 + ["..."]


@pytest.mark.parametrize("words, apart", [
    ("2:4 along k", (1, 4)), ("4:8x2 along k", (1, 8)), ("2:4 along axis 0", (4, 1)), ("2:4 along axis 1", (1, 4)),
    ("blocks of 2x3, 0.5 by sum", (2, 3)), ("magnitude 0.5, over all layers", (1, 1))])
def test_groups_are_set_apart(words, apart):
    """Groups and blocks of the pattern stand apart in the text, and fit a terminal of 80 columns."""
    mask = Mask(np.eye(9, 200, dtype=bool), words)
    assert pattern.groups(mask) == apart
    lines = pattern.corner(mask).splitlines()
    assert max(map(len, lines)) <= 80 and lines.count("") == (7 // apart[0] if apart[0] > 1 else 0)
    assert {len(cell) for cell in lines[0].removesuffix(" ...").split()} == {apart[1] if apart[1] > 1 else 64}


def test_shares_are_means_of_cells():
    """Small masks are shown weight by weight, large ones as the share that stays in each cell."""
    bits = np.random.default_rng(0).integers(0, 2, (70, 200)).astype(bool)
    assert (pattern.shares(bits[:5, :7]) == bits[:5, :7]).all()
    made = pattern.shares(bits)
    assert made.shape == pattern.CELLS
    assert made[0, 0] == bits[:2, :2].mean() and made[-1, -1] == bits[31 * 70 // 32:, 95 * 200 // 96:].mean()


def test_a_picture(tmp_path):
    """Of the first six tensors; an empty one is none."""
    pytest.importorskip("matplotlib")
    masks = Masks({"none": Mask(np.ones((0, 3), bool), "x")} | {f"w{i}": Mask(np.eye(5, dtype=bool), "x") for i in range(8)})
    assert pattern.draw(masks, tmp_path / "m.png") == [f"w{i}" for i in range(6)]
    assert (tmp_path / "m.png").stat().st_size > 1000


def test_pictures_that_cannot_be(tmp_path):
    """Another ending, and masks of no weight."""
    with pytest.raises(IllFormed, match="a picture ends in .png, .svg, .pdf"):
        pattern.draw(Masks({}), tmp_path / "m.txt")
    pytest.importorskip("matplotlib")
    with pytest.raises(IllFormed, match="the masks hold no weight to draw"):
        pattern.draw(Masks({"none": Mask(np.ones((0, 3), bool), "x")}), tmp_path / "m.png")


def test_matplotlib_comes_late():
    """Neither masks nor their pictures import it before one is drawn."""
    code = "import sys, refq.view.pattern, refq.pruners.mask; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_masks_join_masks_alone():
    """Anything else is Python's own TypeError."""
    mask = Mask(np.ones((2, 4), bool), "x")
    for one in (mask, Masks({"w": mask})):
        for joined in (lambda: one & 3, lambda: one | True):  # noqa: B023
            with pytest.raises(TypeError, match="unsupported operand"):
                joined()
