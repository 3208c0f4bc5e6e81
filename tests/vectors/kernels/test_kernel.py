"""A C kernel is judged as one unit: the right one passes, a wrong one fails with place and counts."""
import shutil

import numpy as np
import pytest
import small

from refq.errors import IllFormed
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.record import record
from refq.vectors.units import units

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc builds the kernels")


@needs_gcc
def test_right_kernel_passes(pack, place):
    """The fused layer with TFLite's two roundings is right in both places of the network, on every case."""
    report = verify_kernel(pack, place / "kernel.toml")
    assert report.passed and report.cases == 3
    assert [v.step for v in report.verdicts] == ["fc1 + fc1.rescale", "fc2 + fc2.rescale"]
    assert [v.pack.total for v in report.verdicts] == [3 * 30, 3 * 50]
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
def test_wrong_rounding_fails(tmp_path, place, rounding, changed):
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
    toml = changed(('"-O2"', f'"-O2", "-D{rounding}"'))
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
def test_a_part_of_the_unit_is_refused(pack, changed):
    """A kernel that shows only what lies inside the unit says nothing of its end, and is refused."""
    with pytest.raises(IllFormed, match=r"gives no 'y' \(hidden\), in which unit fc1 \+ fc1.rescale ends"):
        verify_kernel(pack, changed(('["fc?"]', '["fc?", "fc?.rescale"]'), name="tiled.toml"))


@needs_gcc
@pytest.mark.parametrize("tolerance", [-5, True, 1.5])
def test_tolerances_refused(pack, place, tolerance):
    """A tolerance that is no number of codes is refused, as for a dump."""
    with pytest.raises(IllFormed, match="tolerance"):
        verify_kernel(pack, place / "kernel.toml", tolerance)


@needs_gcc
def test_tiles_and_derived(pack, place, changed):
    """Weights and accumulators in padded tiles, and a negated zero point, reach the kernel as it wants them."""
    report = verify_kernel(pack, place / "tiled.toml")
    assert report.passed and {v.tensor for v in report.verdicts} == {"fc1.acc", "fc2.acc"}
    swapped = changed(("-> m k M K", "-> k m M K"), name="tiled.toml")
    assert not verify_kernel(pack, swapped).passed


def test_names_that_mean_two_things(pack):
    """A name that two steps of a unit use for different tensors is asked to be told apart, by operation or by place."""
    unit = units(pack.program, ["fc1", "fc1.rescale", "fc2", "fc2.rescale"], "here")[0]
    with pytest.raises(IllFormed, match="ambiguous.*0.w, 2.w"):
        unit.operand("w", {}, "here")
    assert np.array_equal(unit.operand("2.w", {}, "here"), pack.program.constants["fc2.w"])
    assert unit.axes()["0.k"] == {7: 7} and unit.axes()["2.k"] == {6: 6} and len(unit.axes()["k"]) == 2
