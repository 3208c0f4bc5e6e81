"""check_kernel: refq's own kernels pass, wrong ones are caught by the law that names the mistake, sums are filled and
cancelled."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refq import ops
from refq.errors import IllFormed
from refq.ops import matmul
from refq.testing import LawBroken, check_kernel, examine_kernel, returning
from refq.testing.kernel_laws import LAWS
from refq.testing.kernels import broken_by
from refq.testing.operand_sets import LONG, PATTERNS, cases, cut, products
from refq.testing.strategies import operands
from tests.testing import wrong_kernels as wrong

ROW = matmul.Row()
SOME = ("argmax", "clip", "conv2d", "matmul", "mean", "rescale", "rope", "table")


@pytest.fixture(scope="module")
def made():
    return cases("matmul", ROW)


@pytest.mark.parametrize("name", SOME)
def test_own_kernels_keep_the_laws(name):
    """Operations of every shape of operands: there are cases, and refq's kernels keep all laws on them."""
    row = ops.load(name).Row()
    found = cases(name, row, 3)
    report = check_kernel(ops.load(name).kernel(row), name, row, cases=found[::3])
    assert len(report.held) == len(LAWS) and report.inputs >= 3


@pytest.mark.parametrize("kernel", wrong.WRONG, ids=lambda f: f.__name__)
def test_each_mistake_is_named(kernel, made):
    """Every wrong kernel breaks the law that is about its mistake, with small operands and a reproducer that fails by itself."""
    law = next(law for law in LAWS if law.__name__ == wrong.WRONG[kernel])
    found = broken_by(law, kernel, "matmul", ROW, made)
    most = 2 * LONG if kernel is wrong.sums_in_float32 else 34
    assert found and max(v.size for v in found.input.values() if isinstance(v, np.ndarray)) <= most
    assert "hypothesis" not in found.reproducer
    if kernel is not wrong.remembers:
        with pytest.raises(Exception) as shown:         # noqa: B017
            exec(found.reproducer, {})
        assert str(shown.value) in found.seen and len(str(shown.value)) > 5


def test_the_right_one_is_right(made):
    assert check_kernel(wrong.right, "matmul", ROW, cases=made).inputs == len(made) > 90
    assert check_kernel(returning(wrong.product), "matmul", ROW, cases=made[:20]).passed


def test_sizes_of_nothing_one_and_odd(made):
    """Axes are met without elements, with one, with more than a tile and less than two."""
    for axis, place in (("n", 0), ("k", 1)):
        assert {0, 1, 3, 5, 17} <= {o["x"].shape[place] for o in made}, axis
    assert {0, 1, 3, 5, 17} <= {o["w"].shape[0] for o in made}


def test_sums_are_filled_and_cancelled(made):
    """The accumulator goes as far as codes can bring it, and far out and back to nothing."""
    o = cut(made[0], ROW, "k", 8) | {"zx": 0, "zw": made[0]["zw"] * 0, "bias": made[0]["bias"] * 0}
    whole = products(o, ROW, "none", False, True)
    assert matmul.spec(*whole.values(), row=ROW).max() == 8 * 128 * 128
    back = products(o, ROW, "there and back")
    assert set(np.unique(matmul.spec(*back.values(), row=ROW))) == {-4 * 127, -4 * 127}
    assert len({tuple(products(o, ROW, p)["w"][0]) for p in PATTERNS}) == len(PATTERNS)


@settings(max_examples=30)
@given(data=st.data())
def test_drawn_operands_fit(data):
    """What the strategy draws is accepted, and kernel and spec agree on it."""
    name = data.draw(st.sampled_from(("matmul", "rescale", "softmax_table")))
    row = ops.load(name).Row()
    made = data.draw(operands(name, row))
    assert all(law(ops.load(name).kernel(row), name, row, made) is None for law in LAWS)


def test_failures_are_assertions_with_a_report(made):
    with pytest.raises(AssertionError, match="leaves_its_operands: No operand is written to") as raised:
        check_kernel(wrong.weights_widened_in_place, "matmul", ROW, cases=made[:4])
    assert isinstance(raised.value, LawBroken)


def test_names_that_there_are_not():
    with pytest.raises(IllFormed, match="an operation named 'matmull'"):
        examine_kernel(wrong.right, "matmull", ROW)
    with pytest.raises(IllFormed, match="did you mean takes_rows_alone"):
        examine_kernel(wrong.right, "matmul", ROW, waived=("take_rows_alone",))
