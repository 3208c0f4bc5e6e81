"""tflite_shapes: what an operator implies about its tensors, held against what the file declares, before anything is computed.

Source: the Prepare functions of tensorflow/lite/kernels.
"""
from math import prod

import numpy as np

from refq.errors import Corrupt, IllFormed, Unsupported
from refq.grids.affine import same

BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""Operator to the place of its bias, the only input that may be left out."""
AS_THEY_LIE = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "PADV2", "SLICE",
               "STRIDED_SLICE", "CONCATENATION")
"""Operators whose kernels leave codes on the grid that they lie on, whatever grid the file says for the result."""
CODES = ("INT4", "INT8", "UINT8", "INT16")


def admit(f, op, inputs, outputs, options):
    """Raises Corrupt where shapes contradict the operator, Unsupported where grids do; `f`: the File, its `place` said."""
    for at, index in enumerate(inputs):
        if index < 0 and BIAS.get(op) != at:
            raise Corrupt(f"{f.place}: it lacks its input {at}; the file is damaged")
    for index in (i for i in (*inputs, *outputs) if i >= 0):
        if any(n < 1 for n in f.shape(index)):
            raise Corrupt(f"{f.place}: tensor {f.names[index]!r} has shape {f.shape(index)}; every size is at least 1")
        kind = f.kinds.get(f.tensors[index].Type(), "")
        if f.grids[f.names[index]] is None and kind in CODES:
            raise Unsupported(f"{f.place}: tensor {f.names[index]!r} is {kind} without a scale; refq runs codes whose grid "
                              "is said")
    refuse_grids(f, op, inputs, outputs)
    wanted = implied.get(op, alike)(f, inputs, outputs, options)
    found = f.shape(outputs[0])
    if wanted is not None and found and tuple(wanted) != found:
        raise IllFormed(f"{f.place}: it is declared as {found}, and its inputs make it {tuple(wanted)}; the file "
                        "contradicts itself")


def refuse_grids(f, op, inputs, outputs):
    grid = f.grids[f.names[outputs[0]]]
    if op in AS_THEY_LIE:
        for index in inputs if op == "CONCATENATION" else inputs[:1]:
            held = f.grids[f.names[index]]
            if held is not None and grid is not None and not same(held, grid):
                raise Unsupported(f"{f.place}: {f.names[index]!r} and the result lie on different grids, and TFLite's kernel "
                                  "does not rescale between them; convert the model anew, with a QUANTIZE there")
    if op in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        held = f.grids[f.names[inputs[1]]]
        if held is not None and held.width.signed and held.zero.any():
            raise Unsupported(f"{f.place}: its {held.width} weights have zero points from {held.zero.min()} to {held.zero.max()}"
                              "; TFLite's kernels take them with zero point 0")


def least(f, what, *values):
    if any(v < 1 for v in values):
        raise Corrupt(f"{f.place}: its {what} are {', '.join(map(str, values))}; each is at least 1")


def ranked(f, rank, *indices):
    for index in indices:
        if len(f.shape(index)) != rank:
            raise IllFormed(f"{f.place}: tensor {f.names[index]!r} has shape {f.shape(index)}; it takes {rank} axes")


def windows(f, o, size, kernel, dilation=(1, 1)):
    """(height, width) of what a window makes of an image of `size`."""
    strides = o.StrideH(), o.StrideW()
    least(f, "strides", *strides)
    least(f, "dilations", *dilation)
    least(f, "kernel sizes", *kernel)
    if o.Padding() not in (f.tflite.Padding.SAME, f.tflite.Padding.VALID):
        raise Corrupt(f"{f.place}: a padding of number {o.Padding()}; there are SAME and VALID")
    if o.Padding() == f.tflite.Padding.SAME:
        return [-(-n // s) for n, s in zip(size, strides)]
    made = [(n - (k - 1) * d - 1) // s + 1 for n, s, k, d in zip(size, strides, kernel, dilation)]
    if min(made) < 1:
        raise IllFormed(f"{f.place}: a window of {kernel[0]}x{kernel[1]} does not fit into {size[0]}x{size[1]}")
    return made


def biased(f, op, inputs, channels):
    at = BIAS[op]
    if len(inputs) > at and inputs[at] >= 0 and prod(f.shape(inputs[at])) != channels:
        raise IllFormed(f"{f.place}: its bias has {prod(f.shape(inputs[at]))} elements for {channels} channels")


def divides(f, whole, part, what):
    if whole % part:
        raise IllFormed(f"{f.place}: {whole} channels cannot be split among {part} of its {what}")


def conv(f, inputs, outputs, options):
    o = options("Conv2DOptions")
    ranked(f, 4, *inputs[:2])
    (n, h, w, c), (m, kh, kw, d) = f.shape(inputs[0]), f.shape(inputs[1])
    divides(f, c, d, "weights")
    divides(f, m, c // d, "groups")
    biased(f, "CONV_2D", inputs, m)
    return n, *windows(f, o, (h, w), (kh, kw), (o.DilationHFactor(), o.DilationWFactor())), m


def depthwise(f, inputs, outputs, options):
    o = options("DepthwiseConv2DOptions")
    ranked(f, 4, *inputs[:2])
    (n, h, w, c), (one, kh, kw, m) = f.shape(inputs[0]), f.shape(inputs[1])
    divides(f, m, c, "inputs")
    if one != 1:
        raise IllFormed(f"{f.place}: weights of shape {f.shape(inputs[1])}; the first axis of depthwise ones has size 1")
    biased(f, "DEPTHWISE_CONV_2D", inputs, m)
    return n, *windows(f, o, (h, w), (kh, kw), (o.DilationHFactor(), o.DilationWFactor())), m


def turned_conv(f, inputs, outputs, options):
    o = options("TransposeConvOptions")
    ranked(f, 4, *inputs[1:3], outputs[0])
    (m, kh, kw, d), (n, h, w, c), size = f.shape(inputs[1]), f.shape(inputs[2]), f.shape(outputs[0])[1:3]
    biased(f, "TRANSPOSE_CONV", inputs, m)
    if c != d or windows(f, o, size, (kh, kw)) != [h, w]:
        raise IllFormed(f"{f.place}: weights {f.shape(inputs[1])} make no {f.shape(outputs[0])} of {f.shape(inputs[2])}")
    return n, *size, m


def connected(f, inputs, outputs, options):
    ranked(f, 2, inputs[1])
    (m, k), total, found = f.shape(inputs[1]), prod(f.shape(inputs[0])), f.shape(outputs[0])
    divides(f, total, k, "weights")
    biased(f, "FULLY_CONNECTED", inputs, m)
    return found if found and found[-1] == m and prod(found) == total // k * m else (total // k, m)


def multiplied(f, inputs, outputs, options):
    o, sides = options("BatchMatMulOptions"), []
    for index, adjoint in zip(inputs, (o.AdjX(), o.AdjY())):
        shape = f.shape(index)
        if len(shape) < 2:
            raise IllFormed(f"{f.place}: tensor {f.names[index]!r} has shape {shape}; it takes matrices")
        sides.append((*shape[:-2], shape[-1], shape[-2]) if adjoint else shape)
    (*_, r, k), (*_, other, m) = sides
    if k != other:
        raise IllFormed(f"{f.place}: matrices {sides[0]} and {sides[1]} do not multiply")
    return *joined(f, sides[0][:-2], sides[1][:-2]), r, m


def joined(f, *shapes):
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise IllFormed(f"{f.place}: shapes {' and '.join(map(str, shapes))} do not fit each other") from None


def two(f, inputs, outputs, options):
    return joined(f, f.shape(inputs[0]), f.shape(inputs[1]))


def pool(f, inputs, outputs, options):
    o = options("Pool2DOptions")
    ranked(f, 4, inputs[0])
    n, h, w, c = f.shape(inputs[0])
    return n, *windows(f, o, (h, w), (o.FilterHeight(), o.FilterWidth())), c


def axis_of(f, axis, rank):
    if not -rank <= axis < rank:
        raise IllFormed(f"{f.place}: axis {axis} of a tensor of {rank} axes")
    return axis % rank


def mean(f, inputs, outputs, options):
    shape = f.shape(inputs[0])
    axes = {axis_of(f, a, len(shape)) for a in f.number(inputs[1], "axes")}
    keeps = options("ReducerOptions").KeepDims()
    return [1 if i in axes else n for i, n in enumerate(shape) if keeps or i not in axes]


def shaped(f, inputs, outputs, options):
    shape, found = f.shape(inputs[0]), f.shape(outputs[0])
    return found if prod(shape) == prod(found) else shape


def padded(f, inputs, outputs, options):
    shape, pairs = f.shape(inputs[0]), f.number(inputs[1], "padding")
    if len(pairs) != 2 * len(shape) or min(pairs) < 0:
        raise IllFormed(f"{f.place}: a padding of {pairs} for {len(shape)} axes; it takes two sizes for each, at least 0")
    return [n + pairs[2 * i] + pairs[2 * i + 1] for i, n in enumerate(shape)]


def concatenated(f, inputs, outputs, options):
    shapes = [f.shape(i) for i in inputs]
    axis = axis_of(f, options("ConcatenationOptions").Axis(), len(shapes[0]))
    for shape in shapes:
        if len(shape) != len(shapes[0]) or any(a != b for i, (a, b) in enumerate(zip(shape, shapes[0])) if i != axis):
            raise IllFormed(f"{f.place}: shapes {shapes[0]} and {shape} do not join along axis {axis}")
    return [sum(s[i] for s in shapes) if i == axis else n for i, n in enumerate(shapes[0])]


def transposed(f, inputs, outputs, options):
    shape, order = f.shape(inputs[0]), f.number(inputs[1], "order of axes")
    if sorted(order) != list(range(len(shape))):
        raise IllFormed(f"{f.place}: {order} is no order of {len(shape)} axes")
    return [shape[i] for i in order]


def cut(f, inputs, outputs, options):
    shape, begin, found = f.shape(inputs[0]), f.number(inputs[1], "begin"), f.shape(outputs[0])
    if not len(shape) == len(begin) == len(found) or any(b < 0 or b + n > s for b, n, s in zip(begin, found, shape)):
        raise IllFormed(f"{f.place}: {found} from {begin} does not lie in {shape}")
    return found


def unknown(f, inputs, outputs, options):
    """The operator itself says what it makes."""


def alike(f, inputs, outputs, options):
    return f.shape(inputs[0])


implied = {
    "CONV_2D": conv, "DEPTHWISE_CONV_2D": depthwise, "TRANSPOSE_CONV": turned_conv, "FULLY_CONNECTED": connected,
    "BATCH_MATMUL": multiplied, "ADD": two, "SUB": two, "MUL": two, "AVERAGE_POOL_2D": pool, "MAX_POOL_2D": pool, "MEAN": mean,
    "RESHAPE": shaped, "SQUEEZE": shaped, "EXPAND_DIMS": shaped, "PAD": padded, "PADV2": padded, "CONCATENATION": concatenated,
    "TRANSPOSE": transposed, "SLICE": cut, "STRIDED_SLICE": unknown, "ARG_MAX": unknown,
}
"""Operator to the shape that its inputs give its result; any other keeps the shape of its first input."""
