"""The pytest plugin: a marked test runs once for each case, with operands as the operation takes them."""
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import small

from refq import ops
from refq.ints.jit import folder
from refq.testing.golden import cases
from refq.vectors.record import record

pytest_plugins = ["pytester"]
PLUGIN = "refq.testing.plugin"
COMPILED = folder()             # found before pytester moves the home folder


@pytest.fixture
def run(pytester, monkeypatch):
    """run(text) runs a test file with the plugin, markers strict; in a process of its own, for Numba loads once only."""
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    if COMPILED:
        monkeypatch.setenv("REFQ_CACHE_DIR", str(Path(COMPILED).parent))
    known = [e.value for e in entry_points(group="pytest11")]

    def tests(text, *options):
        texts = text if isinstance(text, dict) else {"test_it": text}
        pytester.makepyfile(**texts)
        return pytester.runpytest_subprocess(*([] if PLUGIN in known else ["-p", PLUGIN]), *options)

    return tests


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A pack of two cases."""
    return record(small.program(), small.images(2), tmp_path_factory.mktemp("golden") / "pack")


CLIP = """
    import numpy as np
    import pytest
    from refq import ops

    @pytest.mark.golden("clip", dialect="tosa", budget=1500)
    def test_kernel(golden):
        y = ops.load("clip").spec(**golden.operands, row=golden.row)
        assert golden.row.q.bits == 8 and np.array_equal(y {wrong}, golden.expected["y"])
"""


def test_a_mark_parametrizes(run):
    """Drawn vectors: a right kernel passes every case, a wrong one fails; the second run finds the vectors in the cache."""
    result = run(CLIP.format(wrong=""), "-v")
    counts = result.parseoutcomes()
    assert set(counts) == {"passed"} and counts["passed"] >= 3
    result.stdout.fnmatch_lines(["*test_kernel?clip.0-0? PASSED*"])
    result = run(CLIP.format(wrong="+ 1"))
    assert result.parseoutcomes() == {"failed": counts["passed"]} and result.duration < 20


def test_without_a_cache(run):
    """Without pytest's cache the vectors are drawn and forgotten."""
    assert set(run(CLIP.format(wrong=""), "-p", "no:cacheprovider").parseoutcomes()) == {"passed"}


def test_a_pack_and_its_units(pack):
    """Every step of a pack is a unit, or the runs of steps that are named; kernels give what is expected."""
    each = cases((), {"pack": pack.folder}, None)
    assert len(each) == 2 * len(pack.program.steps) and each[0].name == "fc1-0"
    for case, step in zip(each, [s for s in pack.program.steps for _ in range(2)]):
        results = ops.load(step.op).spec(*case.operands.values(), row=case.row)
        (expected,) = case.expected.values()
        (tensor,) = (pack.program.tensors[name] for name in step.outputs.values())
        assert np.array_equal(results, expected) and expected.dtype == tensor.width.dtype
        assert list(case.operands) == list(step.row.takes)
        assert all(isinstance(v, np.ndarray) == bool(step.row.takes[k].names) for k, v in case.operands.items())
    both = cases((), {"pack": str(pack.folder), "unit": "fc?, fc?.rescale"}, None)
    assert [c.name for c in both] == ["fc1+fc1.rescale-0", "fc1+fc1.rescale-1", "fc2+fc2.rescale-0", "fc2+fc2.rescale-1"]
    assert set(both[0].expected) == {"y"} and "acc" not in both[0].operands and len(both[0].rows) == 2


REFUSED = {'"rescal", dialect="tosa"': "*'rescal' is neither*did you mean*rescale*", '"rescale", dialect="toss"': "*'toss'*",
           "": "*takes an operation*", '"rescale", pack="p"': "*takes an operation*",
           '"rescale", unit="x"': "*unit: is of a pack*",
           '"rescale", colour=1': "*colour*", 'pack="nowhere"': "*nowhere/manifest.json: no such file*"}


def test_refused(run):
    """What a mark cannot say is refused at collection with one sentence, and no traceback; a marked test that takes no
    `golden` would run once on nothing."""
    texts = {f"test_{i}": f"import pytest\n@pytest.mark.golden({mark})\ndef test_it(golden):\n    pass\n"
             for i, mark in enumerate(REFUSED)}
    texts["test_bare"] = 'import pytest\n@pytest.mark.golden("rescale")\ndef test_it():\n    pass\n'
    result = run(texts)
    assert result.parseoutcomes() == {"errors": len(REFUSED) + 1}
    result.stdout.fnmatch_lines([*REFUSED.values(), "*takes no argument `golden`*"], consecutive=False)
    result.stdout.no_fnmatch_line("*Traceback*")


def test_other_tests_pay_nothing(run):
    """The plugin alone imports neither NumPy nor Numba, and leaves other tests as they are."""
    code = f"import sys, {PLUGIN}; sys.exit(any(m in sys.modules for m in ('numpy', 'numba', 'onnx', 'pytest')))"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
    assert run("def test_it():\n    pass\n").parseoutcomes() == {"passed": 1}
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.golden(chain*"])
