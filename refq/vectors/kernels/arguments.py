"""Arguments: what a kernel's arguments are in one call: codes as the device keeps them, or room for a result."""
from dataclasses import dataclass, field

import numpy as np

from refq.errors import IllFormed, nearest
from refq.ints.width import Width
from refq.vectors.kernels.layout import layout, row_major
from refq.vectors.kernels.storage import Storage
from refq.vectors.units import derived

BATCHED = "n"                           # the axis along which a kernel takes all cases at once


@dataclass(frozen=True, eq=False)
class Given:
    """What one argument is in a call: an Argument; `codes`: in the operand's own axes, a number, or None for a result;
    `storage`: of an array; `tensor`: of a result (None for a workspace)."""

    argument: object
    codes: np.ndarray | None
    storage: Storage | None
    tensor: str | None = None
    known: dict = field(default_factory=dict, repr=False)

    @property
    def nbytes(self):
        """Of the device's array."""
        return self.storage.nbytes

    @property
    def packed(self):
        """The device's array as bytes."""
        if "packed" not in self.known:
            self.known["packed"] = self.storage.pack(self.codes)
        return self.known["packed"]


class Binder:
    """Binds a kernel's arguments to a unit, call after call; what is the same in many calls is packed once."""

    def __init__(self, kernel, unit):
        self.kernel, self.unit, self.last = kernel, unit, {}

    def call(self, cases):
        """The Givens of a call on `cases`: one, or several joined along axis n; each is a dict of tensor to codes."""
        return [self.bound(argument, cases) for argument in self.kernel.prototype.arguments]

    def bound(self, argument, cases):
        where = f"{self.kernel.path}: argument {argument.name!r}"
        meaning = self.kernel.arguments.get(argument.name, {})
        if argument.way == "out":
            return self.room(argument, meaning, len(cases), where)
        codes, names = self.codes(argument, meaning, cases, where)
        if argument.way == "value" and codes.ndim:
            raise IllFormed(f"{where}: an operand of shape {codes.shape} is passed by pointer; write a const pointer")
        last = self.last.get(argument.name)
        if not (last and last.codes.shape == codes.shape and np.array_equal(last.codes, codes)):
            tensor = self.tensor(argument, meaning)
            storage = stored(argument, meaning, codes.shape, names, where, not tensor or getattr(tensor.width, "signed", True))
            if tensor and tensor.name not in self.unit.program.constants:
                roomy(tensor, storage, where)
            fits(codes, storage, where)
            last = self.last[argument.name] = Given(argument, codes, None if argument.way == "value" else storage)
        return last

    def tensor(self, argument, meaning):
        """The tensor that an argument holds as it is; None for what is derived, a size or a number."""
        key = meaning.get("operand", argument.name)
        if meaning.keys() & {"derived", "size", "value"} or key not in self.unit.taken:
            return None
        return self.unit.program.tensors[self.unit.pick(self.unit.taken, key, "")[0]]

    def room(self, argument, meaning, cases, where):
        """A result, or a workspace."""
        if "workspace" in meaning:
            flat = row_major(["bytes"])
            return Given(argument, None, Storage((meaning["workspace"],), flat, np.dtype(np.uint8), 8, 8, where=where))
        if argument.dtype.kind == "f":
            raise IllFormed(f"{where}: results are codes; {argument.dtype} is not an integer")
        key = meaning.get("operand", argument.name)
        tensor, (n, *rest) = self.unit.result(key, where)
        declared = self.unit.pick(self.unit.given, key, where)[1]
        if cases > 1 and not declared.joins:
            raise IllFormed(f"{where}: batch is {BATCHED!r}, and {tensor} has no such axis; leave batch out")
        width = self.unit.program.tensors[tensor].width
        storage = stored(argument, meaning, (n * cases, *rest), declared.names, where, width.signed)
        roomy(self.unit.program.tensors[tensor], storage, where)
        return Given(argument, None, storage, tensor)

    def codes(self, argument, meaning, cases, where):
        """(codes in the operand's own axes, names of these) of an argument in all the cases of a call."""
        unit, key = self.unit, meaning.get("operand", argument.name)
        found = [np.asarray(source(unit, argument, meaning, key, case, where)) for case in cases]
        declared = unit.pick(unit.taken, key, where)[1] if key in unit.taken and "size" not in meaning else None
        names = declared.names if declared and len(declared.names) == found[0].ndim else tuple(map(str, range(found[0].ndim)))
        if declared and declared.joins and found[0].ndim:
            return np.concatenate(found), names
        if any(not np.array_equal(other, found[0]) for other in found[1:]):
            raise IllFormed(f"{where}: batch is {BATCHED!r}, and what it takes has no such axis and is not the same in all "
                            "cases; leave batch out")
        if len(cases) > 1 and counts_cases(argument, meaning, unit):
            return found[0] * len(cases), names
        return found[0], names


def counts_cases(argument, meaning, unit):
    """Is the argument the size of axis n?"""
    key = meaning.get("size") or (argument.name if not meaning and argument.name not in unit.taken else "")
    return key.split(".")[-1] == BATCHED


def source(unit, argument, meaning, key, case, where):
    """The codes that an argument takes in one case, in the operand's own axes."""
    if "value" in meaning:
        return np.int64(meaning["value"])
    plain = not meaning.keys() & {"operand", "derived", "size"}
    if "derived" in meaning or (argument.name in derived and plain and argument.name not in unit.taken):
        name = meaning.get("derived", argument.name)
        if name not in derived:
            raise IllFormed(f"{where}: nothing derived is named {name!r}: {nearest(name, tuple(derived))}")
        key = "shift" if name == "left_shift" and "operand" not in meaning else key
        return derived[name](unit, key, case, where)
    axes = unit.axes()
    if "size" in meaning or (plain and argument.way == "value" and key not in unit.taken and key in axes):
        return np.int64(unit.pick(axes, meaning.get("size", key), where)[0])
    return unit.operand(key, case, where)


def stored(argument, meaning, shape, names, where, signed=True):
    """The Storage of an argument of `shape`, its axes so named."""
    bits, word = element(argument, meaning)
    order = layout(meaning["layout"], where) if "layout" in meaning else row_major(names)
    strides = meaning.get("strides")
    return Storage(tuple(shape), order, argument.dtype, bits, word, signed, meaning.get("order", "low_first"),
                   meaning.get("axis"), strides and tuple(strides), meaning.get("pad"), where)


def element(argument, meaning):
    """(bits of an element, bits of a word) of an argument that is an array."""
    whole = 8 * argument.dtype.itemsize
    return meaning.get("bits", whole), meaning.get("word", whole)


def roomy(tensor, storage, where):
    """IllFormed where the argument's elements do not hold every code of the tensor."""
    if storage.dtype.kind == "f":
        return
    kind = storage.dtype if storage.plain else f"{storage.bits} bits"
    ends = np.iinfo(storage.dtype) if storage.plain else Width(storage.bits, storage.signed or storage.bits == 64)
    lo, hi = (ends.min, ends.max) if storage.plain else (ends.lo, ends.hi)
    if not lo <= tensor.width.lo <= tensor.width.hi <= hi:
        raise IllFormed(f"{where} is {kind}, and {tensor.name} holds {tensor.width} codes; name only the units "
                        "that the kernel is made for, or take a wider container")


def fits(codes, storage, where):
    """IllFormed where a code does not fit the storage's elements."""
    if storage.plain:
        held(codes, storage.dtype, where)
    elif codes.dtype.kind == "f" or storage.dtype.kind == "f":
        if (codes.dtype, storage.bits) != (np.float32, 32):
            raise IllFormed(f"{where}: {codes.dtype} values in elements of {storage.bits} bits; float32 takes 32")
    elif codes.size and not (-(1 << storage.bits - 1) <= codes.min()
                             and codes.max() < 1 << storage.bits - int(codes.min() < 0)):
        raise IllFormed(f"{where}: values from {codes.min()} to {codes.max()}, which {storage.bits} bits cannot hold")


def held(codes, dtype, where):
    """Codes in a container; IllFormed where one does not fit."""
    cast = codes.astype(dtype)
    if not np.array_equal(cast.astype(codes.dtype), codes) or dtype.kind == "u" and (codes < 0).any():
        raise IllFormed(f"{where}: values from {codes.min()} to {codes.max()}, which {dtype} cannot hold")
    return cast
