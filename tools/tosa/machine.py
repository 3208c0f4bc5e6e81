"""Runs one operation of refq on arrays: by its kernel, and where the arrays are small by its spec, which must agree."""
from functools import cache

import numpy as np

from refq import ops
from refq.ints.operand import check, sizes
from refq.ops import arrange

SMALL = 4096
"""The spec runs too where all operands and results together have at most so many codes."""
count = {"kernel": 0, "spec": 0}


@cache
def kernel(op, row):
    return ops.load(op).kernel(row)


def run(op, row, **operands):
    """The first result of `op` under `row`, shaped as declared; leading axes that an operand joins into n come back.

    Raises IllFormed where an operand does not fit what the row takes, RuntimeError where spec and kernel differ."""
    arrays, joined = {}, ()
    for name, declared in row.takes.items():
        value = np.ascontiguousarray(operands[name]).reshape(np.shape(operands[name]))
        value = value if declared.names and value.dtype == declared.width.dtype else within(value, declared, f"{op}: {name}")
        if declared.joins and value.ndim < len(declared.names):
            value = value.reshape((1,) * (len(declared.names) - value.ndim) + value.shape)
        if declared.joins and value.ndim > len(declared.names):
            joined = joined or value.shape[:value.ndim - len(declared.names) + 1]
        arrays[name] = declared.view(value)
    check(row.takes, arrays, op)
    found = sizes({k: d for k, d in row.takes.items() if d.names}, {k: arrays[k] for k, d in row.takes.items() if d.names}, op)
    found |= row.sizes(found)
    values = [arrays[k] if d.names else int(arrays[k]) for k, d in row.takes.items()]
    results = [np.empty(tuple(found[a] for a in d.names), d.width.dtype) for d in row.gives.values()]
    kernel(op, row)(*values, *results)
    count["kernel"] += 1
    if sum(np.size(v) for v in (*values, *results)) <= SMALL:
        count["spec"] += 1
        told = ops.load(op).spec(*values, row=row)
        for mine, other in zip(results, told if isinstance(told, tuple) else (told,)):
            if not np.array_equal(mine, other):
                raise RuntimeError(f"{op}: spec and kernel differ under {row}")
    first = results[0]
    return first.reshape(*joined, *first.shape[1:]) if joined else first


def within(value, declared, where):
    """`value` in the dtype that the operand has; what that cannot hold is an error of whoever calls."""
    cast = value.astype(declared.width.dtype)
    if not np.array_equal(cast, value):
        raise ValueError(f"{where} does not fit {declared.width}")
    return cast


def moved(tensors, *moves, zero=0):
    """Tensors of one width, as one image, after the moves of refq's arrange."""
    row = arrange.Row(tensors[0].width, tuple(t.codes.shape for t in tensors), moves)
    padded = {"zero": zero} if "zero" in row.takes else {}
    return run("arrange", row, **{f"x{i}": t.codes[None] for i, t in enumerate(tensors)}, **padded)[0]


def transposed(tensor, *axes):
    return moved([tensor], ("transpose", axes))
