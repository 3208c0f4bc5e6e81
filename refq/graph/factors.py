"""Factors: residual streams whose channels have powers of two as factors (refq.grids.channel_factors), for targets whose
LayerNorm takes such codes: which tensors lie on such a grid, and how what makes and reads them is lowered.

A group of tensors may lie there if a LayerNormalization reads it, what makes it can give such codes, and what moves it leaves
the last axis, the channels, alone. LayerNormalization and Add read the factors as shifts, a Linear has them folded into its
weights; for whatever else reads such a tensor it is first carried onto an affine grid of the same range.
"""
from dataclasses import replace

import numpy as np

from refq import ops
from refq.graph import weight_groups
from refq.graph.builder import zero_of
from refq.graph.evaluate import evaluate
from refq.graph.groups import MOVES, Groups, moved
from refq.graph.spread import broadcast
from refq.grids.affine import Affine
from refq.grids.channel_factors import ChannelFactors
from refq.ints.width import Width
from refq.quantizers.channel_factors import Factors

GIVE = ("Add", "Linear")


def exponents_of(dialect):
    """The exponents that the channels of what LayerNorm reads may have, or None where the target knows no factors."""
    part = dialect.roles.get("layernorm")
    return getattr(ops.load(part.op), "FACTORS", None) if part else None


def keeps_channels(graph, node):
    """Whether a move leaves the last axis as it is."""
    ends = (*moved(node), *node.outputs)
    shapes = [graph.shapes[name] if name in graph.shapes else graph.constants[name].shape for name in ends]
    ndim, a = len(shapes[0]), node.attributes
    if node.op in ("Slice", "Gather", "Concat"):
        return a["axis"] % ndim != ndim - 1
    if node.op == "Pad":
        return not a["pads"][ndim - 1] and not a["pads"][-1]
    if node.op == "Transpose":
        return a["perm"][-1] == ndim - 1
    return node.op in ("Reshape", "Expand") and shapes[0][-1] == shapes[-1][-1]


def streams(graph):
    """The groups that may lie on a grid of channel factors."""
    groups, made = Groups(graph), graph.producers
    read = {groups.of[n.inputs[0]] for n in graph.nodes if n.op == "LayerNormalization" and n.inputs[0] in groups.of}
    fit = {group for group in read if groups.role[group] == "stream"}
    for name, group in groups.of.items():
        maker = made.get(name)
        gives = maker is not None and (maker.op in GIVE or maker.op in MOVES and keeps_channels(graph, maker))
        if not gives:
            fit.discard(group)
    return fit


def factored(graph, images, grids, dialect, progress=None):
    """The grids (group to grid), with factors for the channels of residual streams where the target's LayerNorm takes them: the
    float network runs over `images` (n *shape) again, so that each channel's error under each factor is known. `progress` is
    told of every image."""
    exponents, chosen = exponents_of(dialect), streams(graph)
    if exponents is None or not chosen:
        return grids
    groups = Groups(graph)
    seen = {g: Factors(grids[g].width, grids[g].scale, grids[g].zero, exponents) for g in chosen if isinstance(grids[g], Affine)}
    watched = {name: seen[group] for group, names in groups.seen.items() if group in seen for name in names}

    def watch(name, values):
        if name in watched:
            watched[name].see(values)

    (source,) = graph.inputs
    for done, image in enumerate(images):
        with np.errstate(all="ignore"):
            evaluate(graph, {source: image[None]}, watch=watch)
        if progress:
            progress(done + 1)
    return grids | {group: found.grid() for group, found in seen.items()}


def has_factors(tensor):
    return isinstance(tensor.grid, ChannelFactors)


def unit_of(grid):
    """What the integers of a tensor count: its scale, or the unit of its factors."""
    return grid.unit if isinstance(grid, ChannelFactors) else float(grid.scale)


def factors_of(grid, count):
    """The exponents of `count` channels; 0 for all where the grid is affine."""
    return np.array(grid.exponents if isinstance(grid, ChannelFactors) else [0] * count, np.int64)


def settled(b, node):
    """The function of (b, node) that lowers a node which reads or gives factors, or None where that is the usual one; and the
    node, whose operands with factors are carried onto affine grids where it cannot read them."""
    held = [name for name in node.inputs if name in b.tensors and has_factors(b.tensors[name])]
    norm = node.op == "LayerNormalization" and exponents_of(b.dialect) is not None
    if norm or node.op == "Add" and (held or isinstance(b.grid_of(node.outputs[0]), ChannelFactors)):
        return (layernorm if norm else add), node
    whole = node.op == "Linear" and not weight_groups.grouped(b, node)
    if whole and held and b.tensors[node.inputs[0]].width.bits <= b.recipe.activations:
        return linear, node
    if held and not (node.op in MOVES and isinstance(b.grid_of(node.outputs[0]), ChannelFactors)):
        return None, replace(node, inputs=tuple(carried(b, name) if name in held else name for name in node.inputs))
    return None, node


def carried(b, name):
    """The tensor on an affine grid of the same range."""
    tensor, plain = b.tensors[name], f"{name}.affine"
    if plain not in b.tensors:
        grid = Affine(tensor.width, tensor.grid.unit * 2 ** max(tensor.grid.exponents, default=0), np.int64(tensor.grid.zero))
        b.rescale(plain, name, plain, grid, (tensor.grid.scale,), zero_of(tensor))
    return plain


def add(b, node):
    """Operands of one shape, in one unit each; a constant one is spread over the shape of the result."""
    out = node.outputs[0]
    shape, grid = b.shape(out), b.grid_of(out)
    names = [name if name in b.tensors else b.spread(node, name, out) for name in node.inputs]
    x, y = (broadcast(b, node, b.tensors[name], shape) for name in names)
    units = {"sa": unit_of(x.grid), "sb": unit_of(y.grid), "so": unit_of(grid)}
    factors = {k: factors_of(g, shape[-1]) for k, g in (("ka", x.grid), ("kb", y.grid), ("ky", grid))}
    b.step(node.name, "add_factors", {"a": x.name, "b": y.name}, [(out, shape, grid, "activation")],
           {"a": x.grid.scale, "b": y.grid.scale, "y": grid.scale}, {"a": x.width, "b": y.width, "out": grid.width},
           za=zero_of(x), zb=zero_of(y), zo=int(grid.zero), **units, **factors)


def layernorm(b, node):
    """LayerNorm that reads factors, or none, and gives codes of its result's grid."""
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    gamma, beta = (b.graph.constants[name] for name in node.inputs[1:3])
    grid = b.grid_of(out)
    b.step(node.name, "layernorm", {"q": x.name}, [(out, x.shape, grid, "activation")],
           {"x": x.grid.scale, "y": grid.scale, "gamma": gamma, "beta": beta}, {"q": x.width, "out": grid.width},
           zero=zero_of(x), gamma=gamma, beta=beta, s_out=float(grid.scale), z_out=int(grid.zero),
           exponents=factors_of(x.grid, x.shape[-1]))


def linear(b, node):
    """The factors of the input are folded into the codes of the weights, which is exact: they are wider by the largest."""
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    exponents = factors_of(x.grid, x.shape[-1])
    plain = replace(x, grid=Affine(x.width, x.grid.unit, np.int64(x.grid.zero)))
    w, codes, counts, bias = b.weights(node, plain, *node.inputs[1:])
    wide = Width(w.width.bits + int(exponents.max(initial=0)))
    folded = (codes.astype(np.int64) << exponents).astype(wide.dtype)
    weights = Affine(wide, w.scale, w.zero, w.axis), folded, counts, bias
    factors = b.product(node, "matmul", plain, x.name, weights, b.shape(out))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out), factors,
              plays=b.behind("linear", f"{node.name}.acc", w))
