"""Law suites as test classes: subclass, say what is under test, and pytest runs one test for each law.

    class TestMine(QuantizerLaws):
        grids = (Affine(I8, 0.1, 3), Affine(U8, [0.1, 0.2], [0, 128], axis=-1))
        claims = ("is_symmetric",)

        def quantize(self, x, grid): ...
        def dequantize(self, codes, grid): ...

    class TestMyMatmul(KernelLaws):
        operation, row = "matmul", matmul.Row()

        def kernel(self, x, w, bias, zx, zw, acc): ...
"""
from refq.testing import kernels, quantizers
from refq.testing.found import LawBroken, Report


class QuantizerLaws:
    """`grids`: what the codes are to mean; `claims`, `waived`, `ties_are`, `dtype`, `examples`: as of examine_quantizer."""

    grids = ()
    claims = waived = ()
    ties_are = None
    dtype = "float32"
    examples = quantizers.EXAMPLES

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, law in quantizers.laws(cls.claims, cls.waived).items():
            setattr(cls, f"test_{name}", of_quantizer(law))

    def test_ties_are_as_claimed(self):
        """Ties go by the rule `ties_are`, where the class states one."""
        from refq.testing.ties import ties
        for grid in self.grids if self.ties_are else ():
            found = ties(self.quantize, grid, self.dtype)
            assert self.ties_are in found.rules, f"{self.ties_are} is claimed, and ties are {found}"


def of_quantizer(law):
    def test(self):
        assert self.grids, "a QuantizerLaws without grids tests nothing; list some"
        for grid in self.grids:
            raised(quantizers.broken_by(law, self.quantize, self.dequantize, grid, self.dtype, self.examples))
    test.__doc__ = law.__doc__
    return test


class KernelLaws:
    """`operation`: a name of refq.ops, `row`: one of its rows, `waived`, `cases`: as of examine_kernel."""

    operation = row = cases = None
    waived = ()

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, law in kernels.laws(cls.waived).items():
            setattr(cls, f"test_{name}", of_kernel(law))


def of_kernel(law):
    def test(self):
        raised(kernels.broken_by(law, self.kernel, self.operation, self.row, self.cases))
    test.__doc__ = law.__doc__
    return test


def raised(broken):
    if broken is not None:
        raise LawBroken(Report((), (broken,), (), {}, 0))
