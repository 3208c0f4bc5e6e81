"""canonical: a float graph in the one form that lowering reads.

Axis 0 of every activation is the batch, of one image; every shape is known. The operations, constants in float64:

    Conv(x (1 c h w), weight (m c/group kh kw), bias (m))   strides, pads (top left bottom right), dilations, group
    Linear(x (1 ... k), weight (m k), bias (m))
    MatMul(a (1 ... r k), b (1 ... m k))                    transpose_b: True, alpha: the factor of the product
    ConvTranspose(x, weight (c m/group kh kw), bias (m))    and output_padding
    AveragePool(x)  MaxPool(x)                              kernel_shape, strides, dilations, pads; counted: pads that count
    Add(a, b)  Sub(a, b)  Mul(a, b)                         b may be a constant that broadcasts
    LayerNormalization(x, weight (c), bias (c))             epsilon; over the last axis
    RMSNormalization(x, weight (c))                         epsilon; over the last axis
    GroupNormalization(x (1 c ...), weight (c), bias (c))   num_groups, epsilon
    LpNormalization(x)                                      of p = 2 over the last axis; epsilon: the least norm
    BatchNormalization(x, weight (c), bias (c))             axis: a factor and an offset for each channel, with no weights before
    Softmax(x)                                              over the last axis
    Softmax(x (1 ... r k), seen) mask: given                a constant that broadcasts, 0 where a query does not see a key
    Softmax(x, positions (1 r)) mask: positions             the last key that it sees;  Softmax(x) mask: causal: its own
    Gelu(x) approximate: none, tanh     Clip(x) min, max     Swish(x) alpha     HardSigmoid(x) alpha, beta
    LeakyRelu(x) alpha     Relu Sigmoid Tanh HardSwish Erf Exp Abs Sqrt(x)
    Reshape(x) shape   Transpose(x) perm   Slice(x) axis, start, stop, step   Gather(x) axis, indices
    Concat(x...) axis: constants may be among them   Pad(x) pads (begins, ends), value
    ReduceMean(x) axes, dropped (keepdims: 0); kept: a Reshape brings them back as ones
    ReduceSum(x) axes, dropped (keepdims: 0)                Expand(x) shape: axes of one made longer
    TopKValues(x) TopKPlaces(x) k, over the last axis       the largest, equal ones in order
    ArgMax(x) over the last axis, dropped (axis: -1, keepdims: 0)

Language models, which are built in this form, hold beside these, places being integers of an input or a constant:

    Gather(table (v c), tokens (1 t))   RotaryEmbedding(x (1 h t d), cos and sin (p d/2), positions (1 t)) by halves
    Append(cache (1 h p d), new (1 h t d), positions (1 t))

In a network that comes quantized (`grids`) others may be left, of one result each: they are evaluated in float where they
stand. Its tensors keep their names, and every node is called after what it makes; Requantize(x) is between two grids.
"""
from refq.errors import Unsupported
from refq.graph import fuse, fuse_norms, masks, plain, products, vision
from refq.graph.front import batch_in_front
from refq.graph.graph import Node
from refq.graph.names import kept, named
from refq.graph.placed import placed
from refq.graph.plain import like
from refq.graph.rewrite import pruned, settled

unary = ("Gelu", "Clip", "Swish", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Tanh", "Erf", "Exp",
         "Abs", "Sqrt")
NORMS = ("RMSNormalization", "GroupNormalization", "BatchNormalization")
moving = ("Reshape", "Transpose", "Slice", "Gather", "Expand", "Concat", "Pad")
operations = {"Conv", "ConvTranspose", "AveragePool", "MaxPool", "Linear", "MatMul", "Add", "Sub", "Mul",
              "LayerNormalization", "RMSNormalization", "GroupNormalization", "BatchNormalization", "LpNormalization",
              "Softmax", "ReduceMean", "ReduceSum", "ArgMax", "TopKValues", "TopKPlaces",
              *unary, *moving}


def canonical(graph):
    """The graph in canonical form, computing the same values; Unsupported names all operations that have none at once.

    A graph whose shapes are known is in canonical form, and comes back as it is.
    """
    if graph.shapes:
        return graph
    outputs = graph.outputs
    always = (*plain.rules, *vision.rules)
    graph = settled(graph, *always)
    graph = settled(graph, *fuse.patterns, *fuse_norms.patterns, *masks.rules, *always)
    graph = settled(graph, *products.rules, *always)
    graph = settled(graph, fuse.affine_after, fuse_norms.gain_after, negated, last_axis, *always)
    graph = settled(graph, fuse_norms.left_over, plain.drop_idle)
    graph = settled(graph, products.rows_by_rows, plain.drop_idle, joined_reshapes)
    refuse(graph)
    graph = batch_in_front(graph)
    graph = settled(graph, plain.drop_idle, joined_reshapes, joined_transposes, ones_dropped_first)
    return kept(placed(pruned(graph)), outputs) if graph.grids else named(pruned(graph), outputs)


def negated(node, draft):
    """What is subtracted right after weights is added, with weights of the other sign."""
    before = draft.maker(node.inputs[1]) if node.op == "Sub" and not draft.grids else None
    if before is None or before.op not in ("Linear", "Conv", "LayerNormalization") or draft.readers(node.inputs[1]) > 1:
        return None
    negative = draft.fresh(f"{node.outputs[0]}.negative")
    return [like(node, "Mul", (node.inputs[1], draft.constant("minus", -1.0)), outputs=(negative,)),
            like(node, "Add", (node.inputs[0], negative))]


def last_axis(node, draft):
    """Softmax and ArgMax work along the last axis: others are turned to it and back."""
    done = {"Softmax": {}, "ArgMax": {"axis": -1, "keepdims": 0}}
    if node.op not in done or node.attributes == done[node.op] or node.attributes.get("mask"):
        return None
    shape = draft.shapes[node.inputs[0]]
    rank, a = len(shape), node.attributes
    axis = a.get("axis", -1 if node.op == "Softmax" else 0) % rank
    if node.op == "Softmax" and axis == rank - 1:
        return [like(node, "Softmax", node.inputs)]
    perm = (*(i for i in range(rank) if i != axis), axis)
    turned, result = draft.fresh(f"{node.inputs[0]}.turned"), draft.fresh(f"{node.outputs[0]}.turned")
    first = like(node, "Transpose", node.inputs, {"perm": perm}, (turned,))
    if node.op == "Softmax":
        back = tuple(perm.index(i) for i in range(rank))
        return [first, like(node, "Softmax", (turned,), {}, (result,)),
                like(node, "Transpose", (result,), {"perm": back})]
    kept = tuple(1 if i == axis else n for i, n in enumerate(shape))
    shape = kept if a.get("keepdims", 1) else kept[:axis] + kept[axis + 1:]
    return [first, like(node, "ArgMax", (turned,), {"axis": -1, "keepdims": 0}, (result,)),
            like(node, "Reshape", (result,), {"shape": shape})]


def joined_reshapes(node, draft):
    """A Reshape of a Reshape is one."""
    before = draft.made_by(node.inputs[0], "Reshape") if node.op == "Reshape" else None
    return [like(node, "Reshape", before.inputs, node.attributes)] if before is not None else None


def joined_transposes(node, draft):
    """A Transpose of a Transpose is one."""
    before = draft.made_by(node.inputs[0], "Transpose") if node.op == "Transpose" else None
    if before is None:
        return None
    return [like(node, "Transpose", before.inputs,
                 {"perm": tuple(before.attributes["perm"][i] for i in node.attributes["perm"])})]


def ones_dropped_first(node, draft):
    """A Reshape that only drops axes of one after a Transpose goes before it."""
    before = draft.made_by(node.inputs[0], "Transpose") if node.op == "Reshape" else None
    if before is None:
        return None
    kept, target = [], list(node.attributes["shape"])
    for axis, n in enumerate(draft.shapes[node.inputs[0]]):
        if len(kept) < len(target) and target[len(kept)] == n:
            kept.append(axis)
        elif n != 1:
            return None
    if len(kept) != len(target):
        return None
    source = [before.attributes["perm"][axis] for axis in kept]
    shape = draft.shapes[before.inputs[0]]
    small = draft.fresh(node.outputs[0])
    return [Node(before.name, "Reshape", before.inputs, (small,), {"shape": tuple(shape[i] for i in sorted(source))}),
            like(node, "Transpose", (small,), {"perm": tuple(sorted(source).index(i) for i in source)})]


def reason(node, graph):
    """Why the node has no canonical form, or None."""
    fixed = [name in graph.constants for name in node.inputs]
    if len(node.outputs) != 1:
        return f"{node.op} with {len(node.outputs)} outputs"
    if graph.grids:
        return None
    if node.op not in operations:
        return node.op
    if 0 in graph.shapes.get(node.outputs[0], ()):
        return f"{node.op} whose result is empty"
    if not node.attributes.get("epsilon", 0) >= 0:
        return f"{node.op} whose epsilon is not a number from 0 up"
    if node.op in NORMS and not all(fixed[1:]):
        return f"{node.op} whose weights are not constant"
    if node.op in ("Linear", "Conv", "ConvTranspose", "LayerNormalization") and (len(fixed) != 3 or fixed != [False, True, True]):
        return f"{node.op} whose weights are not constant"
    if node.op in ("Conv", "ConvTranspose", "AveragePool", "MaxPool") and len(graph.shapes[node.inputs[0]]) != 4:
        return f"{node.op} over other than two spatial axes"
    if node.op == "MatMul" and (any(fixed) or not node.attributes.get("transpose_b")):
        return "MatMul with a constant on the left, or of vectors"
    if node.op in unary and len(node.inputs) > 1 or node.op in moving and node.op != "Concat" and len(node.inputs) > 1:
        return f"{node.op} whose parameters are not constant"
    if node.op == "Slice" and "axis" not in node.attributes:
        return "Slice backwards"
    if node.op == "Pad" and node.attributes.get("mode", "constant") != "constant":
        return f"Pad in mode {node.attributes['mode']}"
    return None


def refuse(graph):
    problems = {}
    for node in graph.nodes:
        why = reason(node, graph)
        if why:
            problems.setdefault(why, []).append(node.name)
    if problems:
        each = "; ".join(f"{why} ({', '.join(names)})" for why, names in sorted(problems.items()))
        raise Unsupported(f"{graph.name} uses operations that refq does not do: {each}.")
    idle = [name for name in graph.outputs if name not in graph.producers]
    if idle:
        raise Unsupported(f"{graph.name}: output {', '.join(idle)} is not computed from the inputs.")
