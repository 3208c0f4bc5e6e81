"""vision: rules for what exporters of vision networks write beside convolutions and attention.

Sums over axes, patches put back into an image (Col2Im), values repeated along axes (Expand), and constants that change
nothing. Source: ONNX ReduceSum, Col2Im, Expand, Tile; torch.nn.functional.fold.
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.plain import is_plain_mean, like, static
from refq.reals.floats import ints

TOGETHER = ("Add", "Sub", "Mul")


def sums(node, draft):
    """ReduceSum drops its axes; where they were kept as ones, a Reshape brings them back."""
    if node.op != "ReduceSum" or not static(draft, node.inputs[1:]) or is_plain_mean(node) or node.inputs[0] in draft.constants:
        return None
    shape = draft.shapes[node.inputs[0]]
    axes = ints(draft.constants[node.inputs[1]]) if len(node.inputs) > 1 else node.attributes.get("axes")
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return [like(node, "Identity", node.inputs[:1])]
    axes = sorted(i % len(shape) for i in axes or range(len(shape)))
    attributes = {"axes": tuple(axes), "keepdims": 0}
    if not node.attributes.get("keepdims", 1):
        return [like(node, "ReduceSum", node.inputs[:1], attributes)]
    part, kept = draft.fresh(node.outputs[0]), tuple(1 if i in axes else n for i, n in enumerate(shape))
    return [like(node, "ReduceSum", node.inputs[:1], attributes, (part,)), like(node, "Reshape", (part,), {"shape": kept})]


def global_average(node, draft):
    """A global average of other than images (n c h w) is a mean over all its axes but two."""
    rank = len(draft.shapes.get(node.inputs[0]) or ()) if node.op == "GlobalAveragePool" else 4
    if rank == 4 or rank < 3:
        return None
    return [like(node, "ReduceMean", node.inputs, {"axes": tuple(range(2, rank)), "keepdims": 1})]


def col2im(node, draft):
    """Patches (1 c*kh*kw patches) that lie side by side go back to their places in the image: moves, no sums."""
    if node.op != "Col2Im" or not static(draft, node.inputs[1:]):
        return None
    size, kernel = (ints(draft.constants[name]) for name in node.inputs[1:])
    a, axes = node.attributes, len(size)
    strides = tuple(a.get("strides") or (1,) * axes)
    beside = strides == kernel and not any(a.get("pads") or ()) and set(a.get("dilations") or (1,)) == {1}
    if axes != 2 or not beside or any(n % k for n, k in zip(size, kernel)):
        raise Unsupported(f"{draft.graph.name}, node {node.name}: Col2Im of patches of {kernel} at strides of {strides} in an "
                          f"image of {size}; supported are patches that lie side by side and fill an image.")
    (high, wide), (kh, kw) = size, kernel
    n, rows, _ = draft.shapes[node.inputs[0]]
    parts, turned = draft.fresh(f"{node.outputs[0]}.patches"), draft.fresh(f"{node.outputs[0]}.places")
    c = rows // (kh * kw)
    return [like(node, "Reshape", node.inputs[:1], {"shape": (n, c, kh, kw, high // kh, wide // kw)}, (parts,)),
            like(node, "Transpose", (parts,), {"perm": (0, 1, 4, 2, 5, 3)}, (turned,)),
            like(node, "Reshape", (turned,), {"shape": (n, c, high, wide)})]


def expand(node, draft):
    """Expand says its whole shape as an attribute, and vanishes where it is the shape there is; Tile of axes of one is
    Expand."""
    if node.op not in ("Expand", "Tile") or len(node.inputs) < 2 or not static(draft, node.inputs[1:]):
        return None
    x = node.inputs[0]
    shape, said = draft.shapes.get(x), ints(draft.constants[node.inputs[1]])
    if shape is None:
        return None
    if node.op == "Expand":
        whole = np.broadcast_shapes(shape, said)
        return unchanged(node, draft) if whole == tuple(shape) else [like(node, "Expand", (x,), {"shape": whole})]
    if any(times > 1 and size > 1 for size, times in zip(shape, said)):
        return None
    return [like(node, "Expand", (x,), {"shape": tuple(size * times for size, times in zip(shape, said))})]


def expanded_operand(node, draft):
    """What joins two tensors broadcasts them itself: an Expand before it goes, where the other operand has its shape."""
    if node.op not in TOGETHER:
        return None
    inputs = list(node.inputs)
    for side, name in enumerate(inputs):
        before = draft.made_by(name, "Expand")
        if before is None or "shape" not in before.attributes:
            continue
        whole = draft.shapes[name]
        short, other = (draft.shapes[n] if n in draft.shapes else draft.constants[n].shape
                        for n in (before.inputs[0], inputs[1 - side]))
        if np.broadcast_shapes(short, other) == np.broadcast_shapes(whole, other):
            inputs[side] = before.inputs[0]
    return None if inputs == list(node.inputs) else [like(node, node.op, inputs, node.attributes)]


def idle_constant(node, draft):
    """A constant all of zeros is not added, one all of ones does not multiply, where they make no axis longer."""
    if draft.grids:
        return None
    neutral = {"Add": 0, "Sub": 0, "Mul": 1}.get(node.op)
    if neutral is None or node.inputs[1] not in draft.constants or node.inputs[0] in draft.constants:
        return None
    value, shape = draft.constants[node.inputs[1]], tuple(draft.shapes[node.inputs[0]])
    if not value.size or (value != neutral).any() or np.broadcast_shapes(shape, value.shape) != shape:
        return None
    return unchanged(node, draft)


def topk(node, draft):
    """TopK is two operations on the last axis: TopKValues and TopKPlaces, of one result each."""
    if node.op != "TopK" or not static(draft, node.inputs[1:]):
        return None
    x, (k,), a = node.inputs[0], ints(draft.constants[node.inputs[1]]), node.attributes
    if not a.get("largest", 1):
        raise Unsupported(f"{draft.graph.name}, node {node.name}: TopK of the smallest is not supported; negate what it reads.")
    rank = len(draft.shapes[x])
    axis, size = a.get("axis", -1) % rank, draft.shapes[x][a.get("axis", -1) % rank]
    if not 1 <= k <= size:
        raise IllFormed(f"{draft.graph.name}: node {node.name} (TopK) asks for the largest {k} of {size}; ask for 1 to {size}.")
    perm, nodes = (*(i for i in range(rank) if i != axis), axis), []
    if axis != rank - 1:
        turned = draft.fresh(f"{x}.turned")
        nodes, x = [like(node, "Transpose", (x,), {"perm": perm}, (turned,))], turned
    for op, name in zip(("TopKValues", "TopKPlaces"), node.outputs):
        made = name if axis == rank - 1 else draft.fresh(f"{name}.turned")
        back = tuple(perm.index(i) for i in range(rank))
        nodes += [like(node, op, (x,), {"k": k}, (made,))] * bool(name)
        nodes += [like(node, "Transpose", (made,), {"perm": back}, (name,))] * bool(name and made != name)
    return nodes


def masked_bias(node, draft):
    """A constant added to the logits of a softmax that holds a bias and a mask in one (Swin's) is added as two: the bias, and
    -100 for what is masked. Behind a softmax 2**-115 of the largest is nothing."""
    if node.op != "Add" or node.inputs[1] not in draft.constants or not ends_in_softmax(draft.graph, node.outputs[0]):
        return None
    value = draft.constants[node.inputs[1]]
    hidden = value <= -80
    if not hidden.any() or (np.abs(value[~hidden]) >= 40).any() or not value[~hidden].any():
        return None
    bias, part = np.where(hidden, 0.0, value), draft.fresh(f"{node.outputs[0]}.biased")
    mask = draft.constant(f"{node.inputs[1]}.mask", np.where(hidden, -100.0, 0.0))
    return [like(node, "Add", (node.inputs[0], draft.constant(node.inputs[1], bias)), outputs=(part,)),
            like(node, "Add", (part, mask))]


def ends_in_softmax(graph, name):
    """Whether everything that reads the tensor is a Softmax, but for Reshapes on the way."""
    readers = graph.consumers.get(name, ())
    return bool(readers) and name not in graph.outputs and all(
        n.op == "Softmax" or n.op == "Reshape" and ends_in_softmax(graph, n.outputs[0]) for n in readers)


def unchanged(node, draft):
    draft.rename(node.outputs[0], node.inputs[0])
    return []


rules = (sums, topk, global_average, col2im, expand, expanded_operand, masked_bias, idle_constant)
