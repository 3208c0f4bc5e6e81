"""The campaigns of tools/conformance.py, small: of each operation of an engine its first and its last variant."""
import pytest

from tests.conftest import missing
from tools import conformance
from tools.engines.campaign import run

ELEMENTS, MODELS, SECONDS = 3e4, 4, 3


def plan(*prefixes):
    """(engine, index) of the campaigns of engines whose names start so, and what is missing."""
    every, lacking = conformance.planned([n for n in conformance.names() if n.startswith(prefixes)])
    groups = {}
    for name, index in every:
        operation = conformance.operation(conformance.engine(name).campaigns[index].operation)
        groups.setdefault((name, operation), []).append((name, index))
    return [pair for group in groups.values() for pair in dict.fromkeys((group[0], group[-1]))], len(every), lacking


def parametrized(planned):
    """The mark that runs a test with each (name, index) of a plan."""
    pairs = planned[0]
    names = [f"{n}-{conformance.engine(n).campaigns[i].operation}" for n, i in pairs]
    return pytest.mark.parametrize("name, index", pairs, ids=names)


def complete(planned, expected):
    """No engine is missing, and there are as many campaigns as were counted."""
    if planned[2]:
        missing("; ".join(planned[2]) + '; pip install ".[test,peers]"')
    assert planned[1] >= expected, f"{planned[1]} campaigns"


def same_codes(name, index, tally):
    """0 codes differ, or a sentence with a smallest input says why those do, and how many and how far."""
    campaign = conformance.engine(name).campaigns[index]
    found = run(campaign, ELEMENTS, seed=1, seconds=SECONDS, models=MODELS)
    tally(f"{name} {conformance.operation(campaign.operation)}", found.compared, found.mismatches)
    beyond = campaign.excess(found.mismatches, found.compared, found.furthest)
    assert found.compared and not beyond, f"{beyond}: {found.witness}"
