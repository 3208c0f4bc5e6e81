"""Events are counted as unbounded integers and fractions say."""
from fractions import Fraction

import numpy as np
import small
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.graph.program import Program, Step, Tensor
from refq.ints.accumulate import Accumulate
from refq.ints.rounding import names
from refq.ints.sites import unwatched
from refq.ints.width import I8, I16, I32, I64, Width
from refq.ops import shiftmax
from refq.vectors.events import Events
from refq.vectors.pack import read
from refq.vectors.record import record
from refq.view.events import lines, text

CODES = st.lists(st.sampled_from([-2**63, -2**62, -3, -2, -1, 0, 1, 2, 3, 6, 2**62, 2**63 - 1])
                 | st.integers(-2**63, 2**63 - 1) | st.integers(-40, 40), min_size=1, max_size=8)


def half(number):
    return number - number.__floor__() == Fraction(1, 2)


@settings(max_examples=150, deadline=None)
@given(CODES, st.integers(0, 63), st.sampled_from(names))
def test_ties_of_shifts(codes, s, word):
    """A tie of a shift is counted where the discarded part is exactly half, at both rails of int64 too."""
    at, x = Events(), np.array(codes, np.int64)
    result = at.shift("y", word, x, np.int64(s), I64)
    assert np.array_equal(result, unwatched.shift("y", word, x, np.int64(s), I64))
    assert at.take()["y"]["ties"] == sum(half(Fraction(c, 2**s)) for c in codes)


@settings(max_examples=150, deadline=None)
@given(CODES, st.integers(1, 2**63 - 1) | st.integers(1, 12), st.sampled_from(names))
def test_ties_of_divisions(codes, d, word):
    """Likewise of a division."""
    codes = [max(c, -2**63 + 1) for c in codes]
    at, x = Events(), np.array(codes, np.int64)
    result = at.divide("y", word, x, np.int64(d), I64)
    assert np.array_equal(result, unwatched.divide("y", word, x, np.int64(d), I64))
    assert at.take()["y"]["ties"] == sum(half(Fraction(c, d)) for c in codes)


@given(CODES)
def test_saturations_wraps_overflows(codes):
    """A clip or wrap that changes a value, and a register that its width cannot hold, are counted."""
    at, x = Events(), np.array(codes, np.int64)
    outside = sum(not -128 <= c <= 127 for c in codes)
    assert np.array_equal(at.clip("clip", x, I8), I8.clip(x)) and np.array_equal(at.wrap("wrap", x, I8), I8.wrap(x))
    assert at("register", x, I8) is x
    seen = at.take()
    assert seen["clip"] == {"ties": 0, "saturations": outside, "wraps": 0, "overflows": 0}
    assert seen["wrap"] == {"ties": 0, "saturations": 0, "wraps": outside, "overflows": 0}
    assert seen["register"] == {"ties": 0, "saturations": 0, "wraps": 0, "overflows": outside}
    assert at.take() == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-600, 600).map(lambda i: i / 2) | st.floats(width=32, allow_nan=False), min_size=1,
                max_size=8), st.sampled_from(names))
def test_ties_of_float32(numbers, word):
    """Likewise where a float32 is rounded to an integer; what then saturates is counted too."""
    at, x = Events(), np.array(numbers, np.float32)
    result = at.nearest("y", word, x, I8)
    assert np.array_equal(result, unwatched.nearest("y", word, x, I8))
    seen, finite = at.take()["y"], [Fraction(float(v)) for v in x if np.isfinite(v)]
    assert seen["ties"] == sum(half(v) for v in finite)
    free = unwatched.nearest("y", word, x, Width(52))
    assert seen["saturations"] == np.count_nonzero((free < -128) | (free > 127))


def test_python_integers():
    """Sites may pass plain integers."""
    at = Events()
    assert at.shift("y", "half_up", 3, 1, I32) == 2 and at.clip("z", 300, I8) == 127
    assert at.take()["y"]["ties"] == 1


def test_manifest_counts_by_step(tmp_path):
    """The manifest's events are those of a count by hand over the recorded cases."""
    pack = record(small.program(), small.images(), tmp_path / "pack")
    clipped = 0
    for i in range(pack.cases):
        case = pack.case(i)
        constants = {k: pack.program.constants[f"fc2.rescale.{k}"].astype(object) for k in ("mult", "shift")}
        for row in case["fc2.acc"].astype(object):
            for acc, mult, shift in zip(row, constants["mult"], constants["shift"]):
                lifted = acc << max(31 - shift, 0)
                doubled = (lifted * mult + 2**30) >> 31
                value = Fraction(doubled, 2 ** max(shift - 31, 0))
                away = (abs(value) + Fraction(1, 2)).__floor__() * (1 if value >= 0 else -1)
                clipped += not -128 <= away + 3 <= 127
    site = next(e for e in pack.manifest["events"] if (e["step"], e["site"]) == ("fc2.rescale", "y"))
    assert site["saturations"] == clipped > 0
    assert pack.events["ties"] == sum(e["ties"] for e in pack.manifest["events"])


def test_what_left_a_register():
    """The first element that left a width, and the value furthest outside, over several calls."""
    at = Events()
    at.clip("y", np.array([[1, -200], [300, 5]], np.int64), I8)
    at.clip("y", np.array([[0, 0], [-1000, 400]], np.int64), I8)
    at("acc", np.array([5], np.int64), I8)
    left = at.furthest()
    assert left.keys() == {"y"} and at.furthest() == {}
    assert (left["y"].index, left["y"].shape, left["y"].worst, left["y"].width) == ((0, 1), (2, 2), -1000, I8)
    at.wrap("w", np.array([-2**63, 2**63 - 1], np.int64), I32)
    assert at.furthest()["w"].worst in (-2**63, 2**63 - 1)


def test_the_manifest_says_where(tmp_path):
    """Case, element and furthest value of what was clipped; the text names the site."""
    pack = record(small.program(), small.images(), tmp_path / "pack")
    site = next(e for e in pack.manifest["events"] if (e["step"], e["site"]) == ("fc2.rescale", "y"))
    kept = [e for e in pack.manifest["events"] if not e["saturations"] + e["wraps"] + e["overflows"]]
    assert kept and not any("left" in e for e in kept)
    codes = [pack.case(i) for i in range(pack.cases)]
    out = pack.program.steps[[s.name for s in pack.program.steps].index("fc2.rescale")].outputs["y"]
    clipped = [i for i, case in enumerate(codes) if ((case[out] == -128) | (case[out] == 127)).any()]
    assert site["left"]["case"] in clipped and abs(site["left"]["worst"]) > 127 and site["left"]["width"] == "i8"
    assert "fc2.rescale" in text(pack.manifest["events"]) and read(pack.folder).manifest == pack.manifest


def test_a_softmax_sum_that_wraps_is_reported(tmp_path):
    """A row whose sum has 16 bits: the register, how often, the case, and the furthest."""
    row = shiftmax.Row(accumulate=Accumulate(overflow="wrap", width=I16))
    tensors = {"q": Tensor("q", (9,), I8, None, "input"), "x0": Tensor("x0", (), I32, None, "parameter"),
               "p": Tensor("p", (9,), row.out, None, "output")}
    step = Step("softmax", "shiftmax", row, {"q": "q", "x0": "x0"}, {"p": "p"})
    program = Program((step,), tensors, {"x0": np.array(-16, np.int32)}, ("q",), ("p",), "", "")
    pack = record(program, {"q": np.zeros((3, 9), np.int8)}, tmp_path / "pack", 3)
    (site,) = [e for e in pack.manifest["events"] if e["site"] == "sum"]
    assert site["wraps"] == 3 and site["left"] == {"case": 0, "index": [0, 0], "worst": 9 * 16 << 15, "width": "i16"}
    (said,) = [line for line in lines(pack.manifest["events"]) if ", sum of i16" in line]
    assert "wraps 3 times, first in case 0" in said
