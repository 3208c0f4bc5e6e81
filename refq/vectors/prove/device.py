"""Device: somebody's kernel on a range of a domain: a unit of one step whose case is the whole range."""
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from refq.errors import IllFormed, RefqError
from refq.graph.program import Program, Step, Tensor
from refq.vectors.kernels import kernel as kernels
from refq.vectors.kernels.calls import AGAIN, FIRST
from refq.vectors.kernels.kernel_toml import read_toml
from refq.vectors.units import units

UNKNOWN = 2 ** 63 - 1


def ready(path):
    """Build the kernel once, before any worker calls it; raises as verify_kernel does. Gives its absolute path."""
    kernels.prepare(read_toml(path))
    return str(Path(path).absolute())


def outputs(domain, path, operands):
    """What the kernel gives, twice (over two fills, in two orders): each name of a result to codes; raises RefqError where
    it crashes, runs too long or writes outside its results. What is X or Z is `UNKNOWN`, which no code is."""
    kernel = read_toml(path)
    program, case = as_program(domain, operands)
    unit, *_ = units(program, kernel.unit, str(kernel.path))
    if len(unit.steps) > 1:
        raise IllFormed(f"{kernel.path}: unit {kernel.unit}: one operation is proved at a time")
    with TemporaryDirectory(prefix="refq-prove-") as folder:
        device = kernels.device(kernel, unit, [case], Path(folder))
        shown, faults = device.run((FIRST, AGAIN))
        if faults:
            raise RefqError(f"{device.where}: {next(iter(faults.values()))}")
    return [{name: known(shown[turn.name, 0][tensor]) for name, tensor in unit.steps[0].outputs.items()}
            for turn in (FIRST, AGAIN)]


def known(shown):
    if shown.unknown is None or not shown.unknown.any():
        return shown.codes
    return np.where(shown.unknown, UNKNOWN, shown.codes.astype(np.int64))


def as_program(domain, operands):
    """(a program of the one step OP.0, the case): operands that vary are its inputs, the others its constants."""
    step, tensors, constants, case = f"{domain.op}.0", {}, {}, {}
    for name, declared in domain.row.takes.items():
        array, label = np.asarray(operands[name], declared.width.dtype), f"{step}.{name}"
        live = name not in domain.constants
        (case if live else constants)[label] = array
        tensors[label] = Tensor(label, array.shape, declared.width, None, "input" if live else "parameter")
    results = domain.results(operands)
    for name, declared in domain.row.gives.items():
        label = f"{step}.{name}"
        tensors[label] = Tensor(label, results[name].shape, declared.width, None, "output")
    made = Step(step, domain.op, domain.row, {k: f"{step}.{k}" for k in domain.row.takes},
                {k: f"{step}.{k}" for k in domain.row.gives})
    return Program((made,), tensors, constants, tuple(case), tuple(made.outputs.values()), "", ""), case
