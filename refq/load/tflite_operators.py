"""tflite_operators: each operator of TFLite as the operations of ONNX that it stands for, by its name in the schema.

A function gets the File of tflite.py, the indices of its inputs and outputs (-1 for one that is left out), and `options`,
which gives the operator's options by the name of their class. Images are (n h w c) here and (n c h w) in ONNX's operations.
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.grids.affine import Affine, same

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
CUTS = {0: None, 1: (0.0, np.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
"""The schema's ActivationFunctionType to the ends that it cuts at."""


def activated(f, index, code, make):
    """`make(name)` emits what gives the output at `index`; a fused activation cuts it behind."""
    name, grid = f.names[index], f.grids[f.names[index]]
    if code not in CUTS:
        raise Unsupported(f"{f.place}: a fused activation of number {code}; refq knows RELU, RELU_N1_TO_1 and RELU6")
    if CUTS[code] is None:
        make(name)
        return
    raw = f"{name}.raw"
    make(raw)
    f.grids[raw] = grid
    cut(f, raw, name, CUTS[code], {"fused": 1})


def cut(f, source, name, ends, attributes=()):
    bounds = [f.fixed(f"{name}.{word}", np.float64(end)) if np.isfinite(end) else "" for word, end in zip(("min", "max"), ends)]
    if ends == CUTS[1]:
        f.emit("Relu", (source,), name)
    else:
        f.emit("Clip", (source, *bounds), name, dict(attributes))


def turned(f, index, order=FIRST):
    """The activation at `index` with its axes in another order; gives the tensor's name."""
    source = f.name(index)
    name = f"{source}.{'first' if order == FIRST else 'last'}"
    if name not in f.grids:
        f.emit("Transpose", (source,), name, {"perm": order}, f.grids[f.names[index]])
    return name


def spatial(f, op, inputs, output, code, attributes):
    """A node on (n c h w), between two Transposes."""
    def make(name):
        grid, first = f.grids[f.names[output]], f"{name}.planes"
        f.emit(op, inputs, first, attributes, grid)
        f.emit("Transpose", (first,), name, {"perm": LAST})
    activated(f, output, code, make)


def padding(f, o, size, kernel, dilation=(1, 1)):
    """ONNX's pads of a window over an image of `size`."""
    if o.Padding() == f.tflite.Padding.VALID:
        return (0, 0, 0, 0)
    strides = o.StrideH(), o.StrideW()
    total = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, s, k, d in zip(size, strides, kernel, dilation)]
    return (*(t // 2 for t in total), *(t - t // 2 for t in total))


def weights(f, index, order, axis):
    """The weights at `index` with their axes in ONNX's order, and slices along `axis` there."""
    name = f.names[index]
    if name not in f.constants:
        raise Unsupported(f"{f.place}: its weights are no constant")
    grid = f.grids[name]
    held = grid and Affine(grid.width, grid.scale, grid.zero, None if grid.axis is None else axis)
    return f.fixed(f"{name}.turned", f.constants[name].transpose(order), held)


def conv_2d(f, inputs, outputs, options):
    o, (x, w, *bias) = options("Conv2DOptions"), inputs
    dilation, kernel = (o.DilationHFactor(), o.DilationWFactor()), f.shape(w)[1:3]
    groups = f.shape(x)[3] // f.shape(w)[3]
    convolution(f, x, w, weights(f, w, (0, 3, 1, 2), 0), bias, outputs[0], o, kernel, dilation, groups)


def depthwise_conv_2d(f, inputs, outputs, options):
    o, (x, w, *bias) = options("DepthwiseConv2DOptions"), inputs
    dilation, kernel = (o.DilationHFactor(), o.DilationWFactor()), f.shape(w)[1:3]
    convolution(f, x, w, weights(f, w, (3, 0, 1, 2), 0), bias, outputs[0], o, kernel, dilation, f.shape(x)[3])


def convolution(f, x, w, held, bias, output, o, kernel, dilation, groups):
    attributes = {"strides": (o.StrideH(), o.StrideW()), "dilations": dilation, "group": groups, "kernel_shape": tuple(kernel),
                  "pads": padding(f, o, f.shape(x)[1:3], kernel, dilation)}
    spatial(f, "Conv", (turned(f, x), held, *given(f, x, w, bias)), output, o.FusedActivationFunction(), attributes)


def given(f, x, w, bias):
    """The bias, if any; integers without a scale count the products of the scales, as LiteRT takes them."""
    if not bias or bias[0] < 0:
        return ()
    name, grids = f.names[bias[0]], [f.grids[f.names[i]] for i in (x, w)]
    width = f.widths.get(f.tensors[bias[0]].Type())
    if f.grids[name] is not None or width is None or None in grids or name not in f.constants:
        return (f.name(bias[0]),)
    codes = f.constants[name].reshape(-1)
    units = np.broadcast_to(float(grids[0].scale) * grids[1].scale, codes.shape)
    return (f.fixed(f"{name}.{f.names[x]}.{f.names[w]}", codes * units, Affine(width, units, np.zeros(codes.size, np.int64), 0)),)


def transpose_conv(f, inputs, outputs, options):
    o, (_, w, x, *bias) = options("TransposeConvOptions"), inputs
    (oh, ow), (h, wide), kernel = f.shape(outputs[0])[1:3], f.shape(x)[1:3], f.shape(w)[1:3]
    strides = o.StrideH(), o.StrideW()
    pads, extra = (0, 0, 0, 0), [0, 0]
    if o.Padding() != f.tflite.Padding.VALID:
        pads = padding(f, o, (oh, ow), kernel)
    for i, (n, size, s, k) in enumerate(zip((h, wide), (oh, ow), strides, kernel)):
        extra[i] = size - ((n - 1) * s + k - pads[i] - pads[i + 2])
    spatial(f, "ConvTranspose", (turned(f, x), weights(f, w, (3, 0, 1, 2), 1), *given(f, x, w, bias)), outputs[0],
            o.FusedActivationFunction(), {"strides": strides, "pads": pads, "output_padding": tuple(extra),
                                          "kernel_shape": tuple(kernel)})


def fully_connected(f, inputs, outputs, options):
    o, (x, w, *bias) = options("FullyConnectedOptions"), inputs
    k, source, name = f.shape(w)[1], f.name(x), f.names[outputs[0]]
    if len(f.shape(x)) != 2:
        rows = f"{name}.rows"
        f.emit("Reshape", (source, f.fixed(f"{rows}.shape", np.array([-1, k]))), rows, {}, f.grids[f.names[x]])
        source = rows
    flat = len(f.shape(outputs[0])) == 2

    def make(made):
        grid, product = f.grids[name], made if flat else f"{made}.product"
        f.emit("Gemm", (source, weights(f, w, (0, 1), 0), *given(f, x, w, bias)), product, {"transB": 1}, grid)
        if not flat:
            f.emit("Reshape", (product, f.fixed(f"{made}.shape", np.array(f.shape(outputs[0])))), made)
    activated(f, outputs[0], o.FusedActivationFunction(), make)


def batch_matmul(f, inputs, outputs, options):
    o, sides = options("BatchMatMulOptions"), []
    for index, adjoint in zip(inputs, (o.AdjX(), o.AdjY())):
        side, rank = f.name(index), len(f.shape(index))
        if adjoint:
            perm = (*range(rank - 2), rank - 1, rank - 2)
            side = f.emit("Transpose", (side,), f"{f.names[outputs[0]]}.{len(sides)}", {"perm": perm}, f.grids[f.names[index]])
        sides.append(side)
    f.emit("MatMul", sides, f.names[outputs[0]])


def two(op, kind):
    def joined(f, inputs, outputs, options):
        code = options(kind).FusedActivationFunction()
        activated(f, outputs[0], code, lambda name: f.emit(op, [f.name(i) for i in inputs], name))
    return joined


def pool(op):
    def pooled(f, inputs, outputs, options):
        o, (x,) = options("Pool2DOptions"), inputs
        kernel = o.FilterHeight(), o.FilterWidth()
        spatial(f, op, (turned(f, x),), outputs[0], o.FusedActivationFunction(),
                {"kernel_shape": kernel, "strides": (o.StrideH(), o.StrideW()), "pads": padding(f, o, f.shape(x)[1:3], kernel),
                 "dilations": (1, 1)})
    return pooled


def mean(f, inputs, outputs, options):
    axes = f.number(inputs[1], "axes")
    f.emit("ReduceMean", (f.name(inputs[0]), f.fixed(f"{f.names[outputs[0]]}.axes", np.array(axes))), f.names[outputs[0]],
           {"keepdims": int(options("ReducerOptions").KeepDims())})


def shaped(f, inputs, outputs, options):
    """RESHAPE, SQUEEZE and EXPAND_DIMS: to the shape that the file says for the result."""
    name = f.names[outputs[0]]
    shape = list(f.shape(outputs[0]))
    f.emit("Reshape", (f.name(inputs[0]), f.fixed(f"{name}.shape", np.array(shape))), name)


def softmax(f, inputs, outputs, options):
    beta = options("SoftmaxOptions").Beta()
    if beta != 1.0:
        raise Unsupported(f"{f.place}: beta is {beta}; refq does 1")
    f.emit("Softmax", (f.name(inputs[0]),), f.names[outputs[0]], {"axis": -1})


def quantize(f, inputs, outputs, options):
    """From reals: the input lies on the grid of the result from there on, unless somebody reads it as it is, or on another
    grid. From codes: to another grid."""
    source, name = f.names[inputs[0]], f.names[outputs[0]]
    now, grid = f.name(inputs[0]), f.grids[name]
    held = f.grids.get(now)
    if source in f.constants and held is None:
        f.called[name] = f.fixed(f"{name}.codes", grid.decode(grid.encode(f.constants[source], "half_away")), grid)
    elif held is not None and now != source and not same(held, grid):
        raise Unsupported(f"{f.place}: codes become reals and codes of another grid behind; convert the model anew, with one "
                          "QUANTIZE in place of both")
    elif held is not None and (now != source or same(held, grid)):
        f.called[name] = now
    elif held is None and f.rounded_only(inputs[0], grid):
        f.grids[source], f.called[name] = grid, now
    else:
        f.emit("Requantize", (now,), name)


def dequantize(f, inputs, outputs, options):
    f.called[f.names[outputs[0]]] = f.name(inputs[0])


def pad(f, inputs, outputs, options):
    name, pairs = f.names[outputs[0]], f.number(inputs[1], "padding")
    order = f.fixed(f"{name}.pads", np.array([*pairs[::2], *pairs[1::2]]))
    value = (f.name(inputs[2]),) if len(inputs) > 2 else ()
    f.emit("Pad", (f.name(inputs[0]), order, *value), name)


def concatenation(f, inputs, outputs, options):
    o = options("ConcatenationOptions")
    rank = len(f.shape(outputs[0]))
    activated(f, outputs[0], o.FusedActivationFunction(),
              lambda name: f.emit("Concat", [f.name(i) for i in inputs], name, {"axis": o.Axis() % rank}))


def transpose(f, inputs, outputs, options):
    f.emit("Transpose", (f.name(inputs[0]),), f.names[outputs[0]], {"perm": f.number(inputs[1], "order of axes")})


def slices(f, inputs, outputs, options):
    name, begin = f.names[outputs[0]], f.number(inputs[1], "begin")
    ends = [b + n for b, n in zip(begin, f.shape(outputs[0]))]
    sliced(f, inputs[0], name, begin, ends, [1] * len(begin))


def strided_slice(f, inputs, outputs, options):
    o, name, shape = options("StridedSliceOptions"), f.names[outputs[0]], f.shape(inputs[0])
    begin, end, step = (list(f.number(i, w)) for i, w in zip(inputs[1:], ("begin", "end", "strides")))
    if o.EllipsisMask() or o.NewAxisMask():
        raise Unsupported(f"{f.place}: new axes or an ellipsis; refq does plain slices")
    if o.Offset():
        raise Unsupported(f"{f.place}: ends that count from the beginnings; refq does plain slices")
    if min(step, default=1) < 1:
        raise Unsupported(f"{f.place}: strides of {', '.join(map(str, step))}; refq does those of at least 1")
    if not len(begin) == len(end) == len(step) <= len(shape):
        raise IllFormed(f"{f.place}: {len(begin)} beginnings, {len(end)} ends and {len(step)} strides for {len(shape)} axes")
    kept = list(shape)
    for i, (n, first, last) in enumerate(zip(shape, begin, end)):
        one = o.ShrinkAxisMask() >> i & 1
        if one and not -n <= first < n and not o.BeginMask() >> i & 1:
            raise IllFormed(f"{f.place}: element {first} of an axis of {n}")
        first, last = (min(max(e + n if e < 0 else e, 0), n) for e in (first, last))
        begin[i] = 0 if o.BeginMask() >> i & 1 else first
        end[i] = begin[i] + 1 if one else n if o.EndMask() >> i & 1 else last
        kept[i] = None if one else len(range(begin[i], end[i], step[i]))
    made = tuple(n for n in kept if n is not None)
    if made != f.shape(outputs[0]) or 0 in made:
        raise IllFormed(f"{f.place}: it is declared as {f.shape(outputs[0])}, and its inputs make it {made}; the file "
                        "contradicts itself")
    if o.ShrinkAxisMask():
        sliced(f, inputs[0], f"{name}.kept", begin, end, step, f.grids[name])
        f.emit("Reshape", (f"{name}.kept", f.fixed(f"{name}.shape", np.array(f.shape(outputs[0])))), name)
    else:
        sliced(f, inputs[0], name, begin, end, step)


def sliced(f, index, name, begin, end, step, grid=None):
    words = zip(("starts", "ends", "axes", "steps"), (begin, end, range(len(begin)), step))
    f.emit("Slice", (f.name(index), *(f.fixed(f"{name}.{w}", np.array(list(v))) for w, v in words)), name, {}, grid)


def argmax(f, inputs, outputs, options):
    (axis,) = f.number(inputs[1], "axis")
    f.emit("ArgMax", (f.name(inputs[0]),), f.names[outputs[0]], {"axis": axis, "keepdims": 0})


def relu(ends):
    return lambda f, inputs, outputs, options: cut(f, f.name(inputs[0]), f.names[outputs[0]], ends)


def one(op, attributes=lambda options: {}):
    """An operator of one tensor; `attributes` makes ONNX's from its options."""
    def unary(f, inputs, outputs, options):
        f.emit(op, (f.name(inputs[0]),), f.names[outputs[0]], attributes(options))
    return unary


operators = {
    "CONV_2D": conv_2d, "DEPTHWISE_CONV_2D": depthwise_conv_2d, "TRANSPOSE_CONV": transpose_conv,
    "FULLY_CONNECTED": fully_connected, "BATCH_MATMUL": batch_matmul, "ADD": two("Add", "AddOptions"),
    "SUB": two("Sub", "SubOptions"), "MUL": two("Mul", "MulOptions"), "AVERAGE_POOL_2D": pool("AveragePool"),
    "MAX_POOL_2D": pool("MaxPool"), "MEAN": mean, "RESHAPE": shaped, "SQUEEZE": shaped, "EXPAND_DIMS": shaped,
    "SOFTMAX": softmax, "QUANTIZE": quantize, "DEQUANTIZE": dequantize, "PAD": pad, "PADV2": pad,
    "CONCATENATION": concatenation, "TRANSPOSE": transpose, "SLICE": slices, "STRIDED_SLICE": strided_slice, "ARG_MAX": argmax,
    "RELU": relu(CUTS[1]), "RELU_N1_TO_1": relu(CUTS[2]), "RELU6": relu(CUTS[3]), "LOGISTIC": one("Sigmoid"), "TANH": one("Tanh"),
    "HARD_SWISH": one("HardSwish"), "EXP": one("Exp"), "ABS": one("Abs"),
    "LEAKY_RELU": one("LeakyRelu", lambda options: {"alpha": float(options("LeakyReluOptions").Alpha())}),
    "GELU": one("Gelu", lambda options: {"approximate": "tanh" if options("GeluOptions").Approximate() else "none"}),
}
