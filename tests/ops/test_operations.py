"""What holds for every operation, whatever it does."""
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from refq import ops
from refq.errors import IllFormed
from tests.ops import strategies
from tests.ops.strategies import by_kernel, by_spec

CASES = [pytest.param(name, row, id=f"{name}-{i}") for name in ops.names()
         for i, row in enumerate(strategies.rows(name))]


def copied(operands):
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in operands.items()}


def same(a, b):
    return all(np.array_equal(a[k], b[k]) for k in a)


def right(name, row, operands):
    """The spec's raw answer; a case that the row refuses is no case."""
    try:
        out = ops.load(name).spec(*operands.values(), row=row)
    except IllFormed:
        assume(False)
    return dict(zip(row.gives, out if isinstance(out, tuple) else (out,)))


@pytest.mark.parametrize("name, row", CASES)
@settings(max_examples=20)
@given(data=st.data())
def test_kernel_is_spec(name, row, data):
    """Kernel and spec agree bit for bit, give what was declared, and leave their operands alone."""
    operands = data.draw(strategies.operands(name, row))
    before = copied(operands)
    expected, got = right(name, row, operands), by_kernel(name, row)(operands)
    for result, declared in row.gives.items():
        values = np.asarray(expected[result])
        assert values.shape == got[result].shape
        assert values.size == 0 or declared.lo <= values.min() and values.max() <= declared.hi
        np.testing.assert_array_equal(got[result], values)
    assert same(before, operands)


@pytest.mark.parametrize("name, row", CASES)
@settings(max_examples=10)
@given(data=st.data())
def test_laws_hold(name, row, data):
    """Every law is true of every row, whatever the operands."""
    operands = data.draw(strategies.operands(name, row))
    right(name, row, operands)
    for law, holds in ops.laws(name).items():
        assert np.all(holds(*operands.values(), row=row)), law


@pytest.mark.parametrize("name, row", CASES)
@settings(max_examples=8)
@given(data=st.data())
def test_reach_makes_the_element(name, row, data):
    """The spec on the reach of one element gives that element of the whole."""
    operands = data.draw(strategies.operands(name, row))
    whole = right(name, row, operands)
    for result, values in whole.items():
        values = np.asarray(values)
        assume(values.size)
        index = np.unravel_index(data.draw(st.integers(0, values.size - 1)), values.shape)
        part, under, at = ops.reach(name, operands, row, result, tuple(map(int, index)))
        assert by_spec(name, under)(part)[result][at] == values[index]


@pytest.mark.parametrize("name", ops.names())
def test_slips_show(name):
    """Each slip changes the result of some case, under some row, and never what it was given."""
    rng = np.random.default_rng(1)
    unseen = {slip.__name__: slip for slip in ops.load(name).slips}
    for row in strategies.rows(name) * 12:
        if not unseen:
            return
        operands = drawn(name, row, rng)
        try:
            truth = by_spec(name, row)(operands)
        except IllFormed:
            continue
        before = copied(operands)
        for label, slip in list(unseen.items()):
            try:
                altered = slip(by_spec(name, row), operands, row)
            except IllFormed:           # what the slip makes is refused: seen
                altered = {}
            assert same(before, operands), label
            if any(k not in altered or not np.array_equal(altered[k], truth[k]) for k in truth):
                del unseen[label]
    assert not unseen


styles = (strategies.uniform, strategies.magnitudes)


def drawn(name, row, rng):
    """Operands without Hypothesis: sizes of a few tiles and a rest."""
    def draw(options):
        return options.elements[int(rng.integers(len(options.elements)))]
    found = strategies.drawn_sizes(name, row, draw)
    if name not in strategies.special:
        found = {axis: int(rng.integers(5, 20)) for axis in found}
    found["n"] = 11
    return strategies.operands_of(row, found, rng, lambda: styles[int(rng.integers(2))])


@pytest.mark.parametrize("name", ops.names())
def test_operation_is_whole(name):
    """An operation's file has all its parts: default row, spec, kernel, slips, and laws."""
    module = ops.load(name)
    row = module.Row()
    assert row.takes and row.gives and hash(row) == hash(module.Row())
    assert callable(module.spec) and callable(module.kernel) and callable(module.build)
    assert module.slips and len({s.__name__ for s in module.slips}) == len(module.slips)
    assert all(slip.__doc__ or "(" in slip.__name__ or "_" in slip.__name__ for slip in module.slips)
    assert ops.laws(name)
