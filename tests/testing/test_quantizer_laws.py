"""check_quantizer: right quantizers pass on grids of every kind, wrong ones are caught by the law that names the mistake, and
what a reproducer shows is what was seen."""
from functools import partial

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from refq import grids
from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.ints import rounding
from refq.ints.width import I4, I8, I16, U8
from refq.testing import LawBroken, check_quantizer, examine_quantizer, faked
from refq.testing.quantizer_laws import CLAIMS, LAWS
from refq.testing.quantizers import broken_by, laws
from refq.testing.reproduce import brought
from refq.testing.strategies import of_kind
from refq.testing.ties import arithmetic, ties
from tests.testing import wrong_quantizers as wrong

GRIDS = (Affine(I8, float(np.float32(0.1)), 3), Affine(I8, [0.125, float(np.float32(0.3))], [3, -5], -1))
FEW = 8


def encode(x, grid):
    return grid.encode(x)


def decode(codes, grid):
    return grid.decode(codes).astype(np.float32)


def broken(law, quantize, dequantize=wrong.back):
    """The first Broken of a law on GRIDS."""
    law = next(one for one in (*LAWS, *CLAIMS) if one.__name__ == law)
    with np.errstate(all="ignore"):
        return next((b for grid in GRIDS if (b := broken_by(law, quantize, dequantize, grid, examples=FEW))), None)


@pytest.mark.parametrize("quantize", wrong.WRONG, ids=lambda f: f.__name__)
def test_each_mistake_is_named(quantize):
    """Every wrong quantizer breaks the law that is about its mistake; its smallest input is small, and its reproducer fails as
    the law did, by itself."""
    found = broken(wrong.WRONG[quantize], quantize)
    assert found and found.law == wrong.WRONG[quantize]
    assert found.input.size <= 8 and "hypothesis" not in found.reproducer
    if quantize is not wrong.depends_on_calls:
        with pytest.raises(Exception) as shown, np.errstate(all="ignore"):      # noqa: B017
            exec(found.reproducer, {})
        assert str(shown.value) in found.seen and len(str(shown.value)) > 9


@pytest.mark.parametrize("dequantize", wrong.WRONG_WAYS_BACK, ids=lambda f: f.__name__)
def test_each_wrong_way_back_is_named(dequantize):
    assert broken(wrong.WRONG_WAYS_BACK[dequantize], wrong.right, dequantize)


@pytest.mark.parametrize("quantize", wrong.CLAIMED, ids=lambda f: f.__name__)
def test_claims_are_laws_that_one_asks_for(quantize):
    """What is claimed is checked; without the claim it is not."""
    law = wrong.CLAIMED[quantize]
    assert broken(law, quantize) and law in laws((law,)) and law not in laws()


def test_the_right_one_is_right():
    """What the wrong ones are altered from passes, in float16 and float64 too, and so do its true claims."""
    for grid in (*GRIDS, Affine(I4, [[0.5, 0.25], [1, 2.0]], 0, 1, 3)):
        found = check_quantizer(wrong.right, wrong.back, grid, claims=("is_symmetric",), ties_are="half_even", examples=FEW)
        assert found.identified["ties"] == "half_even" and found.inputs >= FEW
    for dtype in (np.float16, np.float64):
        assert check_quantizer(encode, decode, Affine(I8, 0.5, 3), dtype=dtype, examples=FEW).passed


@pytest.mark.parametrize("kind", grids.kinds())
@settings(max_examples=3, phases=(Phase.generate,))
@given(data=st.data())
def test_grids_of_every_kind_pass(kind, data):
    """refq's own grids keep all laws, whatever kind they are of."""
    grid = data.draw(of_kind(kind))
    found = examine_quantizer(encode, decode, grid, examples=3)
    assert found.passed, f"{grid.describe()}\n{found}"


@pytest.mark.parametrize("name", rounding.names)
def test_tie_rules_are_found(name):
    """Each of the ten roundings is found by its name; joined before the rounding, the zero point is told where that shows."""
    for grid in (Affine(I8, float(np.float32(0.1)), 3), Affine(U8, [0.25, 3.0], [7, 128], 0), Affine(I16, 0.5, 1)):
        found = ties(lambda x, g: g.encode(x, name), grid)
        assert found.rules == (name,) and found.count > 50

    def inside(x, grid):
        wide = np.rint(x / grid.scale * 4 + 4 * grid.zero).astype(np.int64)
        return grid.width.clip(rounding.word(name)(wide, 2))
    found = ties(inside, Affine(I8, 0.25, 3))
    commutes = name in ("floor", "ceil", "half_up", "half_down")
    assert found.rules == ((name,) if commutes else (f"{name}, the zero point inside the rounding",))


def test_no_tie_rule_has_a_witness():
    found = ties(wrong.ties_by_sign_of_the_code, GRIDS[0])
    assert not found.rules and "comes nearest" in str(found) and "none of floor" in str(found)


def test_the_arithmetic_is_found():
    """Which quotient makes the codes."""
    assert arithmetic(wrong.right, I8) == ("float32 quotient, zero point after, half_even",)
    assert arithmetic(wrong.reciprocal, I8) == ("reciprocal_float32 quotient, zero point after, half_even",)
    assert arithmetic(encode, I8) == ("exact quotient, zero point after, half_even",)
    assert arithmetic(wrong.steps_back, I8) == ()


def test_fake_quantizers_are_quantizers():
    """From reals to reals: the same laws; a result that is no level is refused."""
    def fake(x, grid):
        return wrong.back(wrong.right(x, grid), grid)
    assert check_quantizer(*faked(fake), GRIDS[0], examples=FEW).passed
    found = examine_quantizer(*faked(lambda x, grid: x), GRIDS[0], examples=FEW)
    assert any("is no level of the grid" in b.seen for b in found.broken)


def test_failures_are_assertions_with_a_report():
    """In a test the exception says the law, the smallest input and the reproducer."""
    with pytest.raises(AssertionError, match="stays_within_half_a_step: Inside the range") as raised:
        check_quantizer(wrong.truncates, wrong.back, GRIDS[0], examples=FEW)
    assert isinstance(raised.value, LawBroken) and not raised.value.report.passed
    assert "from tests.testing.wrong_quantizers import truncates as quantize" in str(raised.value)


def test_reproducers_bring_what_a_module_holds():
    """A fake quantizer by its function, a partial by its arguments, another name by that name; what none holds is to be put."""
    quantize, dequantize = faked(wrong.fakes_in_half)
    report = examine_quantizer(quantize, dequantize, GRIDS[0], examples=FEW)
    assert len(report.broken) > 9 and str(report).count("import numpy") == 1 and "The same exception breaks" in str(report)
    with pytest.raises(ValueError, match="is no level"):
        exec(report.broken[0].reproducer, {})
    for function in (partial(wrong.to_code, "highest"), partial(wrong.to_code, "lowest"), wrong.ANOTHER_NAME):
        held = {}
        exec(brought(function, "quantize"), held)
        assert held["quantize"](np.zeros(1, np.float32), GRIDS[0]) == function(np.zeros(1, np.float32), GRIDS[0])
    assert brought(lambda x, grid: x, "quantize").startswith("# put your quantize here: ")


def test_names_that_there_are_not():
    for options, said in (({"claims": ("is_symetric",)}, "did you mean is_symmetric"),
                          ({"waived": ("x",)}, "there are keeps_the"), ({"ties_are": "nearest"}, "a rounding named 'nearest'")):
        with pytest.raises(IllFormed, match=said):
            examine_quantizer(encode, decode, GRIDS[0], **options)


def test_laws_have_sentences_and_work_alone():
    assert len(LAWS) >= 17 and all(law.__doc__ for law in (*LAWS, *CLAIMS))
    for law in LAWS:
        assert law(encode, decode, GRIDS[1], np.zeros((3, 2), np.float32)) is None, law
