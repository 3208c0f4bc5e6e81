"""Graph: a float network as nodes on named tensors, the way ONNX draws it, with every constant in float64 or int64.

Nothing here changes: a pass makes another graph. Shapes are those of one image, with a leading batch axis of 1.

A network that comes quantized is the same graph of float operations, and `grids` says on which grid a tensor lies, as its
file does: what makes it gives codes on that grid, and a constant on a grid holds the reals that its codes mean, exactly. A
tensor without a grid is float. `Requantize(x)` carries a tensor onto another grid, or a float one onto its first.
"""
from dataclasses import dataclass, field
from functools import cached_property


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
    constant to Affine, empty for a float network."""

    name: str
    inputs: dict
    outputs: tuple
    nodes: tuple
    constants: dict
    shapes: dict = field(default_factory=dict)
    notes: tuple = ()
    labels: tuple = ()
    grids: dict = field(default_factory=dict)

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
