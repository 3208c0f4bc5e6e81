"""A kernel that misbehaves is found out: refq says how in one sentence, and lives on."""
import re
import shutil
import subprocess

import numpy as np
import pytest
import small

from refq.errors import RefqError
from refq.vectors.kernels.kernel import verify_kernel
from refq.vectors.record import record

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc builds the kernels")


@needs_gcc
@pytest.mark.parametrize("define,words", [
    ("CRASH", r"case.* 0000, 0001, 0002: crashed with signal 11 \(SIGSEGV\)"), ("SPIN", "0000, 0001: ran longer than 1 s"),
    ("FAIL", r"cases 0000, 0001, 0002: returned 3 \(0 is success\)"), ("OVERRUN", "wrote outside argument 'y'"),
    ("OVERREAD", "reads or writes far outside argument 'x', and crashes there"),
    ("SCRIBBLE", "changed its const argument 'x'"), ("LEAVE", "ended its process with status 0: it said nothing"),
    ("NOTHING=)", "building failed")])
def test_misbehaving_kernels(pack, place, define, words, changed):
    """A crash, an endless loop, a failing return code, a write or read beside its arguments: refq says so."""
    limit = ("time_limit = 20", "time_limit = 1" if define == "SPIN" else "time_limit = 60")
    toml = changed(('"-O2"', f'"-O2", "-D{define}"'), limit)
    if define == "NOTHING=)":
        (place / "matmul_int8.c").write_text("int f(")
    with pytest.raises(RefqError, match=words) as refused:
        verify_kernel(pack, toml)
    assert "\n" not in str(refused.value)


@needs_gcc
def test_a_fault_in_one_case(pack, changed):
    """Where a kernel crashes in one case of one unit, the other cases and units get their verdict."""
    first = int(pack.case(1)["x"][0, 0])
    assert first != 1 and all(pack.case(i)[t][0, 0] != first for i, t in [(0, "x"), (2, "x")] + [(i, "hidden") for i in range(3)])
    report = verify_kernel(pack, changed(('"-O2"', f'"-O2", "-DCRASH={first}"')))
    assert len(report.faults) == 1 and "unit fc1 + fc1.rescale, case 0001: crashed" in report.faults[0]
    assert [v.pack.total for v in report.verdicts] == [2 * 30, 3 * 50] and not report.wrong and not report.passed
    assert str(report).splitlines()[0] == report.faults[0] and "INCOMPLETE" in str(report)
    assert report.json()["faults"] == report.faults


@needs_gcc
def test_noise_is_borne(pack, changed):
    """What a kernel prints, however much, is no part of the verdict."""
    assert verify_kernel(pack, changed(('"-O2"', '"-O2", "-DNOISY"'))).passed


@needs_gcc
def test_missing_symbol_and_library(pack, place, changed):
    """A function that the library lacks, and a library that is none, are refused by name."""
    with pytest.raises(RefqError, match="no function 'matmul_int9'"):
        verify_kernel(pack, changed(("int32_t matmul_int8", "int32_t matmul_int9")))
    (place / "matmul_int8.so").write_bytes(b"not a library")
    toml = place / "kernel.toml"
    toml.write_text("\n".join(line for line in toml.read_text().splitlines() if not line.startswith("build")))
    with pytest.raises(RefqError, match="cannot be loaded"):
        verify_kernel(pack, toml)
    (place / "matmul_int8.so").unlink()
    with pytest.raises(RefqError, match="does not exist"):
        verify_kernel(pack, toml)


@needs_gcc
def test_unwritten_results(tmp_path, changed):
    """Elements that are never written are wrong, and called so, even where the answer is what the buffer held."""
    pack = record(small.program(), small.images(40), tmp_path / "pack", cases=40)
    report = verify_kernel(pack, changed(('"-O2"', '"-O2", "-DLAZY"')))
    fills = [np.int8(-91), np.int8(-86), np.int8(85)]
    left = [sum(np.isin(pack.case(i)[v.tensor], fills).sum() for i in range(40)) for v in report.verdicts]
    assert not report.passed and sum(left) > 0
    assert [v.pack.unwritten for v in report.verdicts] == [v.pack.wrong for v in report.verdicts] == left
    assert all(v.pack.unsteady == 0 for v in report.verdicts) and "elements were never written" in str(report)
    assert report.json()["tensors"][0]["pack"]["unwritten"] == left[0]


@needs_gcc
@pytest.mark.parametrize("define,kind", [("STICKY", "leftover"), ("STATEFUL", "stateful"), ("CHANCE", "nondeterministic")])
def test_results_that_are_not_the_same_twice(pack, changed, define, kind):
    """Results that depend on what the buffer held, on earlier calls, or on chance, are told apart, and wrong whatever the
    tolerance."""
    report = verify_kernel(pack, changed(('"-O2"', f'"-O2", "-D{define}"')), tolerance=255)
    tally = report.first.pack
    assert not report.passed and tally.unsteady and f"{tally.unsteady} elements d" in str(report)
    assert tally.wrong == tally.unwritten + tally.unsteady and tally.marked[kind] == tally.unsteady


@needs_gcc
def test_every_define_builds(place):
    """The kernel builds without a warning under each of the names in it."""
    source = (place / "matmul_int8.c").read_text()
    defines = set(re.findall("#ifdef (\\w+)", source))
    assert len(defines) == 14
    for define in defines:
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", f"-D{define}", "-c", "-o", "out.o", "matmul_int8.c"]
        assert subprocess.run(command, cwd=place, capture_output=True, text=True).stderr == ""
