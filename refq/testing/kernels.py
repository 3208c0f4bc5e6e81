"""check_kernel: every law of a kernel, on operands that are constructed for its operation and row; what breaks, made small.

    from refq.testing import check_kernel
    check_kernel(kernel, "matmul", ops.load("matmul").Row())

`kernel(*operands, *results)` fills the results, as kernels of refq.ops do; `returning(function)` makes one of a function that
gives its result.
"""
import numpy as np

from refq import ops
from refq.errors import IllFormed, nearest
from refq.testing import kernel_laws, operand_sets, reproduce
from refq.testing.found import Broken, LawBroken, Report, attempted


def laws(waived=()):
    """Name to law, without those that are waived; raises IllFormed for a name that there is not."""
    every = {law.__name__: law for law in kernel_laws.LAWS}
    for name in waived:
        if name not in every:
            raise IllFormed(f"a law {name!r} that is waived: {nearest(name, tuple(every))}")
    return {n: law for n, law in every.items() if n not in waived}


def examine_kernel(kernel, operation, row, waived=(), cases=None):
    """The Report of a kernel of `operation` (a name of refq.ops) under `row`. `waived`: names of kernel_laws.LAWS that it does
    not promise; `cases`: sets of operands instead of operand_sets.cases, such as the sizes that the kernel is made for. Raises
    IllFormed for names that there are not, and where no operands are known."""
    ops.load(operation)
    asked = laws(waived)
    made = operand_sets.cases(operation, row) if cases is None else list(cases)
    held, broken = [], []
    for name, law in asked.items():
        found = broken_by(law, kernel, operation, row, made)
        if found is None:
            held.append(name)
        else:
            broken.append(found)
    return Report(tuple(held), tuple(broken), (), {}, len(made))


def broken_by(law, kernel, operation, row, cases=None):
    """The Broken of one law, or None where it holds."""
    def said(operands):
        copied = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in operands.items()}
        return attempted(law, kernel, operation, row, copied)

    made = operand_sets.cases(operation, row) if cases is None else cases
    failing = next((operands for operands in made if said(operands)), None)
    if failing is None:
        return None
    small = smaller(lambda o: operand_sets.accepted(operation, row, o) and said(o) is not None, row, failing)
    text = reproduce.of_kernel(law, kernel, operation, row, small)
    return Broken(law.__name__, reproduce.sentence(law), said(small) or said(failing) or "it held when asked again", small, text)


def smaller(broken, row, operands):
    """`operands` with axes as short as still breaks the law, then with 0 where the codes do not matter."""
    for axis in operand_sets.axes(row, operands):
        most = operand_sets.axes(row, operands)[axis]
        shorter = (*range(min(most, 18)), *range(18, most, max(most // 32, 16)))
        size = next((s for s in shorter if broken(operand_sets.cut(operands, row, axis, s))), most)
        operands = operand_sets.cut(operands, row, axis, size)
    for name, declared in row.takes.items():
        value = operands[name]
        if isinstance(value, np.ndarray) and value.size <= 64 and declared.lo <= 0 <= declared.hi:
            for i in range(value.size):
                simpler = operands[name].copy()
                simpler.reshape(-1)[i] = 0
                if broken(operands | {name: simpler}):
                    operands = operands | {name: simpler}
    return operands


def check_kernel(kernel, operation, row, waived=(), cases=None):
    """`examine_kernel`, for a test: raises LawBroken, an AssertionError with the report as its text, where a law is broken; gives
    the Report where all hold."""
    report = examine_kernel(kernel, operation, row, waived, cases)
    if not report.passed:
        raise LawBroken(report)
    return report


def returning(function, results=1):
    """A kernel of a function of the operands that returns its result as an array, several as a tuple in order."""
    def kernel(*arrays):
        given = function(*arrays[:-results])
        for result, value in zip(arrays[-results:], given if isinstance(given, tuple) else (given,)):
            if np.shape(value) != result.shape:
                raise ValueError(f"a result of shape {np.shape(value)} where {result.shape} is expected")
            result[...] = value

    kernel.__module__, kernel.__qualname__ = function.__module__, f"returning({getattr(function, '__qualname__', 'function')})"
    return kernel
