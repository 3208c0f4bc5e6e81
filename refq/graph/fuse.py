"""fuse: rules that find LayerNormalization, Gelu, Swish and the exporters' NaN guards in their decomposed forms, and
fold multiplications and additions of constants into the weights before them.

The forms are matched by what they compute: Gelu as a product of x and a gate that is linear in erf or tanh of a
polynomial of x, so the order and grouping of the multiplications do not matter. Constants may be off by their rounding
to float16.
"""
import math

import numpy as np

from refq.graph.graph import Node
from refq.graph.plain import like
from refq.grids.affine import Affine

closeness = 1e-3
cubic = 0.044715
sqrt_two_over_pi = math.sqrt(2 / math.pi)


def close(x, y):
    return math.isclose(x, y, rel_tol=closeness, abs_tol=1e-6)


def polynomial(draft, name, x, depth=8):
    """The tensor as a polynomial in x: degree to coefficient; None where it is none, or a deep one."""
    if name == x:
        return {1: 1.0}
    if draft.scalar(name) is not None:
        return {0: draft.scalar(name)}
    node = draft.maker(name)
    if node is None or depth == 0:
        return None
    if node.op in ("Add", "Mul", "Sub"):
        left, right = (polynomial(draft, i, x, depth - 1) for i in node.inputs)
        if left is None or right is None:
            return None
        if node.op == "Mul":
            result = {}
            for i, a in left.items():
                for j, b in right.items():
                    result[i + j] = result.get(i + j, 0.0) + a * b
            return result
        sign = 1 if node.op == "Add" else -1
        return {d: left.get(d, 0.0) + sign * right.get(d, 0.0) for d in {*left, *right}}
    if node.op == "Pow" and draft.scalar(node.inputs[1]) in (2.0, 3.0):
        base, power = polynomial(draft, node.inputs[0], x, depth - 1), int(draft.scalar(node.inputs[1]))
        if base is not None and len(base) == 1:
            ((degree, factor),) = base.items()
            return {degree * power: factor ** power}
    return None


def matches(poly, expected):
    return poly is not None and all(close(poly.get(d, 0.0), expected.get(d, 0.0)) for d in {*poly, *expected})


def factors(draft, name, stop=(), depth=4):
    """The product that a tensor is: (its numbers multiplied, its other factors, every product met on the way)."""
    node = draft.made_by(name, "Mul")
    if draft.scalar(name) is not None:
        return draft.scalar(name), [], []
    if name in stop or node is None or depth == 0:
        return 1.0, [name], [name]
    number, names, met = 1.0, [], [name]
    for part in node.inputs:
        n, f, m = factors(draft, part, stop, depth - 1)
        number, names, met = number * n, names + f, met + m
    return number, names, met


def gelu(node, draft):
    """x * (1/2 + f(x) / 2): f is erf of x / sqrt(2), or tanh of sqrt(2/pi) (x + 0.044715 x**3)."""
    if node.op != "Mul":
        return None
    _, _, met = product(draft, node)
    for gate in met:
        for inner in squashed(draft, gate):
            squash = draft.maker(inner)
            for x in met:
                argument = polynomial(draft, squash.inputs[0], x)
                if squash.op == "Erf" and matches(argument, {1: math.sqrt(0.5)}):
                    word = "none"
                elif squash.op == "Tanh" and matches(argument, {1: sqrt_two_over_pi, 3: sqrt_two_over_pi * cubic}):
                    word = "tanh"
                else:
                    continue
                number, names, _ = product(draft, node, stop=(gate, x))
                half = polynomial(draft, gate, inner)
                if sorted(names) == sorted((gate, x)) and matches(half, {0: 0.5 / number, 1: 0.5 / number}):
                    return [like(node, "Gelu", (x,), {"approximate": word})]
    return None


def product(draft, node, stop=()):
    """`factors` of a node that is not yet part of the draft."""
    number, names, met = 1.0, [], []
    for part in node.inputs:
        n, f, m = factors(draft, part, stop)
        number, names, met = number * n, names + f, met + m
    return number, names, met


def squashed(draft, gate):
    """The erf or tanh that a gate is a linear function of, if any."""
    names, node = [gate], draft.maker(gate)
    while node is not None and node.op in ("Add", "Mul") and draft.scalar(node.inputs[1]) is not None:
        names.append(node.inputs[0])
        node = draft.maker(node.inputs[0])
    return names[-1:] if node is not None and node.op in ("Erf", "Tanh") else []


def swish(node, draft):
    """x * sigmoid(alpha x), alpha 1 for SiLU and 1.702 for the quick Gelu."""
    if node.op != "Mul":
        return None
    for x, gate in (node.inputs, node.inputs[::-1]):
        sigmoid = draft.made_by(gate, "Sigmoid")
        if sigmoid is None:
            hard = draft.made_by(gate, "HardSigmoid")
            if hard is not None and hard.inputs[0] == x and close(hard.attributes.get("alpha", 0.2), 1 / 6) \
                    and close(hard.attributes.get("beta", 0.5), 0.5):
                return [like(node, "HardSwish", (x,))]
            continue
        argument = polynomial(draft, sigmoid.inputs[0], x)
        if argument is not None and set(argument) == {1}:
            return [like(node, "Swish", (x,), {"alpha": argument[1]})]
    return None


def nan_guard(node, draft):
    """Where(IsNaN(p), 0, p) after a softmax, which gives no NaN: the guard that torch's exporter adds."""
    if node.op != "Where" or draft.scalar(node.inputs[1]) != 0:
        return None
    test = draft.made_by(node.inputs[0], "IsNaN")
    if test is None or test.inputs[0] != node.inputs[2] or draft.made_by(node.inputs[2], "Softmax") is None:
        return None
    draft.rename(node.outputs[0], node.inputs[2])
    return []


def averaged(draft, name):
    """What the tensor is the mean of, over the last axis kept as one; None if it is no such mean."""
    reshape = draft.made_by(name, "Reshape")
    mean = draft.made_by(reshape.inputs[0], "ReduceMean") if reshape is not None else None
    if mean is None:
        return None
    shape = draft.shapes[mean.inputs[0]]
    last = tuple(mean.attributes["axes"]) == (len(shape) - 1,) and tuple(draft.shapes[name]) == (*shape[:-1], 1)
    return mean.inputs[0] if last else None


def centred(draft, name):
    """x where the tensor is x minus its mean."""
    node = draft.made_by(name, "Sub")
    return node.inputs[0] if node is not None and averaged(draft, node.inputs[1]) == node.inputs[0] else None


def squared(draft, name):
    node = draft.maker(name)
    if node is None:
        return None
    twice = node.op == "Mul" and node.inputs[0] == node.inputs[1]
    return node.inputs[0] if twice or node.op == "Pow" and draft.scalar(node.inputs[1]) == 2 else None


def deviation(draft, name):
    """(x, eps) where the tensor is sqrt(mean((x - mean(x))**2) + eps)."""
    root = draft.maker(name)
    if root is None or not (root.op == "Sqrt" or root.op == "Pow" and draft.scalar(root.inputs[1]) == 0.5):
        return None
    total = draft.made_by(root.inputs[0], "Add")
    if total is None or draft.scalar(total.inputs[1]) is None:
        return None
    square = averaged(draft, total.inputs[0])
    difference = squared(draft, square) if square else None
    x = centred(draft, difference) if difference else None
    return (x, draft.scalar(total.inputs[1])) if x else None


def layer_norm(node, draft):
    """(x - mean(x)) / sqrt(mean((x - mean(x))**2) + eps), over the last axis."""
    found = None
    if node.op == "Div":
        x, found = centred(draft, node.inputs[0]), deviation(draft, node.inputs[1])
    elif node.op == "Mul":
        for top, inverse in (node.inputs, node.inputs[::-1]):
            flip = draft.maker(inverse)
            if flip is None or not (flip.op == "Reciprocal" or flip.op == "Div" and draft.scalar(flip.inputs[0]) == 1):
                continue
            x, found = centred(draft, top), deviation(draft, flip.inputs[-1])
            break
    if found is None or found[0] != x:
        return None
    size = draft.shapes[x][-1]
    gamma, beta = draft.constant("ones", np.ones(size)), draft.constant("zeros", np.zeros(size))
    return [like(node, "LayerNormalization", (x, gamma, beta), {"epsilon": found[1]})]


def whole_layer_norm(node, draft):
    """LayerNormalization always over the last axis alone, with gamma and beta as vectors."""
    if node.op != "LayerNormalization" or set(node.attributes) == {"epsilon"} and len(node.inputs) == 3:
        return None
    if not draft.is_constant(*(i for i in node.inputs[1:] if i)) or len(node.outputs) > 1 and any(node.outputs[1:]):
        return None
    x, shape = node.inputs[0], draft.shapes[node.inputs[0]]
    axis = node.attributes.get("axis", -1) % len(shape)
    size = math.prod(shape[axis:])
    gamma = draft.constant(node.inputs[1], np.broadcast_to(draft.constants[node.inputs[1]], shape[axis:]).reshape(-1))
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    beta = (draft.constant(bias, np.broadcast_to(draft.constants[bias], shape[axis:]).reshape(-1)) if bias
            else draft.constant("zeros", np.zeros(size)))
    attributes = {"epsilon": node.attributes.get("epsilon", 1e-5)}
    if axis == len(shape) - 1:
        return [like(node, "LayerNormalization", (x, gamma, beta), attributes, node.outputs[:1])]
    flat, out = draft.fresh(f"{x}.flat"), draft.fresh(f"{node.outputs[0]}.flat")
    return [like(node, "Reshape", (x,), {"shape": (*shape[:axis], size)}, (flat,)),
            like(node, "LayerNormalization", (flat, gamma, beta), attributes, (out,)),
            like(node, "Reshape", (out,), {"shape": tuple(shape)}, node.outputs[:1])]


def batch_norm(node, draft):
    """BatchNormalization becomes Mul and Add by constants, which fold into the convolution before them."""
    if node.op != "BatchNormalization" or "axis" in node.attributes or not draft.is_constant(*node.inputs[1:]):
        return None
    gamma, beta, mean, variance = (draft.constants[name] for name in node.inputs[1:])
    factor = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    shape = (-1,) + (1,) * (len(draft.shapes[node.inputs[0]]) - 2)
    scaled = draft.fresh(f"{node.outputs[0]}.scaled")
    first = draft.constant(node.inputs[1], factor.reshape(shape))
    second = draft.constant(node.inputs[2], (beta - mean * factor).reshape(shape))
    return [like(node, "Mul", (node.inputs[0], first), outputs=(scaled,)),
            like(node, "Add", (scaled, second), outputs=node.outputs[:1])]


def per_channel(value, shape, axis):
    """A constant as a vector along one axis of `shape`, or None where it varies along others or adds any."""
    aligned = (1,) * (len(shape) - value.ndim) + value.shape
    if len(aligned) != len(shape) or any(n != 1 for i, n in enumerate(aligned) if i != axis % len(shape)):
        return None
    return np.broadcast_to(value.reshape(-1), (shape[axis],))


def affine_after(node, draft):
    """Mul or Add of one number a channel, right after Linear, Conv or LayerNormalization, goes into its constants."""
    if node.op not in ("Mul", "Add") or not draft.is_constant(node.inputs[1]):
        return None
    before = draft.maker(node.inputs[0])
    if before is None or before.op not in ("Linear", "Conv", "LayerNormalization") or draft.readers(node.inputs[0]) > 1:
        return None
    axis = 1 if before.op == "Conv" else -1
    vector = per_channel(draft.constants[node.inputs[1]], draft.shapes[node.inputs[0]], axis)
    if vector is None or not draft.is_constant(*before.inputs[1:]):
        return None
    x, w, b = before.inputs
    weight, bias, by = draft.constants[w], draft.constants[b], node.inputs[1]
    if node.op == "Add":
        grid = draft.grids.get(by)
        if grid is not None and (bias.any() or grid.width.bits < 32):
            return None
        return [Node(before.name, before.op, (x, w, draft.constant(by if not bias.any() else b, bias + vector, grid)),
                     node.outputs, before.attributes)]
    if w in draft.grids:
        return on_its_grid(node, before, vector, draft)
    scaled = weight * vector.reshape(-1, *(1,) * (weight.ndim - 1))
    if before.op == "LayerNormalization":
        w = by
    return [Node(before.name, before.op, (x, draft.constant(w, scaled), draft.constant(b, bias * vector)), node.outputs,
                 before.attributes)]


def on_its_grid(node, before, vector, draft):
    """Weights that lie on a grid keep their codes: the numbers go into its scales."""
    x, w, b = before.inputs
    grid, bias = draft.grids[w], draft.constants[b]
    if (vector <= 0).any() or grid.block is not None or grid.axis not in (None, 0) or bias.any() \
            or before.op == "LayerNormalization":
        return None
    scales = Affine(grid.width, grid.scale * vector, np.broadcast_to(grid.zero, vector.shape), 0, None, grid.narrow)
    weight = draft.constants[w] * vector.reshape(-1, *(1,) * (draft.constants[w].ndim - 1))
    return [Node(before.name, before.op, (x, draft.constant(w, weight, scales), b), node.outputs, before.attributes)]


patterns = (nan_guard, gelu, swish, layer_norm, whole_layer_norm, batch_norm)
