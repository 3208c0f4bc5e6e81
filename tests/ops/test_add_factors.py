"""add_factors: the oracle, the sum of reals within half a unit, and factors of a tensor folded into its units."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.grids.channel_factors import ChannelFactors
from refq.ints.width import I8, I16
from refq.ops import add_factors
from refq.ops.add_factors import Row
from tests import oracle_fqvit as oracle

RNG = np.random.default_rng(4)


def both(a, b, constants, row):
    """Spec and kernel, which agree."""
    held = [np.asarray(v, row.takes[k].width.dtype) if row.takes[k].names else v for k, v in constants.items()]
    y = np.empty(np.shape(a), row.out.dtype)
    a, b = (np.ascontiguousarray(v, w.dtype) for v, w in ((a, row.a), (b, row.b)))
    add_factors.kernel(row)(a, b, *held, y)
    np.testing.assert_array_equal(add_factors.spec(a, b, *held, row), y)
    return y


@settings(max_examples=60)
@given(st.data())
def test_oracle_agrees(data):
    """Spec and kernel are the definition on unbounded integers."""
    row = data.draw(st.sampled_from((Row(), Row(ties="half_away", a=I16))))
    count = data.draw(st.integers(1, 6))

    def some(lo, hi):
        return data.draw(st.lists(st.integers(lo, hi), min_size=count, max_size=count))

    a, b = some(row.a.lo, row.a.hi), some(-128, 127)
    za, zb, zo = (data.draw(st.integers(-128, 127)) for _ in range(3))
    ma, mb = (data.draw(st.integers(0, 2 ** 21)) for _ in range(2))
    constants = {"za": za, "zb": zb, "ka": some(0, 3), "kb": some(0, 3), "ma": ma, "mb": mb,
                 "shift": data.draw(st.integers(12, 40)), "ky": some(0, 3), "zo": zo}
    assert both([a], [b], constants, row).tolist() == [oracle.add_factors(a, b, constants, row.ties, 8)]


@pytest.mark.parametrize("count", [1, 2, 3, 197, 4096])
def test_near_the_sum_of_reals(count):
    """The codes are those of the real sum on the result's grid, or a neighbour where that is near a tie."""
    found = (0.01, 3), (0.004, -7), (0.012, 5)
    grids = [ChannelFactors(I8, unit, tuple(RNG.integers(0, 4, count)), zero) for unit, zero in found]
    a, b = (RNG.integers(-128, 128, (5, count)) for _ in range(2))
    constants = add_factors.build(Row(), *(v for g in grids for v in (g.unit, g.zero)), *(np.array(g.exponents) for g in grids))
    y, exact = both(a, b, constants, Row()), grids[0].decode(a) + grids[1].decode(b)
    error = np.abs(np.clip(exact / grids[2].scale + 5, -128, 127) - y)
    assert error.max() <= 0.5 + 2.0 ** -8


@pytest.mark.parametrize("sa, so", [(1.0, 2.0 ** -10), (2.0 ** -25, 1.0)])
def test_units_too_far_apart_are_refused(sa, so):
    """The larger of both quotients has no multiplier of 21 bits then."""
    with pytest.raises(IllFormed, match="add_factors: units .* lies between"):
        add_factors.build(Row(), sa, 0, sa / 2, 0, so, 0, [0], [0], [0])
