"""Lower: a canonical float graph, its grids, a recipe and a dialect become a Program.

One function per float operation; `lowered` maps the operation's name to it. See builder.py for what they share.
"""
from decimal import Decimal

import numpy as np

from refq import ops
from refq.errors import IllFormed, Unsupported
from refq.graph import weight_groups
from refq.graph.activations import behind_sums
from refq.graph.attention import known as facts_of
from refq.graph.attention import matmul, plain_codes, softmax
from refq.graph.builder import Builder, zero_of
from refq.graph.calibrate import grid as covering
from refq.graph.factors import settled
from refq.graph.images import conv, conv_transpose, mean
from refq.graph.language import append, gather, rotary
from refq.graph.moves import concat, pad, reshape, slices, transpose
from refq.graph.norms import batch_norm, group_norm, l2_norm, layernorm, rmsnorm
from refq.graph.play import fitted
from refq.graph.pools import average_pool, max_pool
from refq.graph.spread import broadcast, expand, reduce_sum
from refq.grids.affine import Affine, same
from refq.ints import functions
from refq.ints.width import Width


def lower(graph, grids, recipe, dialect, masks=None):
    """The Program of the canonical `graph` whose groups of tensors lie on `grids` (group to Affine), weights masked by `masks`
    (name to Mask) behind the choice of theirs.

    Raises IllFormed where the dialect forbids what the recipe asks for or lacks an operation, and Unsupported with every
    node that cannot be lowered."""
    recipe.admit(dialect)
    unknown = [n for n in graph.nodes if n.op not in lowered]
    if unknown:
        raise Unsupported(f"cannot be run in integers: {', '.join(f'{n.op} (node {n.name})' for n in unknown)}; "
                          f"supported are {', '.join(sorted(lowered))}")
    if twice := [name for name in graph.outputs if graph.outputs.count(name) > 1]:
        raise Unsupported(f"{graph.name}: several outputs are one tensor, {twice[0]}; leave out all but one")
    builder = Builder(graph, grids, recipe, dialect, masks)
    for node in graph.nodes:
        try:
            own, node = settled(builder, plain_codes(builder, node))
            (own or lowered[node.op])(builder, node)
        except IllFormed as e:
            named = any(f"{word} {node.name}" in str(e) for word in ("node", "step"))
            raise e if named else IllFormed(f"node {node.name}: {e}") from None
    return builder.program()


def linear(b, node):
    x = b.tensors[b.factor(node.inputs[0])]
    out = node.outputs[0]
    if weight_groups.grouped(b, node):
        return weight_groups.product(b, node, x)
    weights = b.weights(node, x, *node.inputs[1:])
    factors = b.product(node, "matmul", x, x.name, weights, b.shape(out))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out), factors,
              plays=b.behind("linear", f"{node.name}.acc", weights[0]))


def joined(b, node, role):
    """Two operands, each on a grid of its own, in the shape of the result."""
    out = node.outputs[0]
    x, y = (b.tensors[name if name in b.tensors else b.spread(node, name, out)] for name in node.inputs)
    x, y = (broadcast(b, node, tensor, b.shape(out)) for tensor in (x, y))
    grid = b.grid_of(out)
    b.step(node.name, b.dialect.fitted(role, x.width, y.width, grid.width), {"a": x.name, "b": y.name},
           [(out, b.shape(out), grid, "activation")], {"a": x.grid.scale, "b": y.grid.scale, "y": grid.scale},
           {"a": x.width, "b": y.width, "out": grid.width, "join": "minus" if role == "sub" else "plus"},
           sa=float(x.grid.scale), za=zero_of(x), sb=float(y.grid.scale), zb=zero_of(y), so=float(grid.scale), zo=int(grid.zero))


def add(b, node):
    joined(b, node, "add")


def subtract(b, node):
    joined(b, node, "sub")


def multiply(b, node):
    """By a constant that lies on no grid, one for all or one for each channel: another scale, so a rescale."""
    if not b.scales_by(node.inputs[1]):
        joined(b, node, "mul")
        return
    x, by, out = b.tensors[node.inputs[0]], b.graph.constants[node.inputs[1]], node.outputs[0]
    if by.size != 1 and by.shape != (1,) * (by.ndim - 1) + x.shape[-1:]:
        raise Unsupported(f"node {node.name}: multiplies by a constant of shape {by.shape}; one number, or one for each channel "
                          "of the last axis, is supported")
    if (by < 0).any():
        raise Unsupported(f"node {node.name}: multiplies by a negative constant; fold it into the weights before")
    b.rescale(node.name, x.name, out, b.grid_of(out), (x.grid.scale, by.reshape(-1)), zero_of(x))


def known(b, role, x, grid, **facts):
    """What the operation of a role builds its constants from, of what a node of one operand knows."""
    return facts_of(b.part(role).op, x, grid, **facts)


def onto(b, node, role, x, out, **facts):
    """An operation of one operand that gives codes of the grid that its constants are made for."""
    grid = b.grid_of(out)
    b.step(node.name, role, {"q": x.name}, [(out, x.shape, grid, "activation")], {"x": x.grid.scale, "y": grid.scale},
           {"q": x.width, "out": grid.width}, **known(b, role, x, grid, **facts))


def registered(b, node, role, x, out, *parameters, **build):
    """An operation whose result counts units of its own, from a zero point of its own: then a rescale onto the grid of `out`."""
    part, grid = b.part(role), b.grid_of(out)
    module = ops.load(part.op)
    units = np.asarray(module.result(part.row, float(x.grid.scale), *parameters), np.float64)
    zero = module.zero(part.row) if hasattr(module, "zero") else 0
    raw, axis = f"{node.name}.raw", -1 if units.ndim else None
    scales = {"x": x.grid.scale} | {k: v for k, v in build.items() if k in ("gamma", "beta")}
    b.step(node.name, role, {"q": x.name}, [(raw, x.shape, None, "accumulator")], scales, {"q": x.width}, **build)
    b.tensor(raw, x.shape, Affine(b.tensors[raw].width, units, np.full(units.shape, zero, np.int64), axis), "accumulator")
    b.rescale(f"{node.name}.rescale", raw, out, grid, (units,), zero)


def gelu(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    role = b.dialect.fitted("gelu", x.width)
    function = "gelu_tanh" if node.attributes.get("approximate") == "tanh" else "gelu"
    module = ops.load(b.part(role).op)
    if hasattr(module, "reads_accumulators"):
        behind_sums(b, node, role, x, out)
    elif hasattr(module, "result"):
        registered(b, node, role, x, out, **known(b, role, x, b.grid_of(out)))
    else:
        onto(b, node, role, x, out, function=function)


def function_of(node):
    """The name of a real function (refq.ints.functions), or its Decimal form where it has a parameter."""
    a = node.attributes
    if node.op == "Swish" and a.get("alpha", 1.0) != 1.0:
        steep = Decimal(a["alpha"])
        return lambda x: x * functions.sigmoid(steep * x)
    if node.op == "LeakyRelu":
        leak = Decimal(a["alpha"])
        return lambda x: x if x >= 0 else leak * x
    if node.op == "HardSigmoid":
        slope, middle = Decimal(a.get("alpha", 0.2)), Decimal(a.get("beta", 0.5))
        return lambda x: min(max(slope * x + middle, Decimal(0)), Decimal(1))
    if node.op in ("Abs", "Sqrt"):
        return abs if node.op == "Abs" else lambda x: max(x, Decimal(0)).sqrt()
    return {"Sigmoid": "sigmoid", "Tanh": "tanh", "Exp": "exp", "Erf": "erf", "Swish": "silu", "HardSwish": "hard_swish"}[node.op]


OWN = {"Sigmoid": "sigmoid", "Tanh": "tanh", "LeakyRelu": "leaky_relu", "HardSwish": "hard_swish"}
"""Functions of one code for which a target may have an operation; else they are tables."""


def given(b, node, role, x, grid, facts):
    """The grid on which an operation gives its codes, if it may choose `grid`; raises Unsupported where it does not take these
    operands: then nothing else computes what the target does. One that gives 8 bits at most gives them for a wider grid too."""
    part = b.part(role)
    module = ops.load(part.op)
    try:
        row = fitted(part.row, {"q": x.width, "out": grid.width})
        only = Affine(grid.width, *module.result(row)) if hasattr(module, "result") else grid
        if part.op != "table":
            module.build(row, **known(b, role, x, only, **facts))
    except IllFormed as e:
        if grid.width.bits > 8 and not b.graph.grids:
            ends = (float(grid.decode(np.array(code))) for code in (grid.width.lo, grid.width.hi))
            return given(b, node, role, x, covering(tuple(ends), 8, b.dialect), facts)
        raise Unsupported(f"node {node.name}: {role} of dialect {b.dialect.name} does not take it: {e}") from None
    return only


def unary(b, node):
    """By an operation of the target's own where it has one, else by a table; one that gives codes of one grid only is
    followed by a rescale onto the node's."""
    x, out = b.tensors[b.factor(node.inputs[0])], node.outputs[0]
    facts, grid = {"function": function_of(node), "alpha": node.attributes.get("alpha", 0.01)}, b.grid_of(out)
    ratio = float(x.grid.scale) / float(grid.scale)
    ratios = (ratio, ratio * facts["alpha"]) if node.op == "LeakyRelu" else (ratio,)
    words = [word for word in (OWN.get(node.op), "table") if word]
    wide = [b.dialect.fitted(word, x.width) for word in words]
    role = b.dialect.suited(next((name for name in wide if b.has(name)), words[-1]), *ratios)
    only = given(b, node, role, x, grid, facts)
    raw, fraction = f"{node.name}.raw", getattr(ops.load(b.part(role).op), "fraction", lambda row: 0)(b.part(role).row)
    if fraction:
        finer = Affine(Width(grid.width.bits + fraction), float(grid.scale) / 2 ** fraction, int(grid.zero) << fraction)
        b.step(node.name, role, {"q": x.name}, [(raw, x.shape, finer, "accumulator")], {"x": x.grid.scale, "y": grid.scale},
               {"q": x.width}, **known(b, role, x, grid, **facts))
        b.rescale(f"{node.name}.rescale", raw, out, grid, (finer.scale,), int(finer.zero))
        return
    if same(only, grid):
        onto(b, node, role, x, out, **facts)
        return
    b.step(node.name, role, {"q": x.name}, [(raw, x.shape, only, "activation")], {"x": x.grid.scale, "y": only.scale},
           {"q": x.width, "out": only.width}, **known(b, role, x, only, **facts))
    b.rescale(f"{node.name}.rescale", raw, out, grid, (only.scale,), int(only.zero),
              plays=[b.dialect.fitted("requantize", only.width, grid.width)])


def relu(b, node):
    clipped(b, node, 0.0, np.inf)


def clip(b, node):
    clipped(b, node, node.attributes["min"], node.attributes["max"])


def clipped(b, node, lo, hi):
    out = node.outputs[0]
    x = b.tensors[b.aligned(node, node.inputs[0], b.grid_of(out))]
    lo, hi = (bound(b, node, x.grid, end) for end in (lo, hi))
    b.step(node.name, "clip", {"q": x.name}, [(out, x.shape, x.grid, "activation")], {"x": x.grid.scale},
           {"q": x.width}, lo=lo, hi=hi)


def bound(b, node, grid, end):
    """The code at which a clip to the real `end` cuts: by the role bound (bound_fused, where the clip is part of what makes its
    operand), else by quantize; a target without either, and a grid that says its rounding, round the exact quotient."""
    words = ("bound_fused", "bound") if node.attributes.get("fused") else ("bound",)
    wide = [b.dialect.fitted(word, grid.width) for word in words]
    role = next((role for role in (*wide, "bound", "quantize") if role in b.dialect.roles), None)
    if role is None or hasattr(grid, "ties") or not np.isfinite(end):
        return int(grid.encode(np.array(end, np.float64), getattr(grid, "ties", b.dialect.encode)))
    part, single = b.dialect.role(role), np.array([[end]], np.float32)
    row = fitted(part.row, {"out": grid.width})
    made = ops.load(part.op).build(row, float(grid.scale), int(grid.zero))
    code = int(ops.load(part.op).spec(single, made["scale"], np.int64(made["zp"]), row).item())
    return min(max(code, grid.lo), grid.hi)


def requantize(b, node):
    """From grid to grid; where it says `by`, bits are moved, which is a rescale everywhere."""
    x, out, by = b.tensors[node.inputs[0]], node.outputs[0], node.attributes.get("by")
    b.rescale(node.name, x.name, out, b.grid_of(out), (x.grid.scale, by or 1.0), zero_of(x),
              plays=[] if by else [b.dialect.fitted("requantize", x.width, b.grid_of(out).width)])


def argmax(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.step(node.name, "argmax", {"q": x.name}, [(out, x.shape[:-1], None, "output")], {}, {"q": x.width})


def largest(b, node):
    """The largest codes, on the grid of all, or their places, which are no reals."""
    x, out, shows = b.tensors[node.inputs[0]], node.outputs[0], "codes" if node.op == "TopKValues" else "places"
    grid = x.grid if shows == "codes" else None
    b.step(node.name, "topk", {"q": x.name}, [(out, b.shape(out), grid, "activation" if grid else "output")], {},
           {"q": x.width, "k": node.attributes["k"], "shows": shows})


lowered = {
    "Linear": linear, "MatMul": matmul, "Conv": conv, "ConvTranspose": conv_transpose,
    "AveragePool": average_pool, "MaxPool": max_pool, "Add": add, "Sub": subtract, "Mul": multiply, "Softmax": softmax,
    "RMSNormalization": rmsnorm, "GroupNormalization": group_norm, "BatchNormalization": batch_norm, "LpNormalization": l2_norm,
    "LayerNormalization": layernorm, "Gelu": gelu, "Relu": relu, "Clip": clip, "ReduceMean": mean, "ArgMax": argmax,
    "TopKValues": largest, "TopKPlaces": largest,
    "Requantize": requantize, "Transpose": transpose,
    "RotaryEmbedding": rotary, "Append": append,
    "Reshape": reshape, "Slice": slices, "Gather": gather, "Concat": concat, "Pad": pad,
    "Expand": expand, "ReduceSum": reduce_sum,
    **dict.fromkeys(("Sigmoid", "Tanh", "Exp", "Erf", "Abs", "Sqrt", "Swish", "HardSwish", "HardSigmoid", "LeakyRelu"), unary),
}
