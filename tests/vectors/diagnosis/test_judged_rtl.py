"""A systolic array in Verilog is judged: the right one passes under Verilator, Icarus and cocotb, wrong ones fail with cause."""
import re
import shutil
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from refq.ints.width import I8
from refq.vectors.diagnosis.diagnose import diagnose
from refq.vectors.diagnosis.place import Place
from refq.vectors.kernels.kernel import each_judged, verify_kernel
from refq.vectors.record import record
from tests.conftest import missing
from tests.kernels.judge import MATMUL, RESCALE, Layer, program
from tests.vectors.diagnosis.layer import inputs, telling

RTL = Path(__file__).parents[2] / "kernels" / "rtl"
WRONG = tomllib.loads((RTL / "wrong.toml").read_text())
X, Y = "matmul.0.x", "rescale.0.y"


def tools(*names):
    """Skip where a tool is missing."""
    for name in names:
        if not shutil.which(name):
            missing(f"{name} is not installed; apt-get install {name} brings it")


def packed(folder, n, k, m, cases):
    """A pack of one layer, rescaled as TOSA does."""
    rng = np.random.default_rng(3)
    w, bias, scales = telling(rng, m, k)
    layer = Layer("matmul", MATMUL(), RESCALE(ties="half_up"), (n, k), w, bias, -7, scales, 5)
    return record(program([layer]), inputs(rng, cases, n, w, -7, I8), folder)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Of sizes that leave tails of rows, products and channels."""
    return packed(tmp_path_factory.mktemp("rtl") / "pack", 94, 18, 10, 2)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """For simulators that are slow."""
    return packed(tmp_path_factory.mktemp("rtl") / "small", 17, 10, 6, 2)


@pytest.fixture(scope="module")
def toml(tmp_path_factory):
    """toml(simulator, fault) is a kernel.toml of a version of the array; the first one builds the simulator for all."""
    folder = Path(shutil.copytree(RTL, tmp_path_factory.mktemp("built") / "rtl"))
    text = (folder / "kernel.toml").read_text()

    def version(simulator, fault):
        tools(*{"verilator": ("make", "g++", "verilator"), "icarus": ("make", "iverilog")}[simulator])
        changed = text.replace("+FAULT=0", f"+FAULT={fault}")
        if simulator == "icarus":
            changed = changed.replace('"-s", "bench"', '"-s", "bench.vvp"').replace('"verilator", "{f', '"icarus", "{f')
        (folder / f"{simulator}.toml").write_text(changed)
        return folder / f"{simulator}.toml"

    return version


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_right_array_passes(toml, pack, simulator):
    """Every element is the pack's, in two orders of the cases, with other stalls and other values in registers that nothing
    sets."""
    report = verify_kernel(pack, toml(simulator, 0))
    assert report.passed and report.total == 2 * 94 * 10


@pytest.mark.parametrize("n, k, m", [(1, 1, 1), (8, 4, 4), (9, 5, 16), (3, 33, 7), (16, 8, 13)])
def test_right_array_passes_in_all_sizes(toml, tmp_path, n, k, m):
    """With and without tails of rows, products and channels, the smallest and the largest among them."""
    assert verify_kernel(packed(tmp_path / "pack", n, k, m, 3), toml("verilator", 0)).passed


@pytest.mark.parametrize("name", WRONG)
def test_wrong_array_fails_with_its_cause(toml, pack, name, monkeypatch):
    """Verilator shows every bug. Its cause is among those that fit exactly; where none is known none is named; what is not
    the same in two runs is said to be so instead."""
    monkeypatch.setattr("refq.vectors.diagnosis.diagnose.WORK", 10_000)      # two mutants at a time: none of these bugs is
    judged, = each_judged(pack, toml("verilator", WRONG[name]["fault"]))
    tally = judged.verdicts[0].pack
    assert tally.wrong and not judged.faults, WRONG[name]["bug"]
    assert {kind for kind, count in tally.marked.items() if count} >= set(WRONG[name].get("shows", ()))
    if "shows" not in WRONG[name]:
        assert not tally.unsteady and not tally.unwritten
        place = Place(pack.program, judged.unit.steps, {X: np.stack([pack.case(i)[X] for i in range(pack.cases)])})
        causes = [cause.name for cause in diagnose(place, judged.codes).causes]
        wanted = WRONG[name].get("cause")
        assert any(re.fullmatch(wanted, cause) for cause in causes) if wanted else not causes, causes


@pytest.mark.parametrize("name", WRONG)
def test_wrong_array_fails_under_icarus(toml, small, name):
    """Icarus shows every bug too, and as X what nothing ever drove."""
    tally = verify_kernel(small, toml("icarus", WRONG[name]["fault"])).verdicts[0].pack
    assert tally.wrong, WRONG[name]["bug"]
    assert bool(tally.marked["unknown"]) == WRONG[name].get("unknown", False)


def test_sources_are_clean():
    """The linters of both simulators have nothing to say."""
    tools("verilator", "iverilog")
    for linter in (["verilator", "--lint-only", "-Wall"], ["iverilog", "-g2012", "-Wall", "-t", "null"]):
        done = subprocess.run([*linter, str(RTL / "systolic.sv")], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_under_cocotb(tmp_path, need, small, monkeypatch):
    """Under cocotb and Icarus the right array passes, before and after wrong ones, and those fail: X, lost beats and what
    the case before left are among them. Cases come back to back, with gaps and stalls."""
    need("cocotb")
    from cocotb_tools.runner import get_runner
    tools("iverilog")
    constants = {name.split(".")[-1]: codes for name, codes in small.program.constants.items()}
    cases = [small.case(i) for i in range(small.cases)]
    np.savez(tmp_path / "cases.npz", x=[case[X] for case in cases], y=[case[Y] for case in cases], **constants)
    names = ["ties_away", "tile_not_cleared", "stall_drops_a_beat", "last_column_unwritten", "state_of_the_run_before"]
    faults = [0, *(WRONG[name]["fault"] for name in names), 0]
    monkeypatch.syspath_prepend(RTL)            # the simulator's Python is given this one's path
    runner = get_runner("icarus")
    runner.build(sources=[str(RTL / "systolic.sv")], hdl_toplevel="systolic", build_dir=tmp_path, timescale=("1ns", "1ns"))
    with suppress(SystemExit):                  # a test that fails
        runner.test("cocotb_bench", "systolic", build_dir=tmp_path, test_dir=tmp_path, timescale=("1ns", "1ns"),
                    results_xml=str(tmp_path / "results.xml"),
                    extra_env={"CASES": str(tmp_path / "cases.npz"), "FAULTS": " ".join(map(str, faults))})
    results = list(ElementTree.parse(tmp_path / "results.xml").iter("testcase"))
    assert [result.find("failure") is None for result in results] == [fault == 0 for fault in faults]
