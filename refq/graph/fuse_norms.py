"""fuse_norms: rules that find RMSNormalization, GroupNormalization and LpNormalization in what exporters write, bring
each into one form, and keep what is left of a BatchNormalization that no weights take in.

    RMSNormalization    x / sqrt(mean(x**2) + eps) * g, over the last axis; SimplifiedLayerNormalization
    GroupNormalization  of one number a channel; InstanceNormalization, whose groups are channels; and between two Reshapes
    LpNormalization     of p = 2 over the last axis; x / max(|x|, eps)
    BatchNormalization  a factor and an offset for each channel (`left_over`), where no weights are before it
"""
import math

import numpy as np

from refq.errors import Unsupported
from refq.graph.fuse import averaged, per_channel, squared
from refq.graph.graph import Node
from refq.graph.plain import like


def added(draft, name):
    """(tensor, number) where the tensor is another one and a positive number."""
    node = draft.made_by(name, "Add")
    number = draft.scalar(node.inputs[1]) if node is not None else None
    return (node.inputs[0], number) if number is not None and number >= 0 else (name, 0.0)


def rooted(draft, name):
    """(what the tensor is the square root of, whether it is one over it); or None."""
    node = draft.maker(name)
    if node is None:
        return None
    power = draft.scalar(node.inputs[1]) if node.op == "Pow" else None
    if node.op == "Sqrt" or power in (0.5, -0.5):
        return node.inputs[0], power == -0.5
    over = node.inputs[-1] if node.op == "Reciprocal" or node.op == "Div" and draft.scalar(node.inputs[0]) == 1 else None
    found = rooted(draft, over) if over else None
    return (found[0], not found[1]) if found else None


def divided(node, draft):
    """(x, r) where a node makes x / sqrt(r)."""
    for x, other in (node.inputs, node.inputs[::-1]) if node.op == "Mul" else (node.inputs,) if node.op == "Div" else ():
        found = rooted(draft, other)
        if found and found[1] == (node.op == "Mul"):
            return x, found[0]
    return None


def rms_norm(node, draft):
    """x / sqrt(mean(x**2) + eps), over the last axis."""
    found = divided(node, draft) if len(node.inputs) == 2 else None
    if found is None:
        return None
    x, total = found
    mean, eps = added(draft, total)
    square = averaged(draft, mean)
    if square is None or squared(draft, square) != x:
        return None
    return [like(node, "RMSNormalization", (x, draft.constant("ones", np.ones(draft.shapes[x][-1]))), {"epsilon": eps})]


def whole_rms_norm(node, draft):
    """RMSNormalization always over the last axis alone, with its weights as a vector."""
    if node.op not in ("RMSNormalization", "SimplifiedLayerNormalization") or len(node.outputs) > 1 and any(node.outputs[1:]):
        return None
    if node.op == "RMSNormalization" and set(node.attributes) == {"epsilon"} or not draft.is_constant(*node.inputs[1:]):
        return None
    x, shape, out = node.inputs[0], draft.shapes[node.inputs[0]], node.outputs[:1]
    axis = node.attributes.get("axis", -1) % len(shape)
    gamma = draft.constant(node.inputs[1], np.broadcast_to(draft.constants[node.inputs[1]], shape[axis:]).reshape(-1))
    attributes = {"epsilon": node.attributes.get("epsilon", 1e-5)}
    if axis == len(shape) - 1:
        return [like(node, "RMSNormalization", (x, gamma), attributes, out)]
    flat, made = draft.fresh(f"{x}.flat"), draft.fresh(f"{out[0]}.flat")
    return [like(node, "Reshape", (x,), {"shape": (*shape[:axis], math.prod(shape[axis:]))}, (flat,)),
            like(node, "RMSNormalization", (flat, gamma), attributes, (made,)),
            like(node, "Reshape", (made,), {"shape": tuple(shape)}, out)]


def group_norm(node, draft):
    """InstanceNormalization, and GroupNormalization of one number a group, as GroupNormalization of one a channel."""
    if node.op not in ("InstanceNormalization", "GroupNormalization") or not draft.is_constant(*node.inputs[1:]):
        return None
    channels = draft.shapes[node.inputs[0]][1]
    groups = channels if node.op == "InstanceNormalization" else node.attributes["num_groups"]
    if channels % groups:
        raise Unsupported(f"{draft.graph.name}, node {node.name}: {channels} channels in {groups} groups, which do not "
                          "divide them; mend the model")
    vectors = [draft.constants[name] for name in node.inputs[1:]]
    if node.op == "GroupNormalization" and set(node.attributes) == {"num_groups", "epsilon"} and len(vectors[0]) == channels:
        return None
    spread = [v if len(v) == channels else np.repeat(v, channels // groups) for v in vectors]
    names = [draft.constant(name, v) for name, v in zip(node.inputs[1:], spread)]
    attributes = {"num_groups": groups, "epsilon": node.attributes.get("epsilon", 1e-5)}
    return [like(node, "GroupNormalization", (node.inputs[0], *names), attributes, node.outputs[:1])]


def regrouped(node, draft):
    """Reshape to (n groups ...), a normalization of each, and back: GroupNormalization of what was reshaped."""
    norm = draft.made_by(node.inputs[0], "GroupNormalization") if node.op == "Reshape" else None
    before = draft.made_by(norm.inputs[0], "Reshape") if norm is not None else None
    if before is None or draft.readers(node.inputs[0]) > 1 or not draft.is_constant(*norm.inputs[1:]):
        return None
    x, groups = before.inputs[0], norm.attributes["num_groups"]
    shape, parts = draft.shapes[x], draft.shapes[before.outputs[0]]
    alike = len(shape) > 1 and tuple(node.attributes.get("shape", ())) == tuple(shape) and parts[:2] == (shape[0], groups)
    if not alike or shape[1] % groups:
        return None
    names = [draft.constant(name, np.repeat(draft.constants[name], shape[1] // groups)) for name in norm.inputs[1:]]
    return [like(node, "GroupNormalization", (x, *names), norm.attributes)]


def gain_after(node, draft):
    """Mul or Add of one number a channel, right after RMSNormalization or GroupNormalization, goes into its constants."""
    if node.op not in ("Mul", "Add") or len(node.inputs) != 2 or not draft.is_constant(node.inputs[1]):
        return None
    before = draft.maker(node.inputs[0])
    if before is None or before.op not in ("RMSNormalization", "GroupNormalization") or draft.readers(node.inputs[0]) > 1 \
            or not draft.is_constant(*before.inputs[1:]):
        return None
    axis = 1 if before.op == "GroupNormalization" else -1
    vector = per_channel(draft.constants[node.inputs[1]], draft.shapes[node.inputs[0]], axis)
    if vector is None or node.op == "Add" and before.op == "RMSNormalization":
        return None
    x, *names = before.inputs
    weights = [draft.constants[name] for name in names]
    weights = [w * vector for w in weights] if node.op == "Mul" else [weights[0], weights[1] + vector]
    said = [draft.constant(name, w) for name, w in zip(names, weights)]
    return [Node(before.name, before.op, (x, *said), node.outputs, before.attributes)]


def reduced(draft, name, op):
    """(tensor, axis) where the tensor is another one reduced by `op` along one axis, kept as one; or None."""
    node = draft.maker(name)
    inner = draft.maker(node.inputs[0]) if node is not None and node.op == "Reshape" else None
    kept, node = (draft.shapes[name], inner) if inner is not None else (None, node)
    if node is None or node.op != op:
        return None
    axes = node.attributes.get("axes") or (draft.constants[node.inputs[1]].reshape(-1) if len(node.inputs) > 1 else ())
    if len(axes) != 1:
        return None
    shape = draft.shapes[node.inputs[0]]
    axis = int(axes[0]) % len(shape)
    whole = tuple(1 if i == axis else n for i, n in enumerate(shape))
    return (node.inputs[0], axis) if tuple(draft.shapes[name] if kept is None else kept) == whole else None


def norm_of(draft, name):
    """(x, axis, eps) where the tensor is the root of the sum of the squares of x over one axis, at least eps; or None."""
    least, node = 0.0, draft.maker(name)
    while node is not None and (node.op == "Expand" or node.op == "Clip" and node.attributes.get("max") == math.inf):
        least, name = max(least, node.attributes.get("min", 0.0)), node.inputs[0]
        node = draft.maker(name)
    if found := reduced(draft, name, "ReduceL2"):
        return *found, least
    root = rooted(draft, name)
    total = reduced(draft, root[0], "ReduceSum") if root and not root[1] else None
    x = squared(draft, total[0]) if total else None
    return (x, total[1], least) if x else None


def l2_norm(node, draft):
    """x / max(|x|, eps)."""
    if node.op != "Div":
        return None
    found = norm_of(draft, node.inputs[1])
    if found is None or found[0] != node.inputs[0]:
        return None
    return [like(node, "LpNormalization", (found[0],), {"p": 2, "axis": found[1], "epsilon": found[2]})]


def whole_l2_norm(node, draft):
    """LpNormalization of p = 2 over the last axis: others are turned to it and back."""
    if node.op != "LpNormalization" or set(node.attributes) == {"epsilon"}:
        return None
    a, shape = node.attributes, draft.shapes[node.inputs[0]]
    if a.get("p", 2) != 2:
        raise Unsupported(f"{draft.graph.name}, node {node.name}: LpNormalization of p = {a['p']}; refq does p = 2")
    axis, last, least = a.get("axis", -1) % len(shape), len(shape) - 1, {"epsilon": a.get("epsilon", 0.0)}
    if axis == last:
        return [like(node, "LpNormalization", node.inputs, least)]
    perm = (*(i for i in range(len(shape)) if i != axis), axis)
    turned, made = draft.fresh(f"{node.inputs[0]}.turned"), draft.fresh(f"{node.outputs[0]}.turned")
    return [like(node, "Transpose", node.inputs, {"perm": perm}, (turned,)),
            like(node, "LpNormalization", (turned,), least, (made,)),
            like(node, "Transpose", (made,), {"perm": tuple(perm.index(i) for i in range(len(shape)))})]


def channel_axis(value, shape):
    """The one axis along which a constant varies, counted from the front, or None."""
    return next((axis for axis in range(len(shape) - 1, 0, -1) if per_channel(value, shape, axis) is not None), None)


def left_over(node, draft):
    """A factor for each channel, of axes before the last one or of any sign, and what is added to it for each channel, are one
    BatchNormalization; an offset alone stays an Add."""
    if draft.grids or node.op not in ("Mul", "Add") or len(node.inputs) != 2 or not draft.is_constant(node.inputs[1]) \
            or node.inputs[0] not in draft.shapes:
        return None
    x, value, shape = node.inputs[0], draft.constants[node.inputs[1]], draft.shapes[node.inputs[0]]
    if node.op == "Add":
        before = draft.made_by(x, "BatchNormalization")
        vector = per_channel(value, shape, before.attributes["axis"]) if before is not None else None
        if vector is None or draft.readers(x) > 1:
            return None
        source, factor, offset = before.inputs
        offset = draft.constant(node.inputs[1], draft.constants[offset] + vector)
        return [Node(before.name, "BatchNormalization", (source, factor, offset), node.outputs, before.attributes)]
    axis = channel_axis(value, shape)
    if axis is None or axis == len(shape) - 1 and (value >= 0).all() and not shifted(node, draft, axis):
        return None
    factor = draft.constant(node.inputs[1], per_channel(value, shape, axis))
    return [like(node, "BatchNormalization", (x, factor, draft.constant("zeros", np.zeros(shape[axis]))), {"axis": axis})]


def shifted(node, draft, axis):
    """Whether all that is done with a node's result is to add one number for each channel, and it is no single number."""
    after = draft.graph.consumers.get(node.outputs[0], ())
    return len(after) == 1 and after[0].op == "Add" and draft.constants[node.inputs[1]].size > 1 \
        and after[0].inputs[1] in draft.constants \
        and per_channel(draft.constants[after[0].inputs[1]], draft.shapes[node.inputs[0]], axis) is not None


patterns = (rms_norm, whole_rms_norm, group_norm, regrouped, l2_norm, whole_l2_norm)
