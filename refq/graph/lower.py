"""Lower: a canonical float graph, its grids, a recipe and a dialect become a Program.

One function per float operation; `lowered` maps the operation's name to it. See builder.py for what they share.
"""
from decimal import Decimal
from inspect import signature

import numpy as np

from refq import ops
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import Builder, zero_of
from refq.graph.images import average_pool, conv, conv_transpose, max_pool, mean
from refq.graph.moves import concat, gather, pad, reshape, slices, transpose
from refq.graph.play import fitted
from refq.grids.affine import Affine, same
from refq.ints import functions


def lower(graph, grids, recipe, dialect):
    """The Program of the canonical `graph` whose groups of tensors lie on `grids` (group to Affine).

    Raises IllFormed where the dialect forbids what the recipe asks for or lacks an operation, and Unsupported with every
    node that cannot be lowered."""
    recipe.admit(dialect)
    unknown = [n for n in graph.nodes if n.op not in lowered]
    if unknown:
        raise Unsupported(f"cannot be run in integers: {', '.join(f'{n.op} (node {n.name})' for n in unknown)}; "
                          f"supported are {', '.join(sorted(lowered))}")
    if twice := [name for name in graph.outputs if graph.outputs.count(name) > 1]:
        raise Unsupported(f"{graph.name}: several outputs are one tensor, {twice[0]}; leave out all but one")
    builder = Builder(graph, grids, recipe, dialect)
    for node in graph.nodes:
        try:
            lowered[node.op](builder, node)
        except IllFormed as e:
            raise e if node.name in str(e) else IllFormed(f"node {node.name}: {e}") from None
    return builder.program()


def linear(b, node):
    x = b.tensors[b.factor(node.inputs[0])]
    out = node.outputs[0]
    weights = b.weights(node, x, *node.inputs[1:])
    factors = b.product(node, "matmul", x, x.name, weights, b.shape(out))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out), factors,
              plays=b.behind("linear", f"{node.name}.acc", weights[0]))


def matmul(b, node):
    x, w = (b.tensors[b.factor(name)] for name in node.inputs)
    out = node.outputs[0]
    if x.shape[:-2] != w.shape[:-2]:
        raise Unsupported(f"node {node.name}: a product of {x.shape} with {w.shape}, whose leading axes differ")
    acc = b.dialect.accumulator(max(x.width.bits, w.width.bits))
    scale = np.float64(x.grid.scale) * np.float64(w.grid.scale)
    b.step(node.name, "batch_matmul", {"x": x.name, "w": w.name},
           [(f"{node.name}.acc", b.shape(out), Affine(acc, scale, np.int64(0)), "accumulator")],
           {"x": x.grid.scale, "w": w.grid.scale}, {"x": x.width, "w": w.width, "acc": acc}, zx=zero_of(x), zw=zero_of(w))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out),
              (x.grid.scale, w.grid.scale, node.attributes.get("alpha", 1.0)),
              plays=b.behind("batch_matmul", f"{node.name}.acc", None))


def joined(b, node, role):
    """Two operands of one shape, each on a grid of its own; a constant one is spread over the shape of the result."""
    out = node.outputs[0]
    x, y = (b.tensors[name if name in b.tensors else b.spread(node, name, out)] for name in node.inputs)
    if x.shape != y.shape:
        raise Unsupported(f"node {node.name}: joins {x.shape} and {y.shape}; refq adds and multiplies tensors of one shape")
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


def softmax(b, node):
    """Rows whose sum the dialect's softmax cannot hold go to the one for wide codes."""
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    role = b.dialect.fitted("softmax", x.width)
    module, row = ops.load(b.part(role).op), b.part(role).row
    if hasattr(module, "holds") and not module.holds(row, float(x.grid.scale), x.shape[-1]):
        role = "softmax_wide"
    if hasattr(ops.load(b.part(role).op), "result"):
        registered(b, node, role, x, out, **known(b, role, x, b.grid_of(out), count=x.shape[-1]))
    else:
        onto(b, node, role, x, out, count=x.shape[-1])


def known(b, role, x, grid, **facts):
    """What the operation of a role builds its constants from, of what a node of one operand knows: by the names that its
    `build` gives them."""
    facts |= {"scale": float(x.grid.scale), "zero": zero_of(x), "s_in": float(x.grid.scale), "z_in": zero_of(x),
              "s_out": float(grid.scale), "z_out": int(grid.zero)}
    return {k: facts[k] for k in signature(ops.load(b.part(role).op).build).parameters if k in facts}


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


def layernorm(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    gamma = b.graph.constants[node.inputs[1]]
    beta, eps = b.graph.constants[node.inputs[2]], node.attributes["epsilon"]
    registered(b, node, "layernorm", x, out, gamma, beta, scale=float(x.grid.scale), zero=zero_of(x), gamma=gamma, beta=beta,
               eps=eps)


def gelu(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    role = b.dialect.fitted("gelu", x.width)
    function = "gelu_tanh" if node.attributes.get("approximate") == "tanh" else "gelu"
    if hasattr(ops.load(b.part(role).op), "result"):
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
    operands: then nothing else computes what the target does."""
    part = b.part(role)
    module = ops.load(part.op)
    try:
        row = fitted(part.row, {"q": x.width, "out": grid.width})
        only = Affine(grid.width, *module.result(row)) if hasattr(module, "result") else grid
        if part.op != "table":
            module.build(row, **known(b, role, x, only, **facts))
    except IllFormed as e:
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
    if same(only, grid):
        onto(b, node, role, x, out, **facts)
        return
    raw = f"{node.name}.raw"
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


lowered = {
    "Linear": linear, "MatMul": matmul, "Conv": conv, "ConvTranspose": conv_transpose,
    "AveragePool": average_pool, "MaxPool": max_pool, "Add": add, "Sub": subtract, "Mul": multiply, "Softmax": softmax,
    "LayerNormalization": layernorm, "Gelu": gelu, "Relu": relu, "Clip": clip, "ReduceMean": mean, "ArgMax": argmax,
    "Requantize": requantize, "Transpose": transpose,
    "Reshape": reshape, "Slice": slices, "Gather": gather, "Concat": concat, "Pad": pad,
    **dict.fromkeys(("Sigmoid", "Tanh", "Exp", "Erf", "Abs", "Sqrt", "Swish", "HardSwish", "HardSigmoid", "LeakyRelu"), unary),
}
