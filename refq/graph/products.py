"""products: rules that bring matrix products into two forms: `Linear(x, weight (m k), bias (m))` where one side is
constant, `MatMul(a, b (... m k))` with `transpose_b` and the factor `alpha` where both are activations; Attention is
taken apart into them.
"""
import numpy as np

from refq.errors import Unsupported
from refq.graph.graph import Node
from refq.graph.plain import like
from refq.grids.affine import Affine

moves = {"Reshape", "Transpose", "Slice"}


def two_axes(grid, ndim, turned, factor=1.0):
    """The grid of a constant of `ndim` axes, all but the last two of them ones, as a matrix, `turned` or not, times a number;
    None where blocks or slices lie along other axes."""
    if grid is None or factor <= 0 or grid.block is not None and ndim > 2:
        return None
    axis = None if grid.axis is None else grid.axis % ndim - ndim + 2
    if axis is not None and axis < 0:
        return None
    scale, zero = (grid.scale.T, grid.zero.T) if turned else (grid.scale, grid.zero)
    return Affine(grid.width, scale * factor, zero, axis if axis is None or not turned else 1 - axis, grid.block, grid.narrow)


def gemm(node, draft):
    if node.op != "Gemm":
        return None
    a, (x, y) = node.attributes, node.inputs[:2]
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    if x in draft.constants:
        return None
    nodes = []
    if a.get("transA"):
        turned = draft.fresh(f"{x}.turned")
        nodes.append(like(node, "Transpose", (x,), {"perm": (1, 0)}, (turned,)))
        x = turned
    if y in draft.constants:
        weight, alpha = draft.constants[y] if a.get("transB") else draft.constants[y].T, a.get("alpha", 1.0)
        grid = two_axes(draft.grids.get(y), 2, not a.get("transB"), alpha)
        target = node.outputs[0] if not bias else draft.fresh(f"{node.outputs[0]}.product")
        zeros = draft.constant("zeros", np.zeros(len(weight)))
        nodes.append(like(node, "Linear", (x, draft.constant(y, weight * alpha, grid), zeros),
                          outputs=(target,)))
    else:
        target = node.outputs[0] if not bias else draft.fresh(f"{node.outputs[0]}.product")
        attributes = {"alpha": a.get("alpha", 1.0)} | ({"transpose_b": True} if a.get("transB") else {})
        nodes.append(like(node, "MatMul", (x, y), attributes, (target,)))
    if bias and a.get("beta", 1.0) != 1.0:
        scaled = draft.fresh(f"{bias}.scaled")
        nodes.append(like(node, "Mul", (bias, draft.constant("beta", a["beta"])), outputs=(scaled,)))
        bias = scaled
    return nodes + ([like(node, "Add", (target, bias))] if bias else [])


def linear(node, draft):
    """A MatMul by a constant matrix is Linear; a vector that is added right after it joins it later, as every
    constant."""
    if node.op != "MatMul" or node.inputs[1] not in draft.constants or node.inputs[0] in draft.constants:
        return None
    weight = draft.constants[node.inputs[1]]
    if weight.ndim < 2 or any(n != 1 for n in weight.shape[:-2]):
        return None
    if len(draft.shapes[node.inputs[0]]) < max(2, weight.ndim):
        return None
    turned, alpha = not node.attributes.get("transpose_b"), node.attributes.get("alpha", 1.0)
    grid = two_axes(draft.grids.get(node.inputs[1]), weight.ndim, turned, alpha)
    weight = weight.reshape(weight.shape[-2:])
    weight = (weight.T if turned else weight) * alpha
    weight = np.ascontiguousarray(weight)
    zeros = draft.constant("zeros", np.zeros(len(weight)))
    return [like(node, "Linear", (node.inputs[0], draft.constant(node.inputs[1], weight, grid), zeros))]


def scaled_operand(node, draft):
    """A number that q or k is multiplied by, before moves, goes into `alpha` of their product."""
    if node.op != "MatMul":
        return None
    for side, name in enumerate(node.inputs):
        chain = []
        while (maker := draft.maker(name)) is not None and maker.op in moves and draft.readers(name) <= 1:
            chain.append(maker)
            name = maker.inputs[0]
        scale = draft.made_by(name, "Mul")
        if scale is None or draft.scalar(scale.inputs[1]) is None:
            continue
        nodes, x = [], scale.inputs[0]
        for move in reversed(chain):
            moved = draft.fresh(move.outputs[0])
            nodes.append(Node(move.name, move.op, (x,), (moved,), move.attributes))
            x = moved
        operands = (x, node.inputs[1]) if side == 0 else (node.inputs[0], x)
        alpha = node.attributes.get("alpha", 1.0) * draft.scalar(scale.inputs[1])
        return nodes + [like(node, "MatMul", operands, node.attributes | {"alpha": alpha})]
    return None


def scaled_product(node, draft):
    """A number that the product is multiplied by goes into its `alpha`."""
    if node.op != "Mul" or draft.scalar(node.inputs[1]) is None or draft.readers(node.inputs[0]) > 1:
        return None
    product = draft.made_by(node.inputs[0], "MatMul")
    if product is None:
        return None
    alpha = product.attributes.get("alpha", 1.0) * draft.scalar(node.inputs[1])
    return [Node(product.name, "MatMul", product.inputs, node.outputs, product.attributes | {"alpha": alpha})]


def rows_by_rows(node, draft):
    """A product of activations always reads its second operand as rows (... m k): a Transpose before it takes that
    over."""
    if node.op != "MatMul" or node.attributes.get("transpose_b"):
        return None
    if not all(name in draft.shapes for name in node.inputs):
        return None
    a, b = node.inputs
    rank = len(draft.shapes[b])
    if rank < 2 or len(draft.shapes[a]) < 2:
        return None
    turn = draft.made_by(b, "Transpose")
    source, perm = (turn.inputs[0], list(turn.attributes["perm"])) if turn is not None else (b, list(range(rank)))
    perm[-2:] = perm[:-3:-1]
    turned = draft.fresh(f"{b}.rows")
    attributes = {"alpha": 1.0} | node.attributes | {"transpose_b": True}
    name = turn.name if turn is not None else node.name
    return [Node(name, "Transpose", (source,), (turned,), {"perm": tuple(perm)}),
            like(node, "MatMul", (a, turned), attributes)]


def attention(node, draft):
    """Attention of opset 23 and newer: two products around a softmax, a mask added to the logits."""
    if node.op != "Attention":
        return None
    a, inputs = node.attributes, (*node.inputs, "", "", "")
    q, k, v, mask = inputs[:4]
    heads = a.get("q_num_heads")
    groups = (a.get("kv_num_heads", heads) != heads if heads else draft.shapes[q][1] != draft.shapes[k][1])
    choices = {"softcap": a.get("softcap"), "past keys": inputs[4],
               "grouped heads": groups, "several outputs": any(node.outputs[1:])}
    asked = [word for word, said in choices.items() if said]
    if asked:
        raise Unsupported(f"{draft.graph.name}, node {node.name}: Attention with {', '.join(asked)} is not supported.")
    nodes, flat = [], len(draft.shapes[q]) == 3

    def step(op, inputs, attributes, word, last=False):
        output = node.outputs[0] if last else draft.fresh(f"{node.outputs[0]}.{word}")
        nodes.append(Node(f"{node.name}/{word.title()}", op, inputs, (output,), attributes))
        return output

    if flat:
        sides = []
        for name, word in ((q, "q"), (k, "k"), (v, "v")):
            n, rows, width = draft.shapes[name]
            parted = step("Reshape", (name,), {"shape": (n, rows, heads, width // heads)}, f"{word}_heads")
            sides.append(step("Transpose", (parted,), {"perm": (0, 2, 1, 3)}, word))
        depth, (q, k, v) = draft.shapes[q][-1] // heads, sides
    else:
        depth = draft.shapes[q][-1]
    alpha = a.get("scale") or depth ** -0.5
    logits = step("MatMul", (q, k), {"alpha": alpha, "transpose_b": True}, "logits")
    seen = np.ones((1, 1), bool)
    if a.get("is_causal"):          # counted from the first key, whatever the number of queries
        seen = np.tri(*(draft.shapes[name][-2] for name in node.inputs[:2]), dtype=bool)
    if mask in draft.constants and draft.constants[mask].dtype == bool:
        seen = seen & draft.constants[mask]
    elif mask:
        logits = step("Add", (logits, mask), {}, "masked")
    masked = () if seen.all() else (draft.constant(f"{node.outputs[0]}.seen", seen.astype(np.float64)),)
    weights = step("Softmax", (logits, *masked), {"mask": "given"} if masked else {}, "softmax")
    y = step("MatMul", (weights, v), {}, "mixed", last=not flat)
    if flat:
        back = step("Transpose", (y,), {"perm": (0, 2, 1, 3)}, "joined")
        n, rows, _ = draft.shapes[node.inputs[0]]
        width = draft.shapes[node.inputs[2]][-1]
        step("Reshape", (back,), {"shape": (n, rows, width)}, "joined_heads", last=True)
    return nodes


rules = (attention, gemm, linear, scaled_product, scaled_operand)
