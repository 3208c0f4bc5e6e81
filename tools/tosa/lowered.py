"""What each TOSA operator is in refq: operations under the rows of dialects tosa and tosa_double, and moves of data.

`lower(operator)` gives the codes of its result. Layouts are TOSA's: (n h w c), weights (m kh kw c); a depthwise filter lies as
(kh kw c m). An operand with an axis of 1 is repeated along it before the operation sees it.
"""
from dataclasses import replace

import numpy as np

from refq import dialects
from refq.errors import Unsupported
from refq.ops import argmax, average_pool, batch_matmul, clip, conv2d, conv_transpose2d, gather, max_pool, table
from tools.tosa import plain
from tools.tosa.checks import DOUBLE_ROUND
from tools.tosa.machine import moved, run, transposed

SINGLE_ROUND = 1


def to_last(shape, axis):
    """The order of axes that puts one last."""
    return *(a for a in range(len(shape)) if a != axis), axis


def lower(o):
    """The codes of the result of an operator that checks.admit let pass; raises Unsupported where refq lacks it."""
    if o.op not in LOWERED:
        raise Unsupported(f"{o.op} is not computed here; it needs an entry in tools/tosa/lowered.py")
    return LOWERED[o.op](o).reshape(o.outputs[0].shape)


def lower_argmax(o):
    x = o.inputs[0]
    last = transposed(x, *to_last(x.shape, o.attributes["axis"]))
    return run("argmax", argmax.Row(x.width), q=last)


def lower_rescale(o):
    x, y, a = o.inputs[0], o.outputs[0], o.attributes
    acc, out = x.unsigned if a["inputunsigned"] else x.width, y.unsigned if a["outputunsigned"] else y.width
    if a["roundingmode"] not in (SINGLE_ROUND, DOUBLE_ROUND):
        raise Unsupported("RESCALE with INEXACT_ROUND: TOSA leaves its result open; take SINGLE_ROUND or DOUBLE_ROUND")
    dialect = dialects.load("tosa_double" if a["roundingmode"] == DOUBLE_ROUND else "tosa")
    row = replace(dialect.role("rescale" if a["scale32"] else "rescale_wide").row, acc=acc, out=out)
    codes = x.codes.view(acc.dtype)
    codes = codes.reshape(codes.shape if a["perchannel"] else (-1, 1))
    y = run("rescale", row, acc=codes, zin=o.zero_point(3, a["inputunsigned"]), mult=np.ravel(o.inputs[1].codes),
            shift=np.ravel(o.inputs[2].codes), zp=o.zero_point(4, a["outputunsigned"]))
    return y.view(o.outputs[0].width.dtype)


def lower_clamp(o):
    x = o.inputs[0]
    return run("clip", clip.Row(x.width), q=x.codes, lo=o.bound("minval"), hi=o.bound("maxval"))


def lower_table(o):
    x, y, t = o.inputs[0], o.outputs[0], o.inputs[1]
    if x.type == "INT16":
        return plain.interpolated(x, t)
    return run("table", table.Row(q=x.width, out=y.width), q=x.codes, t=t.codes)


def bias_of(o, filters):
    """One bias a filter: a single one serves all."""
    return np.broadcast_to(o.inputs[2].codes, filters)


def lower_matmul(o):
    a, b, y = o.inputs[0], o.inputs[1], o.outputs[0]
    row = batch_matmul.Row(a.width, b.width, y.width)
    return run("batch_matmul", row, x=a.codes, w=transposed(b, 0, 2, 1), zx=o.value(2), zw=o.value(3))


def lower_conv2d(o):
    return convolved(o, o.inputs[0].codes, o.inputs[1].codes, 1)


def lower_depthwise(o):
    kh, kw, c, m = o.inputs[1].shape
    filters = moved([o.inputs[1]], ("transpose", (2, 3, 0, 1)), ("reshape", (c * m, kh, kw, 1)))
    return convolved(o, o.inputs[0].codes, filters, c)


def convolved(o, x, w, groups):
    top, bottom, left, right = o.attributes["pad"][-4:]
    row = conv2d.Row(o.inputs[0].width, o.inputs[1].width, o.acc, None, tuple(o.attributes["stride"][-2:]),
                     (top, left, bottom, right), tuple(o.attributes["dilation"][-2:]), groups)
    return run("conv2d", row, x=x, w=w, bias=bias_of(o, len(w)), zx=o.value(3), zw=np.full(len(w), o.value(4)))


def lower_transpose_conv2d(o):
    x, w, (top, bottom, left, right) = o.inputs[0], o.inputs[1], o.attributes["outpad"]
    row = conv_transpose2d.Row(x.width, w.width, o.acc, None, tuple(o.attributes["stride"]), (-top, -left, -bottom, -right))
    filters = len(w.codes)
    return run("conv_transpose2d", row, x=x.codes, w=w.codes, bias=bias_of(o, filters), zx=o.value(3),
               zw=np.full(filters, o.value(4)))


def lower_conv3d(o):
    """The images that a filter sees, one behind the other, lie beside each other as channels of one image."""
    x, w, a = o.inputs[0], o.inputs[1], o.attributes
    n, depth, h, width, c = x.shape
    m, kd, kh, kw, _ = w.shape
    (front, back), stride, dilation = a["pad"][:2], a["stride"][0], a["dilation"][0]
    out = o.outputs[0].shape[1]
    seen = tuple(z * stride + i * dilation for z in range(out) for i in range(kd))
    beside = moved([x], ("pad", ((0, 0), (front, back), *((0, 0),) * 3)), ("gather", 1, seen),
                   ("reshape", (n * out, kd, h, width, c)), ("transpose", (0, 2, 3, 1, 4)),
                   ("reshape", (n * out, h, width, kd * c)), zero=o.value(3))
    filters = moved([w], ("transpose", (0, 2, 3, 1, 4)), ("reshape", (m, kh, kw, kd * c)))
    return convolved(o, beside, filters, 1)


def window(o):
    """The geometry of a pool, as refq's rows have it."""
    top, bottom, left, right = o.attributes["pad"]
    return {"kernel": tuple(o.attributes["kernel"]), "stride": tuple(o.attributes["stride"]),
            "padding": (top, left, bottom, right)}


def lower_avg_pool2d(o):
    x, y = o.inputs[0], o.outputs[0]
    row = replace(dialects.load("tosa").role("average_pool").row, q=x.width, out=y.width, **window(o))
    made = average_pool.build(row, 1.0, o.value(1), 1.0, o.value(2))
    return run("average_pool", row, q=x.codes, **made)


def lower_max_pool2d(o):
    x = o.inputs[0]
    return run("max_pool", max_pool.Row(x.width, **window(o)), q=x.codes)


def lower_concat(o):
    return moved(o.inputs, ("concat", o.attributes["axis"]))


def lower_pad(o):
    widths = o.values(1)
    return moved([o.inputs[0]], ("pad", tuple(zip(widths[::2], widths[1::2]))), zero=o.value(2))


def lower_reshape(o):
    return moved([o.inputs[0]], ("reshape", tuple(o.outputs[0].shape)))


def lower_reverse(o):
    x, axis = o.inputs[0], o.attributes["axis"]
    return moved([x], ("gather", axis, tuple(reversed(range(x.shape[axis])))))


def lower_slice(o):
    return moved([o.inputs[0]], *(("slice", axis, start, start + size, 1)
                                  for axis, (start, size) in enumerate(zip(o.values(1), o.values(2)))))


def lower_tile(o):
    x = o.inputs[0]
    return moved([x], *(("gather", axis, tuple(range(size)) * times)
                        for axis, (size, times) in enumerate(zip(x.shape, o.values(1))) if times > 1))


def lower_transpose(o):
    return transposed(o.inputs[0], *o.attributes["perms"])


def lower_identity(o):
    return moved([o.inputs[0]])


def lower_gather(o):
    x = o.inputs[0]
    return run("gather", gather.Row(width=x.width, places=x.shape[1]), x=x.codes, i=o.inputs[1].codes)


def lower_scatter(o):
    """What is gathered from the old values with the new ones behind them: place k, or the w with indices[n, w] = k."""
    old, indices, new = o.inputs
    n, k, _ = old.shape
    places = np.tile(np.arange(k, dtype=np.int32), (n, 1))
    for image, row in enumerate(indices.codes):
        places[image, row] = k + np.arange(len(row))
    both = moved([old, new], ("concat", 1))
    return run("gather", gather.Row(width=old.width, places=both.shape[1]), x=both, i=places)


LOWERED = plain.LOWERED | {
    "ARGMAX": lower_argmax, "RESCALE": lower_rescale, "CLAMP": lower_clamp, "TABLE": lower_table, "MATMUL": lower_matmul,
    "CONV2D": lower_conv2d, "CONV3D": lower_conv3d, "DEPTHWISE_CONV2D": lower_depthwise,
    "TRANSPOSE_CONV2D": lower_transpose_conv2d, "AVG_POOL2D": lower_avg_pool2d, "MAX_POOL2D": lower_max_pool2d,
    "CONCAT": lower_concat, "PAD": lower_pad, "RESHAPE": lower_reshape, "REVERSE": lower_reverse, "SLICE": lower_slice,
    "TILE": lower_tile, "TRANSPOSE": lower_transpose, "IDENTITY": lower_identity, "GATHER": lower_gather,
    "SCATTER": lower_scatter}
"""How to compute an operator; CONST and CONST_SHAPE are read by the server."""
