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
    builder = Builder(graph, grids, recipe, dialect)
    for node in graph.nodes:
        lowered[node.op](builder, node)
    return builder.program()


def linear(b, node):
    x = b.factor(node.inputs[0])
    weight = b.graph.constants[node.inputs[1]]
    bias = b.graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
    out = node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    product(b, node, "matmul", x, weight, bias, b.shape(out))
    tensor = b.tensors[f"{node.name}.acc"]
    b.rescale(f"{node.name}.rescale", tensor.name, out, b.grid_of(out), tensor.grid.scale)


def product(b, node, role, x, weight, bias, shape, **row):
    """A product with constant weights (m ...), up to its accumulator `<node>.acc`."""
    bits = b.recipe.weight_bits(node.name, node.name in b.edges)
    x = b.tensors[x]
    most = np.abs(weight).reshape(len(weight), -1).max(1)
    w = symmetric(Width(bits), most, axis=0, narrow=b.dialect.narrow)
    acc = b.dialect.accumulator(x.width.bits)
    units = np.float64(x.grid.scale) * w.scale.astype(np.float64)
    counts = Affine(acc, units, np.zeros(len(weight), np.int64), axis=0)
    if bias is not None:
        over = np.abs(bias) / units > acc.hi
        if over.any():
            raise IllFormed(f"{node.name}: the bias of output channel {int(np.argmax(over))} does not fit {acc} at the scale "
                            f"of its products ({units[np.argmax(over)]:g}); a recipe with wider weights may do")
        bias = counts.encode(bias, b.dialect.encode)
    last = Affine(acc, units, np.zeros(len(weight), np.int64), axis=len(shape) - 1)
    b.step(node.name, role, {"x": x.name}, [(f"{node.name}.acc", shape, last, "accumulator")],
           {"x": x.grid.scale, "w": w.scale}, {"x": x.width, "w": w.width, "acc": acc, **row},
           {"w": (w, "weight"), "bias": (counts, "bias")}, w=w.encode(weight, b.dialect.encode), bias=bias, zx=zero_of(x), zw=0)


def matmul(b, node):
    left, right = node.inputs
    if left in b.graph.constants or right in b.graph.constants:
        raise Unsupported(f"node {node.name}: a product with a constant that is no weight matrix")
    out = node.outputs[0]
    x, w = b.tensors[b.factor(left)], b.tensors[b.factor(right)]
    b.place[out] = b.place[left]
    if not node.attributes.get("transpose_b"):
        axes = len(w.shape)
        w = turned(b, f"{node.name}.turn", w, (*range(axes - 2), axes - 1, axes - 2))
    if x.shape[:-2] != w.shape[:-2]:
        raise Unsupported(f"node {node.name}: a product of {x.shape} with {w.shape}, whose leading axes differ")
    acc = b.dialect.accumulator(max(x.width.bits, w.width.bits))
    scale = np.float64(x.grid.scale) * np.float64(w.grid.scale)
    b.step(node.name, "batch_matmul", {"x": x.name, "w": w.name},
           [(f"{node.name}.acc", b.shape(out), Affine(acc, scale, np.int64(0)), "accumulator")],
           {"x": x.grid.scale, "w": w.grid.scale}, {"x": x.width, "w": w.width, "acc": acc}, zx=zero_of(x), zw=zero_of(w))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out), scale * node.attributes.get("alpha", 1.0))


def conv(b, node):
    x = b.tensors[b.factor(node.inputs[0])]
    if b.place[node.inputs[0]] != 0 or len(x.shape) != 3:
        raise Unsupported(f"node {node.name}: a convolution over {len(x.shape) - 1} axes; two are supported")
    weight = b.graph.constants[node.inputs[1]].transpose(0, 2, 3, 1)
    bias = b.graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
    out, a = node.outputs[0], node.attributes
    b.place[out] = 0
    m, oh, ow = b.shape(out)
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    product(b, node, "conv2d", last.name, weight, bias, (oh, ow, m), stride=tuple(a.get("strides", (1, 1))),
            padding=tuple(a.get("pads", (0, 0, 0, 0))), dilation=tuple(a.get("dilations", (1, 1))), groups=a.get("group", 1))
    acc = b.tensors[f"{node.name}.acc"]
    b.rescale(f"{node.name}.rescale", acc.name, f"{node.name}.pixels", b.grid_of(out), acc.grid.scale)
    moved(b, f"{node.name}.channels_first", [f"{node.name}.pixels"], out, b.shape(out), [("transpose", (2, 0, 1))])


def add(b, node):
    left, right = node.inputs
    out = node.outputs[0]
    b.place[out] = b.place[left if left in b.tensors else right]
    x, y = (addend(b, node, name, out) for name in (left, right))
    if x.shape != y.shape:
        raise Unsupported(f"node {node.name}: adds {x.shape} and {y.shape}; refq adds tensors of one shape")
    result = b.grid_of(out)
    wide = max(x.width.bits, y.width.bits, result.width.bits) > 8
    b.step(node.name, "add_wide" if wide else "add", {"a": x.name, "b": y.name},
           [(out, b.shape(out), result, "activation")], {"a": x.grid.scale, "b": y.grid.scale, "y": result.scale},
           {"a": x.width, "b": y.width, "out": result.width}, sa=float(x.grid.scale), za=zero_of(x),
           sb=float(y.grid.scale), zb=zero_of(y), so=float(result.scale), zo=int(result.zero))


def addend(b, node, name, out):
    """A tensor that is added; a constant one is spread over the sum's shape and put on a grid of its own."""
    if name in b.tensors:
        return b.tensors[name]
    values = b.graph.constants[name]
    at = b.place[out] + values.ndim - len(b.graph.shapes[out])
    values = np.broadcast_to(np.take(values, 0, at) if at >= 0 else values, b.shape(out))
    grid = symmetric(b.grid_of(out).width, np.abs(values).max(), narrow=False)
    b.constant(f"{node.name}.{name}", grid.encode(values, b.dialect.encode), grid.width, grid, "weight")
    return b.tensors[f"{node.name}.{name}"]


def softmax(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    if b.axis(out, node.attributes.get("axis", -1)) != len(x.shape) - 1:
        raise Unsupported(f"node {node.name}: a softmax over axis {node.attributes['axis']}; the last one is supported")
    own(b, node, "softmax", x, out, {"q": x.width}, {"x": x.grid.scale}, scale=float(x.grid.scale), zero=zero_of(x))


def own(b, node, role, x, out, widths, scales, *parameters, **build):
    """An operation whose result counts units of its own: the register, then a rescale onto the grid of `out`."""
    role = f"{role}_wide" if x.width.bits > 8 and f"{role}_wide" in b.dialect.roles else role
    part = b.dialect.role(role)
    scale = ops.load(part.op).result(part.row, float(x.grid.scale), *parameters)
    register = f"{node.name}.own"
    units = np.asarray(scale, np.float64)
    axis = len(x.shape) - 1 if units.ndim else None
    b.step(node.name, role, {"q": x.name}, [(register, x.shape, None, "accumulator")], scales, widths, **build)
    width = b.tensors[register].width
    b.tensor(register, x.shape, Affine(width, units, np.zeros(units.shape, np.int64), axis), "accumulator")
    b.rescale(f"{node.name}.rescale", register, out, b.grid_of(out), units)


def layernorm(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    gamma = b.graph.constants[node.inputs[1]]
    beta = b.graph.constants[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else np.zeros_like(gamma)
    eps = node.attributes.get("epsilon", 1e-5)
    own(b, node, "layernorm", x, out, {"q": x.width}, {"x": x.grid.scale, "gamma": gamma, "beta": beta}, gamma, beta,
        scale=float(x.grid.scale), zero=zero_of(x), gamma=gamma, beta=beta, eps=eps)


def gelu(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    role = "gelu_wide" if x.width.bits > 8 else "gelu"
    if hasattr(ops.load(b.dialect.role(role).op), "result"):
        own(b, node, "gelu", x, out, {"q": x.width}, {"x": x.grid.scale}, scale=float(x.grid.scale), zero=zero_of(x))
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
    if node.op == "HardSigmoid":
        slope, middle = Decimal(a.get("alpha", 0.2)), Decimal(a.get("beta", 0.5))
        return lambda x: min(max(slope * x + middle, Decimal(0)), Decimal(1))
    return {"Sigmoid": "sigmoid", "Tanh": "tanh", "Exp": "exp", "Erf": "erf", "Swish": "silu", "HardSwish": "hard_swish"}[node.op]


def unary(b, node):
    x, out = b.tensors[b.factor(node.inputs[0])], node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    tabled(b, node, "table", x, out, function_of(node))


def relu(b, node):
    clipped(b, node, 0.0, np.inf)


def clip(b, node):
    clipped(b, node, node.attributes["min"], node.attributes["max"])


def clipped(b, node, lo, hi):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    lo, hi = (int(x.grid.encode(np.array(v, np.float64), b.dialect.encode)) for v in (lo, hi))
    b.step(node.name, "clip", {"q": x.name}, [(out, x.shape, x.grid, "activation")], {"x": x.grid.scale},
           {"q": x.width}, lo=lo, hi=hi)


def mean(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    at = b.place[node.inputs[0]]
    b.place[out] = at - sum(a % len(b.graph.shapes[node.inputs[0]]) < at for a in node.attributes["axes"])
    axes = sorted(b.axis(node.inputs[0], a) for a in node.attributes["axes"])
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
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", f"{node.name}.mean", b.grid_of(out), units / count)
    moved(b, f"{node.name}.shape", [f"{node.name}.mean"], out, b.shape(out), [("reshape", b.shape(out))])


def argmax(b, node):
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    b.place[out] = b.place[node.inputs[0]]
    b.step(node.name, "argmax", {"q": x.name}, [(out, x.shape[:-1], None, "output")], {}, {"q": x.width})


lowered = {
    "Linear": linear, "MatMul": matmul, "Conv": conv, "Add": add, "Softmax": softmax, "LayerNormalization": layernorm,
    "Gelu": gelu, "Relu": relu, "Clip": clip, "ReduceMean": mean, "ArgMax": argmax, "Transpose": transpose,
    "Reshape": reshape, "Slice": slices, "Gather": gather, "Concat": concat, "Pad": pad,
    **dict.fromkeys(("Sigmoid", "Tanh", "Exp", "Erf", "Swish", "HardSwish", "HardSigmoid"), unary),
}
