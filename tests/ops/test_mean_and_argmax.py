"""mean and argmax against Python integers."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints.width import I8, I16, I32, I40, U8
from refq.ops import argmax, mean
from tests import oracle_linear as oracle
from tests.ops.strategies import by_kernel, by_spec, operands_of, rails, small, uniform


@pytest.mark.parametrize("fields", [{}, {"q": U8}, {"q": I16}, {"q": I32, "acc": I40}])
def test_mean_is_a_sum(fields):
    """Spec and kernel give the sum of q - zq, also over no rows."""
    row = mean.Row(**fields)
    for n, r, c in ((1, 1, 1), (2, 7, 5), (3, 0, 2), (0, 2, 2)):
        operands = operands_of(row, {"n": n, "r": r, "c": c}, np.random.default_rng(r), lambda: rails)
        expected = [[sum(int(v) - operands["zq"] for v in image[:, at]) for at in range(c)] for image in operands["q"]]
        if n and r:
            assert expected == oracle.mean(operands["q"].tolist(), operands["zq"])
        for by in (by_spec, by_kernel):
            np.testing.assert_array_equal(by("mean", row)(operands)["acc"], np.array(expected, int).reshape(n, c))


def test_a_full_register_wraps():
    """300 codes of -128 under a zero point of 127 are -76500, which 16 bits wrap to -10964."""
    q, row = np.full((1, 300, 1), -128, np.int8), mean.Row(acc=I16)
    assert mean.spec(q, 127, row=row).item() == by_kernel("mean", row)({"q": q, "zq": 127})["acc"].item() == -10964


@pytest.mark.parametrize("width", [I8, U8, I32])
def test_argmax_is_the_first_largest(width):
    """Spec and kernel give what list.index finds, ties and rails included."""
    row = argmax.Row(q=width)
    for n, c, style in ((1, 1, uniform), (20, 3, small), (20, 9, rails), (5, 40, small), (0, 3, uniform)):
        operands = operands_of(row, {"n": n, "c": c}, np.random.default_rng(c), lambda s=style: s)
        for by in (by_spec, by_kernel):
            assert by("argmax", row)(operands)["i"].tolist() == oracle.argmax(operands["q"].tolist())


def test_no_codes_have_no_largest():
    """argmax over an axis of length 0 is refused."""
    with pytest.raises(IllFormed, match="argmax"):
        argmax.Row().sizes({"n": 1, "c": 0})


def test_codes_stand_for_real_numbers():
    """The sum of a grid's numbers is the register's; the place of the largest is that of the largest code."""
    q = np.random.default_rng(3).integers(-128, 128, (4, 7, 5)).astype(np.int8)
    np.testing.assert_array_equal(mean.spec(q, 11, row=mean.Row()) / 8, mean.real((q.astype(float) - 11) / 8))
    np.testing.assert_array_equal(argmax.spec(q[0], row=argmax.Row()), argmax.real((q[0].astype(float) - 11) / 8))
