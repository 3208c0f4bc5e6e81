"""Arguments: what a kernel's arguments are in one case: codes in the device's own order, or room for a result."""
import numpy as np

from refq.errors import IllFormed, nearest
from refq.vectors.layout import layout, row_major
from refq.vectors.units import derived


def bound(kernel, unit, argument, case, results):
    """What an argument is in one case: (argument, array or number of elements); notes results as it meets them."""
    where = f"{kernel.path}: argument {argument.name!r}"
    meaning = kernel.arguments.get(argument.name, {})
    key = meaning.get("operand", argument.name)
    if argument.way == "out":
        if argument.dtype.kind == "f":
            raise IllFormed(f"{where}: results are codes; {argument.dtype} is not an integer")
        tensor, shape = unit.result(key, where)
        roomy(unit.program.tensors[tensor], argument, where)
        order = order_of(meaning, len(shape), where)
        results[argument.name] = tensor, shape, order, where
        return argument, order.size(shape, where)
    codes = np.asarray(source(unit, argument, meaning, key, case, where))
    if argument.way == "value" and codes.ndim:
        raise IllFormed(f"{where}: an operand of shape {codes.shape} is passed by pointer; write a const pointer")
    if argument.way == "in":
        codes = order_of(meaning, codes.ndim, where).pack(held(codes, argument, where), meaning.get("pad", 0), where)
    return argument, held(codes, argument, where)


def source(unit, argument, meaning, key, case, where):
    """The codes that an argument takes, in the operand's own axes."""
    if "value" in meaning:
        return np.int64(meaning["value"])
    if "derived" in meaning or (argument.name in derived and not meaning and argument.name not in unit.taken):
        name = meaning.get("derived", argument.name)
        if name not in derived:
            raise IllFormed(f"{where}: nothing derived is named {name!r}: {nearest(name, tuple(derived))}")
        key = "shift" if name == "left_shift" and "operand" not in meaning else key
        return derived[name](unit, key, case, where)
    axes = unit.axes()
    if "size" in meaning or (not meaning and key not in unit.taken and key in axes):
        return np.int64(unit.pick(axes, meaning.get("size", key), where)[0])
    tensor = unit.pick(unit.taken, key, where)[0]
    if tensor not in unit.program.constants:
        roomy(unit.program.tensors[tensor], argument, where)
    return unit.operand(key, case, where)


def roomy(tensor, argument, where):
    """IllFormed where the argument's container does not hold every code of the tensor."""
    if argument.dtype.kind != "f":
        ends = np.iinfo(argument.dtype)
        if not (ends.min <= tensor.width.lo and tensor.width.hi <= ends.max):
            raise IllFormed(f"{where} is {argument.dtype}, and {tensor.name} holds {tensor.width} codes; name only the units "
                            "that the kernel is made for, or take a wider container")


def order_of(meaning, axes, where):
    return layout(meaning["layout"], where) if "layout" in meaning else row_major(axes)


def held(codes, argument, where):
    """Codes in the argument's container; IllFormed where one does not fit."""
    cast = codes.astype(argument.dtype)
    if not np.array_equal(cast.astype(codes.dtype), codes) or argument.dtype.kind == "u" and (codes < 0).any():
        raise IllFormed(f"{where}: values from {codes.min()} to {codes.max()}, which {argument.dtype} cannot hold")
    return cast
