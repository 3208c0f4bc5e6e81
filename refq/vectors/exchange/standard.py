"""Standard: steps as nodes of standard ONNX, where its operators mean the same to the bit.

    matmul, batch_matmul, conv2d   MatMulInteger, ConvInteger, Add      8-bit containers, exact i32 accumulators
    rescale_float32                Cast, Mul, QuantizeLinear            ties to even, zero point after the rounding
    add_float32                    DequantizeLinear, Add, QuantizeLinear
    table                          Cast, Sub, Gather
    clip, mean, argmax, arrange    Clip; Cast, Sub, ReduceSum; ArgMax; Reshape, Transpose, Slice, Gather (repeat too), Pad, Concat

A rescale by an integer multiplier, a Softmax or a LayerNorm of integers has no operator in the standard; in wider
containers the products have none. These are refused.
"""
from math import prod

import numpy as np

from refq.errors import Unsupported
from refq.ints.width import I32
from refq.machine.moves import trail

OPSET, IR = 21, 10


class Nodes:
    """The nodes made so far; `operand(key)`: the name of the operand of the step that is at work."""

    def __init__(self, program):
        self.program, self.nodes, self.constants, self.count = program, [], {}, 0

    def add(self, op, *inputs, out=None, **attributes):
        """One node; an input that is an array becomes an initializer. Gives the name of its output."""
        from onnx import helper
        names = [i if isinstance(i, str) else self.held(i) for i in inputs]
        out = out or self.fresh()
        self.nodes.append(helper.make_node(op, names, [out], **attributes))
        return out

    def fresh(self):
        self.count += 1
        return f"refq_{self.count}"

    def held(self, array):
        name = self.fresh()
        self.constants[name] = np.ascontiguousarray(array)      # which makes one axis of none
        self.constants[name] = self.constants[name].reshape(np.shape(array))
        return name

    def operand(self, step, key):
        """A tensor's name, or the array of a constant."""
        name = step.inputs[key]
        return self.program.constants.get(name, name)

    def shape(self, step, key):
        """The shape of an operand without the batch axis that activations have."""
        return self.program.tensors[(step.inputs | step.outputs)[key]].shape


def refuse(step, why):
    raise Unsupported(f"--to onnx: step {step.name} ({step.op}): {why}; export npy or hex, or leave the step out with --unit")


def need_integer_product(step):
    row = step.row
    if max(row.x.bits, row.w.bits) > 8 or row.acc != I32:
        refuse(step, f"{row.x} by {row.w} in {row.acc}: standard ONNX multiplies 8-bit codes into 32 bits only")
    if row.accumulate is not None:
        refuse(step, "its products join in a declared order, and ONNX's accumulators are exact")


def shared(zeros):
    """One zero point where all are alike."""
    zeros = np.asarray(zeros)
    return zeros.reshape(-1)[0] if zeros.size and (zeros == zeros.reshape(-1)[0]).all() else zeros


def matmul(step, to, out):
    need_integer_product(step)
    x, w, bias, zx, zw = (to.operand(step, key) for key in ("x", "w", "bias", "zx", "zw"))
    if any(isinstance(a, str) for a in (w, bias, zx, zw)):
        refuse(step, "its weights, bias or zero points are computed, and the model has them as constants")
    acc = to.add("MatMulInteger", x, w.T, zx, shared(zw))
    to.add("Add", acc, bias.astype(np.int32), out=out)


def batch_matmul(step, to, out):
    need_integer_product(step)
    x, w, zx, zw = (to.operand(step, key) for key in ("x", "w", "zx", "zw"))
    axes = len(to.shape(step, "w"))
    flipped = [*range(axes - 1), axes, axes - 1]
    w = to.add("Transpose", w, perm=flipped) if isinstance(w, str) else w.swapaxes(-1, -2)
    to.add("MatMulInteger", x, w, zx, zw, out=out)


def conv2d(step, to, out):
    need_integer_product(step)
    x, w, bias, zx, zw = (to.operand(step, key) for key in ("x", "w", "bias", "zx", "zw"))
    if len(to.shape(step, "x")) != 3 or any(isinstance(a, str) for a in (w, bias, zx, zw)):
        refuse(step, "it takes more than images, or computed weights")
    zero = shared(zw)
    if zero.shape:
        refuse(step, "its weights have a zero point for each channel, and ConvInteger of the reference takes one for all")
    row = step.row
    seen = to.add("Transpose", x, perm=[0, 3, 1, 2])
    acc = to.add("ConvInteger", seen, w.transpose(0, 3, 1, 2), zx, zero, strides=list(row.stride), pads=list(row.padding),
                 dilations=list(row.dilation), group=row.groups, kernel_shape=list(w.shape[1:3]))
    to.add("Add", to.add("Transpose", acc, perm=[0, 2, 3, 1]), bias.astype(np.int32), out=out)


def quantized(step, to, value, scale, zp, out):
    """QuantizeLinear of a float32 tensor: half to even, zero point after the rounding; then the true width."""
    width = step.row.out
    if width.bits > 16:
        refuse(step, f"a result of {width}: QuantizeLinear gives up to 16 bits")
    zp = np.asarray(zp, width.dtype)
    full = width.bits == 8 * width.dtype.itemsize
    code = to.add("QuantizeLinear", value, np.float32(scale), zp, out=out if full else None)
    if not full:
        clipped(to, code, width, np.array(width.lo, width.dtype), np.array(width.hi, width.dtype), out)


def clipped(to, x, width, lo, hi, out):
    """Clip; 16-bit codes by way of int32, which runtimes have."""
    if width.dtype.itemsize != 2:
        return to.add("Clip", x, lo, hi, out=out)
    wide = to.add("Clip", to.add("Cast", x, to=6), np.int32(lo), np.int32(hi))
    return to.add("Cast", wide, to=number(width.dtype), out=out)


def number(dtype):
    from onnx import helper
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def rescale_float32(step, to, out):
    row = step.row
    if row.ties != "half_even" or row.zero_point != "after":
        refuse(step, f"ties {row.ties} and the zero point {row.zero_point} the rounding: QuantizeLinear takes ties to even "
                     "and adds the zero point after")
    acc, zin, scale, zp = (to.operand(step, key) for key in ("acc", "zin", "scale", "zp"))
    wide = to.add("Cast", acc, to=7)
    centred = to.add("Sub", wide, np.int64(zin)) if int(zin) else wide
    value = to.add("Mul", to.add("Cast", centred, to=1), scale.reshape(-1).astype(np.float32))
    # beyond the rails by one code is far enough, and keeps the rounded value within every runtime's int32
    bounds = [np.float32(end - int(zp)) for end in (row.out.lo - 1, row.out.hi + 1)]
    quantized(step, to, to.add("Clip", value, *bounds), 1.0, zp, out)


def add_float32(step, to, out):
    row = step.row
    if row.ties != "half_even":
        refuse(step, f"ties {row.ties}: QuantizeLinear takes ties to even")
    o = {key: to.operand(step, key) for key in step.row.takes}
    if row.a.bits > 16 or row.b.bits > 16:
        refuse(step, f"{row.a} and {row.b}: DequantizeLinear takes up to 16 bits")
    parts = [to.add("DequantizeLinear", o[x], np.float32(o[f"s{x}"]), np.asarray(o[f"z{x}"])) for x in "ab"]
    quantized(step, to, to.add("Add", *parts), o["so"], o["zo"], out)


def table(step, to, out):
    index = to.add("Sub", to.add("Cast", to.operand(step, "q"), to=7), np.int64(step.row.q.lo))
    to.add("Gather", to.operand(step, "t"), index, axis=0, out=out)


def clip(step, to, out):
    q, lo, hi = (to.operand(step, key) for key in ("q", "lo", "hi"))
    clipped(to, q, step.row.q, lo, hi, out)


def mean(step, to, out):
    if step.row.acc != I32:
        refuse(step, f"a sum in {step.row.acc}: the model sums in int32")
    centred = to.add("Sub", to.add("Cast", to.operand(step, "q"), to=6), np.int32(to.operand(step, "zq")))
    axis = 1 + len(to.shape(step, "q")) - 2
    to.add("ReduceSum", centred, np.array([axis], np.int64), keepdims=0, out=out)


def argmax(step, to, out):
    q = to.operand(step, "q")
    q = q if step.row.q.dtype.itemsize == 1 else to.add("Cast", q, to=6)
    found = to.add("ArgMax", q, axis=len(to.shape(step, "q")), keepdims=0, select_last_index=0)
    to.add("Cast", found, to=6, out=out)


def arrange(step, to, out):
    def ends(values):
        return np.array(values, np.int64)

    row = step.row
    moves, kinds = list(row.moves), {
        "reshape": lambda x, sizes: to.add("Reshape", x, ends([1, *sizes])),
        "transpose": lambda x, axes: to.add("Transpose", x, perm=[0, *(a + 1 for a in axes)]),
        "slice": lambda x, axis, start, stop, by: to.add("Slice", x, ends([start]), ends([stop]), ends([axis + 1]), ends([by])),
        "gather": lambda x, axis, at: to.add("Gather", x, ends(at), axis=axis + 1),
        "pad": lambda x, widths: to.add("Pad", x, ends([0, *(b for b, _ in widths), 0, *(a for _, a in widths)]),
                                        np.asarray(to.operand(step, "zero"))),
    }
    images = [to.operand(step, f"x{i}") for i in range(len(row.shapes))]
    images = [x if isinstance(x, str) else x[None] for x in images]
    x = images[0]
    if moves and moves[0][0] == "concat":
        x = to.add("Concat", *images, axis=moves.pop(0)[1] + 1)
    for (kind, *rest), shape in zip(moves, trail(row.shapes, row.moves)[-len(moves) - 1:]):
        if kind == "repeat":
            axis, count = rest
            kind, rest = "gather", (axis, [i // count for i in range(shape[axis] * count)])
        x = kinds[kind](x, *rest)
    to.add("Identity", x, out=out)


MEANS = {f.__name__: f for f in (matmul, batch_matmul, conv2d, rescale_float32, add_float32, table, clip, mean, argmax, arrange)}


def model(program, steps, inputs, outputs):
    """An ONNX model of steps: `inputs`, `outputs`: tensor names, each with a leading axis of 1. Raises Unsupported, naming
    the step, for what standard ONNX does not say to the bit."""
    from onnx import checker, helper, numpy_helper
    to = Nodes(program)
    for step in steps:
        if step.op not in MEANS:
            refuse(step, "standard ONNX has no operator with its meaning")
        (result,) = step.outputs.values()
        MEANS[step.op](step, to, result)

    def value(name):
        tensor = program.tensors[name]
        return helper.make_tensor_value_info(name, number(tensor.width.dtype), [1, *tensor.shape])

    if empty := next((n for n in (*inputs, *outputs) if not prod(program.tensors[n].shape)), None):
        raise Unsupported(f"--to onnx: tensor {empty} has no elements, which runtimes do not agree on")
    held = [numpy_helper.from_array(codes, name) for name, codes in to.constants.items()]
    graph = helper.make_graph(to.nodes, "refq", [value(n) for n in inputs], [value(n) for n in outputs], held)
    made = helper.make_model(graph, ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="refq")
    checker.check_model(made, full_check=True)
    return made
