"""elementwise: one word on plain integers, element by element: no grids, no scales.

    y = store(word(a, b))

units    integers; a, b and y are what their widths hold; `word` is one of refq/ints/elementwise.py, which says what each
         gives; mul_shift takes the shift s for all elements, select the condition c for each
R1       the word is exact: what it gives is kept whole until it is stored
R2       words that divide or shift to the right round once, as the row says
R3       what y's width does not hold wraps, saturates or is refused; a division by 0 is always refused
error    exact, but for the rounding
source   TOSA 1.0 ADD, SUB, MUL, INTDIV, MINIMUM, BITWISE_AND, ARITHMETIC_RIGHT_SHIFT, CLZ, SELECT, ...; ONNX BitShift, Where
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import elementwise as words
from refq.ints import rounding
from refq.ints.accumulate import holder, holds
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, I32, I64, U1, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    """`word`: what is done; `a`, `b`, `y`: widths. `overflow` and `ties` are read where the word can overflow or rounds."""

    word: str = decided("add")
    ties: str = choice("half_up", *rounding.names)
    overflow: str = choice("wrap", "saturate", "refuse")
    a: Width = decided(I32)
    b: Width = decided(I32)
    y: Width = decided(I32)

    def __post_init__(self):
        super().__post_init__()
        words.word(self.word, self.a, self.ties)
        at_most(48, "elementwise", self.a, self.b, self.y)
        if self.word in ("mul", "mul_shift") and sum(w.bits - w.signed for w in (self.a, self.b)) > 62:
            raise IllFormed(f"elementwise: {self.a} times {self.b} leaves 64 bits; factors have at most 62 together, signs aside")

    @property
    def takes(self):
        second = self.b("n", 0, min(63, self.b.hi)) if self.word in words.amounts else self.b("n")
        every = {"a": self.a("n"), "b": second, "c": U1("n"), "s": I8("", 0, 62)}
        return {name: every[name] for name in words.operands[self.word].split()}

    @property
    def gives(self):
        return {"y": self.y("n")}


def build(row, s=0):
    """The constants of a step: the shift of mul_shift."""
    return {"s": s} if row.word == "mul_shift" else {}


def admit(operands, row):
    if row.word == "divide" and not np.all(operands[1]):
        raise IllFormed("elementwise: a division by 0; divisors are any other integers")


def spec(*operands, row, at=unwatched):
    admit(operands, row)
    raw = words.word(row.word, row.a, row.ties)(*(o if isinstance(o, int) else o.astype(np.int64) for o in operands))     # R1 R2
    return holds[row.overflow](at, "y", at("raw", raw, I64), row.y)                                       # R3


@cache
def kernel(row):
    word, hold = words.word(row.word, row.a, row.ties), holder(row.overflow, row.y)
    lo, hi, count = row.y.lo, row.y.hi, len(row.takes)

    @jit(nogil=True)
    def unary(a, y):
        left = 0
        for n in range(y.shape[0]):
            raw = word(np.int64(a[n]))                                                                    # R1 R2
            left |= (raw < lo) | (raw > hi)
            y[n] = hold(raw)                                                                              # R3
        return left

    @jit(nogil=True)
    def binary(a, b, y):
        left = 0
        for n in range(y.shape[0]):
            raw = word(np.int64(a[n]), np.int64(b[n]))                                                    # R1 R2
            left |= (raw < lo) | (raw > hi)
            y[n] = hold(raw)                                                                              # R3
        return left

    @jit(nogil=True)
    def shifted(a, b, s, y):
        left = 0
        for n in range(y.shape[0]):
            raw = word(np.int64(a[n]), np.int64(b[n]), np.int64(s))                                       # R1 R2
            left |= (raw < lo) | (raw > hi)
            y[n] = hold(raw)                                                                              # R3
        return left

    @jit(nogil=True)
    def chosen(c, a, b, y):
        left = 0
        for n in range(y.shape[0]):
            raw = word(np.int64(c[n]), np.int64(a[n]), np.int64(b[n]))                                    # R1
            left |= (raw < lo) | (raw > hi)
            y[n] = hold(raw)                                                                              # R3
        return left

    loop = shifted if row.word == "mul_shift" else {1: unary, 2: binary, 3: chosen}[count]

    def elementwise(*operands):
        admit(operands, row)
        if loop(*operands) and row.overflow == "refuse":
            raise IllFormed(f"elementwise: {row.word} leaves {row.y}, which this row refuses; take a wider result")

    return elementwise


def real(*operands, row):
    """The word of Python integers (or Fractions, where it neither shifts nor reads bits), before it is stored."""
    return words.word(row.word, row.a, row.ties)(*operands)


def operands_swapped(run, operands, row):
    """The two operands change places, where both have one width."""
    if row.a != row.b or "b" not in operands or row.word in words.amounts:
        return run(operands)
    return run({**operands, "a": operands["b"], "b": operands["a"]})


slips = (operands_swapped, channels_shifted("a", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r1_order_of_elements_is_free(*operands, row):
    turned = [o[::-1] if np.ndim(o) else o for o in operands]
    return spec(*turned, row=row)[::-1] == spec(*operands, row=row)


def r3_stays_in_its_width(*operands, row):
    y = spec(*operands, row=row)
    return (y >= row.y.lo) & (y <= row.y.hi)
