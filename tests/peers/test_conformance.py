"""Every campaign of tools/conformance.py, small: what a dialect claims of an engine, against that engine."""
import pytest

from tests.conftest import missing
from tools import conformance
from tools.engines.campaign import run

ELEMENTS, SECONDS = 1e5, 4
EXPECTED = 0
"""So many campaigns there are at least; a file of tools/engines that is not found would else pass unseen."""

PLAN, MISSING = conformance.planned(conformance.names())


def test_no_campaign_was_lost():
    if MISSING:
        missing("; ".join(MISSING) + '; pip install ".[test,peers]"')
    assert len(PLAN) >= EXPECTED, f"{len(PLAN)} campaigns"


@pytest.mark.parametrize("name, index", PLAN, ids=[f"{n}-{conformance.engine(n).campaigns[i].operation}" for n, i in PLAN])
def test_engine_and_dialect_give_the_same_codes(name, index, tally):
    """0 codes differ, or a sentence with a smallest input says why those do."""
    campaign = conformance.engine(name).campaigns[index]
    found = run(campaign, ELEMENTS, seed=1, seconds=SECONDS)
    tally(f"{name} {conformance.operation(campaign.operation)}", found.compared, found.mismatches)
    assert found.compared and (campaign.explained or not found.mismatches), found.witness


def test_the_readme_holds_the_table_of_the_last_run():
    """tools/conformance.json is the run; the README shows it, and no campaign is missing from it."""
    results = conformance.stored()
    assert {(r["engine"], r["operation"]) for r in results} >= {
        (n, conformance.engine(n).campaigns[i].operation) for n, i in PLAN}
    assert not conformance.failures(results)
    assert conformance.table(results) in conformance.README.read_text()
