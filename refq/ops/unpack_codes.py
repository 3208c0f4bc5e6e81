"""unpack_codes: the small codes out of the bytes of a layout.

    x = what field place(i) of its unit means, for code i

units    codes keep their grid, and each has a byte of its own; a byte of y means nothing by itself
R1       code i of a unit of n is in field i (low_first), n - 1 - i (high_first), i / 2 with the odd ones behind all even ones
         (interleaved), or, by halves, a place in byte i modulo the bytes
R2       fields lie behind each other from bit 0 of the first byte up; one may straddle two bytes, and two words
R3       a field means itself, or itself with its top bit turned over, with the sign of its width in both; or one more, which may
         be the code beyond its width, or wraps to 0
R4       the last `tail` codes of a line are padding and are left out; what lies there, and in bits that no field has, is not
         looked at
error    none: it gives back every code that pack_codes packed
source   refq/layouts: one file for each layout in use says where it is published
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.jit import jit
from refq.ints.operand import Operand
from refq.ints.row import decided
from refq.ints.sites import Sites, unwatched
from refq.ints.slips import channels_shifted, last_tile_lost, transposed
from refq.ints.width import I8, U2, U8, Width
from refq.layouts.loops import unpacking
from refq.ops import pack_codes


@dataclass(frozen=True)
class Row(pack_codes.Row):
    tail: int = decided(0)

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.tail < self.per:
            raise IllFormed(f"unpack_codes: {self.tail} codes of padding behind units of {self.per}; it is less than one unit")

    @property
    def takes(self):
        return {"y": U8("n [j]")}

    @property
    def gives(self):
        return {"x": Operand(I8 if self.line.codes.signed else U8, "n k", self.line.lo, self.line.hi)}

    def sizes(self, found):
        units, rest = divmod(found["j"], self.unit)
        if rest or self.tail and not units:
            raise IllFormed(f"unpack_codes: lines of {found['j']} bytes, and units of {self.unit}; the data is truncated")
        return {"k": units * self.per - self.tail}


def build(row):
    return {}


def spec(y, row, at=unwatched):
    line = row.line
    fields = at("field", line.taken(y), Width(row.x.bits, False))                        # R1 R2
    fields = fields[:, :fields.shape[1] - row.tail]                                       # R4
    return at("x", line.meant(fields), line.codes)                                        # R3


@cache
def kernel(row):
    unpacked = unpacking(row.line)

    @jit(nogil=True)
    def unpack_codes(y, x):
        unpacked(y, x)                                                                    # R1 R2 R3 R4

    return unpack_codes


def real(y, row):
    """The codes themselves: nothing is rounded."""
    return spec(y, row)


def sign_not_extended(run, operands, row):
    """Fields of signed codes are taken as they are, without their sign."""
    x = run(operands)["x"].astype(np.int64)
    return {"x": x & (1 << row.x.bits) - 1 if row.x.signed else x}


def straddling_code_cut(run, operands, row):
    """Of a code that straddles two words of 32 bits, or two bytes in units without words, only what is in the first is read."""
    line, wide = row.line, 32 if row.unit % 4 == 0 else 8

    class Cut(Sites):
        def __call__(self, name, value, width):
            low = np.minimum(wide - line.bits[:, 0] % wide, row.x.bits)
            return value & (1 << np.resize(low, value.shape[1])) - 1 if name == "field" else value

    return run(operands, at=Cut())


def unfilled_unit_lost(run, operands, row):
    """The codes of the last unit are not read where it is not full: they stay 0."""
    x = run(operands)["x"].copy()
    if row.tail:
        x[:, x.shape[1] - (row.per - row.tail):] = 0
    return {"x": x}


def fields_of_another_word(run, operands, row):
    """Each word of 32 bits is read with its bytes in the other order."""
    y = operands["y"].copy()
    whole = y.shape[1] // 4 * 4
    y[:, :whole] = y[:, :whole].reshape(len(y), -1, 4)[:, :, ::-1].reshape(len(y), whole)
    return run({**operands, "y": y})


SHARED = ("y",)
slips = (sign_not_extended, straddling_code_cut, unfilled_unit_lost, fields_of_another_word, channels_shifted("y", 1),
         channels_shifted("x", 1), transposed("x"), last_tile_lost("x", 4))


def r1_packed_again_they_are_the_same_bytes(y, row):
    """Where no bit is padding."""
    x = spec(y, row)
    again = pack_codes.spec(x, pack_codes.Row(row.order, row.stored, row.x, row.per, row.unit))
    return bool(row.tail or row.line.idle.size) or again == y


def r3_codes_are_those_of_the_row(y, row):
    x = spec(y, row)
    return (row.codes.lo <= x) & (x <= row.codes.hi)


def r4_padding_is_not_looked_at(y, row):
    idle = np.zeros(8 * row.unit, bool)
    idle[row.line.idle] = True
    turned = y.copy()
    if y.shape[1] and idle.any():
        turned ^= np.resize(np.packbits(idle, bitorder="little"), y.shape[1])
    return spec(turned, row) == spec(y, row)


PUBLISHED = {name: Row(row.order, row.stored, row.x, row.per, row.unit) for name, row in pack_codes.PUBLISHED.items()} | {
    "cmix_nn2_reordered": Row("interleaved", "code", U2, 16, 4)}
