"""On a narrow terminal texts and tables are folded: no word is lost, labels stay in front, formulas stay lines."""
from inspect import getdoc

import pytest

from refq import ops
from refq.layouts import two_four_cutlass
from refq.view import flow, show


@pytest.mark.parametrize("name", ops.names())
def test_every_contract_fits(name):
    """In 80 columns; the words are those of the contract, in order."""
    told = getdoc(ops.load(name))
    made = flow.text(told, 80)
    assert made.split() == told.split()
    assert flow.text(told, None) == told and flow.text(told, 130) == told


def test_labels_and_formulas():
    """What goes on under a label keeps its column; a formula's lines are not joined."""
    told = "R1       " + "word " * 22 + "wordy\n         and more\nR2       next\n\n    a = b" + " " * 30 + "why\n    c = d"
    assert flow.text(told, 60).splitlines() == [
        "R1       " + ("word " * 10).strip(), "         " + ("word " * 10).strip(), "         word word wordy and more",
        "R2       next", "", "    a = b" + " " * 30 + "why", "    c = d"]
    assert "\n    offset = c' // 2 * 2 * rows" in flow.text(getdoc(two_four_cutlass), 80)


def test_the_widest_column_is_folded():
    head, rows = ["name", "says"], [["a", "one two three four five six seven"], ["b", "short"]]
    assert flow.table(head, rows, 30).splitlines() == [
        "name  says", "----  -----------------------", "a     one two three four five", "      six seven", "b     short"]
    assert flow.table(head, rows, None) == flow.table(head, rows, 80) == show.table(head, rows)
