"""pack_codes: small codes into the bytes of a layout.

    y = bytes of units of `block` codes, field place(i) of a unit being what is kept of code i

units    codes keep their grid; a byte means nothing by itself
R1       of each code the low bits are kept, with no sign behind them: of the code itself, of the code with its top bit turned
         over, or of the code less 1
R2       code i of a unit of n takes field i (low_first), n - 1 - i (high_first), i / 2 with the odd ones behind all even ones
         (interleaved), or, by halves, a place in byte i modulo the bytes
R3       fields lie behind each other from bit 0 of the first byte up; one may straddle two bytes, and two words
R4       a last unit that is not full is filled up with zero bits, and so is what no field has
error    none: unpack_codes gives every code back
source   refq/layouts: one file for each layout in use says where it is published
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import Sites, unwatched
from refq.ints.slips import channels_shifted, last_tile_lost, transposed
from refq.ints.width import I4, U8, Width
from refq.layouts import load
from refq.layouts.lines import Line, orders, stores
from refq.layouts.loops import packing


@dataclass(frozen=True)
class Row(Base):
    order: str = choice(*orders)
    stored: str = choice(*stores)
    x: Width = decided(I4)
    per: int = decided(2)
    unit: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        if self.per < 1 or self.unit < 1:
            raise IllFormed(f"pack_codes: {self.per} codes in {self.unit} bytes; both are at least 1")
        self.admit()

    def admit(self):
        """Raises IllFormed for units that are none."""
        return self.line

    @property
    def line(self):
        """The layout of a line of codes."""
        return Line(self.x, self.order, self.stored, self.per, self.unit)

    @property
    def codes(self):
        """The operand of codes."""
        return Operand(self.line.codes, "n [k]", self.line.lo, self.line.hi)

    @property
    def takes(self):
        return {"x": self.codes}

    @property
    def gives(self):
        return {"y": U8("n j")}

    def sizes(self, found):
        return {"j": self.line.length(found["k"])}


def build(row):
    return {}


def spec(x, row, at=unwatched):
    line = row.line
    kept = at.wrap("kept", line.kept(x.astype(np.int64)), Width(row.x.bits, False))       # R1
    return at("y", line.placed(kept), U8)                                                 # R2 R3 R4


@cache
def kernel(row):
    return packing(row.line)                                                              # R1 R2 R3 R4


def real(x, row):
    """The codes themselves: nothing is rounded."""
    return x


def straddling_code_cut(run, operands, row):
    """What lies of a code beyond its word of 32 bits, or beyond its byte in units without whole words, is lost."""
    line, wide = row.line, 32 if row.unit % 4 == 0 else 8

    class Cut(Sites):
        def wrap(self, name, value, width):
            made = value & (1 << width.bits) - 1
            low = np.minimum(wide - line.bits[:, 0] % wide, width.bits)
            return made & (1 << np.resize(low, value.shape[1])) - 1

    return run(operands, at=Cut())


def unfilled_unit_lost(run, operands, row):
    """The last unit is not written where it is not full: its bytes stay 0."""
    y = run(operands)["y"].copy()
    if operands["x"].shape[1] % row.per:
        y[:, -row.unit:] = 0
    return {"y": y}


def fields_of_another_word(run, operands, row):
    """Fields are numbered from the other end of each word of 32 bits: its bytes in the other order."""
    y = run(operands)["y"].copy()
    whole = y.shape[1] // 4 * 4
    y[:, :whole] = y[:, :whole].reshape(len(y), -1, 4)[:, :, ::-1].reshape(len(y), whole)
    return {"y": y}


slips = (straddling_code_cut, unfilled_unit_lost, fields_of_another_word, channels_shifted("y", 1),
         transposed("y"), last_tile_lost("y", 4))


def r1_codes_that_differ_are_kept_apart(x, row):
    """As many different fields as codes."""
    line = row.line
    codes = np.arange(line.lo, line.hi + 1)
    return len(set((line.kept(codes) & (1 << row.x.bits) - 1).tolist())) == len(codes)


def r3_the_bytes_give_the_codes_back(x, row):
    return row.line.meant(row.line.taken(spec(x, row)))[:, :x.shape[1]] == x


def r4_no_bit_is_set_twice(x, row):
    """Bytes of some codes alone, the others kept as 0, add up to the bytes of all."""
    fields = row.line.kept(x.astype(np.int64)) & (1 << row.x.bits) - 1
    odd = np.arange(x.shape[1]) % 2 == 1
    return row.line.placed(fields * odd) + row.line.placed(fields * ~odd) == spec(x, row)


def rows():
    """Published rows, by name: those of layouts in use, each once, under the first name that has it."""
    made = {}
    for name, layout, parameters in LAYOUTS:
        line = load(layout).Layout(**parameters).line
        made[name] = Row(line.order, line.stored, line.width, line.block, line.unit)
    return made


LAYOUTS = (("onnx_int4", "onnx_int4", {}), ("onnx_uint4", "onnx_int4", {"signed": False}), ("onnx_int2", "onnx_int2", {}),
           ("gptq2", "gptq", {"bits": 2}), ("gptq3", "gptq", {"bits": 3}), ("gptq4", "gptq", {}),
           ("gptq_zeros4", "gptq_zeros", {}), ("gptq_zeros4_wrapped", "gptq_zeros", {"wraps": True}),
           ("gptq_zeros3", "gptq_zeros", {"bits": 3}), ("awq", "awq", {}), ("compressed_tensors", "compressed_tensors", {}),
           ("q4_0", "q4_0", {}), ("fullpack", "fullpack", {}), ("fullpack2", "fullpack", {"bits": 2}),
           ("xnnpack_qc4w", "xnnpack_qc4w", {"kr": 4}))
"""Name, layout and its parameters. Rows of other layouts are among them: TFLite's int4 is onnx_int4's, cmix_nn's of 4 bits is
gptq4's and of 2 bits gptq2's, and its reordered registers of 4 bits are awq's."""
PUBLISHED = rows()
