"""The law suites as classes: a test for each law, which fails where the law is broken."""
import numpy as np
import pytest

from refq.grids.affine import Affine
from refq.ints.width import I8
from refq.ops import matmul
from refq.testing import KernelLaws, LawBroken, QuantizerLaws, kernel_laws, quantizer_laws
from refq.testing.operand_sets import cases
from tests.testing import wrong_kernels, wrong_quantizers

GRID = Affine(I8, float(np.float32(0.1)), 3)


class TestRightQuantizer(QuantizerLaws):
    grids = (GRID,)
    claims = ("is_symmetric",)
    ties_are = "half_even"
    examples = 3
    quantize = staticmethod(wrong_quantizers.right)
    dequantize = staticmethod(wrong_quantizers.back)


class TestRightKernel(KernelLaws):
    operation, row = "matmul", matmul.Row()
    cases = cases("matmul", matmul.Row(), 1)[::5]
    kernel = staticmethod(wrong_kernels.right)


def test_one_test_for_each_law():
    """Claims too; waived ones are absent."""
    assert sum(name.startswith("test_") for name in dir(TestRightQuantizer)) == len(quantizer_laws.LAWS) + 2
    assert sum(name.startswith("test_") for name in dir(TestRightKernel)) == len(kernel_laws.LAWS)

    class Waived(QuantizerLaws):
        waived = ("keeps_order",)
    assert not hasattr(Waived, "test_keeps_order") and hasattr(Waived, "test_saturates")


def test_a_wrong_one_fails():
    class Wrong(QuantizerLaws):
        grids, examples, ties_are = (GRID,), 3, "half_away"
        quantize, dequantize = staticmethod(wrong_quantizers.truncates), staticmethod(wrong_quantizers.back)
    with pytest.raises(LawBroken, match="stays_within_half_a_step"):
        Wrong().test_stays_within_half_a_step()
    with pytest.raises(AssertionError, match="half_away is claimed, and ties are trunc"):
        Wrong().test_ties_are_as_claimed()
    Wrong().test_keeps_the_shape()

    class Empty(QuantizerLaws):
        pass
    with pytest.raises(AssertionError, match="without grids"):
        Empty().test_keeps_the_shape()
