"""lines: a text line for each element of an element-wise step (rescale, add, clip, table ...), as TestFloat has them.

    operands result flags      all in hex, two's complement at their true width; a float32 by its bits

flags    1: a rounding met a tie, 2: a clip changed the value, 4: a wrap did; added up
One file for each step and case, elements in row-major order; `#` begins a comment: the first ones say which operands there
are, with their widths, and give an operand that all elements share (the entries of a table). A device answers with lines of
the same make: the word at the result's place is read back, and x or z digits in it make it unknown.
"""
import re

import numpy as np

from refq.errors import Corrupt, Unsupported
from refq.ints.width import width as width_of
from refq.vectors.exchange.exported import distinct
from refq.vectors.exchange.words import bits_of
from refq.vectors.flags import element_wise, flags
from refq.vectors.units import Unit


def export(chosen, folder):
    steps = [s for s in chosen.steps if element_wise(s)]
    if chosen.units is not None and len(steps) != len(chosen.steps):
        other = next(s for s in chosen.steps if s not in steps)
        raise Unsupported(f"--to lines: step {other.name} ({other.op}) makes an element of many; lines are for element-wise "
                          "steps such as rescale, add, clip or table; name those with --unit, or export hex")
    if not steps:
        raise Unsupported("--to lines: no step of the program is element-wise; export hex or npy")
    stems, entries = distinct([s.name for s in steps], lambda name: re.sub(r"[^\w.-]", ".", name)), []
    for i in range(chosen.cases):
        codes = chosen.case(i)
        (folder / f"{i:04d}").mkdir()
        for step in steps:
            file = f"{i:04d}/{stems[step.name]}.txt"
            text, column = lines(chosen.program, step, codes)
            (folder / file).write_text(text)
            (name,) = step.outputs.values()
            entries.append(chosen.entry(name, i, file=file, column=column, flags={"tie": 1, "saturated": 2, "wrapped": 4},
                                        operands=list(step.row.takes)))
    return entries


def lines(program, step, codes):
    """(text, place of the result among the words of a line) of one step in one case."""
    unit, ((result, declared),) = Unit(program, [step]), step.row.gives.items()
    tensor, shape = unit.result(result, step.name)
    operands = [unit.operand(name, codes, step.name) for name in step.row.takes]
    marks = flags(step, [v if v.ndim else v[()] for v in operands], shape)
    columns, names, head = [], [], [f"# {step.name}: {step.op}"]
    for (name, of), array in zip(step.row.takes.items(), operands):
        if set(of.names) <= set(declared.names):
            places = [slice(None) if axis in of.names else None for axis in declared.names] if of.names else ...
            columns.append(words(np.broadcast_to(array[tuple(places)] if of.names else array, shape), of.width))
            names.append(f"{name}:{of.width}")
        else:
            head.append(f"# {name}:{of.width} = {' '.join(words(array, of.width))}")
    columns += [words(codes[tensor], declared.width), [f"{flag:x}" for flag in marks.reshape(-1).tolist()]]
    head.append(f"# {' '.join(names)} {result}:{declared.width} flags")
    return "\n".join([*head, *map(" ".join, zip(*columns))]) + "\n", len(names)


def words(codes, width):
    """Codes as hex words of their true width."""
    flat, bits = np.ascontiguousarray(codes).reshape(-1), bits_of(width)
    flat = flat.view(np.int32) if flat.dtype.kind == "f" else flat
    digits, mask = -(-bits // 4), (1 << bits) - 1
    return [f"{v & mask:0{digits}x}" for v in flat.tolist()]


def read(path, entry):
    width, shape = width_of(entry["width"]), tuple(entry["shape"])
    rows = [line.split() for line in path.read_text(errors="replace").splitlines() if line.strip() and line[0] != "#"]
    if len(rows) != int(np.prod(shape)):
        raise Corrupt(f"{path}: {len(rows)} lines; {entry['tensor']} has {int(np.prod(shape))} elements")
    if short := next((row for row in rows if len(row) <= entry["column"]), None):
        raise Corrupt(f"{path}: line {' '.join(short)[:60]!r} has no word at the result's place, {entry['column'] + 1}")
    texts = [row[entry["column"]] for row in rows]
    if bad := next((t for t in texts if not re.fullmatch("[0-9a-fA-FxXzZ]+", t)), None):
        raise Corrupt(f"{path}: {bad[:40]!r} is no hex number")
    unknown = np.array([bool(re.search("[xXzZ]", t)) for t in texts]).reshape(shape)
    values = [0 if re.search("[xXzZ]", t) else int(t, 16) for t in texts]
    if beyond := next((v for v in values if v >> width.bits), None):
        raise Corrupt(f"{path}: {beyond:x} has more than the {width.bits} bits of {width}")
    codes = np.array([width.wrap(v) for v in values], width.dtype).reshape(shape)
    return codes, unknown if unknown.any() else None
