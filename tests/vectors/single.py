"""A program of one step, from the operands that its operation takes: what has the axis n is an input, the rest is constant."""
import numpy as np

from refq import ops
from refq.graph.program import Program, Step, Tensor
from refq.vectors.record import record


def single(op, row, **operands):
    """(Program, inputs): of each input the first axis of its array is the case. Scalars are constants."""
    tensors, constants, inputs, taken = {}, {}, {}, {}
    operands = {name: np.array(operands[name], declared.width.dtype) for name, declared in row.takes.items()}
    for name, declared in row.takes.items():
        array, key = operands[name], f"one.{name}"
        shape, role, into = (array.shape[1:], "input", inputs) if declared.joins else (array.shape, "parameter", constants)
        tensors[key], into[key] = Tensor(key, shape, declared.width, None, role), array
        taken[name] = key
    shapes = shapes_of(op, row, operands)
    given = {name: f"one.{name}" for name in row.gives}
    for name, declared in row.gives.items():
        tensors[given[name]] = Tensor(given[name], shapes[name][1:], declared.width, None, "output")
    step = Step("one", op, row, taken, given)
    return Program((step,), tensors, constants, tuple(inputs), tuple(given.values()), "tosa", "int8"), inputs


def shapes_of(op, row, operands):
    result = ops.load(op).spec(*(operands[n] if d.names else operands[n].item() for n, d in row.takes.items()), row=row)
    result = result if isinstance(result, tuple) else (result,)
    return {name: np.shape(array) for name, array in zip(row.gives, result)}


def packed(folder, op, row, **operands):
    program, inputs = single(op, row, **operands)
    return record(program, inputs, folder / "one", cases=len(next(iter(inputs.values()))))
