"""Arm's TOSA reference model: softmax as the chains of operators that tosa-converter-for-tflite 2026.2.0 emits for TFLite's.

Of 8-bit codes; of 16-bit ones as emitted, whose CAST keeps low bits, and with a MAXIMUM and a MINIMUM in front of it, which
saturate as the RESCALE of earlier versions did.
"""
from functools import partial

import numpy as np

from refq.ints.width import I8, I16
from refq.ops import softmax_table16
from tools.engines import tosa_reference
from tools.engines.campaign import Campaign, Compared, play
from tools.engines.tosa_models import Graph
from tools.engines.tosa_reference import clipped, made, rescale_of

version = tosa_reference.version
UNITY = ([1 << 30], [30])


class Chain(Graph):
    """Operators on (n c) and, one for each row, (n 1) tensors of INT32."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.row = shape, (shape[0], 1)

    def number(self, value):
        return self.constant("INT32", np.array([[value]]))

    def of_two(self, op, attribute, a, b, shape, **values):
        return self.apply(op, attribute, [a, b], "INT32", shape, **values)

    def right(self, x, s, shape):
        return self.of_two("ARITHMETIC_RIGHT_SHIFT", "ArithmeticRightShift", x, s, shape, round=True)

    def left(self, x, s, shape):
        return self.of_two("LOGICAL_LEFT_SHIFT", "LogicalLeftShift", x, s, shape)

    def add(self, a, b, shape):
        return self.of_two("ADD", "Add", a, b, shape)

    def sub(self, a, b, shape):
        return self.of_two("SUB", "Sub", a, b, shape)

    def mul(self, a, b, shape, shift):
        return self.apply("MUL", "Mul", [a, b, self.constant("INT8", shift)], "INT32", shape)

    def table(self, x, entries, shape):
        return self.apply("TABLE", "Table", [x, self.constant("INT16", entries)], "INT32", shape)

    def below_the_largest(self, q, kind, zero):
        wide = rescale_of(self, self.feed(kind, q), self.shape, "INT32", UNITY, (zero, 0), (kind, "INT32"))
        top = self.apply("REDUCE_MAX", "ReduceMax", [wide], "INT32", self.row, axis=1, nan_mode="PROPAGATE")
        return self.sub(wide, top, self.shape)

    def summed(self, x):
        """The sum of each row, its leading zeros, and the sum without all of them but one."""
        total = self.apply("REDUCE_SUM", "ReduceSum", [x], "INT32", self.row, axis=1)
        zeros = self.apply("CLZ", "Clz", [total], "INT32", self.row)
        return zeros, self.left(total, self.sub(zeros, self.number(1), self.row), self.row)


def drawn(rng, width, longest):
    """Rows alike, close together and far apart; none so long that its sum leaves what TOSA defines."""
    n, c = int(rng.integers(60, 120)), int(rng.choice([1, 2, 3, 16, 197, longest]))
    spread = (width.hi - width.lo) * 2.0 ** -rng.integers(1, 9, (n, 1))
    q = np.clip(np.rint(rng.normal(0, spread, (n, c))), width.lo, width.hi).astype(width.dtype)
    q[:4] = rng.integers(width.lo, width.hi + 1, (4, 1))
    return q


def softmax(rng):
    q, zero, scale = drawn(rng, I8, 511), int(rng.integers(-128, 128)), float(np.float32(2.0 ** rng.uniform(-8, 1)))
    constants, _ = made("tosa", "softmax", {"scale": scale, "zero": zero})
    entries = np.concatenate([[0], constants["t"][::-1], [0] * 256])        # of distances from -256 to 256
    g = Chain(q.shape)
    d = rescale_of(g, g.below_the_largest(q, "INT8", zero), q.shape, "INT16", ([1 << 30], [23]), (0, 0), ("INT32", "INT16"))
    bytes_of = [g.table(d, entries >> s & 255, q.shape) for s in (24, 16, 8, 0)]
    moved = [g.left(b, g.number(s), q.shape) for b, s in zip(bytes_of, (17, 9, 1))] + [g.right(bytes_of[3], g.number(7), q.shape)]
    e = g.add(g.add(g.add(moved[0], moved[1], q.shape), moved[2], q.shape), moved[3], q.shape)
    zeros, half = g.summed(g.right(e, g.number(12), q.shape))
    x = g.add(g.mul(half, g.number(-1010580540), g.row, 31), g.number(1515870810), g.row)
    for _ in range(3):
        rest = g.sub(g.number(1 << 29), g.mul(x, half, g.row, 31), g.row)
        x = g.add(x, g.mul(g.mul(x, rest, g.row, 31), g.number(4), g.row, 0), g.row)
    share = g.right(g.mul(e, x, q.shape, 30), g.sub(g.number(35), zeros, g.row), q.shape)
    y = g.ask(rescale_of(g, share, q.shape, "INT8", UNITY, (0, -128), ("INT32", "INT8")))
    ours = play("tosa", "softmax", {"q": I8, "out": I8}, {"q": q}, scale=scale, zero=zero)
    return Compared(ours, g.run()[y], clipped(ours, I8), f"SOFTMAX i8 {scale!r} {q.shape}")


def softmax_wide(rng, dialect):
    q, scale = drawn(rng, I16, 1000), float(np.float32(2.0 ** rng.uniform(-16, -8)))
    constants, row = made(dialect, "softmax_wide", {"scale": scale, "zero": 0})
    exponentials, reciprocals = softmax_table16.tables(row.evaluated)
    g = Chain(q.shape)

    def narrowed(x, shape):
        if row.store == "clip":
            x = g.of_two("MAXIMUM", "Maximum", x, g.number(I16.lo), shape, nan_mode="PROPAGATE")
            x = g.of_two("MINIMUM", "Minimum", x, g.number(I16.hi), shape, nan_mode="PROPAGATE")
        return g.apply("CAST", "Cast", [x], "INT16", shape)

    d = rescale_of(g, g.below_the_largest(q, "INT16", 0), q.shape, "INT32", ([constants["mult"]], [constants["shift"]]), (0, 0),
                   ("INT32", "INT32"), rounding="DOUBLE_ROUND")
    argument = narrowed(g.add(d, g.number(I16.hi), q.shape), q.shape)
    e = g.right(g.table(argument, exponentials, q.shape), g.number(7), q.shape)
    zeros, whole = g.summed(e)
    x = g.right(g.sub(whole, g.number(1 << 30), g.row), g.number(14), g.row)
    x = narrowed(g.sub(x, g.number(1 << 15), g.row), g.row)
    factor = g.right(g.table(x, reciprocals, g.row), g.number(7), g.row)
    share = g.right(g.mul(factor, e, q.shape, 0), g.sub(g.number(31), zeros, g.row), q.shape)
    y = g.ask(rescale_of(g, share, q.shape, "INT16", UNITY, (0, 0), ("INT32", "INT16")))
    ours = play(dialect, "softmax_wide", {"q": I16, "out": I16}, {"q": q}, scale=scale, zero=0)
    return Compared(ours, g.run()[y], clipped(ours, I16), f"SOFTMAX i16 {scale!r} {q.shape}")


campaigns = [
    Campaign("SOFTMAX i8 as TFLite's", "tosa", softmax),
    Campaign("SOFTMAX i16 as TFLite's, saturated", "tosa", partial(softmax_wide, dialect="tosa")),
    Campaign("SOFTMAX i16 as TFLite's, by CAST", "tosa_converter", partial(softmax_wide, dialect="tosa_converter")),
]
