"""rounding_names: what Python has at hand is run; names are one thing per project; unknown ones are refused."""
import decimal
import math
from fractions import Fraction

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.rounding_names import dictionary, find

TIES = [k / 4 for k in range(-14, 15)]
LIVE = {
    "numpy": {name: getattr(np, name) for name in ("floor", "ceil", "trunc", "fix", "rint", "round", "around")},
    "python": {"round": round, "math.floor": math.floor, "math.ceil": math.ceil, "math.trunc": math.trunc, "int": int,
               "//": lambda x: x // 1}
    | {name: (lambda x, name=name: decimal.Decimal(x).to_integral_value(getattr(decimal, name)))
       for name in vars(decimal) if name.startswith("ROUND_") and name != "ROUND_05UP"},
}


@pytest.mark.parametrize("name", [n for n in dictionary if n.name in LIVE.get(n.project, ())],
                         ids=lambda n: f"{n.project}:{n.name}")
def test_what_python_has_does_as_the_dictionary_says(name):
    """Halves, quarters and whole numbers from -3.5 to 3.5."""
    live, word = LIVE[name.project][name.name], rounding.word(name.word)
    assert [int(live(x)) for x in TIES] == [word(int(4 * x), 2) for x in TIES]


def test_all_of_decimal_is_in_the_dictionary():
    assert {n.name for n in dictionary if n.project == "python"} >= {k for k in LIVE["python"] if k.startswith("ROUND")}


def test_a_name_is_one_word_in_a_project():
    said = [(n.project, n.name) for n in dictionary]
    assert len(said) == len(set(said))
    assert {n.word for n in dictionary} == set(rounding.names)


def test_cpp_round_and_java_round_are_two_words():
    """c:round(-2.5) is -3; Java's Math.round(-2.5) is -2."""
    (c,), (java,) = find("c:round"), find("JAVA:math.ROUND")
    assert [rounding.word(n.word)(-5, 1) for n in (c, java)] == [-3, -2]
    assert rounding.word(c.word)(-5, 1) == -math.floor(Fraction(5, 2) + Fraction(1, 2))


def test_a_name_without_a_project_is_found_in_all():
    assert {(n.project, n.word) for n in find("half_up")} == {("java", "half_away"), ("qonnx", "half_away"), ("refq", "half_up")}


@pytest.mark.parametrize("text, project, word", [
    ("np.rint", "numpy", "half_even"), ("numpy.fix", "numpy", "trunc"), ("std::round", "c", "half_away"),
    ("decimal.ROUND_HALF_UP", "python", "half_away"), ("RoundingMode.HALF_UP", "java", "half_away"),
    ("java.math.RoundingMode.HALF_EVEN", "java", "half_even"), ("torch.round", "torch", "half_even")])
def test_names_as_programs_write_them(text, project, word):
    assert [(n.project, n.word) for n in find(text)] == [(project, word)]


@pytest.mark.parametrize("text, says", [("java:", "lacks a name"), (":HALF_UP", "lacks a project"), ("np.", "lacks a name"),
                                        ("jav:HALF_UP", "no project .jav.; did you mean java"),
                                        ("java:HALF_UPP", "did you mean HALF_UP"),
                                        ("nearest-ish", "is no rounding")])
def test_unknown_names_are_refused(text, says):
    with pytest.raises(IllFormed, match=says):
        find(text)
