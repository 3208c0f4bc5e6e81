"""A C kernel is judged as one unit: the right one passes, a wrong one fails with place and counts, a bad one is
refused."""
import shutil
from pathlib import Path

import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import Corrupt, IllFormed, RefqError
from refq.vectors.kernel import read_toml, verify_kernel
from refq.vectors.layout import layout
from refq.vectors.prototype import prototype
from refq.vectors.record import record
from refq.vectors.units import units

KERNELS = Path(__file__).parent.parent / "kernels"
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc builds the kernels")


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    images = np.concatenate([small.images(3), small.images(3, seed=2)])
    return record(small.program(), images, tmp_path_factory.mktemp("recorded") / "pack")


@pytest.fixture
def place(tmp_path):
    """A folder with the kernels, where they can be built."""
    folder = Path(shutil.copytree(KERNELS, tmp_path / "kernels"))
    toml = folder / "kernel.toml"
    toml.write_text(toml.read_text().replace("*.fc1", "*fc?"))          # the small program has two such layers
    return folder


def changed(place, *swaps, name="kernel.toml"):
    """kernel.toml with pieces of its text swapped."""
    text = (place / name).read_text()
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    (place / name).write_text(text)
    return place / name


@needs_gcc
def test_right_kernel_passes(pack, place):
    """The fused layer with TFLite's two roundings is right in both places of the network, on every case."""
    report = verify_kernel(pack, place / "kernel.toml")
    assert report.passed and report.cases == 6
    assert [v.step for v in report.verdicts] == ["fc1 + fc1.rescale", "fc2 + fc2.rescale"]
    assert [v.pack.total for v in report.verdicts] == [6 * 30, 6 * 50]
    assert str(report).startswith("PASS")


@needs_gcc
def test_a_container_too_narrow_is_refused(pack, place):
    """An int8 pointer for sums of 32 bits is refused before anything runs."""
    toml = place / "kernel.toml"
    toml.write_text(toml.read_text() + '\n[arguments.y]\noperand = "acc"\n')
    with pytest.raises(IllFormed, match="'y' is int8, and .* holds i32 codes"):
        verify_kernel(pack, toml)


@needs_gcc
@pytest.mark.parametrize("rounding", ["SINGLE_ROUNDING", "TIES_UP"])
def test_wrong_rounding_fails(tmp_path, place, rounding):
    """A kernel with another rounding fails; counts and places are those of a program that rounds so."""
    other = {"SINGLE_ROUNDING": {"high": "none", "ties": "half_up"}, "TIES_UP": {"ties": "half_up"}}[rounding]
    images = np.random.default_rng(5).integers(-128, 127, (400, *small.SHAPE), np.int8)
    right, wrong = ties_program(), ties_program(**other)
    expected = [{}, {}]
    for program, seen in zip((right, wrong), expected):
        program.run(images, watch=lambda step, name, a, seen=seen: seen.setdefault(name, []).append(a))
    hidden = [np.concatenate(e["hidden"]) for e in expected]
    differs = np.flatnonzero((hidden[0] != hidden[1]).any(axis=(1, 2)))[:4]
    assert len(differs)
    pack = record(right, images[differs], tmp_path / "pack")
    toml = changed(place, ('"-O2"', f'"-O2", "-D{rounding}"'), ('"-Werror"', '"-Wno-unused"'))
    report = verify_kernel(pack, toml)
    first = report.first
    apart = hidden[1][differs].astype(int) - hidden[0][differs]
    assert not report.passed and first.step == "fc1 + fc1.rescale" and first.tensor == "hidden"
    assert first.pack.wrong == np.count_nonzero(apart) and first.pack.largest == np.abs(apart).max()
    assert dict(first.pack.histogram) == {d: n for d, n in zip(*np.unique(apart[apart != 0], return_counts=True))}
    case, *at = np.argwhere(apart)[0].tolist()
    assert first.pack.first[0] == {"case": case, "place": at, "got": int(hidden[1][differs[case]][tuple(at)]),
                                   "expected": int(hidden[0][differs[case]][tuple(at)])}


def ties_program(**roundings):
    """The small program with scales that are powers of two, so that ties are common."""
    program = small.program(**roundings)
    program.constants["fc1.rescale.mult"][:] = 1 << 30
    program.constants["fc1.rescale.shift"][:] = 37
    return program


@needs_gcc
def test_tiles_and_derived(pack, place):
    """Weights and accumulators in padded tiles, and a negated zero point, reach the kernel as it wants them."""
    report = verify_kernel(pack, place / "tiled.toml")
    assert report.passed and {v.tensor for v in report.verdicts} == {"fc1.acc", "fc2.acc"}
    swapped = changed(place, ("-> m k M K", "-> k m M K"), name="tiled.toml")
    assert not verify_kernel(pack, swapped).passed


@needs_gcc
@pytest.mark.parametrize("define,words", [
    ("CRASH", "crashed in case 0000 with signal 11"), ("SPIN", "longer than 1 s"), ("FAIL", "returned 3 on case 0000"),
    ("OVERRUN", "wrote outside argument 'y' on case 0000"), ("NOTHING=)", "building failed")])
def test_misbehaving_kernels(pack, place, define, words):
    """A crash, an endless loop, a failing return code, a write beside its result: refq says so and lives on."""
    limit = ("time_limit = 20", "time_limit = 1" if define == "SPIN" else "time_limit = 60")
    toml = changed(place, ('"-O2"', f'"-O2", "-D{define}"'), limit)
    if define == "NOTHING=)":
        (place / "matmul_int8.c").write_text("int f(")
    with pytest.raises(RefqError, match=words) as refused:
        verify_kernel(pack, toml)
    assert "\n" not in str(refused.value)


@needs_gcc
def test_missing_symbol_and_library(pack, place):
    """A function that the library lacks, and a library that is none, are refused by name."""
    with pytest.raises(RefqError, match="no function 'matmul_int9'"):
        verify_kernel(pack, changed(place, ("int32_t matmul_int8", "int32_t matmul_int9")))
    (place / "matmul_int8.so").write_bytes(b"not a library")
    toml = place / "kernel.toml"
    toml.write_text("\n".join(line for line in toml.read_text().splitlines() if not line.startswith("build")))
    with pytest.raises(RefqError, match="cannot be loaded"):
        verify_kernel(pack, toml)
    (place / "matmul_int8.so").unlink()
    with pytest.raises(RefqError, match="does not exist"):
        verify_kernel(pack, toml)


@pytest.mark.parametrize("swap,words", [
    (("unit = ", "units = "), "'units'"), (('"*fc?"', '"*fc9"'), "no run of steps"),
    (('["*fc?", ', '["fc1.rescale", '), "no run of steps"), (("const int8_t *x", "int8_t x"), "passed by pointer"),
    (("int32_t matmul", "string_t matmul"), "string_t"), (("int8_t *y)", "int8_t *y"), "prototype"),
    (("[arguments.lo]", "[arguments.low]"), "did you mean lo"), (("lowest", "bottom"), "nothing derived"),
    (("const int8_t *x", "const int8_t *input"), "'input' is nothing of unit"),
    (("const int32_t *mult", "const int16_t *mult"), "int16 cannot hold"),
    (("int8_t *y", "int8_t *z"), "'z' is nothing of unit"), (("time_limit = 20", "time_limit = true"), "time_limit"),
    (('derived = "highest"', "value = 1\nsize = 'n'"), "contradict"), (('"gcc"', '"no-such-cc"'), "no-such-cc"),
    (('derived = "folded_bias"', "layout = 'm ->'"), "layout"), (("unit = ", "unit = = "), "TOML")])
def test_descriptions_refused(pack, place, swap, words):
    """A kernel.toml that cannot be meant is refused with the file and the field."""
    if not shutil.which("gcc"):
        (place / "matmul_int8.so").write_bytes(b"")
    with pytest.raises((IllFormed, Corrupt, RefqError), match=words) as refused:
        verify_kernel(pack, changed(place, swap))
    assert "kernel.toml" in str(refused.value) and "\n" not in str(refused.value)


def test_no_description(pack, tmp_path):
    with pytest.raises(IllFormed, match="no such file"):
        read_toml(tmp_path / "kernel.toml")


def test_names_that_mean_two_things(pack):
    """A name that two steps of a unit use for different tensors is asked to be told apart, by operation or by place."""
    unit = units(pack.program, ["fc1", "fc1.rescale", "fc2", "fc2.rescale"], "here")[0]
    with pytest.raises(IllFormed, match="ambiguous.*0.w, 2.w"):
        unit.operand("w", {}, "here")
    assert np.array_equal(unit.operand("2.w", {}, "here"), pack.program.constants["fc2.w"])
    assert unit.axes()["0.k"] == {7: 7} and unit.axes()["2.k"] == {6: 6} and len(unit.axes()["k"]) == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.data())
def test_layouts_come_back(shape, data):
    """Packing and unpacking by any layout is the identity, and element (n k) lies where the tiles say."""
    names = "nkm"[:len(shape)]
    tiles = [data.draw(st.sampled_from([None, 1, 2, 4])) for _ in shape]
    left = " ".join(f"({n} {n.upper()}={t})" if t else n for n, t in zip(names, tiles))
    parts = [*names, *(n.upper() for n, t in zip(names, tiles) if t)]
    order = layout(f"{left} -> {' '.join(data.draw(st.permutations(parts)))}", "here")
    array = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)
    flat = order.pack(array, -1, "here")
    assert flat.size == order.size(shape, "here")
    assert np.array_equal(order.unpack(flat, tuple(shape), "here"), array)
    assert sorted(flat[flat > 0]) == sorted(array.ravel())


def test_layout_places():
    """A tiled layout puts every element where loops over the parts would."""
    array = np.arange(1, 5 * 3 + 1).reshape(5, 3)
    flat = layout("(n N=4) (k K=2) -> n k N K", "here").pack(array, 0, "here").reshape(2, 2, 4, 2)
    for i in range(5):
        for j in range(3):
            assert flat[i // 4, j // 2, i % 4, j % 2] == array[i, j]
    assert np.array_equal(layout("n k -> k n", "here").pack(array, 0, "here"), array.T.ravel())


@pytest.mark.parametrize("text", ["n k -> k", "n k -> k n n", "n n -> n n", "(n N) -> n N", "(n N=0) -> n N", "n, k",
                                  "-> n", "(n N=2) k"])
def test_layouts_refused(text):
    with pytest.raises(IllFormed, match="layout"):
        layout(text, "here").pack(np.zeros((2, 2)), 0, "here")


def test_prototypes():
    """Pointers, values, const, return types and line breaks are read."""
    made = prototype("\n unsigned char f(const  float *a,\n int8_t const *b, size_t n, long *restrict y);", "here")
    assert made.name == "f" and made.returns == np.uint8
    assert [(a.name, a.dtype.name, a.way) for a in made.arguments] == [
        ("a", "float32", "in"), ("b", "int8", "in"), ("n", "uint64", "value"), ("y", "int64", "out")]
    assert prototype("void f(int n)", "here").returns is None
