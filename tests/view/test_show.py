"""show: what tables hold of long names."""
import pytest

from refq.view.show import LONGEST, short


@pytest.mark.parametrize("name", ["", "a", "a" * LONGEST])
def test_a_name_that_fits_is_whole(name):
    assert short(name) == name


def test_both_ends_of_a_long_name_are_left():
    assert short("first_part_of_it_/" + "x" * 500 + "_last_part_of_name") == "first_part_of_it_/..._last_part_of_name"
