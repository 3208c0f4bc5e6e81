"""Lower: a canonical float graph, its grids, a recipe and a dialect become a Program.

One function per float operation; `lowered` maps the operation's name to it. See builder.py for what they share.
"""
from decimal import Decimal

import numpy as np

from refq import ops
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import Builder, zero_of
from refq.graph.moves import concat, gather, moved, pad, reshape, slices, transpose, turned
from refq.grids.affine import Affine, symmetric
from refq.ints import functions
from refq.ints.width import Width


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
    x = b.factor(node.inputs[0])
    weight = b.graph.constants[node.inputs[1]]
    bias = b.graph.constants[node.inputs[2]]
    out = node.outputs[0]
    factors = product(b, node, "matmul", x, weight, bias, b.shape(out))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out), factors)


def product(b, node, role, x, weight, bias, shape, **row):
    """A product with constant weights (m ...), up to its accumulator `<node>.acc`; gives the scales of both factors."""
    bits = b.recipe.weight_bits(node.name, node.name in b.edges)
    x = b.tensors[x]
    acc = b.dialect.accumulator(x.width.bits)
    # a channel whose weights are small beside its bias takes a scale at which the bias fills half of the register
    least = np.abs(bias) / (float(x.grid.scale) * (acc.hi // 2)) * Width(bits).hi
    most = np.maximum(np.abs(weight).reshape(len(weight), -1).max(1), least)
    w = symmetric(Width(bits), most, axis=0, narrow=b.dialect.narrow)
    units = np.float64(x.grid.scale) * w.scale.astype(np.float64)
    counts = Affine(acc, units, np.zeros(len(weight), np.int64), axis=0)
    last = Affine(acc, units, np.zeros(len(weight), np.int64), axis=-1)
    b.step(node.name, role, {"x": x.name}, [(f"{node.name}.acc", shape, last, "accumulator")],
           {"x": x.grid.scale, "w": w.scale}, {"x": x.width, "w": w.width, "acc": acc, **row},
           {"w": (w, "weight"), "bias": (counts, "bias")}, w=w.encode(weight, b.dialect.encode),
           bias=counts.encode(bias, b.dialect.encode), zx=zero_of(x), zw=0)
    return x.grid.scale, w.scale


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
              (x.grid.scale, w.grid.scale, node.attributes.get("alpha", 1.0)))


def conv(b, node):
    x = b.tensors[b.factor(node.inputs[0])]
    weight = b.graph.constants[node.inputs[1]].transpose(0, 2, 3, 1)
    bias = b.graph.constants[node.inputs[2]]
    out, a = node.outputs[0], node.attributes
    m, oh, ow = b.shape(out)
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    factors = product(b, node, "conv2d", last.name, weight, bias, (oh, ow, m), stride=tuple(a.get("strides", (1, 1))),
            padding=tuple(a.get("pads", (0, 0, 0, 0))), dilation=tuple(a.get("dilations", (1, 1))), groups=a.get("group", 1))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", f"{node.name}.pixels", b.grid_of(out), factors)
    moved(b, f"{node.name}.channels_first", [f"{node.name}.pixels"], out, b.shape(out), [("transpose", (2, 0, 1))])


def add(b, node):
    left, right = node.inputs
    out = node.outputs[0]
    x, y = (addend(b, node, name, out) for name in (left, right))
    if x.shape != y.shape:
        raise Unsupported(f"node {node.name}: adds {x.shape} and {y.shape}; refq adds tensors of one shape")
    result = b.grid_of(out)
    wide = max(x.width.bits, y.width.bits, result.width.bits) > 8
    b.step(node.name, "add_wide" if wide else "add", {"a": x.name, "b": y.name},
           [(out, b.shape(out), result, "activation")], {"a": x.grid.scale, "b": y.grid.scale, "y": result.scale},
           {"a": x.width, "b": y.width, "out": result.width}, sa=float(x.grid.scale), za=zero_of(x),
           sb=float(y.grid.scale), zb=zero_of(y), so=float(result.scale), zo=int(result.zero))


def multiply(b, node):
    """By a constant, one for all or one for each channel: another scale, so a rescale."""
    x, by, out = b.tensors[node.inputs[0]], b.graph.constants[node.inputs[1]], node.outputs[0]
    if by.size != 1 and by.shape != (1,) * (by.ndim - 1) + x.shape[-1:]:
        raise Unsupported(f"node {node.name}: multiplies by a constant of shape {by.shape}; one number, or one for each channel "
                          "of the last axis, is supported")
    if (by < 0).any():
        raise Unsupported(f"node {node.name}: multiplies by a negative constant; fold it into the weights before")
    b.rescale(node.name, x.name, out, b.grid_of(out), (x.grid.scale, by.reshape(-1)), zero_of(x))


def addend(b, node, name, out):
    """A tensor that is added; a constant one is spread over the sum's shape and put on a grid of its own."""
    if name in b.tensors:
        return b.tensors[name]
    values = b.graph.constants[name]
    values = np.broadcast_to(values, (1, *b.shape(out)))[0]
    grid = symmetric(b.grid_of(out).width, np.abs(values).max(), narrow=False)
    b.constant(f"{node.name}.{name}", grid.encode(values, b.dialect.encode), grid.width, grid, "weight")
    return b.tensors[f"{node.name}.{name}"]


def softmax(b, node):
    """Rows whose sum the dialect's softmax cannot hold go to the one for wide codes."""
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    part = b.dialect.role("softmax")
    holds = getattr(ops.load(part.op), "holds", None)
    wide = x.width.bits > 8 or (holds and not holds(part.row, float(x.grid.scale), x.shape[-1]))
    registered(b, node, "softmax_wide" if wide else "softmax", x, out, scale=float(x.grid.scale), zero=zero_of(x))


def registered(b, node, role, x, out, *parameters, **build):
    """An operation whose result counts units of its own: the register, then a rescale onto the grid of `out`."""
    part = b.dialect.role(role)
    units = np.asarray(ops.load(part.op).result(part.row, float(x.grid.scale), *parameters), np.float64)
    raw, axis = f"{node.name}.raw", -1 if units.ndim else None
    scales = {"x": x.grid.scale} | {k: v for k, v in build.items() if k in ("gamma", "beta")}
    b.step(node.name, role, {"q": x.name}, [(raw, x.shape, None, "accumulator")], scales, {"q": x.width}, **build)
    b.tensor(raw, x.shape, Affine(b.tensors[raw].width, units, np.zeros(units.shape, np.int64), axis), "accumulator")
    b.rescale(f"{node.name}.rescale", raw, out, b.grid_of(out), (units,))


def layernorm(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    gamma = b.graph.constants[node.inputs[1]]
    beta, eps = b.graph.constants[node.inputs[2]], node.attributes["epsilon"]
    registered(b, node, "layernorm", x, out, gamma, beta, scale=float(x.grid.scale), zero=zero_of(x), gamma=gamma, beta=beta,
               eps=eps)


def gelu(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    role = "gelu_wide" if x.width.bits > 8 else "gelu"
    if hasattr(ops.load(b.dialect.role(role).op), "result"):
        registered(b, node, role, x, out, scale=float(x.grid.scale), zero=zero_of(x))
    else:
        tabled(b, node, role, x, out, "gelu_tanh" if node.attributes.get("approximate") == "tanh" else "gelu")


def tabled(b, node, role, x, out, function):
    """Any function of one code, as a table of its codes."""
    grid = b.grid_of(out)
    b.step(node.name, role, {"q": x.name}, [(out, x.shape, grid, "activation")], {"x": x.grid.scale, "y": grid.scale},
           {"q": x.width, "out": grid.width}, function=function, s_in=float(x.grid.scale), z_in=zero_of(x),
           s_out=float(grid.scale), z_out=int(grid.zero))


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


def unary(b, node):
    x, out = b.tensors[b.factor(node.inputs[0])], node.outputs[0]
    tabled(b, node, "table", x, out, function_of(node))


def relu(b, node):
    clipped(b, node, 0.0, np.inf)


def clip(b, node):
    clipped(b, node, node.attributes["min"], node.attributes["max"])


def clipped(b, node, lo, hi):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    lo, hi = (int(x.grid.encode(np.array(v, np.float64), b.dialect.encode)) for v in (lo, hi))
    b.step(node.name, "clip", {"q": x.name}, [(out, x.shape, x.grid, "activation")], {"x": x.grid.scale},
           {"q": x.width}, lo=lo, hi=hi)


def mean(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    axes = [a - 1 for a in node.attributes["axes"]]
    kept = [a for a in range(len(x.shape)) if a not in axes]
    count = int(np.prod([x.shape[a] for a in axes]))
    rest = tuple(x.shape[a] for a in kept)
    lead, last = rest[:-1], rest[-1] if rest else 1
    rows = moved(b, f"{node.name}.rows", [x.name], f"{node.name}.rows", (*lead, count, last),
                 [("transpose", (*kept[:-1], *axes, *kept[-1:])), ("reshape", (*lead, count, last))])
    acc = b.dialect.accumulator(x.width.bits)
    units = np.float64(x.grid.scale)
    b.step(node.name, "mean", {"q": rows}, [(f"{node.name}.acc", (*lead, last), Affine(acc, units, np.int64(0)), "accumulator")],
           {"x": units}, {"q": x.width, "acc": acc}, zq=zero_of(x))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", f"{node.name}.mean", b.grid_of(out), (units / count,))
    moved(b, f"{node.name}.shape", [f"{node.name}.mean"], out, b.shape(out), [("reshape", b.shape(out))])


def argmax(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.step(node.name, "argmax", {"q": x.name}, [(out, x.shape[:-1], None, "output")], {}, {"q": x.width})


lowered = {
    "Linear": linear, "MatMul": matmul, "Conv": conv, "Add": add, "Mul": multiply, "Softmax": softmax,
    "LayerNormalization": layernorm, "Gelu": gelu, "Relu": relu, "Clip": clip, "ReduceMean": mean, "ArgMax": argmax,
    "Transpose": transpose,
    "Reshape": reshape, "Slice": slices, "Gather": gather, "Concat": concat, "Pad": pad,
    **dict.fromkeys(("Sigmoid", "Tanh", "Exp", "Erf", "Abs", "Sqrt", "Swish", "HardSwish", "HardSigmoid", "LeakyRelu"), unary),
}
