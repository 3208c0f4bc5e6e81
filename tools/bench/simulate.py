"""What a program's grids alone cost: its steps walked with real numbers, every rounding the nearest one.

`simulate(program, images)` computes products, sums and means in float64 from the reals that the codes stand for, and
rounds the result of every rescale and add once, half to even, onto the step's output grid. Softmax, GELU and LayerNorm
follow the program's own formulas, on codes; those that `exact` names are the real functions instead, so that the
difference of the two is what the formulas cost, and the difference to the integer program is what its arithmetic costs. A
table is both: the real function, rounded once.
"""
import numpy as np

from refq import ops
from refq.ops import arrange, average_pool, batch_matmul, conv2d, ilayernorm, matmul, max_pool, mean, shiftmax

FORMULAS = "shiftmax", "softmax_gemmlowp", "softmax_table16", "softmax_tosa", "shiftgelu", "ilayernorm"
"""The operations that are near a real function by a formula of their own."""


def onto(grid, x):
    """The reals of `grid` (one scale) nearest to x, saturated."""
    scale, zero = float(grid.scale), int(grid.zero)
    codes = np.rint(x / scale)
    np.clip(codes, grid.lo - zero, grid.hi - zero, out=codes)
    codes *= scale
    return codes


def codes_of(tensor, x):
    """The codes of reals that lie on the grid of the tensor."""
    return (np.rint(x / float(tensor.grid.scale)) + int(tensor.grid.zero)).astype(tensor.width.dtype)


def meaning(grid, codes):
    """The reals of codes (... c) whose grid has one scale, or one for each channel."""
    return (codes.astype(np.float64) - grid.zero) * grid.scale


def gelu(x):
    """x * Phi(x), with erf by Abramowitz and Stegun 7.1.26: 1.5e-7 of it, far below any grid here."""
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * np.exp(-z * z)
    return x * np.where(x < 0, tail, 2 - tail) / 2


def constants(program):
    """Every constant as reals where its grid says so, else as it is."""
    grids = {name: program.tensors[name].grid for name in program.constants}
    return {name: grids[name].decode(c) if grids[name] else c for name, c in program.constants.items()}


class Walk:
    """One walk over the steps; `live` maps names to reals (n *shape); `exact`: operations that are real functions."""

    def __init__(self, program, images, exact=(), reals=None):
        self.program, self.exact, self.reals = program, exact, reals or constants(program)
        name = program.inputs[0]
        self.live = {name: onto(program.tensors[name].grid, np.asarray(images, np.float64))}
        self.images = len(images)

    def constant(self, step, operand):
        return self.reals[step.inputs[operand]]

    def data(self, step, operand):
        """An operand that is an activation (or a constant that is joined with some), its leading axes joined."""
        name, declared = step.inputs[operand], step.row.takes[operand]
        x = self.live.get(name)
        if x is None:
            x = self.constant(step, operand)
            x = np.ascontiguousarray(np.broadcast_to(x, (self.images, *x.shape)))
        return declared.view(x)

    def run(self, step):
        result = self.program.tensors[next(iter(step.outputs.values()))]
        made = simulated[step.op](self, step, result)
        self.live[result.name] = made.reshape(self.images, *result.shape)


def product(walk, step, result):
    x, w, bias = walk.data(step, "x"), walk.constant(step, "w"), walk.constant(step, "bias")
    return conv2d.real(x, w, bias, step.row) if step.op == "conv2d" else matmul.real(x, w, bias)


def paired(walk, step, result):
    return batch_matmul.real(walk.data(step, "x"), walk.data(step, "w"))


def summed(walk, step, result):
    return mean.real(walk.data(step, "q"))


def rescaled(walk, step, result):
    """The factor holds what the step multiplies by beside the change of units: 1 / count of a mean, an attention's scale."""
    units = walk.program.tensors[step.inputs["acc"]].grid.scale
    factor = step.scales["scale"] * float(result.grid.scale) / units
    x = walk.live[step.inputs["acc"]]
    return onto(result.grid, x if np.allclose(factor, 1, rtol=1e-12, atol=0) else x * factor)


def added(walk, step, result):
    return onto(result.grid, walk.data(step, "a") + walk.data(step, "b"))


def pooled(walk, step, result):
    return onto(result.grid, average_pool.real(walk.data(step, "q"), step.row))


def seen_largest(walk, step, result):
    return max_pool.real(walk.data(step, "q"), step.row)


def moved(walk, step, result):
    zero = (np.float64(0),) if "zero" in step.row.takes else ()
    return arrange.real(*(walk.data(step, name) for name in step.row.takes if name != "zero"), *zero, row=step.row)


def clipped(walk, step, result):
    lo, hi = (meaning(result.grid, walk.constant(step, end)) for end in ("lo", "hi"))
    return np.clip(walk.data(step, "q"), lo, hi)


def largest(walk, step, result):
    return walk.data(step, "q").argmax(1)


def formula(walk, step, result):
    """The operation itself, on codes; what its codes stand for."""
    declared = step.row.takes
    q = codes_of(walk.program.tensors[step.inputs["q"]], walk.data(step, "q"))
    fixed = {name: walk.program.constants[step.inputs[name]] for name in declared if name != "q"}
    gives, = step.row.gives.values()
    codes = np.empty(q.shape, gives.width.dtype)
    ops.load(step.op).kernel(step.row)(q, *(c if declared[n].names else int(c) for n, c in fixed.items()), codes)
    return meaning(result.grid, codes)


def or_exact(real):
    """The formula, or `real(x, step)` of reals x (n c) where the walk asks for that."""
    def either(walk, step, result):
        return real(walk.data(step, "q"), step) if step.op in walk.exact else formula(walk, step, result)
    return either


simulated = {
    "matmul": product, "conv2d": product, "batch_matmul": paired, "mean": summed, "rescale": rescaled,
    "rescale_float32": rescaled, "add": added, "add_float32": added, "arrange": moved, "clip": clipped, "argmax": largest,
    "average_pool": pooled, "max_pool": seen_largest, **dict.fromkeys(("table", "table16"), formula),
    **dict.fromkeys(("shiftmax", "softmax_gemmlowp", "softmax_table16", "softmax_tosa"),
                    or_exact(lambda x, step: shiftmax.real(x, 1.0))),
    "shiftgelu": or_exact(lambda x, step: gelu(x)),
    "ilayernorm": or_exact(lambda x, step: ilayernorm.real(x, step.scales["gamma"], step.scales["beta"])),
}


def simulate(program, images, exact=(), reals=None):
    """The first output of the program for float images (n *shape), as reals (n *shape). `exact`: some of FORMULAS;
    `reals`: what `constants` gave, where it is called more than once."""
    walk = Walk(program, images, exact, reals)
    last = {name: step for step in program.steps for name in step.inputs.values()}
    for step in program.steps:
        walk.run(step)
        for name in {*step.inputs.values()} & {*walk.live}:
            if last[name] is step and name not in program.outputs:
                del walk.live[name]
    return walk.live[program.outputs[0]]
