"""Graph: a float network as nodes on named tensors, the way ONNX draws it, with every constant in float64 or int64.

Nothing here changes: a pass makes another graph. Shapes are those of one image, with a leading batch axis of 1.

A network that comes quantized is the same graph of float operations, and `grids` says on which grid a tensor lies, as its
file does: what makes it gives codes on that grid, and a constant on a grid holds the reals that its codes mean, exactly. A
tensor without a grid is float. `Requantize(x)` carries a tensor onto another grid, or a float one onto its first.
"""
from dataclasses import dataclass, field
from functools import cached_property

PLACES = {"Gather": (1, 0, 0), "RotaryEmbedding": (3, 1, 0), "Append": (2, 0, 2), "Softmax": (1, 0, -1)}
"""Operation to: which operand is places, of which operand they are places, along which axis."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation: `op` is ONNX's name for it (or `Linear`, in canonical graphs); `inputs` and `outputs` are tensor
    names, "" where an optional input is left out; `attributes` hold numbers, words and tuples of them."""

    name: str
    op: str
    inputs: tuple
    outputs: tuple
    attributes: dict = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """`nodes` in topological order; `inputs`: name to shape, batch 1; `outputs`: names; `constants`: name to array
    (float64, int64 or bool); `shapes`: name to shape of every activation, filled by the canonical form; `notes`:
    sentences about what was assumed while it was made; `labels`: the names of the classes, or empty; `grids`: tensor or
    constant to Affine, empty for a float network; `family`: of a language model, what it was built by and can be built by
    again, over another context or beside a cache (refq.networks.llama); `kept`: weight to Affine, of a network whose weights come
    quantized and whose activations do not: the constant holds the reals that its codes mean, and keeps those codes."""

    name: str
    inputs: dict
    outputs: tuple
    nodes: tuple
    constants: dict
    shapes: dict = field(default_factory=dict)
    notes: tuple = ()
    labels: tuple = ()
    grids: dict = field(default_factory=dict)
    family: object = None
    kept: dict = field(default_factory=dict)

    @cached_property
    def places(self):
        """Inputs that are places along an axis (tokens, positions), and no values: name to how many places there are."""
        found = {}
        for node in self.nodes:
            operand, of, axis = PLACES.get(node.op, (None, 0, 0))
            name = node.inputs[operand] if operand is not None and len(node.inputs) > operand else ""
            if name in self.inputs:
                table = node.inputs[of]
                shape = self.constants[table].shape if table in self.constants else {**self.inputs, **self.shapes}[table]
                found[name] = min(found.get(name, shape[axis]), shape[axis])
        return found

    @cached_property
    def producers(self):
        """Tensor name to the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def consumers(self):
        """Tensor name to the list of nodes that read it, once per node, in order."""
        readers = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers.setdefault(name, []).append(node)
        return readers

    def __repr__(self):
        return f"Graph({self.name!r}, {len(self.nodes)} nodes, {sorted(self.inputs)} -> {list(self.outputs)})"
