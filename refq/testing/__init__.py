"""Testing: laws for anyone's quantizer and kernel, and golden vectors for other people's tests.

    check_quantizer(quantize, dequantize, grid)     every law of a quantizer; a failure comes with a reproducer
    check_kernel(kernel, "matmul", row)             every law of a kernel of an operation
    class TestMine(QuantizerLaws): ...              the same as one test for each law, and KernelLaws
    strategies.tensors(grid), strategies.grids()    for Hypothesis

Names are loaded when they are first used: the pytest plugin lives here and stays light.
"""
from importlib import import_module

PUBLIC = {"check_quantizer": "quantizers", "examine_quantizer": "quantizers", "faked": "quantizers", "check_kernel": "kernels",
          "examine_kernel": "kernels", "returning": "kernels", "QuantizerLaws": "mixins", "KernelLaws": "mixins",
          "LawBroken": "found", "Report": "found"}


def __getattr__(name):
    if name in PUBLIC:
        return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)
    if name == "strategies":
        return import_module(f"{__name__}.strategies")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
