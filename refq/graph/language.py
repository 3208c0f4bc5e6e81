"""language: how a decoder's own operations are lowered: embeddings, rotary positions, and a cache of keys and values.

Tokens and positions are integers without a grid (`Graph.places`): a program takes them as they are, and its door refuses those
that a table or a cache does not have.
"""
from refq import ops
from refq.graph import moves
from refq.graph.builder import zero_of
from refq.ints.width import I32


def places(b, node, name):
    """The name of the tensor that holds places: an input, what a step has made, or a constant of the graph."""
    if name in b.tensors or name not in b.graph.constants:
        return name
    return b.constant(name, b.graph.constants[name][0], I32)


def gather(b, node):
    """Places that are fixed are a move; others take the rows of a constant table, which lies on the grid of what they make."""
    if len(node.inputs) == 1:
        moves.gather(b, node)
        return
    table, i = node.inputs
    out, values = node.outputs[0], b.graph.constants[table]
    grid = b.grid_of(out)
    b.step(node.name, "embed", {"i": places(b, node, i)}, [(out, b.shape(out), grid, "activation")], {"y": grid.scale},
           {"width": grid.width, "places": len(values)}, {"table": (grid, "weight")},
           table=grid.encode(values, b.dialect.encode_weights or b.dialect.encode))


def rotary(b, node):
    """The codes of one table serve all layers."""
    name, *tables, i = node.inputs
    out, part = node.outputs[0], b.part("rope")
    x = b.tensors[b.aligned(node, name, b.grid_of(out))]
    for table in tables:
        if table not in b.tensors:
            codes = ops.load(part.op).table(part.row, b.graph.constants[table])
            b.constant(table, codes, part.row.takes["cos"].width)
    b.step(node.name, "rope", {"x": x.name, "i": places(b, node, i), **dict(zip(("cos", "sin"), tables))},
           [(out, x.shape, x.grid, "activation")], {"x": x.grid.scale},
           {"width": x.width, "places": len(b.graph.constants[tables[0]])}, zero=zero_of(x))


def append(b, node):
    cache, new, i = node.inputs
    x, out = b.tensors[cache], node.outputs[0]
    b.step(node.name, "append", {"x": cache, "new": b.aligned(node, new, x.grid), "i": places(b, node, i)},
           [(out, x.shape, x.grid, "activation")], {}, {"width": x.width, "places": x.shape[1]})

