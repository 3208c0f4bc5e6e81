"""The generated benches are clean, pass right modules and fail wrong ones: wrong codes, x, lost words, stalls not borne."""
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refq.errors import IllFormed, Unsupported
from refq.vectors.exchange.exported import export
from refq.vectors.exchange.imported import import_
from refq.vectors.verify import verify

HERE = Path(__file__).parent
RIGHT, CLIP = ((HERE / name).read_text() for name in ("rescale.v", "clip.v"))
WRONG = {"truncates": ("(wide + half)", "(wide + 64'sd0 * half)"), "x": ("8'h80 : v[7:0]", "8'h80 : v == 64'sd3 ? 8'bx : v[7:0]"),
         "drops a word": ("assign acc_ready = !y_valid || y_ready;", "assign acc_ready = 1'b1;"),
         "takes what is not valid": ("if (acc_valid) begin", "if (1'b1) begin"), "hangs": ("y_valid <= acc_valid;", ""),
         "doubles": ("y_valid <= acc_valid;", "y_valid <= acc_valid || y_valid;"), "no reset": ("c <= 3'd0;\n        end", "end")}
FAST = "-MAKEFLAGS OPT_GLOBAL=-O0\\ OPT_FAST=-O0\\ OPT_SLOW=-O0"


def wrong(name):
    old, new = WRONG[name]
    assert old in RIGHT
    return RIGHT.replace(old, new)


@pytest.fixture
def make(tool):
    """make(folder, module, "icarus") writes dut.v and runs a target of the Makefile; what it did and said."""
    def run(folder, text, target):
        tool("make", "make"), tool("iverilog", "iverilog") if target == "icarus" else tool("verilator", "verilator")
        (folder / "dut.v").write_text(text)
        return subprocess.run(["make", target, f"FLAGS={FAST}"], cwd=folder, capture_output=True, text=True, timeout=120)

    return run


def test_icarus(once, out, make, tmp_path):
    """A right module passes without a warning; what it gave comes back as the pack's codes."""
    folder, _ = out(once, "verilog", unit="fc1.rescale")
    done = make(folder, RIGHT, "icarus")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "PASS" and not done.stderr, done.stdout + done.stderr
    arrays, found = import_(folder, once, tmp_path / "dump.npz")
    assert found["as_exported"] == found["unknown"] == 0 and sorted(arrays) == [f"{i:04d}/hidden" for i in range(3)]
    assert verify(once, tmp_path / "dump.npz").passed
    assert make(folder, RIGHT, "icarus").stdout != make(folder, wrong("truncates"), "icarus").stdout


@pytest.mark.parametrize("name", WRONG)
def test_icarus_fails_wrong_modules(once, out, make, name):
    """A wrong module fails, with the place where it first did."""
    folder, _ = out(once, "verilog", unit="fc1.rescale")
    text = (folder / "bench.sv").read_text()
    (folder / "bench.sv").write_text(text.replace("limit = 100000", "limit = 1000"))
    done = make(folder, wrong(name), "icarus")
    assert done.returncode and "PASS" not in done.stdout
    said = {"hangs": r"FAIL: y_valid is x|FAIL: no word moved for 1000 cycles"}
    assert re.search(said.get(name, r"FAIL: y: pass \d, case \d, word \d+: got \w+, expected \w+|FAIL: y: a word \w+ after"),
                     done.stdout)
    if name == "x":
        assert "got xx, expected 03" in done.stdout
        arrays, found = import_(folder, once)
        assert found["unknown"] == sum(np.count_nonzero(once.case(i)["hidden"] == 3) for i in range(3)) > 0


def test_verilator(once, out, make):
    """A right module passes under two random initialisations; the bench itself is clean under -Wall."""
    folder, _ = out(once, "verilog", unit="fc1.rescale")
    done = make(folder, RIGHT, "verilator")
    assert done.returncode == 0 and done.stdout.count("PASS\n") == 2 and "Warning" not in done.stderr, done.stdout + done.stderr


def test_verilator_fails_what_is_not_reset(once, out, make):
    """A register that no reset reaches holds chance, and fails; so do x, which Verilator makes a random number."""
    folder, _ = out(once, "verilog", unit="fc1.rescale")
    done = make(folder, wrong("no reset"), "verilator")
    assert done.returncode and "FAIL" in done.stdout


def test_lanes(cut, out, make, tool):
    """Two codes a word; x in the lane that holds none is not looked at, in one that does it fails."""
    folder, index = out(cut, "verilog", word=16)
    done = make(folder, CLIP, "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    assert make(folder, CLIP.replace("odd ? 8'bx", "!odd ? 8'bx"), "icarus").returncode
    entry = next(e for e in index["entries"] if e["tensor"] == "y" and e["case"] == 1)
    assert (entry["stream"], entry["at"], entry["words"], entry["lanes"]) == ("y", 2, 2, 2)
    lint = [tool("verilator", "verilator"), "--lint-only", "--timing", "-Wall", "--top-module", "bench", "bench.sv", "dut.v"]
    done = subprocess.run(lint, cwd=folder, capture_output=True, text=True)
    assert "bench.sv" not in done.stderr


def run_cocotb(folder, text, **environment):
    (folder / "dut.v").write_text(text)
    return subprocess.run([sys.executable, "run.py", "dut.v"], cwd=folder, capture_output=True, text=True, timeout=120,
                          env=os.environ | environment)


def test_cocotb(once, out, need, tool, tmp_path):
    """Under cocotb with Icarus a right module passes all four tests; its words come back as the pack's codes."""
    need("cocotb"), tool("iverilog", "iverilog")
    folder, _ = out(once, "cocotb", unit="fc1.rescale")
    done = run_cocotb(folder, RIGHT)
    assert done.returncode == 0 and "TESTS=4 PASS=4" in done.stdout + done.stderr, done.stdout + done.stderr
    import_(folder, once, tmp_path / "dump.npz")
    assert verify(once, tmp_path / "dump.npz").passed


@pytest.mark.parametrize("name", ["truncates", "x", "hangs", "doubles"])
def test_cocotb_fails_wrong_modules(once, out, need, tool, name):
    """Wrong codes, x, lost and surplus words fail under cocotb too."""
    need("cocotb"), tool("iverilog", "iverilog")
    folder, _ = out(once, "cocotb", unit="fc1.rescale")
    done = run_cocotb(folder, wrong(name), LIMIT="300")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and re.search("words are wrong: (y: word|y: a word after|y: no word|y_valid is)", said), said
    assert name != "x" or "got XXXXXXXX, expected 00000011" in said


def test_refused(once, pack, tmp_path):
    """Several units, a word narrower than a code, a unit of constants, a seed or a name that is none."""
    def refused(**options):
        with pytest.raises((IllFormed, Unsupported)) as said:
            export(once, "verilog", tmp_path / "new", **options)
        assert not (tmp_path / "new").exists()
        return str(said.value)

    assert "a bench is of one; name one of fc1.rescale, fc2.rescale" in refused(unit="fc?.rescale")
    assert "has codes of 32 bits" in refused(unit="fc1.rescale", word=16)
    assert "--seed -1" in refused(seed=-1) and "--top 'a b'" in refused(top="a b")
