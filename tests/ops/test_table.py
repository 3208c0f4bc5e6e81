"""table and clip: entries against fractions and known values, ties, floats that cannot be decided."""
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import functions, rounding
from refq.ints.width import I8, I16, U8
from refq.ops import clip, table
from refq.ops.table import Row
from tests import oracle

CODES = range(-128, 128)


def single(x):
    return float(np.float32(x))


def test_published_gelu():
    """GELU, s_in = .05, s_out = .03 with zero point -122, ties away from zero."""
    t = table.build(Row(ties="half_away"), "gelu", single(0.05), 0, single(0.03), -122)["t"]
    assert [t[v + 128] for v in (-128, -64, -10, -1, 0, 1, 10, 64, 127)] == [
        -122, -122, -127, -123, -122, -121, -110, -15, 90]


@pytest.mark.parametrize("ties", rounding.names)
def test_rational_functions_are_decided_exactly(ties):
    """Entries that are ties come out as fractions say: x / 2, hard swish, and the identity."""
    for name, f in (("identity", lambda x: x), ("hard_swish", lambda x: x * min(max(x + 3, 0), 6) / 6),
                    ("relu", lambda x: max(x, Fraction(0)))):
        t = table.build(Row(ties=ties), name, 0.25, 3, 0.5, -5)["t"]
        exact = [f(Fraction(v - 3, 4)) * 2 for v in CODES]
        assert t == [oracle.saturated(oracle.roundings[ties](x) - 5, 8) for x in exact]


FLOATS = {"exp": math.exp, "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh, "erf": math.erf,
          "silu": lambda x: x / (1 + math.exp(-x)), "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
          "gelu_tanh": lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
          "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
          "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0), 1), "identity": lambda x: x,
          "relu": lambda x: max(x, 0), "hard_swish": lambda x: x * min(max(x + 3, 0), 6) / 6}


@pytest.mark.parametrize("name", functions.names)
def test_functions_are_those_of_math(name):
    """Each Decimal function against another text in float64; a name without one fails."""
    for x in [k / 7 for k in range(-140, 141)]:
        with localcontext(prec=functions.DIGITS):
            value = float(functions.named(name)(Decimal(x)))
        assert abs(value - FLOATS[name](x)) <= 1e-14 * max(1, abs(value)), x


def test_far_arguments_stay_finite():
    """16-bit codes of coarse scales reach far: nothing overflows, nothing takes long."""
    with localcontext(prec=functions.DIGITS):
        for name in functions.names:
            for x in (-70000, 70000):
                assert functions.named(name)(Decimal(x)).is_finite()
    assert table.build(Row(), "exp", 100.0, 0, 1e-6, 0)["t"][-1] == 127


def test_a_callable_of_floats_serves():
    """math.erf takes a Decimal and gives a float: right where it is sure."""
    by_float = table.build(Row(), math.erf, single(0.02), 0, single(1 / 128), 0)["t"]
    assert by_float == table.build(Row(), "erf", single(0.02), 0, single(1 / 128), 0)["t"]


def test_an_unsure_float_is_refused():
    """A float a hair off a tie could be on either side; nothing guesses."""
    with pytest.raises(IllFormed, match="too close to a tie"):
        table.build(Row(), lambda x: float(x) / 2 + 1e-13, 1.0, 0, 1.0, 0)
    with pytest.raises(IllFormed, match="clip its input"):
        table.build(Row(), lambda x: float("nan"), 1.0, 0, 1.0, 0)
    with pytest.raises(IllFormed, match="a function named"):
        table.build(Row(), "gleu", 1.0, 0, 1.0, 0)


def test_a_table_has_an_entry_for_each_code():
    """Unsigned codes begin at entry 0; 16-bit ones have 65,536; other lengths are refused with their number."""
    row = Row(q=U8, out=I16)
    t = np.array(table.build(row, "sigmoid", 0.05, 128, 2.0**-15, 0)["t"], np.int16)
    q = np.arange(256, dtype=np.uint8)
    y = np.empty(256, np.int16)
    table.kernel(row)(q, t, y)
    assert y.tolist() == t.tolist() == table.spec(q, t, row).tolist()
    assert len(table.build(Row(q=I16), "relu", 0.01, 0, 0.1, 0)["t"]) == 65536
    with pytest.raises(IllFormed, match="need 256"):
        row.sizes({"n": 1, "i": 255})


def test_every_clip_of_8_bits():
    """All codes against all pairs of bounds; an empty range gives its upper bound."""
    q = np.arange(-128, 128, dtype=np.int8)
    for lo in range(-128, 128, 15):
        for hi in range(-128, 128, 17):
            y = np.empty_like(q)
            clip.kernel(clip.Row())(q, lo, hi, y)
            expected = [hi if v > hi or lo > hi else max(v, lo) for v in q.tolist()]
            assert y.tolist() == clip.spec(q, lo, hi, clip.Row()).tolist() == expected
    assert clip.build(clip.Row(q=I8), -3, 4) == {"lo": -3, "hi": 4}


@pytest.mark.parametrize("name", functions.quick)
@pytest.mark.parametrize("ties", ["half_even", "half_away", "floor", "ceil", "odd"])
def test_the_quick_way_gives_the_same_table(name, ties):
    """Entries rounded from float64 where that is sure are those that 60 digits give: tails, ties and equal scales."""
    for s_in, z_in, s_out, z_out in ((0.05, 0, 0.03, -122), (0.02, -100, 0.01, 3), (0.5, 0, 1.0, 0), (1e-3, 0, 1e-3, 0)):
        slow = table.build(Row(ties=ties), functions.functions[name], s_in, z_in, s_out, z_out)
        assert table.build(Row(ties=ties), name, s_in, z_in, s_out, z_out) == slow
