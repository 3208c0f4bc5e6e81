"""show: what tables hold of long names."""
import pytest

from refq.view.score import shortened
from refq.view.show import LONGEST, short


@pytest.mark.parametrize("name", ["", "a", "a" * LONGEST])
def test_a_name_that_fits_is_whole(name):
    assert short(name) == name


def test_both_ends_of_a_long_name_are_left():
    assert short("first_part_of_it_/" + "x" * 500 + "_last_part_of_name") == "first_part_of_it_/..._last_part_of_name"


def test_a_mutant_in_many_regions_is_cut():
    """In text; --json has the whole name."""
    whole = "sum wraps, in the first row or the last row or the tail"
    assert shortened(whole) == whole
    assert shortened("sum wraps, in a or b or c or d") == "sum wraps, in a or b or 2 more regions"
