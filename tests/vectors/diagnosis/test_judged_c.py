"""Real kernels in C: the right versions pass, every wrong one fails at its step, and the diagnosis names no wrong cause."""
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.kernels import judge

TOOLS = {"avx2/haswell": ("gcc", "qemu-x86_64"), "neon/matmul": ("aarch64-linux-gnu-gcc", "qemu-aarch64")}
PACKAGES = {"gcc": "gcc", "qemu-x86_64": "qemu-user", "qemu-aarch64": "qemu-user",
            "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"}
WRONG = [(f"{family}/{kernel}", variant, about) for family in ("scalar", "packed", "avx2", "neon")
         for kernel, variant, about in judge.wrong(family)]
EMULATED = [("avx2/haswell", variant, about) for kernel, variant, about in WRONG
            if kernel == "avx2/matmul" and variant in ("PAIRS_EXACT", "PAIRS_WRAP")]


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """pack(kernel): the pack that judges it; the test is skipped where its tools are missing."""
    folder, made = tmp_path_factory.mktemp("packs"), {}

    def of(kernel):
        for tool in TOOLS.get(kernel, ("gcc",)):
            if not shutil.which(tool):
                missing(f"{tool} is not installed; apt-get install {PACKAGES[tool]} brings it")
        if kernel == "avx2/matmul" and "avx2" not in Path("/proc/cpuinfo").read_text().split():
            pytest.skip("this CPU has no AVX2; avx2/haswell judges the same kernel under qemu")
        maker = judge.LAYERS[kernel]
        if maker not in made:
            made[maker] = judge.pack(kernel, folder)
        return made[maker]

    return of


@pytest.mark.parametrize("kernel", judge.LAYERS)
def test_right_versions_pass(tmp_path, pack, kernel):
    """A right kernel is right on every element of every case, and nothing is said against it."""
    report, diagnosis = judge.judged(*kernel.split("/"), pack(kernel), tmp_path)
    assert report.passed and not report.faults and diagnosis is None
    assert report.cases == 4 and report.total == 4 * sum(v.pack.total // 4 for v in report.verdicts) > 400


@pytest.mark.parametrize("kernel,variant,about", [*WRONG, *EMULATED], ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_versions_fail(tmp_path, pack, kernel, variant, about):
    """A wrong kernel fails at its step, and its cause is among those that fit. Of bugs that are `open` no mutant is known:
    there the cause may be called unknown, and nothing else may be called the cause."""
    golden = pack(kernel)
    report, diagnosis = judge.judged(*kernel.split("/"), golden, tmp_path, variant)
    assert not report.passed and not report.faults
    assert report.first.step == " + ".join(step.name for step in golden.program.steps)
    assert report.first.pack.unwritten == (report.first.pack.wrong if about.get("fault") == "unwritten" else 0)
    causes = [cause.name for cause in diagnosis.causes]
    found = [name for name in causes if re.search(about["cause"], name)]
    assert found or about.get("open") and not causes, causes
    assert all(cause.explained == diagnosis.wrong for cause in diagnosis.causes)


@pytest.mark.parametrize("family", ["scalar", "packed", "avx2", "neon"])
def test_every_define_is_listed(family):
    """Each name that a source asks for is a wrong version in wrong.toml, at least ten for a kernel, and each has a bug and a
    cause."""
    listed = judge.wrong(family)
    for kernel in {kernel for kernel, *_ in listed}:
        source = (judge.HERE / family / f"{kernel}.c").read_text()
        defines = set(re.findall(r"(?:defined|#ifdef|#ifndef) (\w+)", source))
        assert {name for k, name, _ in listed if k == kernel} == defines and len(defines) >= 10
    assert all({"bug", "cause"} <= about.keys() <= {"bug", "cause", "fault", "open"} for *_, about in listed)
