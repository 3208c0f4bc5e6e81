"""One configuration: the steps of a chain once, with constants and sizes of their own; and the program of several."""
import json
from dataclasses import dataclass, fields, replace

import numpy as np

from refq import dialects, ops
from refq.dialects.base import Dialect
from refq.errors import IllFormed, nearest
from refq.graph.bounds import bounds
from refq.graph.program import Program, Step, Tensor
from refq.ints.row import differences
from refq.ints.width import Width
from refq.vectors.diagnosis.place import Place
from refq.vectors.draw import constants, rows, sizes
from refq.vectors.draw.stream import Stream

WIDE = {"matmul", "batch_matmul", "conv2d", "mean"}
"""Operations whose accumulator is as wide as what follows takes."""


@dataclass(frozen=True, eq=False)
class Link:
    """One operation of a chain, and the row that plays it."""

    op: str
    row: object


def links(chain, dialect):
    """The Links of `chain` (operations or roles joined by +) under a dialect, widths fitted to each other.

    Raises IllFormed for a name that is neither, for a role that the dialect lacks, and where a result does not fit.
    """
    found = [link(name, dialect) for name in chain.split("+")]
    for i in range(len(found) - 1, 0, -1):
        found[i - 1], found[i] = fitted(found[i - 1], found[i], chain)
    return found


def link(name, dialect):
    roles = dialect.roles
    if name in roles:
        return Link(roles[name].op, roles[name].row)
    op, _, said = name.partition(":")
    if said and op in ops.names():
        rows = ops.published(op)
        if said not in rows:
            raise IllFormed(f"{op} has no published row {said!r}; {nearest(said, tuple(rows)) if rows else 'it has none'}")
        return Link(op, rows[said])
    playing = [role for role in roles.values() if role.op == name]
    if playing:
        return Link(name, playing[0].row)
    if name in ops.names():
        if rows := ops.published(name):
            raise IllFormed(f"{name}: dialect {dialect.name} has no role that this operation plays; ask for one of its "
                            f"published rows, {', '.join(f'{name}:{said}' for said in rows)}")
        raise IllFormed(f"{name}: dialect {dialect.name} has no role that this operation plays; it has {', '.join(roles)}")
    known = tuple(dict.fromkeys((*roles, *ops.names())))
    raise IllFormed(f"{name!r} is neither an operation nor a role of dialect {dialect.name}: {nearest(name, known)}")


def fitted(before, after, chain):
    """Both rows, so that the result of the first is the main operand of the second."""
    main, declared = next(iter(after.row.takes.items()))
    given = next(iter(before.row.gives.values())).width
    if given == declared.width:
        return before, after
    known = {f.name: f for f in fields(after.row)}
    if before.op in WIDE and declared.width.bits > given.bits:
        changes = {"acc": declared.width} | ({"x": declared.width.__class__(16)} if hasattr(before.row, "x") else {})
        return Link(before.op, replace(before.row, **changes)), after
    if main in known or "width" in known:
        return before, Link(after.op, replace(after.row, **{main if main in known else "width": given}))
    raise IllFormed(f"{chain}: {before.op} gives {given} and {after.op} takes {declared.width}; put a rescale between them")


@dataclass(frozen=True, eq=False)
class Configuration:
    """`steps`, `tensors`, `constants` as a Program holds them; `inputs`: tensor to codes (cases *shape)."""

    steps: tuple
    tensors: dict
    constants: dict
    inputs: dict

    @property
    def bytes(self):
        """Of all codes: constants, and everything that the cases hold."""
        return sum(t.bytes * (1 if t.name in self.constants else sizes.CASES) for t in self.tensors.values())

    def program(self, dialect):
        return together([self], dialect)[0]


def configuration(chain, dialect, number, index, seed, shape=None):
    """Configuration `number` of a pack, in the style `index`: the same for the same arguments, for ever.

    `chain`: a list of Link. Raises IllFormed where a register could overflow that the row refuses to.
    """
    made = Configuration((), {}, {}, {})
    given = None                                # the tensor that the step before has made
    for place, link in enumerate(chain):
        stream = Stream(seed, f"{'+'.join(k.op for k in chain)} {said(link.row)} {place} {index}")
        ends = place + 1 == len(chain)
        made, given = extended(made, link, f"{link.op}.{number}", index, stream, given, shape, dialect, ends, len(chain) > 1)
    return made


def said(row):
    """A row by what it says that is not at its default: a field that is added later redraws nothing."""
    return json.dumps(differences(row), sort_keys=True)


def extended(made, link, name, index, stream, given, shape, dialect, last, unit):
    """`made` with one more step, and the name of its result. In a `unit` weights and what lies between its steps have no
    zero point, as in every program that refq lowers: kernels of such a unit do not take one."""
    row, found, lead, reach = link.row, None, None, None
    if given is None:
        row, found = sizes.of(link.op, row, index, shape)
        if link.op == "arrange":
            found |= {axis: size for i, s in enumerate(row.shapes) for axis, size in zip(row.takes[f"x{i}"].names[1:], s)}
        lead = () if link.op == "arrange" else sizes.leading(row.takes, found)
        narrow = narrowed(link.op, row, index)
        if narrow:
            reach = constants.Reach(np.full(found["c"], narrow.hi), narrow.hi)
    else:
        found, lead = continued(made, row, index, given)
        reach = constants.Reach(largest(made, given, dialect), bound(made, given, dialect))
        narrow = None
    fixed = constants.of(link.op, row, found, stream, index, reach, ("zw",) * unit + ("zin",) * bool(given))
    tensors, inputs = dict(made.tensors), dict(made.inputs)
    taken = {}
    shapes = {}
    for i, (operand, declared) in enumerate(row.takes.items()):
        tensor = taken[operand] = given if given and not i else f"{name}.{operand}"
        if operand in fixed:
            role = {"w": "weight", "bias": "bias"}.get(operand, "parameter")
            tensors[tensor] = Tensor(tensor, np.shape(fixed[operand]), declared.width, None, role)
        elif tensor not in tensors:
            rest = () if sizes.elementwise(row.takes) else tuple(found[axis] for axis in declared.names[1:])
            tensors[tensor] = Tensor(tensor, (*lead, *rest), (not i and narrow) or declared.width, None, "input")
            shapes[operand] = (sizes.CASES, *lead, *rest)
    if shapes:
        placed = rows.place(link.op, row, shapes, stream, index, fixed)
        inputs |= {taken[operand]: within(codes, tensors[taken[operand]].width, row.takes[operand])
                   for operand, codes in placed.items()}
    (result, declared), = row.gives.items()
    found |= row.sizes(found)
    rest = () if sizes.elementwise(row.takes) and len(declared.names) == 1 else tuple(found[a] for a in declared.names[1:])
    out = f"{name}.{result}"
    role = "output" if last else "accumulator" if result == "acc" else "activation"
    tensors[out] = Tensor(out, (*lead, *rest), declared.width, None, role)
    values = {taken[k]: np.asarray(v, row.takes[k].width.dtype) for k, v in fixed.items()}
    step = Step(name, link.op, row, taken, {result: out})
    return Configuration((*made.steps, step), tensors, made.constants | values, inputs), out


def continued(made, row, index, given):
    """(sizes, leading axes) of a step whose main operand is the tensor `given`."""
    shape, main = made.tensors[given].shape, next(iter(row.takes.values()))
    inner = len(main.names) - 1
    found = {"rows": 1} | dict(zip(main.names[1:], shape[len(shape) - inner:]))
    if "t" in row.takes:
        found["i"] = 1 << row.q.bits
    for axis in dict.fromkeys(a for declared in row.takes.values() for a in declared.names):
        if axis != "n":
            found.setdefault(axis, (33, 5, 21, 7)[index % 4])
    return found, shape[:len(shape) - inner]


def largest(made, given, dialect):
    """The largest magnitude of the tensor `given` in each channel, over what the configuration's inputs make of it."""
    program = together([replace(made, tensors=made.tensors)], dialect)[0]
    codes = Place(program, made.steps, made.inputs).truth[given]
    return np.abs(codes.reshape(-1, codes.shape[-1]).astype(np.int64)).max(0)


def bound(made, given, dialect):
    """The largest magnitude that bounds prove of the tensor `given`; its width's where they say nothing."""
    program = together([made], dialect)[0]
    step = made.steps[-1]
    proved = [b for b in bounds(program) if b.step == step.name]
    own = [b for b in proved if step.outputs.get(b.register) == given] or proved
    ends = [max(int(np.max(b.hi)), -int(np.min(b.lo))) for b in own]
    return ends[-1] if ends else made.tensors[given].width.hi + 1


def within(codes, width, declared):
    """Codes in the container of an operand, within the width that its tensor really has; real numbers are as they are."""
    if declared.width.dtype.kind == "f":
        return np.ascontiguousarray(codes, declared.width.dtype)
    return np.ascontiguousarray(width.clip(codes) if width.bits < declared.width.bits else codes, declared.width.dtype)


NARROW = (None, Width(18), None, Width(24), Width(20))
"""Registers that hold less than their row's width, so that multipliers above 1, which shift left, are admitted."""


def narrowed(op, row, index):
    """The width that an input of a rescale which rounds twice really has, or whose product could leave its register; or None."""
    if op == "rescale_preshift" and row.product.bits < 64:
        return (NARROW[1], NARROW[4], None, NARROW[3])[index % 4]
    return NARROW[index % len(NARROW)] if getattr(row, "high", "none") != "none" and op == "rescale" else None


def together(configurations, dialect):
    """(Program, inputs) of several configurations, side by side."""
    steps, tensors, fixed, inputs = [], {}, {}, {}
    for c in configurations:
        steps += c.steps
        tensors |= c.tensors
        fixed |= c.constants
        inputs |= c.inputs
    taken = {t for s in steps for t in s.inputs.values()}
    outputs = tuple(t for s in steps for t in s.outputs.values() if t not in taken)
    program = Program(tuple(steps), tensors, fixed, tuple(inputs), outputs, dialect, "vectors")
    return program, inputs


def resolve(dialect):
    """A Dialect, from itself, its name or a TOML file."""
    return dialect if isinstance(dialect, Dialect) else dialects.load(dialect)
