"""Units: runs of steps that a device executes as one, and what a kernel's arguments mean in them."""
from difflib import get_close_matches
from fnmatch import fnmatchcase

import numpy as np

from refq.errors import IllFormed, nearest
from refq.ints.operand import sizes


def units(program, patterns, where):
    """Every run of steps whose names match `patterns` in order, each step taking a result of one before it."""
    found, takers = [], {}
    reached = (0, 0)                                    # the longest run begun: patterns met, steps that could go on
    for step in program.steps:
        for name in step.inputs.values():
            takers.setdefault(name, []).append(step)
    for step in program.steps:
        if not fnmatchcase(step.name, patterns[0]):
            continue
        chain = [step]
        for pattern in patterns[1:]:
            results = [t for s in chain for t in s.outputs.values()]
            following = {s.name: s for t in results for s in takers.get(t, ()) if s not in chain}
            fitting = [s for name, s in following.items() if fnmatchcase(name, pattern)]
            if len(fitting) != 1:
                reached = max(reached, (len(chain), len(fitting)))
                break
            chain.append(fitting[0])
        else:
            found.append(Unit(program, chain))
    if not found:
        raise IllFormed(f"{where}: no run of steps matches unit {list(patterns)}: "
                        f"{mismatch(program, patterns, *reached)}")
    return found


def mismatch(program, patterns, met, fitting):
    """The end of a sentence: why no run of steps matches."""
    names = [s.name for s in program.steps]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            ends = ["*." + ".".join(name.split(".")[-n:]) for n in (1, 2) for name in names if name.count(".") >= n]
            if close := get_close_matches(pattern, dict.fromkeys([*names, *ends]), 3, 0.5):
                return f"no step is {pattern!r}; did you mean {' or '.join(map(repr, close))}?"
            some = ", ".join(names[:12]) + (f" ... ({len(names)} in all)" if len(names) > 12 else "")
            return f"no step is {pattern!r}; there are {some}"
    last, next_ = patterns[met - 1], patterns[met]
    if fitting:
        return f"{last!r} matches, but {fitting} steps {next_!r} follow it: write the one that is meant"
    return f"{last!r} matches, but no {next_!r} follows it: write the steps in the program's order, and leave none out"


class Unit:
    """`steps` in order. `taken`, `given`: operand, also as OPERATION.operand and PLACE.operand, to the tensors that it
    can mean, with their declarations."""

    def __init__(self, program, steps):
        self.program, self.steps, self.taken, self.given = program, steps, {}, {}
        self.made = {t for s in steps for t in s.outputs.values()}
        for i, step in enumerate(steps):
            for operands, declared, into in ((step.inputs, step.row.takes, self.taken),
                                             (step.outputs, step.row.gives, self.given)):
                for operand, tensor in operands.items():
                    if into is self.given or tensor not in self.made:
                        for key in (operand, f"{step.op}.{operand}", f"{i}.{operand}"):
                            into.setdefault(key, {})[tensor] = declared[operand]

    @property
    def name(self):
        return " + ".join(s.name for s in self.steps)

    def pick(self, among, key, where):
        """The one thing that `key` means among `taken`, `given` or sizes; IllFormed where that is none, or several."""
        if key not in among:
            raise IllFormed(f"{where}: {key!r} is nothing of unit {self.name}: {nearest(key, tuple(among))}")
        if len(among[key]) > 1:
            fuller = ", ".join(k for k in among if k.endswith(f".{key}") and len(among[k]) == 1)
            raise IllFormed(f"{where}: {key!r} is ambiguous in unit {self.name}; write one of {fuller}")
        return next(iter(among[key].items()))

    def operand(self, key, codes, where):
        """An operand as the operation sees it, of one case: an array, or an integer array of shape () for a number."""
        name, declared = self.pick(self.taken, key, where)
        array = self.program.constants[name] if name in self.program.constants else codes[name]
        return declared.view(array[None]) if declared.joins else array

    def result(self, key, where):
        """The tensor that a result is, and the shape in which the operation writes it for one case."""
        name, declared = self.pick(self.given, key, where)
        shape = self.program.tensors[name].shape
        return name, declared.view(np.empty((1, *shape), np.int8)).shape

    def axes(self):
        """Axis, also as OPERATION.axis and PLACE.axis, to its sizes in the unit."""
        found = {}
        for i, step in enumerate(self.steps):
            arrays, declared = {}, step.row.takes | step.row.gives
            for operand, name in (step.inputs | step.outputs).items():
                shape = self.program.tensors[name].shape
                joined = declared[operand].joins
                arrays[operand] = declared[operand].view(np.broadcast_to(np.int8(0), (1, *shape) if joined else shape))
            for axis, size in sizes(declared, arrays, f"step {step.name}").items():
                for key in (axis, f"{step.op}.{axis}", f"{i}.{axis}"):
                    found.setdefault(key, {})[size] = size
        return found


def negated(unit, key, codes, where):
    """-operand: a zero point that is added."""
    return -unit.operand(key, codes, where).astype(np.int64)


def left_shift(unit, key, codes, where):
    """31 - shift: the exponent of a q31 multiplier, positive to the left, as TFLite keeps it."""
    return 31 - unit.operand(key, codes, where).astype(np.int64)


def folded_bias(unit, key, codes, where):
    """bias - zx * sum over k of (w - zw): the kernel then multiplies x as it is with (w - zw)."""
    zx, zw, w, bias = (unit.operand(k, codes, where).astype(np.int64) for k in ("zx", "zw", "w", "bias"))
    return bias - zx * (w - zw[:, None]).sum(axis=1)


def lowest(unit, key, codes, where):
    """The lowest code of the unit's last result."""
    return np.int64(next(iter(unit.steps[-1].row.gives.values())).lo)


def highest(unit, key, codes, where):
    """The highest code of the unit's last result."""
    return np.int64(next(iter(unit.steps[-1].row.gives.values())).hi)


derived = {f.__name__: f for f in (negated, left_shift, folded_bias, lowest, highest)}
"""What a kernel may take besides operands and sizes: name to the function that makes it from the unit's operands."""
