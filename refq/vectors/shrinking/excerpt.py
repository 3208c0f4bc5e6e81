"""Excerpt: a run of steps of a program as a program of its own, at one case, that can be made smaller.

Its axes are those of all its tensors that have to stay equal, found by the operations' declarations: the rows of a matmul are
those of the rescale behind it. To cut an axis is to keep some of its places in every tensor that has it. An axis is fixed where
that would not leave the same operation: of moves, of images under a window, of grouped channels, of tables.
"""
from dataclasses import dataclass, field, replace

import numpy as np

from refq import ops
from refq.graph.program import Program, Step
from refq.grids import zero_code
from refq.vectors.diagnosis.place import Place

FIXED = {"conv2d": ("h", "w", "kh", "kw", "oh", "ow"), "table": ("i",)}


@dataclass(frozen=True)
class Axis:
    """`slots`: (tensor, dimension) of all that have it; `whole`: one element of a result needs all of it; `fixed`: it is not
    to be cut."""

    name: str
    slots: frozenset
    whole: bool
    fixed: bool


@dataclass(frozen=True, eq=False)
class Excerpt:
    """`program`: of the run alone; `codes`: input to array (*shape) of the one case; `axes`: every Axis."""

    program: Program
    codes: dict
    axes: tuple = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "axes", tuple(axes_of(self.program)))

    @property
    def steps(self):
        return list(self.program.steps)

    def size(self, axis):
        tensor, dim = min(axis.slots)
        return self.program.tensors[tensor].shape[dim]

    def axis(self, tensor, dim):
        """The axis that a dimension of a tensor lies on, or None."""
        return next((a for a in self.axes if (tensor, dim) in a.slots), None)

    def array(self, name):
        """The codes of an input or a constant."""
        return self.codes[name] if name in self.codes else self.program.constants[name]

    def truth(self):
        """Every result of every step, without a case axis."""
        place = Place(self.program, self.steps, {name: array[None] for name, array in self.codes.items()})
        return {name: array[0] for name, array in place.truth.items()}

    def holding(self, name, array):
        """The same with other codes in an input or a constant."""
        if name in self.codes:
            return Excerpt(self.program, self.codes | {name: array})
        return Excerpt(replace(self.program, constants=self.program.constants | {name: array}), self.codes)


def excerpt(program, steps, codes):
    """The Excerpt of a run of steps; `codes`: tensor to array (*shape) of one case, at least of what the run takes."""
    made = [t for s in steps for t in s.outputs.values()]
    taken = list(dict.fromkeys(t for s in steps for t in s.inputs.values()))
    inputs = tuple(t for t in taken if t not in made and t not in program.constants)
    outputs = tuple(t for t in made if t not in taken or t in steps[-1].outputs.values())
    tensors = {name: program.tensors[name] for name in (*inputs, *taken, *made)}
    tensors |= {name: replace(tensors[name], role="input") for name in inputs}
    tensors |= {name: replace(tensors[name], role="output") for name in outputs}
    alone = Program(tuple(Step(s.name, s.op, s.row, s.inputs, s.outputs) for s in steps), tensors,
                    {name: program.constants[name] for name in taken if name in program.constants}, inputs, outputs,
                    program.dialect, program.recipe, ties=program.ties)
    return Excerpt(alone, {name: np.ascontiguousarray(codes[name]) for name in inputs})


def axes_of(program):
    """Every Axis of a program, in the order in which its steps declare them."""
    groups = []                     # [labels, slots]
    for step in program.steps:
        for slot, label in slots(step, program):
            meeting = [g for g in groups if slot in g[1] or (step.name, label) in g[0]]
            merged = [dict.fromkeys(k for g in meeting for k in g[0]), {s for g in meeting for s in g[1]}]
            merged[0][step.name, label], merged[1] = True, merged[1] | {slot}
            at = groups.index(meeting[0]) if meeting else len(groups)
            groups = [g for g in groups[:at] if g not in meeting] + [merged] + [g for g in groups[at:] if g not in meeting]
    steps = {s.name: s for s in program.steps}
    for labels, members in groups:
        whole = any(label in declared.whole for name, label in labels for declared in steps[name].row.takes.values())
        fixed = any(is_fixed(steps[name], label) for name, label in labels)
        yield Axis(next(iter(labels))[1], frozenset(members), whole, fixed)


def slots(step, program):
    """((tensor, dimension), label) of each dimension that a step declares; leading axes that are joined into n are n, n1 ..."""
    for operands, declared in ((step.inputs, step.row.takes), (step.outputs, step.row.gives)):
        for operand, tensor in operands.items():
            names, shape = list(declared[operand].names), program.tensors[tensor].shape
            if declared[operand].joins:
                lead = len(shape) - len(names) + 1
                names = ["n" if i == lead - 1 else f"n{i}" for i in range(lead)] + names[1:]
            for dim, name in enumerate(names):
                yield (tensor, dim), "c" if name == "d" and plain_window(step) else name


def plain_window(step):
    """In a conv2d without groups a weight's d is the image's c."""
    return step.op == "conv2d" and step.row.groups == 1


def is_fixed(step, label):
    if step.op == "arrange" or label in FIXED.get(step.op, ()):
        return True
    return step.op == "conv2d" and not plain_window(step) and label in ("c", "d", "m")


def cut(ex, axis, keep):
    """The Excerpt that keeps some places of an axis, in that order."""
    program, dims = ex.program, {}
    for tensor, dim in axis.slots:
        dims.setdefault(tensor, []).append(dim)

    def less(name, array):
        for dim in dims.get(name, ()):
            array = array.take(keep, dim)
        return np.ascontiguousarray(array)

    tensors = dict(program.tensors)
    for name, where in dims.items():
        shape = tuple(len(keep) if i in where else n for i, n in enumerate(tensors[name].shape))
        tensors[name] = replace(tensors[name], shape=shape, grid=grid(tensors[name].grid, where, keep, len(shape)))
    constants = {name: less(name, array) if name in dims else array for name, array in program.constants.items()}
    return Excerpt(replace(program, tensors=tensors, constants=constants),
                   {name: less(name, array) for name, array in ex.codes.items()})


def grid(held, dims, keep, rank):
    """The grid of a tensor of which some places of some axes are kept; None where its blocks do not allow it."""
    if held is None or held.axis is None:
        return held
    if held.block is not None:
        return None
    return replace(held, scale=held.scale[keep], zero=held.zero[keep]) if held.axis % rank in dims else held


def windowed(ex, step, place):
    """The Excerpt in which a conv2d without groups that takes an input sees one window: `place` is (oy, ox) of its result."""
    acc, image = step.outputs["acc"], step.inputs["x"]
    operands = Place(ex.program, [step], {image: ex.codes[image][None]}).operands(0, {image: ex.codes[image][None]})
    part, row, _ = ops.load("conv2d").reach(operands, step.row, "acc", (0, *place, 0))
    ex = cut(cut(ex, ex.axis(acc, 0), [place[0]]), ex.axis(acc, 1), [place[1]])
    window = part["x"][0]
    tensors = ex.program.tensors | {image: replace(ex.program.tensors[image], shape=window.shape)}
    steps = tuple(replace(s, row=row) if s.name == step.name else s for s in ex.program.steps)
    return Excerpt(replace(ex.program, steps=steps, tensors=tensors), ex.codes | {image: window})


def neutral(ex, name):
    """Codes that add nothing, in the shape of an input or a constant: the zero points of a sum's sides, zeros elsewhere."""
    tensor, array = ex.program.tensors[name], ex.array(name)
    for step in ex.steps:
        for operand, zero in (("x", "zx"), ("w", "zw"), ("q", "zq")):
            if step.inputs.get(operand) == name and zero in step.inputs:
                zeros = np.asarray(ex.array(step.inputs[zero]))
                return np.array(np.broadcast_to(zeros.reshape(-1, *[1] * (array.ndim - 1)) if zeros.ndim else zeros, array.shape),
                                array.dtype)
    zero = zero_code(tensor.grid) if tensor.grid is not None and tensor.grid.axis is None else 0
    return np.full(array.shape, min(max(zero, tensor.width.lo), tensor.width.hi), array.dtype)
