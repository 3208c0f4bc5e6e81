"""Rows are checked at birth, and their alternatives can be enumerated."""
from dataclasses import dataclass

import pytest

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate
from refq.ints.row import Row, alternatives, choice, decided, differences, from_plain, plain, stated
from refq.ints.width import I8, I16, Width


@dataclass(frozen=True)
class Sample(Row):
    ties: str = choice("half_up", "half_even", "half_up", "floor")
    scale: str = choice("q31", "pow2", acts="build")
    out: Width = decided(I8)
    size: int = 3
    accumulate: Accumulate = Accumulate()

    def __post_init__(self):
        super().__post_init__()
        if self.ties == "floor" and self.scale == "pow2":
            raise IllFormed("sample: floor does not go with pow2")


def test_a_row_lists_each_alternative_once():
    """The default first; a default that is named again is one alternative."""
    fields = Sample.__dataclass_fields__
    assert fields["ties"].metadata == {"alternatives": ("half_up", "half_even", "floor"), "acts": "run"}
    assert fields["scale"].metadata["acts"] == "build"


@pytest.mark.parametrize("fields, sentence", [
    ({"ties": "nearest"}, "ties is 'nearest'; it can be 'half_up', 'half_even'"),
    ({"out": 8}, "out is 8; it must be a width"),
    ({"accumulate": "exact"}, "accumulate is 'exact'; it must be a row")])
def test_a_field_outside_its_alternatives_is_refused(fields, sentence):
    """The sentence names the field, the value and what it can be."""
    with pytest.raises(IllFormed, match=sentence):
        Sample(**fields)


def test_alternatives_differ_in_one_field_and_are_possible():
    """Contradictions are left out; fields without alternatives stay; a row in a row is looked into."""
    found = {name: [] for name, _ in alternatives(Sample(scale="pow2"))}
    for name, row in alternatives(Sample(scale="pow2")):
        held = row
        for part in name.split("."):
            held = getattr(held, part)
        found[name].append(held)
        assert (row.out, row.size) == (I8, 3)
    assert found == {"ties": ["half_even"], "scale": ["q31"], "accumulate.order": ["sequential", "pairs", "tiles"],
                     "accumulate.overflow": ["saturate", "refuse"], "accumulate.products": ["codes"]}


def test_rows_are_values():
    """Equal by content, usable as keys, and not to be changed."""
    assert Sample() == Sample(ties="half_up") and len({Sample(), Sample(), Sample(out=I16)}) == 2
    with pytest.raises(AttributeError):
        Sample().ties = "floor"


def test_a_row_in_a_row_survives_as_plain_data():
    """plain and from_plain."""
    row = Sample("floor", out=I16, accumulate=Accumulate("pairs", 2, "saturate", I16, 4))
    assert from_plain(Sample, plain(row)) == row


def test_words_leave_out_defaults():
    """In rows in rows as well; what is left out comes back as the default."""
    row = Sample("floor", accumulate=Accumulate("pairs", width=I16))
    assert differences(Sample()) == {}
    assert differences(row) == {"ties": "floor", "accumulate": {"order": "pairs", "width": "i16"}}
    assert from_plain(Sample, differences(row)) == row

    @dataclass(frozen=True)
    class Bare(Row):
        size: int
        accumulate: Accumulate | None = None

    assert differences(Bare(3)) == {"size": 3} and differences(Bare(3, Accumulate())) == {"size": 3, "accumulate": {}}
    assert from_plain(Bare, {"size": 3, "accumulate": {}}) == Bare(3, Accumulate())


def test_what_tensors_decide_is_not_stated():
    assert stated(Sample) == stated(Sample()) == ["ties", "scale", "size", "accumulate"]
