"""Builder: collects the tensors, constants and steps of a Program while a float graph is lowered.

Tensors lose their batch axis on the way. Which operation plays a role, and under which row, is the dialect's; nothing here
asks which dialect that is.
"""
from dataclasses import fields, replace
from fnmatch import fnmatchcase

import numpy as np

from refq import ops
from refq.errors import IllFormed, nearest
from refq.graph.calibrate import grid
from refq.graph.groups import Groups
from refq.graph.moves import fused
from refq.graph.program import Program, Step, Tensor
from refq.ints.scales import ratio


class Builder:
    """Collects tensors, constants and steps; knows the float graph and the grids."""

    def __init__(self, graph, grids, recipe, dialect):
        self.graph, self.grids, self.recipe, self.dialect = graph, grids, recipe, dialect
        self.groups = Groups(graph)
        self.tensors, self.constants, self.steps, self.used = {}, {}, [], {}
        self.edges = edges(graph)
        if strange := [p for p, _ in recipe.layers if not any(fnmatchcase(n.name, p) for n in graph.nodes if n.op in WEIGHTED)]:
            names = tuple(n.name for n in graph.nodes if n.op in WEIGHTED)
            raise IllFormed(f"recipe {recipe.name}: no layer matches {strange[0]!r}; {nearest(strange[0], names)}")
        for name in graph.inputs:
            self.tensor(name, self.shape(name), self.grid_of(name), "input")

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
        part = self.dialect.role(role)
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

    def constant(self, name, codes, width, grid=None, role="parameter"):
        """A constant tensor; a float32 one (a target that computes in float) keeps its dtype."""
        self.constants[name] = np.asarray(codes, width.dtype, order="C")
        return self.tensor(name, self.constants[name].shape, grid, role, width)

    def rescale(self, name, source, result, grid, factors, zero=0, role="activation"):
        """Carry the register or tensor `source`, whose unit is the product of `factors` (numbers, or one for each channel),
        onto `grid`."""
        register, unit = self.tensors[source], float(grid.scale)
        spread = [np.broadcast_to(np.asarray(f, np.float64), register.shape[-1:] or (1,)) for f in factors]
        return self.step(name, "rescale" if register.width.bits <= 32 else "rescale_wide", {"acc": source},
                         [(result, register.shape, grid, role)], {"scale": ratio("float64", spread, unit)},
                         {"acc": register.width, "out": grid.width}, factors=spread, unit=unit, zin=zero, zp=int(grid.zero))

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
                       tuple(self.graph.outputs), self.dialect.name, self.recipe.name, roles, self.dialect.encode)


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
