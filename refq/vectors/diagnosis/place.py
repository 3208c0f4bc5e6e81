"""Place: a run of steps of a program, at the operands that it had, so that one of the steps can be made wrong.

The steps before the altered one are right, it starts from their true results, and those behind it are right again.
"""
from functools import cached_property

import numpy as np

from refq import ops
from refq.errors import RefqError
from refq.graph.program import Call
from refq.ints.operand import sizes
from refq.ints.sites import unwatched

IMPOSSIBLE = (RefqError, ValueError, OverflowError, ZeroDivisionError, IndexError, KeyError)
"""What a run raises where a mistake cannot be made with these operands."""


class Place:
    """`steps` of `program`, in its order, on `codes`: of every tensor that they take and do not make, (cases *shape).

    Constants come from the program. Codes lie in their tensor's width, whatever device they are from.
    """

    def __init__(self, program, steps, codes):
        self.program, self.steps, self.codes = program, list(steps), codes
        self.cases = len(next(iter(codes.values()))) if codes else 1
        self.calls = [Call(program, step, "kernel", []) for step in self.steps]

    @property
    def name(self):
        return " + ".join(step.name for step in self.steps)

    @cached_property
    def truth(self):
        """Every result of every step, by the kernels: tensor to array (cases *shape)."""
        live = dict(self.codes)
        for call in self.calls:
            call(live, self.cases, unwatched)
        return {name: live[name] for step in self.steps for name in step.outputs.values()}

    @property
    def results(self):
        """The tensors in which the run ends."""
        return tuple(self.steps[-1].outputs.values())

    def operands(self, i, live=None):
        """The operands of step i as its operation takes them, all true (or those of `live`, tensor to array): name to
        array, or to an integer."""
        call, found, live = self.calls[i], {}, live or self.codes | self.truth
        for name, declared in call.takes.items():
            tensor = call.step.inputs[name]
            if name not in call.constants:
                found[name] = declared.view(live[tensor])
            elif declared.joins:
                value = call.constants[name]
                found[name] = declared.view(np.ascontiguousarray(np.broadcast_to(value, (self.cases, *value.shape))))
            else:
                found[name] = call.constants[name]
        return found

    def main(self, i):
        """The declaration of the first operand of step i that is no constant."""
        step = self.steps[i]
        return next(step.row.takes[k] for k, t in step.inputs.items() if t not in self.program.constants)

    def run(self, mutants, by=None):
        """The results of the run's last step where `mutants` (one Mutant, or a sequence of them) do their own: tensor to
        array (cases *shape). `by`: the engine of the altered steps, `by_spec` (by default) or `by_kernel`."""
        mutants = mutants if isinstance(mutants, (tuple, list)) else (mutants,)
        if mutants[0].whole:
            return mutants[0].whole(self)
        first = min(m.place for m in mutants)
        return self.go_on(first, self.altered(first, self.operands(first), mutants, by or by_spec), mutants, by or by_spec)

    def altered(self, i, operands, mutants, by):
        """The results of step i by name, where those of the mutants that are its own do theirs. A device is called once
        for each case, so what goes wrong between elements does so inside of one."""
        step = self.steps[i]
        run, own = by(step.op, step.row), [m for m in mutants if m.place == i]
        for mutant in own:
            run = mutant.around(run)
        if self.cases == 1 or all(m.local or m.across for m in own):
            return run(operands)
        joined = {k for k, d in step.row.takes.items() if d.joins}
        made = []
        for case in range(self.cases):
            made.append(run({k: part(v, case, self.cases) if k in joined else v for k, v in operands.items()}))
        return {k: np.concatenate([one[k] for one in made]) for k in made[0]}

    def go_on(self, i, results, mutants=(), by=None):
        """The results of the last step, where step i gave `results` (by name, as its operation gives them)."""
        live, touched = self.codes | self.truth, set()
        for place, call in enumerate(self.calls[i:], i):
            step = call.step
            if place == i or place in {m.place for m in mutants if touched}:
                found = results if place == i else self.altered(place, self.operands(place, live), mutants, by)
                for operand, tensor in step.outputs.items():
                    live[tensor] = held(found[operand], step.row.gives[operand]).reshape(self.cases, *self.shape(tensor))
            elif touched & set(step.inputs.values()):
                call(live, self.cases, unwatched)
            else:
                continue
            touched |= set(step.outputs.values())
        return {tensor: live[tensor] for tensor in self.results}

    def shape(self, tensor):
        return self.program.tensors[tensor].shape


def part(array, case, cases):
    """The rows of one case, of an operand that joins all."""
    size = len(array) // cases
    return array[case * size:(case + 1) * size]


def held(result, declared):
    """What an operation gave, in the container of its width: the low bits of what that does not hold."""
    if declared.width.dtype.kind == "f":
        return np.ascontiguousarray(result, declared.width.dtype)
    return np.ascontiguousarray(declared.width.wrap(np.asarray(result)), declared.width.dtype)


def by_spec(op, row):
    """run(operands, row, at) -> results by name, by the spec, in containers of the declared widths."""
    spec, named = ops.load(op).spec, row

    def run(operands, row=named, at=unwatched):
        given = spec(*operands.values(), row=row, at=at)
        given = given if isinstance(given, tuple) else (given,)
        return {name: held(result, declared) for (name, declared), result in zip(named.gives.items(), given)}
    return run


def by_kernel(op, row):
    """The same by the kernel of that row; what asks for another row or listens at sites goes to the spec."""
    kernel, spec, named = ops.load(op).kernel(row), by_spec(op, row), row

    def run(operands, row=named, at=unwatched):
        fit = fitting(operands, row) if row is named and at is unwatched else None
        if fit is None:
            return spec(operands, row, at)
        operands = fit
        found = sizes({k: d for k, d in row.takes.items() if d.names}, operands, op)
        found |= row.sizes(found)
        results = {k: np.empty([found[axis] for axis in d.names], d.width.dtype) for k, d in row.gives.items()}
        kernel(*operands.values(), *results.values())
        return results
    return run


def fitting(operands, row):
    """The operands as a kernel takes them: contiguous, of the declared dtypes; None where one leaves its declared range."""
    made = {}
    for name, declared in row.takes.items():
        value = operands[name]
        if np.size(value) and not (declared.lo <= np.min(value) and np.max(value) <= declared.hi):
            return None
        made[name] = np.ascontiguousarray(value, declared.width.dtype) if declared.names else value
    return made
