"""play: one role of a dialect on arrays, without a program around it."""
from dataclasses import fields, replace
from functools import cache

import numpy as np

from refq import ops
from refq.ints.operand import check, sizes


@cache
def kernel(op, row):
    return ops.load(op).kernel(row)


def fitted(row, widths):
    """The row with those of `widths` that it has: fields that tensors decide."""
    known = {f.name for f in fields(row)}
    return replace(row, **{k: v for k, v in widths.items() if k in known})


def play(role, widths, tensors, **build):
    """What `role` (a Role of a dialect) makes of arrays, by its kernel: its first result.

    `widths`: the fields of the row that tensors decide; `tensors`: operand to array or integer, leading axes joined into n
    and given back as in a program; `build`: what the operation makes its other operands from. Raises IllFormed for a row
    that cannot be, for constants that cannot be built, and for operands of a wrong dtype, shape or range.
    """
    row = fitted(role.row, widths)
    made = ops.load(role.op).build(row, **build) if build else {}
    arrays, lead = {}, ()
    for name, declared in row.takes.items():
        given = name in tensors and np.ndim(tensors[name])
        value = np.asarray(tensors.get(name, made.get(name)), None if given else declared.width.dtype, order="C")
        if name in tensors and declared.joins and value.ndim > len(declared.names):
            lead = lead or value.shape[:value.ndim - len(declared.names) + 1]
        arrays[name] = declared.view(value)
    check(row.takes, arrays, role.op)
    listed = {k: d for k, d in row.takes.items() if d.names}
    found = sizes(listed, arrays, role.op)
    found |= row.sizes(found)
    results = [np.empty(tuple(found[a] for a in d.names), d.width.dtype) for d in row.gives.values()]
    kernel(role.op, row)(*(arrays[k] if k in listed else scalar(arrays[k]) for k in row.takes), *results)
    return results[0].reshape(*lead, *results[0].shape[1:]) if lead else results[0]


def scalar(value):
    return value[()] if value.dtype.kind == "f" else int(value[()])
