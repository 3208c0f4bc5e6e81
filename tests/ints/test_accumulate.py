"""How products join: spec, kernel word and oracle agree; orders differ only where something overflows."""
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate, adder, join
from refq.ints.jit import jit
from refq.ints.row import alternatives
from refq.ints.width import I8, I16, I24, I32, I64, U8
from tests import oracle


def holding(overflow, width):
    if overflow == "refuse":
        return lambda x: x
    return partial({"wrap": oracle.wrapped, "saturate": oracle.saturated}[overflow], bits=width.bits, signed=width.signed)


def spec(products, rule, start=0):
    values = np.array(products, np.int64)
    return int(join(lambda k: values[k:k + 1], len(values), rule, np.array([start]))[0])


def expected(products, rule, start=0):
    return oracle.joined(list(products), rule.order, rule.size, holding(rule.overflow, rule.width), rule.spill,
                         holding("wrap", rule.into), start)


ACC16 = Accumulate("pairs", 1, "saturate", I16, spill=4)
RULES = [Accumulate(), Accumulate(width=I16), Accumulate("exact", overflow="saturate", width=I16),
         Accumulate("sequential", width=I16), Accumulate("sequential", overflow="saturate", width=I16),
         Accumulate("sequential", overflow="saturate", width=I16, spill=3, into=I24),
         Accumulate("pairs", 1, "saturate", I16), Accumulate("pairs", 2, "saturate", I16), ACC16,
         Accumulate("pairs", 8, "wrap", I16, spill=1), Accumulate("tiles", 4, "saturate", I32),
         Accumulate("tiles", 3, "saturate", I16, spill=2), Accumulate("tiles", 5, "wrap", I16), Accumulate(width=I64),
         Accumulate("sequential", overflow="saturate", width=U8)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_spec_kernel_and_oracle_agree(rule):
    """Drawn products of 16 bits and rails of 8 by 8 bits, every length from 0 to 40."""
    add = adder(rule)

    @jit()
    def kernel(products, start):
        return add(products, start)

    draw = np.random.default_rng(7)
    for count in range(41):
        for products in (draw.integers(-(2 ** 15), 2 ** 15, count), draw.choice([-32640, 16384, 32385, 0, -1], count)):
            for start in (0, 1000, -70000):
                found = spec(products, rule, start)
                assert found == kernel(products, start) == expected(products.tolist(), rule, start)
                assert found in rule.result


def test_the_published_pair_saturates():
    """255*127 + 255*127 in VPMADDUBSW; 7-bit activations and weights within [-64, 63] are safe, and just so."""
    rule = Accumulate("pairs", 1, "saturate", I16, spill=1)
    assert spec([255 * 127, 255 * 127], rule) == 32767
    assert spec([127 * -128, 127 * -128], rule) == -32512
    assert spec([255 * -64, 255 * -64], rule) == -32640
    assert spec([255 * 127, 255 * 127, -1, 0], ACC16) == 32766


def test_acc16_saturates_the_running_sum_until_it_is_spilled():
    """FBGEMM: sat16(sum + sat16(a0*b0 + a1*b1)), into 32 bits every so many pairs."""
    products = [20000, 0] * 4
    assert spec(products, ACC16) == 32767
    assert spec(products, Accumulate("pairs", 1, "saturate", I16, spill=1)) == 80000
    assert spec(products, Accumulate("pairs", 1, "saturate", I16)) == 32767


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-128 * 127, 128 * 128), max_size=30), st.integers(1, 6), st.integers(0, 5),
       st.sampled_from(["wrap", "saturate", "refuse"]))
def test_orders_agree_where_nothing_overflows(products, size, spill, overflow):
    """Sums of 8-bit products in 32 bits."""
    for order in ("exact", "sequential", "pairs", "tiles"):
        assert spec(products, Accumulate(order, size, overflow, spill=spill), 5) == 5 + sum(products)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2 ** 40), 2 ** 40), max_size=30), st.integers(1, 6), st.sampled_from([I8, I16, I32]))
def test_wrapping_sums_do_not_see_the_order(products, size, width):
    """Wrapping is arithmetic modulo a power of two."""
    sums = {spec(products, Accumulate(order, size, width=width)) for order in ("exact", "sequential", "pairs", "tiles")}
    assert sums == {oracle.wrapped(sum(products), width.bits)}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(2 ** 15), 2 ** 15), max_size=20))
def test_a_neighbouring_pair_is_a_tile_of_two(products):
    """pairs(1) is tiles(2)."""
    pairs, tiles = Accumulate("pairs", 1, "saturate", I16), Accumulate("tiles", 2, "saturate", I16)
    assert spec(products, pairs) == spec(products, tiles)


def test_planes_of_products_join_as_single_products_do():
    """Rank-1 updates over k, as a matmul's spec has them."""
    draw = np.random.default_rng(3)
    x, w = draw.integers(-128, 128, (3, 11)), draw.integers(-128, 128, (4, 11))
    for rule in RULES:
        acc = join(lambda k: x[:, k, None] * w[:, k], 11, rule, np.zeros((3, 4), np.int64))
        assert acc.tolist() == [[spec(a * b, rule) for b in w] for a in x]


def test_a_sum_that_leaves_the_register_is_refused_by_name():
    """Partial sums too, where products join one by one; not where the sum is exact and comes back."""
    for rule in (Accumulate("sequential", overflow="refuse", width=I16), Accumulate("pairs", 1, "refuse", I16)):
        with pytest.raises(IllFormed, match="40000.*i16"):
            spec([20000, 20000, -20000], rule)
    assert spec([20000, 20000, -20000], Accumulate(overflow="refuse", width=I16)) == 20000
    with pytest.raises(IllFormed, match="acc reaches"):
        spec([20000, 20000], Accumulate(overflow="refuse", width=I16))


@pytest.mark.parametrize("fields", [{"size": 0}, {"spill": -1}, {"order": "random"}, {"overflow": "hope"},
                                    {"overflow": "saturate", "width": I64}, {"width": 32}])
def test_an_impossible_rule_is_refused_at_birth(fields):
    """With a sentence."""
    with pytest.raises(IllFormed):
        Accumulate(**fields)


def test_its_mutants_are_enumerable():
    """Every other order, overflow and kind of product."""
    assert {(name, getattr(row, name)) for name, row in alternatives(Accumulate())} == {
        ("order", "sequential"), ("order", "pairs"), ("order", "tiles"), ("overflow", "saturate"), ("overflow", "refuse"),
        ("products", "codes")}
