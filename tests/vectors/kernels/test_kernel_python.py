"""A Python function is judged as a kernel is, on a unit or on the whole program."""
from pathlib import Path

import pytest

from refq.errors import IllFormed, RefqError
from refq.vectors.kernels.kernel_python import verify_python

FUNCTIONS = Path(__file__).parent / "functions.py"
UNIT = ["fc?", "fc?.rescale"]


def judged(pack, name, unit=None, **more):
    return verify_python(pack, f"{FUNCTIONS}:{name}", unit, **more)


def test_right_functions_pass(pack, monkeypatch):
    """A layer, a layer that shows its sums, and the whole program; by module name too."""
    report = judged(pack, "layer", UNIT)
    assert report.passed and [v.step for v in report.verdicts] == ["fc1 + fc1.rescale", "fc2 + fc2.rescale"]
    assert [v.tensor for v in judged(pack, "with_sums", UNIT).verdicts] == ["fc1.acc", "hidden", "fc2.acc", "logits"]
    report = judged(pack, "network")
    assert report.passed and {v.tensor for v in report.verdicts} == {"logits", "top"}
    monkeypatch.chdir(FUNCTIONS.parent)
    assert verify_python(pack, "functions:layer", UNIT).passed


def test_wrong_functions_fail(pack):
    """A wrong result is placed; of the whole program what originates is told."""
    report = judged(pack, "late_clamp", ["*.rescale"])
    expected = [sum(int((pack.case(i)[t] < 0).sum()) for i in range(3)) for t in ("hidden", "logits")]
    assert [v.pack.wrong for v in report.verdicts] == expected and not report.faults
    report = judged(pack, "everything")
    assert report.first.tensor == "hidden" and report.first.kind == "originates" and report.first.pack.wrong == 3
    assert "first wrong step: fc1.rescale" in str(report)


def test_functions_with_a_memory(pack):
    """What depends on the calls before is told so."""
    tally = judged(pack, "stateful", UNIT).first.pack
    assert tally.marked["stateful"] == tally.unsteady > 0


@pytest.mark.parametrize("name,words", [
    ("nan", "cases 0000, 0001, 0002: gives NaN in 'acc'; i32 codes are integers, give int32"),
    ("floats", "gives 'acc' as float64; i32 codes are integers"), ("transposed", r"of shape \(6, 5\); expected is \(5, 6\)"),
    ("text", "gives str for '0', which is no array of numbers"), ("raises", "raised ValueError: no luck"),
    ("aborts", r"crashed with signal 6 \(SIGABRT\)"), ("leaves", "ended its process with status 3"),
    ("hangs", "ran longer than 5 s"), ("misnamed", "gives 'z', which is no result; results are acc"),
    ("takes_more", "takes 'secret', which is nothing of the unit; there are "), ("gone", "has no function 'gone'")])
def test_functions_that_go_wrong(pack, name, words):
    """NaN, floats, a wrong shape, garbage, an exception, a crash, an exit, a hang: one sentence each."""
    with pytest.raises(RefqError, match=words) as refused:
        judged(pack, name, ["fc1"], time_limit=5 if name == "hangs" else 60)
    assert "functions.py" in str(refused.value) and "\n" not in str(refused.value)


def test_a_fault_in_one_case(pack, monkeypatch):
    """Where the whole program crashes on one case, the others get their verdict."""
    first = [int(pack.case(i)["x"].flat[0]) for i in range(3)]
    assert first.count(first[1]) == 1
    monkeypatch.setenv("CRASH", str(first[1]))
    report = judged(pack, "network_of_one")
    assert len(report.faults) == 1 and "case 0001: crashed" in report.faults[0] and not report.wrong and not report.passed
    assert [v.pack.total for v in report.verdicts] == [2 * 50, 2 * 5]


@pytest.mark.parametrize("function,words", [("nocolon", "write module:function"), ("a:b c", "write module:function"),
                                            ("no_such_module_at_all:f", "cannot be imported: ModuleNotFoundError")])
def test_names_refused(pack, function, words):
    with pytest.raises(RefqError, match=words):
        verify_python(pack, function)


def test_units_that_match_nothing(pack):
    with pytest.raises(IllFormed, match="--unit: no run of steps matches"):
        judged(pack, "layer", ["nothing"])
