"""Builder: collects the tensors, constants and steps of a Program while a float graph is lowered.

Tensors lose their batch axis on the way. Which operation plays a role, and under which row, is the dialect's; nothing here
asks which dialect that is.
"""
from dataclasses import fields, replace
from fnmatch import fnmatchcase

import numpy as np

from refq import ops
from refq.errors import IllFormed, Unsupported, nearest
from refq.graph.calibrate import allowed, grid, of_weights
from refq.graph.groups import Groups
from refq.graph.moves import fused
from refq.graph.play import fitted
from refq.graph.program import Program, Step, Tensor
from refq.grids.affine import Affine, symmetric
from refq.ints.scales import ratio
from refq.ints.width import I32, Width


class Builder:
    """Collects tensors, constants and steps; knows the float graph and the grids."""

    def __init__(self, graph, grids, recipe, dialect, masks=None):
        self.graph, self.grids, self.recipe, self.dialect, self.masks = graph, grids, recipe, dialect, masks or {}
        self.groups = Groups(graph)
        self.tensors, self.constants, self.steps, self.used = {}, {}, [], {}
        self.edges, self.left = edges(graph), {}
        if strange := [p for p, _ in recipe.layers if not any(fnmatchcase(n.name, p) for n in graph.nodes if n.op in WEIGHTED)]:
            names = tuple(n.name for n in graph.nodes if n.op in WEIGHTED)
            raise IllFormed(f"recipe {recipe.name}: no layer matches {strange[0]!r}; {nearest(strange[0], names)}")
        for name in graph.inputs:
            places = name in graph.places
            self.tensor(name, self.shape(name), None if places else self.entry(name), "input", I32 if places else None)

    def entry(self, name):
        """The grid of an input."""
        return self.grid_of(name)

    def grid_of(self, name):
        return self.grids[self.groups.of[name]]

    def shape(self, name):
        """The shape of one image: without the batch axis, which comes first in canonical graphs."""
        return tuple(self.graph.shapes[name][1:])

    def tensor(self, name, shape, grid, role, width=None):
        self.tensors[name] = Tensor(name, tuple(shape), width or grid.width, grid, role)
        return name

    def step(self, name, role, inputs, results, scales=None, widths=None, means=None, **build):
        """Add a step that plays `role` of the dialect. `inputs`: operand to tensor; `results`: name, shape, grid and role of
        each result; `widths`: those fields of the row that the tensors decide; `means`: operand to (grid, role) of
        constants that stand for reals; `build`: what the operation makes its constants from."""
        part = self.part(role)
        self.used[role] = part
        known = {f.name for f in fields(part.row)}
        row = replace(part.row, **{k: v for k, v in (widths or {}).items() if k in known})
        try:
            constants = ops.load(part.op).build(row, **build) if build else {}
        except IllFormed as e:
            raise IllFormed(f"step {name} under dialect {self.dialect.name}: {e}") from None
        for operand, codes in constants.items():
            grid, kind = (means or {}).get(operand, (None, "parameter"))
            inputs = inputs | {operand: self.constant(f"{name}.{operand}", codes, row.takes[operand].width, grid, kind)}
        outputs = {key: self.tensor(result, shape, grid, kind, row.gives[key].width)
                   for key, (result, shape, grid, kind) in zip(row.gives, results)}
        self.steps.append(Step(name, part.op, row, {k: inputs[k] for k in row.takes}, outputs,
                               {k: np.asarray(v, np.float64) for k, v in (scales or {}).items()}))
        return results[0][0]

    def part(self, role):
        """The Role of that name; raises IllFormed where the dialect lacks it."""
        return self.dialect.role(role)

    def has(self, role):
        """Whether an operation plays that role here."""
        return role in self.dialect.roles

    def constant(self, name, codes, width, grid=None, role="parameter"):
        """A constant tensor; a float32 one (a target that computes in float) keeps its dtype."""
        self.constants[name] = np.asarray(codes, width.dtype, order="C")
        return self.tensor(name, self.constants[name].shape, grid, role, width)

    def rescale(self, name, source, result, grid, factors, zero=0, role="activation", plays=(), **count):
        """Carry the register or tensor `source`, whose unit is the product of `factors` (numbers, or one for each channel),
        onto `grid`, by the first role of `plays` that the target has. One whose rescale does not allow every ratio (one that only
        shifts, say) may have a role for the others, rescale_any. `count`: of how many summands the mean is meant, for roles that
        divide by it themselves."""
        register, unit = self.tensors[source], grid.scale if np.ndim(grid.scale) else float(grid.scale)
        spread = [np.broadcast_to(np.asarray(f, np.float64), register.shape[-1:] or (1,)) for f in factors]
        real = ratio("float64", spread, unit, **count)
        special = next((name for name in plays if self.has(name)), None)
        plays = special or self.dialect.fitted("rescale", register.width, most=32)
        if not special:
            part = self.dialect.role(plays)
            allows = getattr(ops.load(part.op), "allows", None)
            row = fitted(part.row, {"acc": register.width, "out": grid.width})
            if allows and "rescale_any" in self.dialect.roles and not allows(row, real):
                plays = "rescale_any"
        return self.step(name, plays, {"acc": source}, [(result, register.shape, grid, role)], {"scale": real},
                         {"acc": register.width, "out": grid.width}, factors=spread, unit=unit, zin=zero, zp=int(grid.zero),
                         **count)

    def behind(self, name, acc, grid):
        """The roles that carry the accumulator `acc` of what `name` says onto codes, most special first: rescale_<name>_channels
        where weights have a scale for each channel, then rescale_<name>, each for wide registers where this is one."""
        parts = ("_channels", "") if grid is not None and grid.scale.ndim else ("",)
        return [self.dialect.fitted(f"rescale_{name}{part}", self.tensors[acc].width, most=32) for part in parts]

    def aligned(self, node, name, grid):
        """The tensor as `node` takes it, which works on the codes of `grid`; here groups have seen to that."""
        return name

    def weights(self, node, x, weight, bias):
        """(grid of the weights, their codes, grid of the accumulator, codes of the bias) of a node whose first input is the
        tensor `x`; arrays (m ...) and (m)."""
        if weight in self.graph.kept:
            return self.coded_weights(node, x, weight, bias)
        bits, acc = self.recipe.weight_bits(node.name, node.name in self.edges), self.dialect.accumulator(x.width.bits)
        mask = self.masks.get(weight)
        weight, bias = by_channel(node, self.graph.constants[weight]), self.graph.constants[bias]
        # a channel whose weights are small beside its bias takes a scale at which the bias fills half of the register
        least = np.abs(bias) / (float(x.grid.scale) * (acc.hi // 2)) * Width(bits).hi
        try:
            w = of_weights(weight, least, bits, self.recipe, self.dialect)
        except IllFormed as e:
            raise IllFormed(f"weights of node {node.name}: {e}") from None
        counts = counting(acc, x.grid, w, len(weight))
        word = self.dialect.encode_weights or self.dialect.encode
        weight = weight if mask is None else np.where(mask.kept, weight, 0.0)       # behind the choice of the grid
        return w, w.encode(weight, word), counts, counts.encode(bias, word)

    def coded_weights(self, node, x, weight, bias):
        """The same of weights that come quantized: their own codes, on their own grid."""
        values, bias = self.graph.constants[weight], self.graph.constants[bias]
        grid = self.coming(node, self.graph.kept[weight], weight)
        codes, counts = grid.encode(values), counting(self.dialect.accumulator(x.width.bits), x.grid, grid, len(values))
        if (np.abs(bias / counts.scale) > counts.hi).any():
            raise IllFormed(f"bias of node {node.name}: {counts.width} does not hold it in units of the products with weights "
                            "that come quantized; give the float network")
        return grid, codes, counts, counts.encode(bias, self.dialect.encode_weights or self.dialect.encode)

    def coming(self, node, grid, weight):
        """The grid of weights that come quantized, where the target holds it and the weights still lie on it."""
        said, dialect = f"weights of node {node.name} ({weight}) come quantized", self.dialect
        if grid.width.bits > max(dialect.weights) or dialect.scales != "any" and not allowed(grid, dialect).same(grid):
            raise IllFormed(f"{said}, as {grid.width} codes, which dialect {dialect.name} does not hold on scales that are "
                            f"{dialect.scales}; give the float network")
        if grid.block is None and grid.axis not in (None, 0):
            raise Unsupported(f"{said}, with a scale for each slice along axis {grid.axis}; one for each channel is supported")
        values = self.graph.constants[weight]
        if (grid.decode(grid.encode(values)) != values).any():
            raise IllFormed(f"{said}, and are no longer what their codes mean; give them as they came")
        return grid

    def scales_by(self, name):
        """Whether a factor of a product is a constant without a grid: then it is another scale."""
        return name in self.graph.constants

    def spread(self, node, name, out):
        """A constant operand, spread over the shape of `out`, as a tensor on a grid of its own."""
        values = np.broadcast_to(self.graph.constants[name], (1, *self.shape(out)))[0]
        grid = allowed(symmetric(self.grid_of(out).width, np.abs(values).max(), narrow=False), self.dialect)
        return self.constant(f"{node.name}.{name}", grid.encode(values, self.dialect.encode), grid.width, grid, "weight")

    def product(self, node, role, x, source, weights, shape, **row):
        """A product of the tensor `source`, on the grid of `x`, with constant weights (m ...), up to its accumulator
        `<node>.acc`; gives the scales of both factors."""
        w, codes, counts, bias = weights
        first = Affine(counts.width, counts.scale, counts.zero, axis=0)
        self.step(node.name, role, {"x": source}, [(f"{node.name}.acc", shape, counts, "accumulator")],
               {"x": x.grid.scale, "w": w.scale}, {"x": x.width, "w": w.width, "acc": counts.width, **row},
               {"w": (w, "weight"), "bias": (first, "bias")}, w=codes, bias=bias, zx=zero_of(x),
               zw=w.zero if w.zero.ndim else int(w.zero))
        return x.grid.scale, w.scale

    def factor(self, name):
        """The name of a tensor as a factor of a product: narrowed to the recipe's activations where its grid is wider."""
        tensor, bits = self.tensors[name], self.recipe.activations
        if tensor.width.bits <= bits:
            return name
        narrow = f"{name}.narrow"
        if narrow not in self.tensors:
            lo, hi = (float(tensor.grid.decode(np.array(code))) for code in (tensor.width.lo, tensor.width.hi))
            self.rescale(narrow, name, narrow, grid((lo, hi), bits, self.dialect), (tensor.grid.scale,), zero_of(tensor))
        return narrow

    def program(self):
        """What was collected, as a Program; the outputs of the graph are its outputs."""
        roles = {role: {"op": part.op, "borrowed": part.borrowed} for role, part in self.used.items()}
        for name in self.graph.outputs:
            self.tensors[name] = replace(self.tensors[name], role="output")
        steps = fused(self.steps, self.graph.outputs)
        used = {t for s in steps for t in (*s.inputs.values(), *s.outputs.values())} | set(self.graph.inputs)
        tensors = {name: t for name, t in self.tensors.items() if name in used}
        return Program(steps, tensors, {n: c for n, c in self.constants.items() if n in used}, tuple(self.graph.inputs),
                       tuple(self.graph.outputs), self.dialect.name, self.recipe.name, roles, self.dialect.encode, self.left)


def by_channel(node, weight):
    """Weights with the channels of the result first (m ...); of a ConvTranspose they come as (c m/groups kh kw)."""
    if node.op != "ConvTranspose":
        return weight
    (c, each, *window), groups = weight.shape, node.attributes["group"]
    return weight.reshape(groups, c // groups, each, *window).swapaxes(1, 2).reshape(groups * each, c // groups, *window)


def counting(acc, x, w, channels):
    """The grid of an accumulator (... m) that counts products of codes on the grids `x` and `w`."""
    units = np.broadcast_to(np.float64(x.scale) * w.scale.astype(np.float64), (channels,))
    return Affine(acc, units, np.zeros(channels, np.int64), axis=-1)


def zero_of(tensor):
    return int(tensor.grid.zero)


WEIGHTED = ("Linear", "Conv")


def edges(graph):
    """The names of the first and the last layers with weights: those that no other one feeds, and that feed no other."""
    found = set()
    for nodes, ends, others in ((graph.nodes, "inputs", "outputs"), (reversed(graph.nodes), "outputs", "inputs")):
        behind = set()
        for node in nodes:
            if node.op in WEIGHTED and behind.isdisjoint(getattr(node, ends)):
                found.add(node.name)
            if node.op in WEIGHTED or not behind.isdisjoint(getattr(node, ends)):
                behind.update(t for t in getattr(node, others) if t not in graph.constants)
    return found
