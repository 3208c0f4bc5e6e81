"""placed: grids spread over moves and cuts, so that what only moves or cuts codes is done on codes.

A file says grids where it rounds. Between two roundings it may move data (Reshape, Transpose ...) or cut it (Relu, Clip,
MaxPool): these give on codes what they give on reals, so a float tensor beside them takes the grid of the other side, and
nothing changes but the order. What is left without a grid is float.
"""
import numpy as np

from refq.graph.graph import Node
from refq.graph.groups import MOVES, moved
from refq.grids.affine import same
from refq.grids.rounded import Rounded


def placed(graph):
    """The graph with the grids that moves and cuts carry on; a Requantize that joins tensors of one grid is gone."""
    grids = dict(graph.grids)
    for node in graph.nodes:                                    # forward: no rounding follows, so the codes stay
        if node.op in MOVES and node.outputs[0] not in grids:
            first = grids.get(moved(node)[0])
            alike = first is not None and all(same(first, grids.get(name)) for name in moved(node))
            if alike and exact(node, first):
                grids[node.outputs[0]] = first
    for node in reversed(graph.nodes):                          # backward: rounding first and moving then is the same
        grid = grids.get(node.outputs[0])
        if node.op in MOVES and grid is not None:
            for name in moved(node):
                readers = graph.consumers.get(name, ())
                outside = name in graph.inputs and isinstance(grid, Rounded)        # nobody rounds images as the file says
                if not outside and name not in grids and name not in graph.constants and name not in graph.outputs and all(
                        r.op in MOVES and same(grids.get(r.outputs[0]), grid) for r in readers):
                    grids[name] = grid
    return without_idle(graph, grids)


def exact(node, grid):
    """Whether the bounds of a cut and the value of a pad are reals that have a code."""
    if node.op == "Clip":
        bounds = [v for v in (node.attributes["min"], node.attributes["max"]) if np.isfinite(v)]
    else:
        bounds = [node.attributes.get("value", 0.0)] if node.op == "Pad" else []
    ends = grid.decode(np.array([grid.lo, grid.hi], grid.width.dtype))
    return all(not ends[0] < v < ends[1] or grid.decode(grid.encode(np.array(v))) == v for v in bounds)


def without_idle(graph, grids):
    """Without the nodes that requantize onto the grid on which their input now lies."""
    called, nodes = {}, []
    for node in graph.nodes:
        inputs = tuple(called.get(name, name) for name in node.inputs)
        idle = node.op == "Requantize" and node.attributes.get("by", 1.0) == 1.0 and node.outputs[0] not in graph.outputs \
            and same(grids.get(inputs[0]), grids[node.outputs[0]])
        if idle:
            called[node.outputs[0]] = inputs[0]
        else:
            nodes.append(Node(node.name, node.op, inputs, node.outputs, node.attributes))
    gone = set(called)
    return type(graph)(graph.name, graph.inputs, graph.outputs, tuple(nodes), graph.constants,
                       {k: v for k, v in graph.shapes.items() if k not in gone}, graph.notes, graph.labels,
                       {k: v for k, v in grids.items() if k not in gone})
