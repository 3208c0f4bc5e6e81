"""Reproducers: plain Python that shows a broken law again, without Hypothesis."""
import sys
from fractions import Fraction
from functools import partial
from pprint import pformat

import numpy as np

PLAIN = (str, int, float, bool, type(None))
"""What is written into a reproducer as it is."""


def number(value):
    """One number as Python text: decimal where that is exact, else the text of float.hex."""
    value = float(value)
    if np.isnan(value):
        return "np.nan"
    if np.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    said = repr(value)
    return said if len(said) < 24 and Fraction(said) == Fraction(value) else f'float.fromhex("{value.hex()}")'


def literal(array):
    """A NumPy array as Python text that makes the same array, bit for bit."""
    array = np.asarray(array)
    flat = array.ravel().tolist()
    said = ", ".join(map(str, flat) if array.dtype.kind in "iub" else map(number, flat))
    shape = "" if array.ndim == 1 and array.size else f".reshape({array.shape})"
    return f"np.array([{said}], np.{array.dtype.name}){shape}"


def brought(function, name):
    """The lines that bring a function under `name`, or one that says that it is to be put there: for what no module holds."""
    if isinstance(function, partial) and all(isinstance(v, PLAIN) for v in (*function.args, *function.keywords.values())):
        given = ", ".join(["", *map(repr, function.args), *(f"{k}={v!r}" for k, v in function.keywords.items())])
        return f"from functools import partial\n{brought(function.func, name)}\n{name} = partial({name}{given})"
    module = getattr(function, "__module__", None)
    held = held_as(function, module)
    if held is None and hasattr(function, "faked"):
        place, fake = function.faked
        return f"from refq.testing import faked\n{brought(fake, 'fake')}\n{name} = faked(fake)[{place}]"
    if held is None:
        path = getattr(function, "__qualname__", type(function).__name__)
        return f"# put your {name} here: {f'{module}.' if module else ''}{path}"
    return f"from {module} import {held}" + (f" as {name}" if held != name else "")


def held_as(function, module):
    """The name under which a module that can be imported holds a function, or None."""
    if module in (None, "__main__") or module not in sys.modules:
        return None
    names = vars(sys.modules[module])
    path = getattr(function, "__name__", None)
    return path if names.get(path) is function else next((n for n, value in names.items() if value is function), None)


def of_quantizer(law, quantize, dequantize, grid, x):
    """The reproducer of a law of a quantizer: names `quantize` and `dequantize` are brought or, if local, to be given."""
    described = pformat(grid.describe(), width=90, compact=True, sort_dicts=False).replace("\n", "\n" + " " * 30)
    return "\n".join((
        f"# {law.__name__}: {sentence(law)}", "import numpy as np", "", "from refq import grids",
        f"from {law.__module__} import {law.__name__}", brought(quantize, "quantize"), brought(dequantize, "dequantize"), "",
        f"grid = grids.from_description({described})", f"x = {literal(x)}",
        f"said = {law.__name__}(quantize, dequantize, grid, x)", "assert said is None, said", ""))


def of_kernel(law, kernel, operation, row, operands):
    """The reproducer of a law of a kernel."""
    from refq.ints.row import differences
    lines = [f"    {name!r}: {literal(v) if isinstance(v, np.ndarray) else repr(v)}," for name, v in operands.items()]
    return "\n".join((
        f"# {law.__name__}: {sentence(law)}", "import numpy as np", "",
        "from refq import ops", "from refq.ints.row import from_plain",
        f"from {law.__module__} import {law.__name__}", brought(kernel, "kernel"), "",
        f"row = from_plain(ops.load({operation!r}).Row, {differences(row)!r})", "operands = {", *lines, "}",
        f"said = {law.__name__}(kernel, {operation!r}, row, operands)", "assert said is None, said", ""))


def sentence(law):
    """What a law says: the first sentence or two of its docstring, on one line."""
    return " ".join((law.__doc__ or law.__name__.replace("_", " ")).split())
