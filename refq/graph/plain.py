"""plain: rules that bring single nodes into one form: constants folded, shapes and axes as attributes, one way to say
a thing. Each rule is (node, draft) -> replacement or None, as `rewrite` wants it.
"""
import math

import numpy as np

from refq.graph.evaluate import run_node
from refq.graph.graph import Node
from refq.graph.rewrite import output_shapes
from refq.grids.affine import Affine
from refq.reals.floats import ints, pieces
from refq.reals.windows import conv_padding, transposed_padding, window

moves_of_one = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast", "Expand"}


def like(node, op, inputs, attributes=None, outputs=None):
    """A node in the place of another."""
    return Node(node.name, op, tuple(inputs), node.outputs if outputs is None else tuple(outputs), attributes or {})


def fold_constants(node, draft):
    """A node of constants becomes a constant; moved weights keep the name of the tensor that they come from."""
    if node.op == "Shape":
        shape = draft.shapes.get(node.inputs[0])
        values = {node.inputs[0]: np.broadcast_to(0, shape)} if shape is not None else draft.constants
    elif node.op == "Size" and node.inputs[0] in draft.shapes:
        values = {node.inputs[0]: np.broadcast_to(0, draft.shapes[node.inputs[0]])}
    elif draft.is_constant(*(name for name in node.inputs if name)):
        values = draft.constants
    else:
        return None
    for output, value in zip(node.outputs, run_node(node, values)):
        moves = node.op in moves_of_one
        name, grid = node.inputs[0] if moves else output, draft.grids.get(output)
        if grid is not None:
            value = grid.decode(grid.encode(value))
        elif moves:
            grid = moved_grid(node, draft, np.shape(value))
        draft.rename(output, draft.constant(name if name in draft.constants else f"{output}.folded", value, grid))
    return []


def moved_grid(node, draft, shape):
    """The grid of a constant that was moved into `shape`; None for one that has none, or whose slices were cut apart."""
    grid, old = draft.grids.get(node.inputs[0]), draft.constants[node.inputs[0]].shape
    if grid is None or grid.axis is None:
        return grid
    axis = grid.axis % len(old)
    if node.op == "Transpose":
        perm = tuple(node.attributes.get("perm") or reversed(range(len(old))))
        scale, zero = (v.transpose(perm) if v.ndim > 1 else v for v in (grid.scale, grid.zero))
        return Affine(grid.width, scale, zero, perm.index(axis), grid.block, grid.narrow)
    before = math.prod(old[:axis])
    fits = [i for i, n in enumerate(shape) if n == old[axis] and math.prod(shape[:i]) == before]
    return Affine(grid.width, grid.scale, grid.zero, fits[0], None, grid.narrow) if fits and grid.block is None else None


def drop_idle(node, draft):
    """Identity, Dropout, casts between floats and moves that change nothing vanish."""
    x = node.inputs[0] if node.inputs else ""
    shape = draft.shapes.get(x)
    if shape is None:
        return None
    a = node.attributes
    idle = (node.op in ("Identity", "Dropout", "CastLike") or node.op == "Cast" and a["to"] == "float"
            or node.op == "Reshape" and "shape" in a and tuple(a["shape"]) == tuple(shape)
            or node.op == "Transpose" and tuple(a.get("perm", ())) == tuple(range(len(shape)))
            or node.op == "Slice" and "axis" in a and (a["start"], a["step"]) == (0, 1)
            and a["stop"] == shape[a["axis"]]
            or node.op == "Pad" and len(node.inputs) == 1 and not any(a["pads"])
            or node.op == "Concat" and len(node.inputs) == 1
            or node.op == "Add" and neutral(node, draft, 0)
            or node.op == "Mul" and neutral(node, draft, 1))
    if not idle:
        return None
    draft.rename(node.outputs[0], x)
    return []


def neutral(node, draft, number):
    value = draft.constants.get(node.inputs[1])
    fits = value is not None and value.ndim <= len(draft.shapes[node.inputs[0]])
    return fits and draft.scalar(node.inputs[1]) == number


def static(draft, names):
    return all(name in draft.constants for name in names if name)


def reshape(node, draft):
    """Everything that only renames axes becomes Reshape with its whole shape as attribute."""
    if node.op not in ("Reshape", "Flatten", "Squeeze", "Unsqueeze") or "shape" in node.attributes:
        return None
    if not static(draft, node.inputs[1:]):
        return None
    shape = node_shape(node, draft)
    return [like(node, "Reshape", node.inputs[:1], {"shape": shape})]


def node_shape(node, draft):
    return tuple(output_shapes(node, draft)[0])


def transpose(node, draft):
    if node.op != "Transpose" or "perm" in node.attributes:
        return None
    return [like(node, "Transpose", node.inputs, {"perm": tuple(reversed(range(len(draft.shapes[node.inputs[0]]))))})]


def slice_axes(node, draft):
    """A Slice of several axes becomes one Slice an axis: attributes axis, start, stop, step, counted from the front."""
    if node.op != "Slice" or "axis" in node.attributes or not static(draft, node.inputs[1:]):
        return None
    x, (starts, ends, *rest) = node.inputs[0], [ints(draft.constants[n]) if n else None for n in node.inputs[1:]]
    shape = draft.shapes[x]
    axes = rest[0] if rest and rest[0] is not None else tuple(range(len(starts)))
    steps = rest[1] if len(rest) > 1 else (1,) * len(starts)
    nodes = []
    for i, (start, end, axis, step) in enumerate(zip(starts, ends, axes, steps)):
        if step < 0:
            return None
        axis %= len(shape)
        start, stop, step = slice(start, end, step).indices(shape[axis])
        name = node.outputs[0] if i == len(axes) - 1 else draft.fresh(node.outputs[0])
        nodes.append(like(node, "Slice", (x,), {"axis": axis, "start": start, "stop": stop, "step": step}, (name,)))
        x = name
    return nodes


def split(node, draft):
    if node.op != "Split" or not static(draft, node.inputs[1:]):
        return None
    x = node.inputs[0]
    shape, sizes = draft.shapes[x], draft.constants[node.inputs[1]] if len(node.inputs) > 1 else None
    attributes = {"num_outputs": len(node.outputs)} | node.attributes
    axis, start, nodes = attributes.get("axis", 0) % len(shape), 0, []
    for name, size in zip(node.outputs, pieces(attributes | {"axis": axis}, np.broadcast_to(0, shape), sizes)):
        nodes.append(like(node, "Slice", (x,), {"axis": axis, "start": start, "stop": start + size, "step": 1},
                          (name,)))
        start += size
    return nodes


def gather(node, draft):
    """Constant indices: a single one, or a run of neighbours, is a Slice; others stay Gather, with attribute
    indices."""
    if node.op != "Gather" or len(node.inputs) < 2 or not draft.is_constant(node.inputs[1]):
        return None
    x, indices = node.inputs[0], draft.constants[node.inputs[1]].astype(np.int64)
    if x in draft.constants:
        return None
    shape = draft.shapes[x]
    axis = node.attributes.get("axis", 0) % len(shape)
    listed = tuple(int(i) % shape[axis] for i in indices.reshape(-1))
    target = (*shape[:axis], *indices.shape, *shape[axis + 1:])
    part = draft.fresh(node.outputs[0])
    if listed == tuple(range(listed[0], listed[0] + len(listed))):
        first = like(node, "Slice", (x,), {"axis": axis, "start": listed[0], "stop": listed[-1] + 1, "step": 1},
                     (part,))
    else:
        first = like(node, "Gather", (x,), {"axis": axis, "indices": listed}, (part,))
    return [first, like(node, "Reshape", (part,), {"shape": target})]


def pad(node, draft):
    if node.op != "Pad" or len(node.inputs) == 1 or not static(draft, node.inputs[1:]):
        return None
    if node.attributes.get("mode", "constant") != "constant":
        return None
    x, pads, *rest = node.inputs
    pads, rank = ints(draft.constants[pads]), len(draft.shapes[x])
    axes = [i % rank for i in ints(draft.constants[rest[1]])] if len(rest) > 1 and rest[1] else range(rank)
    whole = [0] * 2 * rank
    for i, axis in enumerate(axes):
        whole[axis], whole[rank + axis] = pads[i], pads[len(pads) // 2 + i]
    value = draft.scalar(rest[0]) if rest and rest[0] else 0.0
    return [like(node, "Pad", (x,), {"pads": tuple(whole), "value": value})]


def is_plain_mean(node):
    axes = node.attributes.get("axes", ())
    return len(node.inputs) == 1 and axes and min(axes) >= 0 and node.attributes.get("keepdims", 1) == 0


def mean(node, draft):
    """ReduceMean drops its axes; where they were kept as ones, a Reshape brings them back."""
    if node.op == "ReduceMean" and static(draft, node.inputs[1:]) and not is_plain_mean(node):
        rank = len(draft.shapes[node.inputs[0]])
        axes = ints(draft.constants[node.inputs[1]]) if len(node.inputs) > 1 else node.attributes.get("axes")
        if not axes and node.attributes.get("noop_with_empty_axes"):
            return [like(node, "Identity", node.inputs[:1])]
        axes, keep = sorted(i % rank for i in axes or range(rank)), node.attributes.get("keepdims", 1)
    else:
        return None
    attributes = {"axes": tuple(axes), "keepdims": 0}
    if not keep:
        return [like(node, "ReduceMean", node.inputs[:1], attributes)]
    part = draft.fresh(node.outputs[0])
    kept = tuple(1 if i in axes else n for i, n in enumerate(draft.shapes[node.inputs[0]]))
    return [like(node, "ReduceMean", node.inputs[:1], attributes | {"kept": 1}, (part,)),
            like(node, "Reshape", (part,), {"shape": kept})]


def clip(node, draft):
    """Bounds as attributes min and max; Min and Max with a number are Clip too."""
    if node.op in ("Min", "Max") and len(node.inputs) == 2:
        for x, bound in (node.inputs, node.inputs[::-1]):
            if draft.scalar(bound) is not None and x in draft.shapes:
                word = "max" if node.op == "Min" else "min"
                bounds = {"min": -math.inf, "max": math.inf} | {word: draft.scalar(bound)}
                return [like(node, "Clip", (x,), bounds)]
    if node.op != "Clip" or "min" in node.attributes or not static(draft, node.inputs[1:]):
        return None
    lo, hi = (*node.inputs[1:], "", "")[:2]
    return [like(node, "Clip", node.inputs[:1], node.attributes | {"min": draft.scalar(lo) if lo else -math.inf,
                                                "max": draft.scalar(hi) if hi else math.inf})]


def arithmetic(node, draft):
    """Constants come second; subtracting and dividing by a constant are Add and Mul; Neg and Reciprocal likewise."""
    if node.op == "Neg":
        return [like(node, "Mul", (node.inputs[0], draft.constant(f"{node.outputs[0]}.factor", -1.0)))]
    if node.op not in ("Add", "Mul", "Sub", "Div") or len(node.inputs) != 2:
        return None
    x, y = node.inputs
    if node.op in ("Add", "Mul"):
        return [like(node, node.op, (y, x))] if x in draft.constants and y not in draft.constants else None
    if y in draft.constants and (node.op == "Div" or y not in draft.grids):
        value = draft.constants[y]
        op, value = ("Add", -value) if node.op == "Sub" else ("Mul", 1.0 / value)
        return [like(node, op, (x, draft.constant(y, value)))]
    if node.op == "Sub" and x in draft.constants and x not in draft.grids:
        part = draft.fresh(node.outputs[0])
        return [like(node, "Mul", (y, draft.constant(f"{part}.factor", -1.0)), outputs=(part,)),
                like(node, "Add", (part, x))]
    return None


def conv(node, draft):
    """Attributes all said, padding in pixels, a bias always there."""
    said = {"strides", "pads", "dilations", "group"}
    if node.op != "Conv" or not draft.is_constant(*node.inputs[1:]):
        return None
    if len(node.inputs) == 3 and set(node.attributes) == said:
        return None
    shape, weight, a = draft.shapes[node.inputs[0]], draft.constants[node.inputs[1]], node.attributes
    if len(shape) != 4:
        return None
    begins, ends = conv_padding(a, shape[2:], weight.shape[2:])
    bias = node.inputs[2] if len(node.inputs) > 2 else draft.constant(f"{node.inputs[1]}.bias", np.zeros(len(weight)))
    explicit = {"strides": tuple(a.get("strides", (1, 1))), "pads": (*begins, *ends),
                "dilations": tuple(a.get("dilations", (1, 1))), "group": a.get("group", 1)}
    return [like(node, "Conv", (*node.inputs[:2], bias), explicit)]


def pool(node, draft):
    """Attributes all said, padding in pixels; a global pool is one whose window is the image."""
    shape = draft.shapes.get(node.inputs[0]) if node.inputs else None
    if shape is None or len(shape) != 4:
        return None
    if node.op in ("GlobalAveragePool", "GlobalMaxPool"):
        whole = {"whole": 1} if node.op == "GlobalAveragePool" else {}
        return [like(node, node.op[6:], node.inputs, {"kernel_shape": tuple(shape[2:]), **whole})]
    done = {"kernel_shape", "strides", "dilations", "pads"}
    if node.op not in ("AveragePool", "MaxPool") or node.attributes.keys() - {"counted", "whole"} == done:
        return None
    kernel, strides, dilations, pads = window(node.attributes, shape)
    said = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}
    said |= {k: v for k, v in node.attributes.items() if k == "whole"}
    if node.op == "AveragePool" and node.attributes.get("count_include_pad") and any(pads):
        said["counted"] = window({**node.attributes, "ceil_mode": 0}, shape)[3]
    return [like(node, node.op, node.inputs[:1], said, node.outputs[:1])]


def conv_transpose(node, draft):
    """Attributes all said, padding in pixels, a bias always there."""
    said = {"strides", "pads", "dilations", "group", "output_padding"}
    if node.op != "ConvTranspose" or not draft.is_constant(*node.inputs[1:]):
        return None
    shape, weight, a = draft.shapes[node.inputs[0]], draft.constants[node.inputs[1]], node.attributes
    if len(shape) != 4 or len(node.inputs) == 3 and set(a) == said:
        return None
    begins, ends, extra = transposed_padding(a, shape[2:], weight.shape[2:])
    count = weight.shape[1] * a.get("group", 1)
    bias = node.inputs[2] if len(node.inputs) > 2 else draft.constant(f"{node.inputs[1]}.bias", np.zeros(count))
    explicit = {"strides": tuple(a.get("strides", (1, 1))), "pads": (*begins, *ends), "group": a.get("group", 1),
                "dilations": tuple(a.get("dilations", (1, 1))), "output_padding": extra}
    return [like(node, "ConvTranspose", (*node.inputs[:2], bias), explicit)]


rules = (fold_constants, drop_idle, reshape, transpose, slice_axes, split, gather, pad, mean, clip, arithmetic, conv, pool,
         conv_transpose)
