"""What dialects claim of tosa's engines, against those engines: a part of `python -m tools.conformance`."""
from tests.peers.campaigns import complete, parametrized, plan, same_codes

PLAN, EXPECTED = plan("tosa"), 28


def test_no_campaign_is_missing():
    complete(PLAN, EXPECTED)


@parametrized(PLAN)
def test_engine_and_dialect_give_the_same_codes(name, index, tally):
    same_codes(name, index, tally)
