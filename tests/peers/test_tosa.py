"""Arm's own TOSA tests, run by Arm's own runner, with refq as the system under test: a sample of every operator.

All results equal those of the reference model, and each forbidden graph is refused for the reason that the test was made for.
`python -m tools.tosa` runs all of them; tools/tosa/results.json holds its counts.
"""
import subprocess
import sys

import pytest

from tests.conftest import missing
from tools.tosa import __main__ as command
from tools.tosa import environment, suite

EXPECTED = 53, 130, 140
"""Operators, results, and refusals of the sample, at least."""


@pytest.fixture(scope="module")
def arms():
    try:
        environment.packages()
    except ImportError as e:
        missing(str(e))


def test_the_sample_is_equal_and_what_is_forbidden_is_refused(arms, tmp_path):
    suite.generate(tmp_path, *command.SAMPLE, options=command.SMALL)
    rows = suite.execute(tmp_path)
    print(suite.table(rows))
    assert not [f"{row.operator}: {text}" for row in rows for text in row.failed]
    counted = len(rows), sum(row.equal for row in rows), sum(row.refused for row in rows)
    assert all(now >= least for now, least in zip(counted, EXPECTED)), counted
    assert {r["operator"] for r in command.stored()} == {row.operator for row in rows}


def test_a_wrong_result_and_a_wrong_reason_are_seen(arms, tmp_path, monkeypatch):
    """An interpreter that answers with a broken refq: CLZ counts one too many, and every refusal is for the axis."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n" + BROKEN)
    python.chmod(0o755)
    monkeypatch.setattr(suite.sys, "executable", str(python))
    suite.generate(tmp_path / "tests", 1, 1, ("type",), ["clz"], command.SMALL)
    row, = suite.execute(tmp_path / "tests")
    assert (row.operator, row.equal, row.refused) == ("clz", 0, 0)
    assert row.tests and row.forbidden and len(row.failed) == row.tests + row.forbidden


BROKEN = """
from tools.tosa import checks, lowered, server

right = lowered.LOWERED["CLZ"]
lowered.LOWERED["CLZ"] = lambda operator: right(operator) + 1
server.Refused.__init__ = lambda self, rule, sentence: setattr(self, "rule", "axis")
server.main()
"""


def test_without_arms_tools_a_sentence_says_how_to_get_them(tmp_path):
    """The command line of the reference model's campaigns and of the suite alike."""
    asked = [sys.executable, "-c", "from tools.tosa import environment; environment.packages()"]
    ended = subprocess.run(asked, capture_output=True, text=True, env={"REFQ_TOSA": str(tmp_path), "PYTHONPATH": str(suite.ROOT)})
    assert ended.returncode and "python -m tools.tosa --setup" in ended.stderr.splitlines()[-1]


def test_the_last_full_run_has_no_failure():
    rows = command.stored()
    assert len(rows) >= EXPECTED[0] and not [r["operator"] for r in rows if r["failed"]]
    assert all(r["tests"] == r["equal"] and r["forbidden"] == r["refused"] for r in rows)
