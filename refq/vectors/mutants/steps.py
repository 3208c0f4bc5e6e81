"""Unit mutants: what goes wrong between the steps of a run: one is left out, done twice, or done in the wrong order."""
from dataclasses import replace

import numpy as np

from refq.ints.width import I32
from refq.vectors.diagnosis.place import by_kernel, by_spec
from refq.vectors.mutants import Mutant


def mutants(program, run):
    """Every Mutant of the run as a whole."""
    for i, step in enumerate(run):
        if alike(program, step):
            if len(run) > 1:
                yield whole(i, f"unit: {step.op} left out", f"{step.op} is left out", left_out(i))
            yield whole(i, f"unit: {step.op} done twice", f"{step.op} is done twice", twice(i))
        if i + 1 < len(run):
            following = run[i + 1]
            if follows(step, following) and alike(program, step) and alike(program, following):
                yield whole(i, f"unit: {following.op} before {step.op}", f"{following.op} comes before {step.op}", swapped(i))
            if "bias" in step.inputs and step.inputs["bias"] in program.constants and follows(step, following):
                yield whole(i, "unit: bias after the rescale", f"the bias joins behind {following.op}, not before it",
                            bias_behind(i, following.row))
                yield whole(i, "unit: bias rescaled apart", f"sum and bias go through {following.op} apart, and are added",
                            bias_apart(i))
                yield whole(i, "unit: bias rescaled before",
                            f"the bias goes through {following.op} before it joins the sum, and again with it", bias_before(i))
                if hasattr(following.row, "out") and following.row.out.bits < 32:
                    yield whole(i, "unit: bias after the rounding",
                                f"the bias joins behind the rounding of {following.op}, before its clip",
                                bias_behind(i, replace(following.row, out=I32)))
    if len(run) > 1:
        yield whole(0, "unit: result of the previous case", "each case gets the result of the case before", previous)


def whole(place, name, phrase, function):
    return Mutant(place, "unit", name, phrase, local=False, whole=function)


def alike(program, step):
    """Does a step take and give one tensor of the same shape and width, so that it can be left out or repeated?"""
    taken = [t for t in step.inputs.values() if t not in program.constants]
    given = list(step.outputs.values())
    if len(taken) != 1 or len(given) != 1:
        return False
    a, b = program.tensors[taken[0]], program.tensors[given[0]]
    return a.shape == b.shape and a.width.dtype.kind == b.width.dtype.kind


def follows(step, following):
    return bool(set(step.outputs.values()) & set(following.inputs.values()))


def main(place, i):
    """The operand of step i that is no constant."""
    return next(k for k, t in place.steps[i].inputs.items() if t not in place.program.constants)


def wrapped(place, i, codes):
    """`codes` as the main operand of step i holds them."""
    declared = place.steps[i].row.takes[main(place, i)]
    return np.ascontiguousarray(declared.width.wrap(codes), declared.width.dtype)


def left_out(i):
    def function(place):
        step = place.steps[i]
        return place.go_on(i, {next(iter(step.outputs)): place.operands(i)[main(place, i)]})
    return function


def done(place, i, codes):
    step = place.steps[i]
    operands = place.operands(i)
    operands[main(place, i)] = wrapped(place, i, codes)
    return by_kernel(step.op, step.row)(operands)[next(iter(step.outputs))]


def twice(i):
    def function(place):
        name = next(iter(place.steps[i].outputs))
        return place.go_on(i, {name: done(place, i, done(place, i, place.operands(i)[main(place, i)]))})
    return function


def swapped(i):
    def function(place):
        first = done(place, i + 1, place.operands(i)[main(place, i)])
        return place.go_on(i + 1, {next(iter(place.steps[i + 1].outputs)): done(place, i, first)})
    return function


def bias_behind(i, row):
    """The sum without its bias is rescaled under `row`; then the bias is added and saturated."""
    def function(place):
        step, behind = place.steps[i], place.steps[i + 1]
        operands = place.operands(i)
        acc = by_kernel(step.op, step.row)({**operands, "bias": np.zeros_like(operands["bias"])})[next(iter(step.outputs))]
        name, declared = next(iter(behind.row.gives.items()))
        taken = place.operands(i + 1)
        y = by_spec(behind.op, row)({**taken, main(place, i + 1): acc.reshape(taken[main(place, i + 1)].shape)})[name]
        return place.go_on(i + 1, {name: declared.width.clip(y.astype(np.int64) + operands["bias"])})
    return function


def bias_apart(i):
    """Sum and bias are rescaled and rounded each for itself."""
    def function(place):
        step, behind = place.steps[i], place.steps[i + 1]
        operands, taken, key = place.operands(i), place.operands(i + 1), main(place, i + 1)
        acc = by_kernel(step.op, step.row)({**operands, "bias": np.zeros_like(operands["bias"])})[next(iter(step.outputs))]
        run, zp = by_spec(behind.op, replace(behind.row, out=I32)), taken.get("zp", 0)
        name, declared = next(iter(behind.row.gives.items()))
        bias = np.broadcast_to(operands["bias"], taken[key].shape)
        parts = [run({**taken, key: np.ascontiguousarray(part.reshape(taken[key].shape)), "zp": 0})[name].astype(np.int64)
                 for part in (acc, bias)]
        return place.go_on(i + 1, {name: declared.width.clip(sum(parts) + zp)})
    return function


def bias_before(i):
    """The bias is rescaled by itself before it joins the sum."""
    def function(place):
        step, behind = place.steps[i], place.steps[i + 1]
        operands, taken, key = place.operands(i), place.operands(i + 1), main(place, i + 1)
        bias = np.ascontiguousarray(operands["bias"].reshape(1, -1))
        small = by_spec(behind.op, replace(behind.row, out=I32))({**taken, key: bias, "zp": 0})[next(iter(behind.row.gives))]
        return place.go_on(i, by_spec(step.op, step.row)({**operands, "bias": small.reshape(-1)}))
    return function


def previous(place):
    return {name: np.roll(place.truth[name], 1, 0) for name in place.results}
