"""Moves: how the float operations that only move data are lowered to `arrange`. Shapes and axes lose the batch."""
from dataclasses import replace

from refq.errors import Unsupported
from refq.grids import zero_code


def turned(b, name, x, order):
    """`x` with its axes in another order: a tensor of that name."""
    moved(b, name, [x.name], name, tuple(x.shape[a] for a in order), [("transpose", order)])
    return b.tensors[name]


def moved(b, name, sources, result, shape, moves):
    """A step that moves data only: the result lies on the grid of the first source."""
    tensors = [b.tensors[s] for s in sources]
    grid, width = tensors[0].grid, tensors[0].width         # the classes of an ArgMax lie on no grid
    widths = {"width": width, "shapes": tuple(t.shape for t in tensors), "moves": tuple(moves)}
    return b.step(name, "arrange", {f"x{i}": s for i, s in enumerate(sources)}, [(result, shape, grid, "activation")],
                  {}, widths, zero=zero_code(grid))


def alone(b, node, move):
    """One move of one tensor; the classes of an ArgMax lie on no grid."""
    out = node.outputs[0]
    source = b.aligned(node, node.inputs[0], b.tensors[node.inputs[0]].grid and b.grid_of(out))
    moved(b, node.name, [source], out, b.shape(out), [move])


def transpose(b, node):
    alone(b, node, ("transpose", tuple(a - 1 for a in node.attributes["perm"][1:])))


def reshape(b, node):
    alone(b, node, ("reshape", b.shape(node.outputs[0])))


def slices(b, node):
    a = node.attributes
    alone(b, node, ("slice", a["axis"] - 1, a["start"], a["stop"], a["step"]))


def gather(b, node):
    alone(b, node, ("gather", node.attributes["axis"] - 1, tuple(node.attributes["indices"])))


def concat(b, node):
    """Constants among the parts are put on the grid of the whole."""
    out, sources = node.outputs[0], []
    grid = b.grid_of(out)
    for name in node.inputs:
        if name in b.graph.constants:
            codes, name = grid.encode(b.graph.constants[name][0], b.dialect.encode), f"{node.name}.{name}"
            b.constant(name, codes, grid.width, grid, "weight")
        sources.append(b.aligned(node, name, grid))
    moved(b, node.name, sources, out, b.shape(out), [("concat", node.attributes["axis"] % len(b.graph.shapes[out]) - 1)])


def pad(b, node):
    a, rank = node.attributes, len(node.attributes["pads"]) // 2
    if a.get("value", 0.0) != 0:
        raise Unsupported(f"node {node.name}: pads with {a['value']}; 0 is supported")
    pairs = tuple((a["pads"][i], a["pads"][rank + i]) for i in range(1, rank))
    alone(b, node, ("pad", pairs))


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
