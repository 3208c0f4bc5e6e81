"""tools/conformance.json holds the last run of each campaign; the README shows it; a failure is told."""
import numpy as np
import pytest

from tools import conformance
from tools.engines.campaign import Campaign, Compared, distance, run


def result(**changed):
    return {"engine": "e", "version": "1", "operation": "conv2d, dense", "dialect": "d", "compared": 1000, "hard": 200,
            "mismatches": 0, "furthest": 0.0, "models": 3, "seconds": 1.0, "witness": "", "explained": "", "apart": 0,
            "share": 0.0, "moves": False} | changed


def test_the_readme_holds_the_table_of_the_last_run():
    """Every number in the README's table is that of tools/conformance.json, and none of its runs failed."""
    results = conformance.stored()
    assert not conformance.failures(results)
    assert conformance.table(results) in conformance.README.read_text()


def test_a_difference_without_a_reason_fails():
    assert not conformance.failures([result()])
    (said,) = conformance.failures([result(mismatches=2, witness="x 3: refq 1, engine 2")])
    assert "2 of 1,000" in said and "x 3" in said


@pytest.mark.parametrize("wrong, furthest, said", [(2, 1.0, ""), (2, 2.0, "2 apart"), (11, 1.0, "allows 1 %")])
def test_a_reason_excuses_so_many_differences_and_so_far(wrong, furthest, said):
    found = result(mismatches=wrong, furthest=furthest, explained="the engine's own", apart=1, share=0.01)
    sentences = conformance.failures([found])
    assert len(sentences) == bool(said) and said in "".join(sentences)


def test_a_reason_has_its_bounds():
    for told in ({"explained": "why"}, {"explained": "why", "apart": 1}, {"apart": 1, "share": 0.1}):
        with pytest.raises(ValueError, match="a reason needs"):
            Campaign("conv2d", "d", None, **told)


def test_a_run_tells_the_furthest_codes():
    """And draws as many models as are asked for."""
    campaign = Campaign("conv2d", "d", lambda rng: Compared(np.uint8([0, 255, 9]), np.uint8([255, 253, 9]), 1))
    tally = run(campaign, 1, models=4)
    assert (tally.models, tally.compared, tally.mismatches, tally.furthest) == (4, 12, 8, 255)
    assert distance(np.float32([np.nan]), np.float32([1])) == np.inf


def test_a_part_takes_the_place_of_what_was_stored():
    """What is no campaign any more goes; what is of an engine that is not installed stays."""
    old = [result(mismatches=1), result(operation="gone"), result(engine="absent")]
    kept = conformance.merged(old, [result(compared=7)], [("e", "conv2d, dense"), ("e", "conv2d, new")])
    assert [(r["engine"], r["operation"], r["compared"]) for r in kept] == [("absent", "conv2d, dense", 1000),
                                                                            ("e", "conv2d, dense", 7)]


def test_only_operations_that_pass_are_kept():
    every = [("e", "conv2d, dense"), ("e", "add u8")]
    wrong, passed = conformance.judged([result(mismatches=1), result(operation="add u8")], [], every)
    assert len(wrong) == 1 and [r["operation"] for r in passed] == ["add u8"]


def test_too_few_ties_fail():
    """Over the variants of an operation together, a tenth of the codes are ties or saturated."""
    assert not conformance.failures([result(hard=0), result(operation="conv2d, groups")])
    (said,) = conformance.failures([result(hard=0), result(operation="conv2d, groups", hard=100)])
    assert "5.0 %" in said
    assert not conformance.failures([result(operation="PAD int8", hard=0, moves=True)])


def test_variants_are_one_line():
    text = conformance.table([result(), result(operation="conv2d, groups", mismatches=1, explained="why")])
    assert "| e 1 | conv2d | 2 | `d` | 2,000 | 20 % | 1 (1) |" in text and text.endswith("1. why")
    assert "| exact | 0 |" in conformance.table([result(operation="PAD int8", hard=0, moves=True)])
