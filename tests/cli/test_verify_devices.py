"""refq verify with a function or a model: the exit status says whether it passed, failed, or could not be judged."""
import json

import pytest

FUNCTIONS = """
import os

import numpy as np


def right(acc, zin, mult, shift, zp):
    from refq import ops
    from refq.graph import store
    step = next(s for s in store.load(os.environ["PACK"]).steps if s.op == "rescale")
    return ops.load("rescale").spec(acc, zin, mult, shift, zp, row=step.row)


def wrong(acc, zin, mult, shift, zp):
    return right(acc, zin, mult, shift, zp) ^ 1


def faulty(acc, zin, mult, shift, zp):
    if int(np.abs(acc).sum()) == int(os.environ["FATAL"]):
        os.abort()
    return right(acc, zin, mult, shift, zp)
"""


@pytest.fixture
def device(refq, made, tmp_path, monkeypatch):
    """device(name, status) is what `refq verify` says of one of FUNCTIONS, as JSON, on the first rescale of the pack."""
    from refq.vectors.pack import read
    pack = read(made / "pack")
    unit = next(s for s in pack.program.steps if s.op == "rescale" and s.inputs["acc"] not in pack.program.constants)
    fatal = abs(pack.case(0)[unit.inputs["acc"]].astype(int)).sum()
    monkeypatch.setenv("PACK", str(made / "pack"))
    monkeypatch.setenv("FATAL", str(fatal))
    (tmp_path / "mine.py").write_text(FUNCTIONS)

    def verify(name, status):
        return json.loads(refq("verify", made / "pack", "--python", f"mine:{name}", "--unit", unit.name, "--json",
                               status=status).out)

    return verify


def test_exit_status(device):
    """0: pass; 1: something differs; 2: a case could not be judged, though the others were."""
    assert device("right", 0)["passed"]
    report = device("wrong", 1)
    assert not report["passed"] and not report["faults"] and report["tensors"][0]["pack"]["wrong"]
    report = device("faulty", 2)
    assert not report["passed"] and "case 0000: crashed" in report["faults"][0]
    assert report["tensors"][0]["pack"]["total"] and not report["tensors"][0]["pack"]["wrong"]


@pytest.mark.parametrize("options,words", [
    (["--python", "f"], "write module:function"), (["--python", "gone:f"], "gone cannot be imported: ModuleNotFoundError"),
    (["--onnxruntime", "gone.onnx"], "gone.onnx: no such file"), (["--unit", "*.fc1"], "--unit: without --against"),
    (["--kernel", "k.toml", "--python", "m:f"], "--kernel and --python ask two questions"),
    (["--kernel", "k.toml", "--unit", "a"], "a kernel.toml names its own; leave it out"),
    (["--against", "dump", "--unit", "a"], "a dump is judged as a whole"),
    (["--python", "m:f", "--require", "all"], "--require: for a dump"),
    (["--python", "gone:f", "--unit", "nothing"], "--unit: no run of steps matches unit ['nothing']")])
def test_refusals(refused, made, options, words):
    """What cannot be asked is one sentence and status 2."""
    assert words in refused("verify", made / "pack", *options)
