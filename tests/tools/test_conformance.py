"""tools/conformance.json is the last whole run; the README shows it; a failure is told."""
from tools import conformance


def result(**changed):
    return {"engine": "e", "version": "1", "operation": "conv2d, dense", "dialect": "d", "compared": 1000, "hard": 200,
            "mismatches": 0, "models": 3, "seconds": 1.0, "witness": "", "explained": ""} | changed


def test_the_readme_holds_the_table_of_the_last_run():
    """Every number in the README's table is that of tools/conformance.json, and none of its runs failed."""
    results = conformance.stored()
    assert not conformance.failures(results)
    assert conformance.table(results) in conformance.README.read_text()


def test_a_difference_without_a_reason_fails():
    assert not conformance.failures([result()])
    (said,) = conformance.failures([result(mismatches=2, witness="x 3: refq 1, engine 2")])
    assert "2 of 1,000" in said and "x 3" in said
    assert not conformance.failures([result(mismatches=2, explained="the engine's own")])


def test_too_few_ties_fail():
    """Over the variants of an operation together, a tenth of the codes are ties or saturated."""
    assert not conformance.failures([result(hard=0), result(operation="conv2d, groups")])
    (said,) = conformance.failures([result(hard=0), result(operation="conv2d, groups", hard=100)])
    assert "5.0 %" in said


def test_variants_are_one_line():
    text = conformance.table([result(), result(operation="conv2d, groups", mismatches=1, explained="why")])
    assert "| e 1 | conv2d | 2 | `d` | 2,000 | 20 % | 1 (1) |" in text and text.endswith("1. why")
