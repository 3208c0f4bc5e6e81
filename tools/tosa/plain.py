"""TOSA operators on plain integers: refq's elementwise, reduce and cast, one or a few in a row.

Sums and products that leave their width are no TOSA program: they are refused.
"""
import numpy as np

from refq.ints.width import I16, I32, U1
from refq.ops import cast, elementwise, gather, reduce
from tools.tosa.machine import moved, run

BINARY = {"ADD": "add", "SUB": "sub", "MAXIMUM": "max", "MINIMUM": "min", "BITWISE_AND": "and", "BITWISE_OR": "or",
          "BITWISE_XOR": "xor", "LOGICAL_AND": "and", "LOGICAL_OR": "or", "LOGICAL_XOR": "xor", "EQUAL": "equal",
          "GREATER": "greater", "GREATER_EQUAL": "greater_equal", "LOGICAL_LEFT_SHIFT": "shift_left",
          "LOGICAL_RIGHT_SHIFT": "shift_logical"}
UNARY = {"ABS": "abs", "BITWISE_NOT": "not", "LOGICAL_NOT": "not", "CLZ": "clz"}
REDUCED = {"REDUCE_SUM": "sum", "REDUCE_MAX": "max", "REDUCE_MIN": "min", "REDUCE_ANY": "any", "REDUCE_ALL": "all"}


def apply(word, width, ties="half_up", overflow="refuse", **operands):
    """An elementwise word; `operands`: name to (codes, width), of shapes that broadcast; `s` is a number."""
    shift = {"s": operands.pop("s")} if "s" in operands else {}
    arrays = dict(zip(operands, np.broadcast_arrays(*(codes for codes, _ in operands.values()))))
    widths = {name: held for name, (_, held) in operands.items() if name != "c"}
    row = elementwise.Row(word=word, ties=ties, overflow=overflow, y=width, **({"b": widths["a"]} | widths))
    return run("elementwise", row, **arrays, **shift)


def pair(o, count=2):
    return dict(zip("ab", ((t.codes, t.width) for t in o.inputs[:count])))


def lower_plain(o):
    word = (BINARY | UNARY)[o.op]
    return apply(word, o.outputs[0].width, **pair(o, 2 if o.op in BINARY else 1))


def lower_mul(o):
    shift = o.value(2)
    if shift:
        return apply("mul_shift", o.outputs[0].width, s=shift, **pair(o))
    return apply("mul", o.outputs[0].width, **pair(o))


def lower_intdiv(o):
    return apply("divide", o.outputs[0].width, "trunc", **pair(o))


def lower_shift(o):
    return apply("shift_right", o.outputs[0].width, "half_up" if o.attributes["round"] else "floor", **pair(o))


def lower_negate(o):
    """zx + zy - x, clipped."""
    x, y = o.inputs[0], o.outputs[0]
    if x.type == "INT32":
        return apply("negate", y.width, **pair(o, 1))
    return apply("sub", y.width, overflow="saturate", a=(np.int32(o.value(1) + o.value(2)), I32), b=(x.codes, x.width))


def lower_select(o):
    (condition, yes, no), y = o.inputs, o.outputs[0]
    return apply("select", y.width, c=(condition.codes, U1), a=(yes.codes, yes.width), b=(no.codes, no.width))


def lower_reduce(o):
    x, axis = o.inputs[0], o.attributes["axis"]
    sizes = int(np.prod(x.shape[:axis])), x.shape[axis], int(np.prod(x.shape[axis + 1:]))
    return run("reduce", reduce.Row(REDUCED[o.op], "refuse", x.width, o.outputs[0].width), q=x.codes.reshape(sizes))


def lower_cast(o):
    x, y = o.inputs[0], o.outputs[0]
    return run("cast", cast.Row("nonzero" if y.type == "BOOL" else "wrap", x.width, y.width), x=x.codes)


def interpolated(x, t):
    """TABLE of 16-bit codes: the high 9 bits name an entry, the low 7 how far to go to the next; in units of 1/128."""
    at = apply("add", I32, a=(x.codes.ravel(), I16), b=(np.int32(1 << 15), I32))
    place = apply("shift_right", I32, "floor", a=(at, I32), b=(np.int32(7), I32))
    part = apply("and", I32, a=(at, I32), b=(np.int32(127), I32))
    entries = {"x": t.codes.reshape(1, -1, 1), "row": gather.Row(width=I16, places=513)}
    base, after = (run("gather", entries["row"], x=entries["x"], i=i[None])[0, :, 0]
                   for i in (place, apply("add", I32, a=(place, I32), b=(np.int32(1), I32))))
    slope = apply("sub", I32, a=(after, I16), b=(base, I16))
    raised = apply("mul", I32, a=(base, I16), b=(np.int32(128), I32))
    return apply("add", I32, a=(raised, I32), b=(apply("mul", I32, a=(slope, I32), b=(part, I32)), I32))


def lower_resize(o):
    """The nearest place, or four neighbours with weights that are integers."""
    x, y, (ny, dy, nx, dx), (oy, ox) = o.inputs[0], o.outputs[0], o.values(1), o.values(2)
    sides = []
    for axis, n, d, first in ((1, ny, dy, oy), (2, nx, dx, ox)):
        at = np.arange(y.shape[axis]) * d + first
        place = at // n
        sides.append((place, at - place * n, n, x.shape[axis] - 1))
    if o.attributes["mode"] == NEAREST:
        rows, columns = (np.clip(place + (2 * rest >= n), 0, last) for place, rest, n, last in sides)
        return picked(x, rows, columns)
    total = None
    for down in (0, 1):
        for right in (0, 1):
            (rows, by), (columns, across) = (
                (np.clip(place + more, 0, last), rest if more else n - rest)
                for more, (place, rest, n, last) in zip((down, right), sides))
            weight = (by[:, None] * across)[None, :, :, None].astype(np.int32)
            part = apply("mul", y.width, a=(picked(x, rows, columns), x.width), b=(weight, I32))
            total = part if total is None else apply("add", y.width, a=(total, y.width), b=(part, y.width))
    return total


def picked(x, rows, columns):
    return moved([x], ("gather", 1, tuple(rows.tolist())), ("gather", 2, tuple(columns.tolist())))


NEAREST = 1
LOWERED = ({op: lower_plain for op in BINARY | UNARY} | {op: lower_reduce for op in REDUCED}
           | {"MUL": lower_mul, "INTDIV": lower_intdiv, "ARITHMETIC_RIGHT_SHIFT": lower_shift, "NEGATE": lower_negate,
              "SELECT": lower_select, "CAST": lower_cast, "RESIZE": lower_resize})
