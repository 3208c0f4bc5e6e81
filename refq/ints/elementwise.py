"""Plain operations on integers, element by element: what each word gives before its result is stored.

    word            of        gives
    add sub mul     a b       the sum, the difference, the product
    mul_shift       a b s     a * b / 2**s, rounded
    divide          a b       a / b, rounded; there is none for b = 0
    min max         a b       the smaller, the larger
    and or xor      a b       bit by bit; on one bit they are logical
    not             a         every bit of a's width turned
    negate abs      a         -a; a without its sign
    shift_left      a b       a * 2**b in a's width: what leaves it is lost
    shift_right     a b       a / 2**b, rounded; floor keeps the sign, as an arithmetic shift does
    shift_logical   a b       the bits of a's width moved down b places, zeros before them
    clz             a         how many zeros lead the bits of a's width
    equal greater greater_equal
                    a b       1 where it holds, else 0
    select          c a b     a where c is not 0, else b

`word(name, width, ties)` is the word for an `a` of that width and the rounding `ties`. It serves Python integers, NumPy int64
arrays and jitted kernels from one text. Amounts of shifts lie in 0 to 63.
"""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.bits import length
from refq.ints.jit import word as jitted


@jitted
def add(a, b):
    return a + b


@jitted
def sub(a, b):
    return a - b


@jitted
def mul(a, b):
    return a * b


@jitted
def smaller(a, b):
    return a + (b - a) * (b < a)


@jitted
def larger(a, b):
    return a + (b - a) * (b > a)


@jitted
def both(a, b):
    return a & b


@jitted
def either(a, b):
    return a | b


@jitted
def differs(a, b):
    return a ^ b


@jitted
def negate(a):
    return -a


@jitted
def absolute(a):
    return a - 2 * a * (a < 0)


@jitted
def equal(a, b):
    return np.int64(a == b)


@jitted
def greater(a, b):
    return np.int64(a > b)


@jitted
def greater_equal(a, b):
    return np.int64(a >= b)


@jitted
def select(c, a, b):
    return b + (a - b) * (c != 0)


def inverted(width, ties):
    ones = -1 if width.signed else width.hi

    @jitted
    def turned(a):
        return a ^ ones
    return turned


def raised(width, ties):
    mask, sign = (1 << width.bits) - 1, (1 << width.bits - 1) * width.signed

    @jitted
    def shift_left(a, b):
        return (((a << b) & mask) ^ sign) - sign
    return shift_left


def lowered(width, ties):
    mask, sign = (1 << width.bits) - 1, (1 << width.bits - 1) * width.signed

    @jitted
    def shift_logical(a, b):
        return (((a & mask) >> b) ^ sign) - sign
    return shift_logical


def leading(width, ties):
    mask, bits = (1 << width.bits) - 1, width.bits

    @jitted
    def clz(a):
        return bits - length(a & mask)
    return clz


def scaled(width, ties):
    rounded = rounding.word(ties)

    @jitted
    def mul_shift(a, b, s):
        return rounded(a * b, s)
    return mul_shift


def quotient(width, ties):
    rounded = rounding.divide(ties)

    @jitted
    def divide(a, b):
        turn = 1 - 2 * (b < 0)
        return rounded(a * turn, b * turn)
    return divide


plain = {"add": add, "sub": sub, "mul": mul, "min": smaller, "max": larger, "and": both, "or": either, "xor": differs,
         "negate": negate, "abs": absolute, "equal": equal, "greater": greater, "greater_equal": greater_equal, "select": select}
made = {"not": inverted, "shift_left": raised, "shift_logical": lowered, "clz": leading, "mul_shift": scaled,
        "divide": quotient, "shift_right": lambda width, ties: rounding.word(ties)}
names = (*plain, *made)
amounts = ("shift_left", "shift_right", "shift_logical")
"""Words whose b is by how many places to shift."""
rounds = ("mul_shift", "divide", "shift_right")
"""Words that read `ties`."""
logical = ("equal", "greater", "greater_equal")
"""Words that give 0 or 1."""
operands = {name: "a b" for name in names} | dict.fromkeys(("not", "negate", "abs", "clz"), "a") | {
    "mul_shift": "a b s", "select": "c a b"}
"""Name to the operands of its word, in order."""


@cache
def word(name, width, ties):
    """The word of that name; raises IllFormed where there is none."""
    if name in plain:
        return plain[name]
    if name in made:
        return made[name](width, ties)
    raise IllFormed(f"an elementwise word named {name!r}; there are {', '.join(names)}")
