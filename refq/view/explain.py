"""explain: how one element of one tensor of a pack came about, every integer of it.

The spec computes just this element, from what it is made of, while a listener keeps what passes its sites. Where the element
comes from one element of a register (a rescale, from an accumulator), the step that made that is told first, so that the
whole calculation from codes to code is there.
"""
import re
from dataclasses import asdict, dataclass, field

import numpy as np

from refq import ops
from refq.errors import IllFormed, nearest
from refq.ints.row import plain
from refq.vectors.diagnosis.place import Place
from refq.vectors.pack import Pack, read
from refq.view.explain_sites import Watched, element, moments
from refq.view.explain_sums import table, told

FORM = re.compile(r"\s*(.+?)\s*\[([-\d,\s]*)\]\s*")


@dataclass(frozen=True)
class Part:
    """One step on one element. `takes`: its operands (name, tensor, width, where they lie, value of a single one); `sum`:
    explain_sums.table, or None; `registers`: of a row that is read whole, every register element by element, or None;
    `moments`: explain_sites.moment of every site but those of the sum; `origin`: where a code that was only moved lay before;
    `source`: (tensor, index) of the one register element that it is made from, or None."""

    step: str
    op: str
    formula: str
    row: dict
    tensor: str
    width: str
    index: tuple
    value: int
    recorded: int
    takes: list
    sum: dict | None
    registers: dict | None
    moments: list
    origin: str = ""
    source: tuple | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Explanation:
    """`parts`: the steps, in program order; the last one gives the element that was asked for. `pack`: the folder."""

    pack: str
    hash: str
    dialect: str
    case: int
    parts: list
    notes: list

    @property
    def agrees(self):
        """Does every explained value equal the code that the pack holds?"""
        return all(part.value == part.recorded for part in self.parts)

    def json(self):
        """All of it in JSON's own kinds."""
        return asdict(self) | {"agrees": self.agrees, "value": self.parts[-1].value,
                               "parts": [{k: v for k, v in asdict(p).items() if k != "source"} for p in self.parts]}


def explain(pack, place, case=0, back=None):
    """The Explanation of one element: `place` is `STEP[i,j]` or `TENSOR[i,j]`, an index into that tensor of one case.

    `back`: so many steps before it too, while each is made from a single element; by default those that lead from an
    accumulator. Raises IllFormed for a place or a case that the pack does not have; Corrupt for a damaged pack.
    """
    pack = pack if isinstance(pack, Pack) else read(pack)
    if not 0 <= case < pack.cases:
        raise IllFormed(f"case {case}: the pack has cases 0 to {pack.cases - 1}")
    tensor, index, notes = located(pack, place)
    codes, parts = pack.case(case), []
    while True:
        part = explained(pack, codes, tensor, index)
        parts.insert(0, part)
        if part.source is None:
            break
        tensor, index = part.source
        if tensor not in pack.steps or (pack.program.tensors[tensor].role != "accumulator" if back is None
                                        else len(parts) > back):
            break
    return Explanation(str(pack.folder), pack.hash, pack.program.dialect, case, parts, notes)


def located(pack, place):
    """(tensor, index, notes) that a text means; a step's name comes before a tensor's."""
    met = FORM.fullmatch(place)
    name, index = (met[1], met[2]) if met else (place, None)
    step, notes = next((s for s in pack.program.steps if s.name == name), None), []
    results = tuple(step.outputs.values()) if step else ()
    if len(results) > 1:
        raise IllFormed(f"{name}: a step of {len(results)} results; name the tensor: {', '.join(results)}")
    if not results and name not in pack.steps:
        if name in pack.program.inputs or name in pack.program.constants:
            raise IllFormed(f"{name}: is given, not computed; explain a step's result")
        raise IllFormed(f"{name!r} is no step and no tensor of the pack: "
                        f"{nearest(name, tuple(dict.fromkeys([*(s.name for s in pack.program.steps), *pack.steps])))}")
    tensor = results[0] if results else name
    if results and name in pack.steps and name != tensor:
        notes.append(f"{name} is also a tensor, made by step {pack.steps[name].name}: write {pack.steps[name].name}[...] for it")
    shape = pack.program.tensors[tensor].shape
    wanted = f"{tensor} has shape ({', '.join(map(str, shape))}) in a case; write {name}[{', '.join('0' * len(shape))}]"
    if index is None and shape:
        raise IllFormed(f"{place}: no place in it: {wanted}")
    try:
        index = tuple(int(i) for i in (index or "").split(",") if i.strip())
    except ValueError:
        raise IllFormed(f"{place}: {wanted}") from None
    if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape)):
        raise IllFormed(f"{place}: {wanted}, or another place inside")
    return tensor, index, notes


def explained(pack, codes, tensor, index):
    """The Part of one element of one tensor of one case."""
    program, step = pack.program, pack.steps[tensor]
    result = next(k for k, t in step.outputs.items() if t == tensor)
    operands = Place(program, [step], {}).operands(0, {name: array[None] for name, array in codes.items()})
    declared, shape = step.row.gives[result], program.tensors[tensor].shape
    inner = placed(index, shape, declared.view(codes[tensor][None]).shape)
    part, row, at = ops.reach(step.op, operands, step.row, result, inner)
    origin, _, _ = ops.reach(step.op, numbered(operands), step.row, result, inner)
    watched = Watched()
    given = ops.load(step.op).spec(*part.values(), row=row, at=watched)
    given = given if isinstance(given, tuple) else (given,)
    value = element(given[list(row.gives).index(result)], at)
    sums = table(step.op, part, row, origin, watched.seen, at)
    shown = [seen for seen in watched.seen if not (sums and seen[0] in told(step.op))]
    each = [one for seen in shown for one in moments(seen, at)]
    takes = [taken(program, step, name, part[name], origin.get(name)) for name in part]
    source = next(((t["tensor"], tuple(t["index"])) for t in takes if t["index"] is not None and t["tensor"] in pack.steps), None)
    moved = whence(step, operands, inner, program) if step.op == "arrange" else ""
    return Part(step.name, step.op, formula(step.op), plain(step.row), tensor, str(declared.width), tuple(index), value,
                codes[tensor][index].item(), takes, sums, None if sums or moved else registers(part, watched.seen, at), each,
                moved, source)


def placed(index, shape, other):
    """The same element's index where its array has another shape."""
    flat = np.ravel_multi_index(index, shape) if shape else 0
    return tuple(int(i) for i in np.unravel_index(flat, other))


def numbered(operands):
    """Every array with its places in the place of its codes; what is made up for the padding is -1."""
    arrays = {k: np.arange(np.size(v)).reshape(np.shape(v)) for k, v in operands.items()}
    return {k: v if v.ndim else np.int64(-1) for k, v in arrays.items()}


def taken(program, step, name, array, origin):
    """One operand: a single one with its place and value, of more the number and the ends."""
    tensor = program.tensors[step.inputs[name]]
    array, index = np.asarray(array), None
    if array.size == 1 and array.ndim:
        flat = int(np.reshape(origin, -1)[0])
        index = [int(i) for i in np.unravel_index(flat, tensor.shape)] if flat >= 0 else None
    return {"operand": name, "tensor": tensor.name, "constant": tensor.name in program.constants, "width": str(tensor.width),
            "count": int(array.size), "index": index, "value": array.reshape(-1)[0].item() if array.size == 1 else None}


def registers(part, seen, at):
    """The registers of a row that is read whole, one line for each of its elements, or None where there is no such row."""
    length = max([np.shape(e[5])[-1] if np.ndim(e[5]) else 1 for e in seen] or [1])
    length = max([length, *(np.shape(a)[-1] for a in part.values() if np.ndim(a) > 1)])
    columns = {name: np.reshape(a, -1) for name, a in part.items() if np.size(a) == length}
    columns |= {name: np.reshape(after, -1) for name, _, _, _, _, after, _ in seen if np.size(after) == length}
    if length < 2 or not columns:
        return None
    return {"head": ["", *columns], "rows": [[i, *(c[i].item() for c in columns.values())] for i in range(length)],
            "marks": {at[-1]: "this one"} if any(np.size(e[5]) == length for e in seen) else {}}


def whence(step, operands, inner, program):
    """Where the code that an arrange moved here lay before."""
    offset, arrays = 0, {}
    for name, array in operands.items():
        count = np.size(array) if np.ndim(array) else 0
        arrays[name] = np.arange(offset, offset + count).reshape(np.shape(array)) if count else -1
        offset += count
    flat = int(ops.load(step.op).spec(*arrays.values(), row=step.row)[inner])
    for name, array in operands.items():
        if 0 <= flat < np.size(array) and np.ndim(array):
            tensor = program.tensors[step.inputs[name]]
            return f"{tensor.name}{[int(i) for i in np.unravel_index(flat, tensor.shape)]}"
        flat -= np.size(array) if np.ndim(array) else 0
    return "padding"


def formula(op):
    """The formula of an operation: the indented lines at the head of its contract."""
    lines = [line[4:] for line in ops.load(op).__doc__.splitlines() if line.startswith("    ") or not line]
    return "\n".join(lines).strip().split("\n\n")[0]
