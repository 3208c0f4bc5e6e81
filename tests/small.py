"""A small integer program for tests of what handles programs: two layers and the place of the largest code.

    x -> fc1 -> fc1.acc -> fc1.rescale -> hidden -> fc2 -> fc2.acc -> fc2.rescale -> logits -> top
"""
import numpy as np

from refq import ops
from refq.graph.program import Program, Step, Tensor
from refq.grids.affine import Affine
from refq.ints.width import I8, I32, Width

SHAPE, HIDDEN, CLASSES = (5, 7), 6, 10


def grid(width, scale, zero=0, axis=None):
    scale = np.asarray(np.float32(scale), np.float64)
    return Affine(width, scale, np.full(scale.shape, zero, np.int64), axis)


def program(seed=0, weights=I8, high="half_up", ties="half_away", hidden=I8):
    """The program; `weights`, `hidden`: widths of codes; `high` and `ties`: the roundings of its rescales."""
    draw = np.random.default_rng(seed)
    tensors, constants, steps = {}, {}, []

    def tensor(name, shape, width, grid, role):
        tensors[name] = Tensor(name, tuple(shape), width, grid, role)
        return name

    def add(name, op, row, inputs, built, results):
        for operand, codes in built.items():
            width = row.takes[operand].width
            codes = np.ascontiguousarray(codes, width.dtype).reshape(np.shape(codes))
            role = {"w": "weight", "bias": "bias"}.get(operand, "parameter")
            inputs[operand] = tensor(f"{name}.{operand}", codes.shape, width, None, role)
            constants[inputs[operand]] = codes
        steps.append(Step(name, op, row, {k: inputs[k] for k in row.takes}, results, {"scale": np.array([0.1, 1 / 3])}))

    def layer(name, source, k, m, result, out, role):
        matmul = ops.load("matmul").Row(x=tensors[source].width, w=weights)
        rescale = ops.load("rescale").Row(high=high, ties=ties, out=out)
        w = draw.integers(weights.lo, weights.hi, (m, k), endpoint=True)
        acc, scales = f"{name}.acc", draw.uniform(0.3, 1, m) * 8 / (weights.hi * k)
        tensor(acc, (SHAPE[0], m), I32, grid(I32, scales, axis=1), "accumulator")
        add(name, "matmul", matmul, {"x": source},
            {"w": w, "bias": draw.integers(-1000, 1000, m), "zx": 3, "zw": np.zeros(m, int)}, {"acc": acc})
        tensor(result, (SHAPE[0], m), out, grid(out, 0.05, 3), role)
        add(f"{name}.rescale", "rescale", rescale, {"acc": acc},
            ops.load("rescale").build(rescale, (scales,), 1.0, 0, 3), {"y": result})

    tensor("x", SHAPE, I8, grid(I8, 0.02, 3), "input")
    layer("fc1", "x", SHAPE[1], HIDDEN, "hidden", hidden, "activation")
    layer("fc2", "hidden", HIDDEN, CLASSES, "logits", I8, "output")
    tensor("top", SHAPE[:1], I32, None, "output")
    add("argmax", "argmax", ops.load("argmax").Row(), {"q": "logits"}, {}, {"i": "top"})
    roles = {"rescale": {"op": "rescale", "borrowed": None}, "softmax": {"op": "shiftmax", "borrowed": "ivit"}}
    return Program(tuple(steps), tensors, constants, ("x",), ("logits", "top"), "tflite", "int8", roles, "half_away")


def images(count=3, seed=1):
    """Codes of `count` inputs; the ends of the range are among them."""
    codes = np.random.default_rng(seed).integers(-128, 127, (count, *SHAPE), np.int8, endpoint=True)
    codes[0, 0] = -128
    codes[-1, -1] = 127
    return codes


W4 = Width(4)
