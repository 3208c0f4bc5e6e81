"""A TOSA operator with its tensors, as refq sees it: types as widths, codes as arrays, small operands as numbers."""
import base64
from dataclasses import dataclass

import numpy as np

from refq.errors import Unsupported
from refq.ints.width import I4, I8, I16, I32, I48, U1, U8, U16

WIDTHS = {"BOOL": U1, "INT4": I4, "INT8": I8, "INT16": I16, "INT32": I32, "INT48": I48}
UNSIGNED = {"INT8": U8, "INT16": U16}
TYPES = dict(enumerate("UNKNOWN BOOL INT4 INT8 INT16 INT32 INT48".split()))
"""The numbers of the types in tosa.fbs."""


@dataclass
class Tensor:
    """`codes` is None where the tensor is yet to be computed."""

    type: str
    shape: list
    codes: np.ndarray | None = None

    @property
    def width(self):
        if self.type not in WIDTHS:
            raise Unsupported(f"a tensor of {self.type}; refq computes {', '.join(WIDTHS)}")
        return WIDTHS[self.type]

    @property
    def unsigned(self):
        """The same bits read without a sign."""
        return UNSIGNED[self.type]


def decoded(kind, shape, data):
    """The codes in the bytes of a constant: little-endian, INT48 in 6 bytes, INT4 low nibble first."""
    held = np.frombuffer(base64.b64decode(data), np.uint8)
    if kind == "INT4":
        codes = np.stack([held & 15, held >> 4], -1).ravel()[:max(1, int(np.prod(shape)))].astype(np.int8)
        codes = (codes ^ 8) - 8
    elif kind == "INT48":
        wide = np.zeros((len(held) // 6, 8), np.uint8)
        wide[:, :6] = held.reshape(-1, 6)
        codes = I48.wrap(wide.view("<i8").ravel())
    else:
        codes = held.view({"SHAPE": "<i8", "BOOL": "u1"}.get(kind) or WIDTHS[kind].dtype)
    return codes[:int(np.prod(shape))].reshape(shape)           # a constant without elements holds a byte all the same


def loaded(path, kind):
    """The codes in a file of Arm's: INT4 lies there as a type of its own, one code a byte."""
    codes = np.load(path)
    if codes.dtype.kind == "V":
        codes = codes.view(np.int8)
    return codes.astype({"SHAPE": np.int64}.get(kind) or WIDTHS[kind].dtype)


@dataclass
class Operator:
    """`op`: its name in the specification; `attributes`: names without underscores."""

    op: str
    attributes: dict
    inputs: list
    outputs: list

    def values(self, place):
        """The numbers of a small constant operand."""
        return [int(v) for v in np.ravel(self.inputs[place].codes)]

    def value(self, place):
        return self.values(place)[0]

    def zero_point(self, place, unsigned):
        """A zero point whose bits are read as the codes that it belongs to."""
        width = self.inputs[place].unsigned if unsigned and self.inputs[place].type in UNSIGNED else self.inputs[place].width
        return width.wrap(self.value(place))

    def bound(self, name):
        """An attribute that holds one code of the first operand's type, as bytes."""
        width = self.inputs[0].width
        return int(np.frombuffer(bytes(self.attributes[name])[:width.dtype.itemsize], width.dtype)[0])

    @property
    def acc(self):
        """The width of the accumulator."""
        return WIDTHS[TYPES[self.attributes["acctype"]]]
