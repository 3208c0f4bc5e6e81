"""Constants of a configuration: what an operation takes beside the tensors of a case.

Most are drawn in a style, each within the range that its row declares; multipliers and scales come from scales.py.
"""
from dataclasses import dataclass

import numpy as np

from refq.ints.exponential import FINEST
from refq.vectors.draw import (
    attention,
    formats,
    fqvit,
    halved,
    ibert,
    joined,
    layouts,
    nonlinear,
    norms,
    packed,
    plain,
    reals,
    sparse,
    values,
)
from refq.vectors.draw.scales import FITTED

KNOWN = (FITTED | attention.FITTED | fqvit.FITTED | halved.FITTED | ibert.FITTED | joined.FITTED | nonlinear.FITTED
         | norms.FITTED | plain.FITTED | reals.FITTED | formats.FITTED | layouts.FITTED | packed.FITTED | sparse.FITTED)
"""Operation to what fits its constants to one another."""


@dataclass(frozen=True, eq=False)
class Reach:
    """`seen`: the largest magnitude of the main operand in each channel; `most`: what no input makes it leave."""

    seen: np.ndarray
    most: int


def of(op, row, found, stream, index, reach=None, zeros=()):
    """Operand to array or integer, for every operand of `row` that has no axis n. `reach`: of the main operand,
    or None where the whole register is used; `zeros`: operands that are 0."""
    made = {}
    for name, declared in row.takes.items():
        if declared.width.dtype.kind == "f" and not declared.joins:
            made[name] = np.zeros(tuple(found[axis] for axis in declared.names))
        elif not declared.joins:
            shape = tuple(found[axis] for axis in declared.names)
            style = at_an_end if op == "batch_matmul" else SPECIAL.get(name, common)
            made[name] = style(stream.under(name), declared, shape, index)
    if reach and "zin" in made:
        made["zin"] = int(np.clip(made["zin"], -reach.most // 2, reach.most // 2))
    elif getattr(row, "high", "none") != "none" and "zin" in made:
        made["zin"] = 0                         # a full register less a zero point would leave 32 bits
    made |= {name: made[name] * 0 for name in zeros if name in made}
    fit = KNOWN.get(op)
    if fit:
        made |= fit(row, made, stream.under("scale"), index, reach)
    return {name: held(row.takes[name], made[name]) for name in row.takes if name in made}


def held(declared, value):
    """As the operation takes it: a contiguous array of the declared dtype, or a number."""
    array = np.ascontiguousarray(value, declared.width.dtype).reshape(np.shape(value))
    return array if declared.names else array[()] if declared.width.dtype.kind == "f" else int(array)


def common(stream, declared, shape, index):
    return values.drawn(stream, declared, shape, values.STYLES[index % len(values.STYLES)])


def zero(stream, declared, shape, index):
    """A zero point: a common one, 0, an end of the range, anything; small in the first configuration."""
    some = (3, -5, declared.lo, declared.hi, 0, -128, 127, declared.lo + 1)
    if index < len(some):
        value = np.full(shape, some[index])
    else:
        value = values.either(stream, declared, shape)
    if shape and index % 2 == 0:
        value = values.magnitudes(stream, declared, shape)
    return np.clip(value, declared.lo, declared.hi)


def bias(stream, declared, shape, index):
    """Of all sizes, less what products may add, so that no sum leaves the register."""
    made = values.magnitudes(stream, declared, shape)
    most = (declared.hi >> 1, 1 << 10, 1 << 20)[index % 3]
    return np.clip(made, -most, most)


def weights(stream, declared, shape, index):
    """Each channel in a style of its own; whole configurations of one style come later."""
    style = (values.each_its_own, values.uniform, values.each_its_own, values.small, values.each_its_own, values.ends)
    return values.drawn(stream, declared, shape, style[index % len(style)])


def code_of_minus_one(stream, declared, shape, index):
    """x0 of the shift exponentials: coarse and fine scales."""
    some = (-16, -10, -1, -37, FINEST, -2, -127, -300, FINEST, -1000, -4096, -3, -65)
    if index < len(some):
        return some[index]
    return -(1 << stream.integer(1, 24)) + stream.integer(0, 1) if index % 2 else -stream.integer(1, 300)


def lowered(stream, declared, shape, index):
    """By how many bits a channel is lowered."""
    return values.uniform(stream, declared, shape) if index % 2 else stream.integers(18, 31, shape)


def entries(stream, declared, shape, index):
    """A table: each entry another, in no order; or one of a smooth function's."""
    if index % 2:
        return np.clip(np.linspace(declared.lo, declared.hi, shape[0]).round().astype(np.int64), declared.lo, declared.hi)
    span = declared.hi - declared.lo + 1
    return (np.arange(shape[0]) * 167 + stream.integer(0, span - 1)) % span + declared.lo


def at_an_end(stream, declared, shape, index):
    """A zero point at an end of the range first, so that differences are as large as they can be; then as others."""
    return (declared.lo, declared.hi)[index] if index < 2 else zero(stream, declared, shape, index - 2)


SPECIAL = {"zx": zero, "zw": zero, "zp": zero, "zin": zero, "za": zero, "zb": zero, "zo": zero, "zq": at_an_end, "bias": bias,
           "w": weights, "x0": code_of_minus_one, "down": lowered, "t": entries}
