"""Moves: how the float operations that only move data are lowered to `arrange`, and where the batch axis goes."""
from dataclasses import replace

import numpy as np

from refq.errors import Unsupported


def turned(b, name, x, order):
    """`x` with its axes in another order: a tensor of that name."""
    moved(b, name, [x.name], name, tuple(x.shape[a] for a in order), [("transpose", order)])
    return b.tensors[name]


def moved(b, name, sources, result, shape, moves):
    """A step that moves data only: the result lies on the grid of the first source."""
    tensors = [b.tensors[s] for s in sources]
    grid = tensors[0].grid
    widths = {"width": grid.width, "shapes": tuple(t.shape for t in tensors), "moves": tuple(moves)}
    return b.step(name, "arrange", {f"x{i}": s for i, s in enumerate(sources)}, [(result, shape, grid, "activation")],
                  {}, widths, zero=int(grid.zero))


def transpose(b, node):
    x, out = node.inputs[0], node.outputs[0]
    order = node.attributes["perm"]
    b.place[out] = order.index(b.place[x])
    rest = [b.axis(x, a) for a in order if a != b.place[x]]
    moved(b, node.name, [x], out, b.shape(out), [("transpose", tuple(rest))])


def reshape(b, node):
    """The batch axis is 1 long: it stays where as many numbers lie before it, or goes to the front."""
    x, out = node.inputs[0], node.outputs[0]
    before, after = b.graph.shapes[x], b.graph.shapes[out]
    if 1 not in after:
        raise Unsupported(f"node {node.name}: a reshape to {after} that leaves no batch axis; refq runs images one by one")
    lead = int(np.prod(before[:b.place[x]]))
    fits = [i for i, size in enumerate(after) if size == 1 and int(np.prod(after[:i])) == lead]
    if not fits:
        raise Unsupported(f"node {node.name}: a reshape from {before} to {after} that mixes images")
    b.place[out] = fits[0]
    moved(b, node.name, [x], out, b.shape(out), [("reshape", b.shape(out))])


def slices(b, node):
    x, out, a = node.inputs[0], node.outputs[0], node.attributes
    b.place[out] = b.place[x]
    moved(b, node.name, [x], out, b.shape(out), [("slice", b.axis(x, a["axis"]), a["start"], a["stop"], a["step"])])


def gather(b, node):
    x, out, a = node.inputs[0], node.outputs[0], node.attributes
    b.place[out] = b.place[x]
    moved(b, node.name, [x], out, b.shape(out), [("gather", b.axis(x, a["axis"]), tuple(a["indices"]))])


def concat(b, node):
    out = node.outputs[0]
    live = next((n for n in node.inputs if n in b.tensors), None)
    if live is None:
        raise Unsupported(f"node {node.name}: joins constants only")
    b.place[out] = b.place[live]
    sources = []
    for name in node.inputs:
        if name in b.graph.constants:
            values, name = b.graph.constants[name].take(0, b.place[out]), f"{node.name}.{name}"
            b.constant(name, b.grid_of(out).encode(values, b.dialect.encode), b.grid_of(out).width, b.grid_of(out), "weight")
        sources.append(name)
    moved(b, node.name, sources, out, b.shape(out), [("concat", b.axis(out, node.attributes["axis"]))])


def pad(b, node):
    x, out, a = node.inputs[0], node.outputs[0], node.attributes
    if a.get("value", 0.0) != 0:
        raise Unsupported(f"node {node.name}: pads with {a['value']}; 0 is supported")
    b.place[out] = b.place[x]
    rank = len(a["pads"]) // 2
    pairs = [(a["pads"][i], a["pads"][rank + i]) for i in range(rank) if i != b.place[x]]
    moved(b, node.name, [x], out, b.shape(out), [("pad", tuple(pairs))])


def fused(steps, kept):
    """Steps in which a move that feeds nothing but one other move has become part of that: one copy, one name (the last).
    `kept`: tensors that must stay, such as the outputs."""
    readers = {}
    for step in steps:
        for name in step.inputs.values():
            readers.setdefault(name, []).append(step)
    made = {name: i for i, step in enumerate(steps) for name in step.outputs.values()}
    steps = list(steps)
    for i, step in enumerate(steps):
        before = made.get(step.inputs.get("x0")) if step.op == "arrange" and len(step.row.shapes) == 1 else None
        if before is None or step.inputs["x0"] in kept or len(readers[step.inputs["x0"]]) > 1:
            continue
        first = steps[before]
        if first is None or first.op != "arrange":
            continue
        row = replace(first.row, moves=(*first.row.moves, *step.row.moves))
        inputs = {k: (step.inputs | first.inputs)[k] for k in row.takes}
        steps[i], steps[before] = replace(step, row=row, inputs=inputs), None
    return tuple(step for step in steps if step is not None)
