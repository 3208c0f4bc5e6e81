"""forms: every integer form of a real function that some dialect states, run as a network of that one operation.

A form is an operation under a row; dialects that share both share it. What it gives is read where it leaves the operation
itself, before any rescale, and decoded by the grid that it lies on there.
"""
from dataclasses import dataclass

import numpy as np

from refq import dialects
from refq.dialects.base import Role
from refq.errors import IllFormed, Unsupported, nearest
from refq.graph.calibrate import choose
from refq.graph.evaluate import run_node
from refq.graph.graph import Graph, Node
from refq.graph.groups import Groups
from refq.graph.lower import lower
from refq.graph.play import play
from refq.grids.affine import Affine
from refq.ints.width import I8
from refq.recipes.base import Recipe

NODES = {
    "softmax": ("Softmax", "softmax"), "gelu": ("Gelu", "gelu"), "silu": ("Swish", "table"), "sigmoid": ("Sigmoid", "sigmoid"),
    "tanh": ("Tanh", "tanh"), "hard_swish": ("HardSwish", "hard_swish"), "layernorm": ("LayerNormalization", "layernorm"),
    "rmsnorm": ("RMSNormalization", "rmsnorm"), "l2_norm": ("LpNormalization", "l2_norm"),
}
"""Function to the float operation that computes it and the role that plays it; where a dialect has no such role, a table does."""
ROWS = ("softmax", "layernorm", "rmsnorm", "l2_norm")
"""Functions of a row of numbers; the others are of one number."""
ASIDE = {"softmax": (0.0, 0.0, 0.0), **dict.fromkeys(ROWS[1:], (-1.0, -0.5, 0.5, 1.0))}
"""What stands beside the number that varies, in rows that are drawn."""


@dataclass(frozen=True)
class Form:
    """`op` under `row`: the form; `dialects` that have it as their own."""

    function: str
    op: str
    row: object
    dialects: tuple

    def __str__(self):
        return f"{self.op} ({', '.join(self.dialects)})"

    def values(self, q, scale):
        """(reals, unit): what the form makes of int8 codes `q` (n c) of `scale`, decoded to float64 (n c), and the least
        distance of two of its results; raises IllFormed for a scale that the operation does not take."""
        program = network(self.function, q, scale, dialects.load(self.dialects[0]))
        step = program.steps[0]
        grid = program.tensors[next(iter(step.outputs.values()))].grid
        codes = play(Role(step.op, step.row), {}, {k: program.constants.get(name, q) for k, name in step.inputs.items()})
        unit = float(np.min(grid.scale)) if isinstance(grid, Affine) else float(np.min(np.diff(levels(grid))))
        return grid.decode(codes.reshape(q.shape)), unit


def levels(grid):
    """Every real that a grid of few codes holds, ascending."""
    return np.unique(grid.decode(np.arange(grid.width.lo, grid.width.hi + 1)))


def real(function, x):
    """The real function of rows `x` (n c), float64."""
    graph = float_network(function, x.shape[1])
    return run_node(graph.nodes[0], graph.constants | {"x": x})[0]


def float_network(function, count):
    op, _ = NODES[function]
    vectors = {"LayerNormalization": {"gamma": np.ones(count), "beta": np.zeros(count)},
               "RMSNormalization": {"gamma": np.ones(count)}}
    constants, small = vectors.get(op, {}), {"epsilon": 1e-12} if function in ROWS[1:] else {}
    node = Node("f", op, ("x", *constants), ("y",), small)
    return Graph(function, {"x": (1, 1, count)}, ("y",), (node,), constants, dict.fromkeys("xy", (1, 1, count)))


def network(function, q, scale, dialect):
    """The program of one operation for rows of int8 codes of `scale`; its result has the range that these rows give it."""
    graph = float_network(function, q.shape[1])
    y = real(function, q * np.float64(scale))
    bits = {name: 8 for name in ("weights", "edges", "activations", "stream", "logits", "gelu", "probabilities", "output")}
    recipe, of = Recipe("forms", "8 bits", "", **bits), Groups(graph).of
    grids = choose(graph, {of["x"]: (-128 * scale, 127 * scale), of["y"]: (float(y.min()), float(y.max()))}, recipe, dialect)
    return lower(graph, grids | {of["x"]: Affine(I8, np.float64(scale), np.int64(0))}, recipe, dialect)


def forms(function, scale=1 / 16):
    """The forms of `function` (a key of NODES) that take int8 codes of `scale`, by operation; raises IllFormed for another
    name."""
    if function not in NODES:
        raise IllFormed(f"{function!r} is no function of which refq draws forms: {nearest(function, tuple(NODES))}")
    _, role = NODES[function]
    found, q = {}, np.arange(4, dtype=np.int8)[None]
    for name in dialects.names():
        dialect = dialects.load(name)
        part = dialect.roles.get(role, dialect.roles.get("table"))
        if part is None or part.borrowed not in (None, "refq"):
            continue
        try:
            step = network(function, q, scale, dialect).steps[0]
        except (IllFormed, Unsupported):
            continue
        found.setdefault((step.op, step.row), []).append(name)
    return sorted((Form(function, op, row, tuple(names)) for (op, row), names in found.items()), key=str)
