"""show: a program as a table of its steps, a dialect as its rows, a rounding as its ties."""
from dataclasses import fields

import numpy as np

from refq.ints import rounding
from refq.ints.row import plain, stated
from refq.ints.width import Width

LONGEST = 40
"""Characters of a name that a table shows whole."""
TIES = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)


def table(head, rows):
    """Rows of texts in columns as wide as they need; the last column is not padded."""
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = [head, ["-" * w for w in widths], *rows]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)


def short(name):
    """A name for a table: of a long one both ends."""
    return name if len(name) <= LONGEST else f"{name[:18]}...{name[-18:]}"


def shape(values):
    return "x".join(map(str, values)) or "1"


def number(x):
    """A scale in four significant digits; a range where channels differ."""
    x = np.atleast_1d(np.asarray(x, np.float64))
    return f"{x.min():.4g}" if x.min() == x.max() else f"{x.min():.4g}..{x.max():.4g}"


def meaning(grid):
    """What codes stand for: the scale, and a zero point that is not 0; of other grids than affine ones the kind and the ends."""
    if grid is None:
        return ""
    if grid.kind not in ("affine", "power_of_two"):
        return f"{grid.kind} {number(grid.scale)}" if hasattr(grid, "scale") else f"{grid.kind} {number(grid.levels)}"
    zero = f" zp {int(grid.zero)}" if grid.zero.ndim == 0 and int(grid.zero) else ""
    return number(grid.scale) + zero


def tensor(t):
    return f"{shape(t.shape)} {t.width}"


def rounding_of(row):
    """How a row rounds, in a few words: its own (`rounds`), its ties, or not at all."""
    if hasattr(row, "rounds"):
        return row.rounds
    ties, high = getattr(row, "ties", None), getattr(row, "high", "none")
    return "exact" if ties is None else ties if high == "none" else f"{high} then {ties}"


def program(p):
    """Every step: name, operation, what it takes; the tensor it gives, that one's shape, width and scale; its rounding."""
    rows = []
    for step in p.steps:
        live = [tensor(p.tensors[t]) for t in step.inputs.values() if t not in p.constants or p.tensors[t].role == "weight"]
        out = [p.tensors[t] for t in step.outputs.values()]
        grid = out[0].grid
        rows.append([short(step.name), step.op, ", ".join(live), ", ".join(map(short, step.outputs.values())),
                     ", ".join(map(tensor, out)), meaning(grid), rounding_of(step.row)])
    parameters = sum(c.nbytes for c in p.constants.values())
    head = f"{len(p.steps)} steps, {len(p.tensors)} tensors, {parameters:,} bytes of constants; recipe {p.recipe}, " \
           f"dialect {p.dialect}"
    return f"{head}\n\n" + table(["step", "operation", "takes", "tensor", "gives", "scale", "rounding"], rows) + \
        "\n\n" + "\n".join(filter(None, (roles(p.roles), left(p.left))))


def left(nodes):
    """The nodes that stayed in float, and why."""
    return "\n".join(f"in float: {node} ({why})" for node, why in nodes.items())


def roles(used):
    """Which operation plays each role that does not name it, and whose it is."""
    told = {role: part for role, part in used.items() if part["borrowed"] or part["op"] != role}
    return "\n".join(f"{role} is {part['op']}" + (f", borrowed from {part['borrowed']}" if part["borrowed"] else "")
                     for role, part in told.items())


def row(value):
    """The fields of a row that a dialect states, in one line."""
    words = plain(value)
    return ", ".join(f"{k}={words[k]}" for k in stated(value))


def dialect(d):
    """What a dialect states: its sources, its grids, its rows, and where their ties go."""
    lines = [f"{d.name}: {d.title}", f"source   {d.source}", f"date     {d.date or 'not given'}",
             f"weights  {', '.join(map(str, d.weights))} bits, symmetric{', the lowest code left out' if d.narrow else ''}",
             f"codes    {', '.join(map(str, d.activations))} bits for activations; zero points at "
             f"{', '.join(map(str, d.asymmetric)) or 'none of them'}; images become codes by {d.encode}"
             f"{f', weights by {d.encode_weights}' if d.encode_weights else ''}",
             *(["scales   powers of two"] if d.scales == "pow2" else []),
             f"bias     a given one that its register does not hold: {d.bias}; codes that share a byte: {d.nibbles}",
             "sums     " + ", ".join(f"{w} for activations of {b} bits" for b, w in d.accumulators.items()), ""]
    rows = [[name, part.op, f"borrowed from {part.borrowed}" if part.borrowed else "own", row(part.row)]
            for name, part in d.roles.items()]
    lines.append(table(["role", "operation", "whose", "row"], rows))
    used = list(dict.fromkeys(w for part in d.roles.values() for f in ("high", "ties")
                              if (w := getattr(part.row, f, "none")) != "none"))
    lines += ["", ties(used)] + (["", f"{len(d.checks)} published check values, tested"] if d.checks else [])
    return "\n".join(lines)


def ties(names):
    """What each rounding makes of the ties around zero."""
    rows = [[name, *(f"{rounding.word(name)(int(2 * t), 1):4d}" for t in TIES)] for name in names]
    return table(["ties of", *(f"{t:4}" for t in TIES)], rows)


def jsonable(d):
    """A dialect as plain values."""
    return {f.name: convert(getattr(d, f.name)) for f in fields(d) if f.name not in ("roles", "checks")} | {
        "roles": {name: {"op": part.op, "borrowed": part.borrowed, "row": plain(part.row)} for name, part in d.roles.items()}}


def convert(value):
    if isinstance(value, dict):
        return {str(k): convert(v) for k, v in value.items()}
    return str(value) if isinstance(value, Width) else list(value) if isinstance(value, tuple) else value


def program_words(p):
    """A program as plain values: its steps, tensors and roles."""
    steps = [{"name": s.name, "op": s.op, "row": plain(s.row), "inputs": s.inputs, "outputs": s.outputs} for s in p.steps]
    tensors = {t.name: {"shape": list(t.shape), "width": str(t.width), "role": t.role,
                        "scale": number(t.grid.scale) if hasattr(t.grid, "scale") else None}
               | ({} if t.grid is None or t.grid.kind == "affine" else {"grid": t.grid.describe()}) for t in p.tensors.values()}
    return {"recipe": p.recipe, "dialect": p.dialect, "roles": p.roles, "left": p.left, "steps": steps,
            "tensors": tensors}


def graph(g):
    """A float network as its nodes."""
    rows = [[short(n.name), n.op, ", ".join(shape(g.shapes[t]) for t in n.inputs if t in g.shapes),
             ", ".join(shape(g.shapes[t]) for t in n.outputs if t in g.shapes),
             f"{sum(g.constants[t].size for t in n.inputs if t in g.constants):,}"] for n in g.nodes]
    parameters = sum(c.size for c in g.constants.values())
    return f"{g.name}: {len(g.nodes)} nodes, {parameters:,} parameters; float, give --data to see its program\n\n" + \
        table(["node", "operation", "takes", "gives", "parameters"], rows)


def graph_words(g):
    """A float network as plain values."""
    return {"name": g.name, "inputs": {k: list(v) for k, v in g.inputs.items()}, "outputs": list(g.outputs),
            "nodes": [{"name": n.name, "op": n.op, "inputs": list(n.inputs), "outputs": list(n.outputs)} for n in g.nodes]}
