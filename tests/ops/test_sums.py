"""Sums of codes that join as an Accumulate says, in means, pools, reductions, softmaxes and layer norms, by an oracle."""
from functools import partial

import numpy as np
import pytest

from refq import ops
from refq.errors import IllFormed
from refq.ints.accumulate import Accumulate, summed
from refq.ints.row import differences, from_plain
from refq.ints.sites import Sites
from refq.ints.width import I8, I16, I24, I32, I48, U16
from tests import oracle

RULES = (Accumulate("sequential", overflow="saturate", width=I8, spill=3, into=I24), Accumulate("pairs", 2, "wrap", I16),
         Accumulate("tiles", 5, "saturate", I48), Accumulate(overflow="wrap", width=U16))
LENGTHS = (1, 2, 3, 197)


def joined(terms, rule):
    hold = partial({"wrap": oracle.wrapped, "saturate": oracle.saturated}[rule.overflow], bits=rule.width.bits,
                   signed=rule.width.signed)
    return oracle.joined([int(t) for t in terms], rule.order, rule.size, hold, rule.spill,
                         partial(oracle.wrapped, bits=rule.into.bits, signed=rule.into.signed), 0)


class Watch(Sites):
    """Keeps what each register holds."""

    def __init__(self):
        self.seen = {}

    def __call__(self, name, value, width):
        self.seen[name] = value
        return value


def codes(shape, lo=-128, hi=127):
    draw = np.random.default_rng(5)
    q = draw.integers(lo, hi, shape, endpoint=True)
    q[0], q[1] = hi, lo
    return q


def both(op, row, operands):
    """The spec's result and its registers; the kernel gives the same."""
    module, at = ops.load(op), Watch()
    made = [np.asarray(v, d.width.dtype) if d.names else int(v) for d, v in zip(row.takes.values(), operands)]
    result = module.spec(*made, row=row, at=at)
    got = np.empty(result.shape, next(iter(row.gives.values())).width.dtype)
    module.kernel(row)(*made, got)
    np.testing.assert_array_equal(got, result)
    return result, at.seen


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_helper_is_the_oracle(rule):
    """Rows of every length, at the rails and drawn; a rule of none is a plain sum."""
    for count in (0, *LENGTHS):
        q = codes((5, count))
        assert summed(q, rule)[:, 0].tolist() == [joined(row, rule) for row in q]
        assert summed(q, None)[:, 0].tolist() == q.sum(1).tolist()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_means_and_reductions(rule):
    """The result is the joined sum of a column."""
    mean = ops.load("mean").Row(acc=rule.result, accumulate=rule)
    reduce = ops.load("reduce").Row(q=I8, y=rule.result, accumulate=rule)
    for count in LENGTHS:
        q = codes((3, count, 2))
        acc, _ = both("mean", mean, (q, -5))
        y, _ = both("reduce", reduce, (q,))
        for n, c in np.ndindex(acc.shape):
            assert (acc[n, c], y[n, c]) == (joined(q[n, :, c] + 5, rule), joined(q[n, :, c], rule))


@pytest.mark.parametrize("rule", RULES[:2], ids=str)
@pytest.mark.parametrize("zero_point", ["kept", "taken"])
def test_pools(rule, zero_point):
    """A window's places join in the order of rows and columns; outside the image lies 0."""
    row = ops.load("average_pool").Row(kernel=(3, 2), stride=(2, 1), padding=(1, 1, 1, 0), zero_point=zero_point,
                                       accumulate=rule)
    q, zero = codes((2, 5, 4, 2)), -100 if zero_point == "taken" else 0
    _, seen = both("average_pool", row, (q, zero, 3))
    padded = np.pad(q - zero, ((0, 0), (1, 1), (1, 0), (0, 0)))
    for n, oy, ox, c in np.ndindex(seen["acc"].shape):
        assert seen["acc"][n, oy, ox, c] == joined(padded[n, 2 * oy:2 * oy + 3, ox:ox + 2, c].reshape(-1), rule)


SOFTMAXES = {"shiftmax": ({}, lambda m, row: (-16,)),
             "softmax_gemmlowp": ({}, lambda m, row: m.build(row, 0.1, 0).values()),
             "softmax_table_integer": ({"q": I8}, lambda m, row: m.build(row, 0.1, 197).values()),
             "softmax_table16": ({"q": I8}, lambda m, row: m.build(row, 0.1, 0).values())}
TERMS = {"softmax_gemmlowp": "near"}


@pytest.mark.parametrize("op", SOFTMAXES)
def test_softmaxes(op):
    """The sum that shares are divided by is the joined one of the exponentials, and at least 1."""
    module, (fields, constants) = ops.load(op), SOFTMAXES[op]
    for rule in RULES[:3]:
        row = module.Row(accumulate=rule, **fields)
        for count in LENGTHS:
            q = codes((4, count), -40)
            _, seen = both(op, row, (q, *constants(module, row)))
            terms = seen[TERMS.get(op, "e")]
            assert seen["sum"][:, 0].tolist() == [joined(e, rule) for e in terms] and (seen["total"] >= 1).all()


def test_layer_norms():
    """Both sums have a rule of their own."""
    module = ops.load("ilayernorm")
    for rule, squares in ((RULES[0], None), (None, RULES[1]), (RULES[3], RULES[2])):
        for count in LENGTHS:
            row, q = module.Row(accumulate=rule, squares=squares), codes((4, count))
            _, seen = both("ilayernorm", row, (q, np.arange(count), np.ones(count), np.zeros(count)))
            if rule:
                assert seen["total"][:, 0].tolist() == [joined(r, rule) for r in q]
            if squares:
                assert seen["squares"][:, 0].tolist() == [joined(d * d, squares) for d in seen["d"]]


@pytest.mark.parametrize("op", ["mean", "shiftmax", "ilayernorm", "reduce", "average_pool", *SOFTMAXES])
def test_a_row_that_says_nothing_is_what_it_was(op):
    """The field is left out of the words of the format, and comes back; a rule does, too."""
    Row = ops.load(op).Row
    fields = SOFTMAXES.get(op, ({},))[0]
    assert not {"accumulate", "squares"} & differences(Row(**fields)).keys()
    rule = Accumulate("pairs", overflow="saturate", width=I16, spill=1, into=I32)
    row = Row(**fields, accumulate=rule)
    assert from_plain(Row, differences(row)) == row


def test_rules_that_contradict_the_row_are_refused():
    """Of products, of another register, and for what is no sum."""
    wrong = {"mean": {"acc": I16, "accumulate": Accumulate()}, "shiftmax": {"accumulate": Accumulate(products="codes")},
             "reduce": {"word": "max", "accumulate": Accumulate()}}
    for op, fields in wrong.items():
        with pytest.raises(IllFormed, match=op):
            ops.load(op).Row(**fields)
