"""Norms: how normalizations are lowered: of rows along the last axis, of groups of channels, and a factor a channel."""
from inspect import signature

import numpy as np

from refq import ops
from refq.errors import Unsupported
from refq.graph.builder import zero_of
from refq.graph.calibrate import grid
from refq.graph.moves import moved, turned
from refq.graph.play import fitted
from refq.grids.affine import Affine, same
from refq.ints.width import Width


def narrowed(b, x, bits):
    """The tensor `x` on a grid of at most so many bits."""
    if x.width.bits <= bits:
        return x
    name = f"{x.name}.{bits}_bits"
    if name not in b.tensors:
        lo, hi = (float(x.grid.decode(np.array(code))) for code in (x.width.lo, x.width.hi))
        b.rescale(name, x.name, name, grid((lo, hi), bits, b.dialect), (x.grid.scale,), zero_of(x))
    return b.tensors[name]


def held(b, node, role, x, count):
    """The tensor `x` on as many of its bits as the operation that plays `role` holds in rows of `count` codes."""
    row, asks = b.part(role).row, getattr(type(b.part(role).row), "holds", None)
    fits = (bits for bits in range(x.width.bits, 1, -1)
            if asks is None or asks(fitted(row, {"q": Width(bits, x.width.signed)}), count))
    if (bits := next(fits, None)) is None:
        raise Unsupported(f"node {node.name}: normalizes {count} numbers, more than {role} of dialect {b.dialect.name} holds")
    return narrowed(b, x, bits)


def played(b, role, x):
    """The role, or its form for wide codes where the dialect has one."""
    wide = b.dialect.fitted(role, x.width)
    return wide if b.has(wide) else role


def registered(b, node, role, x, shape, units, widths, build):
    """A step that gives registers of a unit for each channel, and a rescale onto the node's grid; `<node>.scaled`, or the
    node's result where it has that shape."""
    out = node.outputs[0]
    raw, result = f"{node.name}.raw", out if b.shape(out) == tuple(shape) else f"{node.name}.scaled"
    scales = {"x": x.grid.scale} | {k: v for k, v in build.items() if k in ("gamma", "beta")}
    b.step(node.name, role, {"q": x.name}, [(raw, shape, None, "accumulator")], scales, {"q": x.width} | widths, **build)
    b.tensor(raw, shape, Affine(b.tensors[raw].width, units, np.zeros(units.shape, np.int64), -1), "accumulator")
    b.rescale(f"{node.name}.rescale", raw, result, b.grid_of(out), (units,))
    return result


def row_norm(b, node, name, **weights):
    """A normalization of rows along the last axis, by what the dialect has for it."""
    out, grid = node.outputs[0], b.grid_of(node.outputs[0])
    role = played(b, name, b.tensors[node.inputs[0]])
    x = held(b, node, role, b.tensors[node.inputs[0]], b.shape(out)[-1])
    part = b.part(role)
    module, scale = ops.load(part.op), float(x.grid.scale)
    facts = weights | {"scale": scale, "zero": zero_of(x), "eps": node.attributes["epsilon"], "s_in": scale, "z_in": zero_of(x),
                       "s_out": float(grid.scale), "z_out": int(grid.zero)}
    build = {k: facts[k] for k in signature(module.build).parameters if k in facts}
    if hasattr(module, "result"):
        units = module.result(fitted(part.row, {"q": x.width}), scale, *weights.values())
        registered(b, node, role, x, x.shape, np.broadcast_to(np.asarray(units, np.float64), x.shape[-1:]), {}, build)
        return
    b.step(node.name, role, {"q": x.name}, [(out, x.shape, grid, "activation")],
           {"x": x.grid.scale, "y": grid.scale} | weights, {"q": x.width, "out": grid.width}, **build)


def layernorm(b, node):
    gamma, beta = (b.graph.constants[name] for name in node.inputs[1:])
    row_norm(b, node, "layernorm", gamma=gamma, beta=beta)


def rmsnorm(b, node):
    row_norm(b, node, "rmsnorm", gamma=b.graph.constants[node.inputs[1]])


def group_norm(b, node):
    """(c ...) is turned into (places c), and back."""
    shape, groups = b.shape(node.outputs[0]), node.attributes["num_groups"]
    channels, places = shape[0], int(np.prod(shape[1:]))
    role = played(b, "group_norm", b.tensors[node.inputs[0]])
    x = held(b, node, role, b.tensors[node.inputs[0]], places * channels // groups)
    last = moved(b, f"{node.name}.channels_last", [x.name], f"{node.name}.channels_last", (places, channels),
                 [("reshape", (channels, places)), ("transpose", (1, 0))])
    row = fitted(b.part(role).row, {"q": x.width, "groups": groups})
    gamma, beta = (b.graph.constants[name] for name in node.inputs[1:])
    build = {"scale": float(x.grid.scale), "zero": zero_of(x), "gamma": gamma, "beta": beta, "eps": node.attributes["epsilon"],
             "places": places}
    units = ops.load(b.part(role).op).result(row, float(x.grid.scale), gamma, beta, places)
    scaled = registered(b, node, role, b.tensors[last], (places, channels), units, {"groups": groups}, build)
    if scaled != node.outputs[0]:
        moved(b, f"{node.name}.channels_first", [scaled], node.outputs[0], shape, [("transpose", (1, 0)), ("reshape", shape)])


def batch_norm(b, node):
    """A factor and an offset for each channel of any axis, which is turned to the end and back."""
    x, out, axis = b.tensors[node.inputs[0]], node.outputs[0], node.attributes["axis"] - 1
    grid, name = b.grid_of(out), node.name
    perm = (*(i for i in range(len(x.shape)) if i != axis), axis)
    inside = perm != tuple(range(len(x.shape)))
    if inside:
        x = turned(b, f"{name}.channels_last", x, perm)
    result = f"{name}.scaled" if inside else out
    factor, offset = (b.graph.constants[k] for k in node.inputs[1:])
    b.step(name, b.dialect.fitted("batch_norm", x.width), {"q": x.name}, [(result, x.shape, grid, "activation")],
           {"x": x.grid.scale, "y": grid.scale, "factor": factor, "offset": offset}, {"q": x.width, "out": grid.width},
           factor=factor, offset=offset, s_in=float(x.grid.scale), z_in=zero_of(x), s_out=float(grid.scale), z_out=int(grid.zero))
    if inside:
        moved(b, f"{name}.channels_first", [result], out, b.shape(out), [("transpose", tuple(np.argsort(perm).tolist()))])


def l2_norm(b, node):
    """Codes of a grid of its own, then a rescale onto the node's where that is another one."""
    out, grid = node.outputs[0], b.grid_of(node.outputs[0])
    x, part = narrowed(b, b.tensors[node.inputs[0]], 8), b.part("l2_norm")
    if node.attributes["epsilon"] > float(x.grid.scale):
        raise Unsupported(f"node {node.name}: a norm of at least {node.attributes['epsilon']}, and its operand has steps of "
                          f"{float(x.grid.scale)}; only a norm that is smaller than one step can be taken for 0")
    module = ops.load(part.op)
    only = Affine(module.WIDTH, *module.result(part.row))
    result = out if same(only, grid) else f"{node.name}.raw"
    b.step(node.name, "l2_norm", {"q": x.name}, [(result, x.shape, only, "activation")], {"x": x.grid.scale, "y": only.scale},
           {"q": x.width}, zero=zero_of(x))
    if result != out:
        b.rescale(f"{node.name}.rescale", result, out, grid, (only.scale,), int(only.zero),
                  plays=[b.dialect.fitted("requantize", only.width, grid.width)])
