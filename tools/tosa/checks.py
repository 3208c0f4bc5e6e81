"""What TOSA 1.0 forbids of an operator, before any arithmetic: the ERROR_IFs of its specification, each under a word.

`admit(operator)` returns where the operator is one that TOSA defines, and raises Refused where it is not. The words, with
the names that Arm's generator of negative tests has for them, are in `NAMES`.
"""
from math import prod

from refq.errors import IllFormed

NAMES = {
    "inputs": ("WrongInputList", "ConcatNoInputList"),
    "outputs": ("WrongOutputList",),
    "rank": ("WrongRank", "InputRank1WrongRank"),
    "ranks": ("RankMismatch", "ConcatInputRankMismatch", "ArgmaxOutputRankMismatch"),
    "broadcast": ("BroadcastShapesMismatch",),
    "shape": ("DimensionMismatch", "ArgmaxOutputShapeMismatch", "ConcatInputDimMismatch", "ConcatShapeSumMismatch",
              "ConvOutputShapeMismatch", "PadOutputShapeMismatch", "PoolingOutputShapeMismatch", "ResizeOutputShapeMismatch",
              "ReshapeNewShapeOutputMismatch", "SizeOutputShapeMismatch", "TensorSizeInputOutputMismatch",
              "TileMultiplesOutputShapeMismatch", "TransposePermsOutputShapeMismatch", "ShapeOfAxisNotOne", "BatchMismatch",
              "ChannelMismatch"),
    "bias": ("ConvBiasShapeMismatch",),
    "whole": ("ConvOutputShapeNonInteger", "PoolingOutputShapeNonInteger", "ResizeOutputShapeNonInteger"),
    "axis": ("AxisSmallerZero", "AxisLargerRank"),
    "pad": ("PadSmallerZero", "PadLargerEqualKernel"),
    "stride": ("StrideSmallerOne",),
    "dilation": ("DilationSmallerOne",),
    "kernel": ("KernelSmallerOne",),
    "zero_point": ("InputZeroPointNotZero", "OutputZeroPointNotZero", "WeightZeroPointNotZero", "U16InputZeroPointNotValid",
                   "U16OutputZeroPointNotValid"),
    "unsigned": ("RescaleI32InputOutputUnsigned", "RescaleI32InputUnsigned", "RescaleI32OutputInputUnsigned",
                 "RescaleI32OutputUnsigned", "RescaleI48InputOutputUnsigned", "RescaleI48InputUnsigned",
                 "RescaleInputUnsignedOutputUnsigned"),
    "scale32": ("ScaleNotTrue", "ScaleTrue"),
    "per_channel": ("RescalePerChannelRank0",),
    "start": ("StartSmallerZero", "StartSizeOutsideBounds"),
    "size": ("SizeSmallerEqualZero",),
    "lengths": ("InputSizeStartLengthMismatch",),
    "perms": ("IndexOutsideBounds", "IndexUsedTwice"),
    "bounds": ("MaxSmallerMin",),
    "large": ("MaxDimExceeded",),
    "scale": ("ScaleSmallerEqualZero", "ScaleNLargerMax", "ScaleDLargerMax"),
    "offset": ("OffsetSmallerMin", "OffsetLargerEqualMax"),
    "border": ("BorderSmallerMin", "BorderLargerEqualMax"),
}
BINARY = ("ADD SUB MUL INTDIV ARITHMETIC_RIGHT_SHIFT LOGICAL_LEFT_SHIFT LOGICAL_RIGHT_SHIFT BITWISE_AND BITWISE_OR BITWISE_XOR "
          "LOGICAL_AND LOGICAL_OR LOGICAL_XOR MAXIMUM MINIMUM EQUAL GREATER GREATER_EQUAL").split()
UNARY = "ABS BITWISE_NOT CLZ LOGICAL_NOT CLAMP IDENTITY CAST NEGATE TABLE RESCALE".split()
REDUCE = "REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_SUM".split()
CONV = "CONV2D CONV3D DEPTHWISE_CONV2D TRANSPOSE_CONV2D".split()
INPUTS = ({op: 1 for op in UNARY} | {op: 2 for op in BINARY} | {op: 1 for op in REDUCE} | {op: 5 for op in CONV}
          | {"MUL": 3, "NEGATE": 3, "TABLE": 2, "RESCALE": 5, "SELECT": 3, "ARGMAX": 1, "AVG_POOL2D": 3, "MAX_POOL2D": 1,
             "MATMUL": 4, "PAD": 3, "RESHAPE": 2, "REVERSE": 1, "SLICE": 3, "TILE": 2, "TRANSPOSE": 1, "GATHER": 2,
             "SCATTER": 3, "RESIZE": 4})
RANKS = ({op: (4, 4) for op in (*CONV, "AVG_POOL2D", "MAX_POOL2D", "RESIZE")} | {"CONV3D": (5, 5)}
         | {op: (3, 3) for op in ("MATMUL", "GATHER", "SCATTER")}
         | {op: (1, 6) for op in (*REDUCE, "ARGMAX", "CONCAT", "PAD", "REVERSE", "SLICE", "TILE", "TRANSPOSE")})
"""How many operands, and of which ranks the first may be; all others go from 0 to 6."""


class Refused(IllFormed):
    """What TOSA forbids; `rule` is one of NAMES."""

    def __init__(self, rule, sentence):
        super().__init__(sentence)
        self.rule = rule


def admit(o):
    """Returns where operator `o` (operators.Operator) is well formed; raises Refused, with the word of the rule."""
    def need(holds, rule, sentence):
        if not holds:
            raise Refused(rule, f"{o.op}: {sentence}")

    given = len(o.inputs)
    need(given == INPUTS.get(o.op, max(given, 1)), "inputs", f"{given} inputs; it takes {INPUTS.get(o.op, 'at least one')}")
    need(len(o.outputs) == 1, "outputs", f"{len(o.outputs)} outputs; it has one")
    shape, (least, most) = o.inputs[0].shape, RANKS.get(o.op, (0, 6))
    need(least <= len(shape) <= most, "rank", f"an input of {len(shape)} axes; it takes {least} to {most}")
    RULES.get(o.op, lambda o, need: None)(o, need)


def same(o, need):
    """Every operand and the result have one shape, but for axes of 1, which are repeated."""
    shapes, out = [t.shape for t in o.inputs[:3 if o.op == "SELECT" else 2 if o.op in BINARY else 1]], o.outputs[0].shape
    need(all(len(s) == len(out) for s in shapes), "ranks", f"shapes {shapes} make {out}; all must have as many axes")
    sizes = [{s[i] for s in shapes} - {1} for i in range(len(out))]
    need(all(len(s) <= 1 for s in sizes), "broadcast", f"shapes {shapes} do not broadcast: an axis is 1 or the same everywhere")
    need([max(s, default=1) for s in sizes] == list(out), "shape", f"shapes {shapes} make {out}")


def zero_points(o, need, *pairs):
    """Only 8-bit codes have a zero point."""
    for place, tensor in pairs:
        need(tensor.type == "INT8" or o.value(place) == 0, "zero_point",
             f"{tensor.type} codes have a zero point of {o.value(place)}; only INT8 codes have one")


def mul(o, need):
    need(list(o.inputs[2].shape) == [1], "rank", f"a shift of shape {o.inputs[2].shape}; it is [1]")
    same(o, need)


def negate(o, need):
    same(o, need)
    zero_points(o, need, (1, o.inputs[0]), (2, o.outputs[0]))


def clamp(o, need):
    same(o, need)
    lo, hi = o.bound("minval"), o.bound("maxval")
    need(lo <= hi, "bounds", f"a least value of {lo} above the largest, {hi}")


def rescale(o, need):
    same(o, need)
    x, y, a = o.inputs[0], o.outputs[0], o.attributes
    unsigned = a["inputunsigned"], a["outputunsigned"]
    need(not all(unsigned) and not (any(unsigned) and {x.type, y.type} & {"INT32", "INT48"}), "unsigned",
         f"{x.type} to {y.type}, unsigned {unsigned}: one side may be unsigned, and only between 8 and 16 bits")
    for tensor, is_unsigned, place in ((x, unsigned[0], 3), (y, unsigned[1], 4)):
        zero = o.zero_point(place, is_unsigned)
        allowed = tensor.type == "INT8" or zero == 0 or (tensor.type == "INT16" and is_unsigned and zero == 32768)
        need(allowed, "zero_point", f"{tensor.type} codes have a zero point of {zero}; INT8 codes have any, unsigned INT16 "
             "codes 0 or 32768, all others 0")
    need(not (a["scale32"] and x.type == "INT48"), "scale32", "INT48 registers take multipliers of 16 bits, not of 32")
    need(a["scale32"] or a["roundingmode"] != DOUBLE_ROUND, "scale32", "two roundings need multipliers of 32 bits")
    need(not a["perchannel"] or x.shape, "per_channel", "scales per channel, and the tensor has no axis")


def axis(o, need):
    a, rank = o.attributes["axis"], len(o.inputs[0].shape)
    need(0 <= a < rank, "axis", f"axis {a} of a tensor with {rank} axes")
    return a


def argmax(o, need):
    a, shape, out = axis(o, need), o.inputs[0].shape, o.outputs[0].shape
    need(len(out) == len(shape) - 1, "ranks", f"{shape} along axis {a} makes {out}; one axis less is left")
    need(list(out) == [*shape[:a], *shape[a + 1:]], "shape", f"{shape} along axis {a} makes {out}")


def reduce(o, need):
    a, shape, out = axis(o, need), o.inputs[0].shape, o.outputs[0].shape
    need(len(out) == len(shape), "ranks", f"{shape} reduced along axis {a} makes {out}; the axis stays, with one place")
    need(list(out) == [*shape[:a], 1, *shape[a + 1:]], "shape", f"{shape} reduced along axis {a} makes {out}")


def reverse(o, need):
    axis(o, need)
    same(o, need)


def concat(o, need):
    shapes, out = [t.shape for t in o.inputs], o.outputs[0].shape
    a = axis(o, need)
    need(all(len(s) == len(out) for s in shapes), "ranks", f"shapes {shapes} make {out}; all must have as many axes")
    rest = {(*s[:a], *s[a + 1:]) for s in shapes}
    need(len(rest) == 1, "shape", f"shapes {shapes} differ beside axis {a}")
    need(list(out) == [*shapes[0][:a], sum(s[a] for s in shapes), *shapes[0][a + 1:]], "shape", f"shapes {shapes} make {out}")


def pad(o, need):
    shape, out, widths = o.inputs[0].shape, o.outputs[0].shape, o.values(1)
    need(len(out) == len(shape), "ranks", f"{shape} is padded to {out}")
    need(len(widths) == 2 * len(shape), "lengths", f"{len(widths)} widths for {len(shape)} axes; each has two")
    need(min(widths, default=0) >= 0, "pad", f"widths of {widths}; they are at least 0")
    need(list(out) == [s + b + e for s, b, e in zip(shape, widths[::2], widths[1::2])], "shape", f"{shape} makes {out}")


def reshape(o, need):
    shape, out, asked = o.inputs[0].shape, o.outputs[0].shape, o.values(1)
    need(prod(shape) == prod(out), "shape", f"{shape} and {out} hold different numbers of elements")
    need(asked == list(out), "shape", f"shape {asked} is asked for, and the result has {out}")


def slices(o, need):
    shape, out, start, size = o.inputs[0].shape, o.outputs[0].shape, o.values(1), o.values(2)
    need(len(out) == len(shape), "ranks", f"{shape} is cut to {out}")
    need(len(start) == len(size) == len(shape), "lengths", f"{len(start)} starts, {len(size)} sizes for {len(shape)} axes")
    need(min(start) >= 0, "start", f"starts of {start}; they are at least 0")
    need(min(size) > 0, "size", f"sizes of {size}; they are at least 1")
    need(all(b + s <= n for b, s, n in zip(start, size, shape)), "start", f"{start} and {size} lie outside {shape}")
    need(size == list(out), "shape", f"sizes {size} make {out}")


def tile(o, need):
    shape, out, times = o.inputs[0].shape, o.outputs[0].shape, o.values(1)
    need(len(out) == len(shape), "ranks", f"{shape} is repeated to {out}")
    need(len(times) == len(shape), "lengths", f"{len(times)} multiples for {len(shape)} axes")
    need(list(out) == [n * t for n, t in zip(shape, times)], "shape", f"{shape}, {times} times, makes {out}")


def transpose(o, need):
    shape, out, perms = o.inputs[0].shape, o.outputs[0].shape, o.attributes["perms"]
    need(len(out) == len(shape), "ranks", f"{shape} is transposed to {out}")
    need(len(perms) == len(shape), "lengths", f"{len(perms)} places for {len(shape)} axes")
    need(sorted(perms) == list(range(len(shape))), "perms", f"axes {perms} are no order of 0 to {len(shape) - 1}")
    need(list(out) == [shape[p] for p in perms], "shape", f"{shape} in order {perms} makes {out}")


def gather(o, need):
    (n, k, c), indices, out = o.inputs[0].shape, o.inputs[1].shape, o.outputs[0].shape
    need(len(indices) == 2 and len(out) == 3, "ranks", f"indices {indices}, result {out}; they have 2 and 3 axes")
    need(indices[0] == n and list(out) == [*indices, c], "shape", f"values {[n, k, c]} at indices {indices} make {out}")


def scatter(o, need):
    (n, k, c), indices, x, out = o.inputs[0].shape, o.inputs[1].shape, o.inputs[2].shape, o.outputs[0].shape
    need(len(indices) == 2 and len(out) == len(x) == 3, "ranks", f"indices {indices}, input {x}, result {out}")
    need(list(out) == [n, k, c] and list(x) == [n, indices[-1], c] and indices[0] == n and k >= indices[1], "shape",
         f"values {[n, k, c]}, indices {indices}, input {x} make {out}")


def matmul(o, need):
    (n, h, c), b, out = o.inputs[0].shape, o.inputs[1].shape, o.outputs[0].shape
    need(len(b) == 3 and len(out) == 3, "rank", f"shapes {[n, h, c]} and {b} make {out}; each has 3 axes")
    need(list(b[:2]) == [n, c] and list(out) == [n, h, b[2]], "shape", f"shapes {[n, h, c]} and {b} make {out}")
    zero_points(o, need, (2, o.inputs[0]), (3, o.inputs[1]))


def windows(o, need, kernel, pads, stride, dilation=(1, 1)):
    """Where a window that slides over the image has its places, on every axis: whole ones, as many as the result."""
    x, y = o.inputs[0].shape, o.outputs[0].shape
    for i, (size, k, s, d) in enumerate(zip(x[1:-1], kernel, stride, dilation)):
        free = size - 1 + pads[2 * i] + pads[2 * i + 1] - (k - 1) * d
        need(free % s == 0, "whole", f"axis {i + 1}: a window of {k}, every {s}, leaves a rest of {free % s} of {size} places")
        need(free // s + 1 == y[i + 1], "shape", f"axis {i + 1}: {size} places make {y[i + 1]}, not {free // s + 1}")


def pool(o, need):
    x, y, a = o.inputs[0].shape, o.outputs[0].shape, o.attributes
    kernel, stride, pads = a["kernel"], a["stride"], a["pad"]
    need(len(y) == 4, "ranks", f"{x} makes {y}")
    need(min(kernel) >= 1, "kernel", f"a kernel of {kernel}; it is at least 1")
    need(min(stride) >= 1, "stride", f"a stride of {stride}; it is at least 1")
    need(min(pads) >= 0, "pad", f"pads of {pads}; they are at least 0")
    need(max(pads[:2]) < kernel[0] and max(pads[2:]) < kernel[1], "pad", f"pads of {pads} reach over a kernel of {kernel}")
    need(x[0] == y[0] and x[3] == y[3], "shape", f"{x} makes {y}; images and channels stay")
    windows(o, need, kernel, pads, stride)
    if o.op == "AVG_POOL2D":
        zero_points(o, need, (1, o.inputs[0]), (2, o.outputs[0]))


def conv(o, need):
    x, w, bias, y, a = o.inputs[0].shape, o.inputs[1].shape, o.inputs[2].shape, o.outputs[0].shape, o.attributes
    deep, across = o.op == "DEPTHWISE_CONV2D", o.op == "TRANSPOSE_CONV2D"
    need(len(w) == len(y) == len(x), "ranks", f"shapes {x} and {w} make {y}")
    kernel, filters, seen = (w[:2], w[2] * w[3], w[2]) if deep else (w[1:-1], w[0], w[-1])
    stride, dilation = a["stride"], a.get("dilation", [1, 1])
    pads = a["outpad"] if across else a["pad"]
    need(min(stride) >= 1, "stride", f"a stride of {stride}; it is at least 1")
    need(min(dilation) >= 1, "dilation", f"a dilation of {dilation}; it is at least 1")
    if across:
        need(min(pads[:2]) > -kernel[0] and min(pads[2:]) > -kernel[1], "pad", f"pads of {pads} eat a kernel of {kernel}")
    else:
        need(min(pads) >= 0, "pad", f"pads of {pads}; they are at least 0")
    zero_points(o, need, (3, o.inputs[0]), (4, o.inputs[1]))
    need(len(bias) == 1 and bias[0] in (1, filters), "bias", f"a bias of shape {bias} for {filters} filters")
    need(x[-1] == seen and x[0] == y[0] and y[-1] == filters, "shape", f"shapes {x} and {w} make {y}")
    if not across:
        return windows(o, need, kernel, pads, stride, dilation)
    for i, (size, k, s) in enumerate(zip(x[1:3], kernel, stride)):
        right = (size - 1) * s + pads[2 * i] + pads[2 * i + 1] + k
        need(right == y[i + 1], "shape", f"axis {i + 1}: {size} places make {y[i + 1]}, not {right}")


def resize(o, need):
    x, y, scale, offset, border = o.inputs[0].shape, o.outputs[0].shape, *(o.values(i) for i in (1, 2, 3))
    need(len(y) == 4, "ranks", f"{x} makes {y}")
    need(max(*x[1:3], *y[1:3]) < MAX_RESIZE, "large", f"{x} makes {y}; heights and widths stay below {MAX_RESIZE}")
    need(min(scale) > 0, "scale", f"scales of {scale}; they are at least 1")
    need(max(scale[0], scale[2]) <= 1 << 11, "scale", f"scales of {scale}; numerators are at most 2048")
    need(scale[1] < 16 * scale[0] and scale[3] < 16 * scale[2], "scale", f"scales of {scale} shrink by more than 16")
    for i, n in enumerate((scale[0], scale[2])):
        need(-n <= offset[i] < 16 * n, "offset", f"an offset of {offset[i]}; it is from {-n} to {16 * n - 1}")
        need(-16 * n <= border[i] < n, "border", f"a border of {border[i]}; it is from {-16 * n} to {n - 1}")
    need(x[0] == y[0] and x[3] == y[3], "shape", f"{x} makes {y}; images and channels stay")
    for i in (0, 1):
        reach = (x[i + 1] - 1) * scale[2 * i] - offset[i] + border[i]
        need(reach % scale[2 * i + 1] == 0, "whole", f"axis {i + 1}: {reach} is no multiple of {scale[2 * i + 1]}")
        need(reach // scale[2 * i + 1] + 1 == y[i + 1], "shape", f"axis {i + 1}: {x[i + 1]} places make {y[i + 1]}")


MAX_RESIZE, DOUBLE_ROUND = 16384, 3
RULES = ({op: same for op in (*BINARY, *UNARY, "SELECT")} | {op: reduce for op in REDUCE} | {op: conv for op in CONV}
         | {"MUL": mul, "NEGATE": negate, "CLAMP": clamp, "RESCALE": rescale, "ARGMAX": argmax, "REVERSE": reverse,
            "CONCAT": concat, "PAD": pad, "RESHAPE": reshape, "SLICE": slices, "TILE": tile, "TRANSPOSE": transpose,
            "GATHER": gather, "SCATTER": scatter, "MATMUL": matmul, "AVG_POOL2D": pool, "MAX_POOL2D": pool, "RESIZE": resize})
