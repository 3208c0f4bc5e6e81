"""C: names, literals and the signature by which a unit is called."""
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import Unsupported


@dataclass(frozen=True)
class Argument:
    """Of a unit's C function: `name`, `dtype` of its codes, `way`: "in" (an array), "value", "size" or "out"."""

    name: str
    dtype: np.dtype
    way: str

    def declared(self):
        kind = ctype(self.dtype)
        return {"in": f"const {kind} *{self.name}", "out": f"{kind} *{self.name}"}.get(self.way, f"{kind} {self.name}")


def ctype(dtype):
    return "float" if dtype.kind == "f" else f"{dtype.name}_t"


def identifier(text):
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def literal(value, dtype):
    """A number as C99 writes it exactly; the lowest of a type as a difference, for its magnitude has no literal."""
    if dtype.kind == "f":
        return f"{float(value).hex()}f"
    value, bits = int(value), 8 * dtype.itemsize
    if bits == 64:
        return f"{value}LL" if value > -(1 << 63) else "(-9223372036854775807LL - 1)"
    return str(value) if value > -(1 << 31) else "(-2147483647 - 1)"


def string(text):
    """A text as a C string, what is not plain ASCII as a dot."""
    return '"' + re.sub(r'[^ -~]|["\\?]', ".", text) + '"'


def array(name, codes, dtype, comment):
    """A static const array with its sizes; C has no array without elements, so an empty one has one that is not counted."""
    flat = [literal(v, dtype) for v in np.asarray(codes).reshape(-1)]
    rows = [", ".join(flat[i:i + 16]) for i in range(0, len(flat), 16)] or ["0"]
    sizes = "".join(f"#define {name.upper()}_DIM{i} {n}\n" for i, n in enumerate(np.shape(codes)))
    return (f"/* {comment} */\n#define {name.upper()}_SIZE {len(flat)}\n{sizes}"
            f"static const {ctype(dtype)} {name}[{max(1, len(flat))}] = {{\n    " + ",\n    ".join(rows) + "\n};\n\n")


def signature(unit, program):
    """[(Argument, what it stands for: a tensor, or a size)] of a unit: operands in the order of the steps, sizes of its
    axes, the results in which it ends."""
    found, taken = [], set()

    def add(names, dtype, way, stands):
        names = [*names, *(f"{names[-1]}_{i}" for i in range(2, 100))]
        name = next(n for n in map(identifier, names) if n not in taken)
        taken.add(name)
        found.append((Argument(name, np.dtype(dtype), way), stands))

    for i, step in enumerate(unit.steps):
        for operand, tensor in step.inputs.items():
            if tensor in unit.made:
                continue
            names = [operand] if len(unit.taken[operand]) == 1 else [f"{step.op}.{operand}", f"s{i}.{operand}"]
            declared = step.row.takes[operand]
            add(names, program.tensors[tensor].width.dtype, "in" if declared.names else "value", tensor)
    for axis, sizes in unit.axes().items():
        if "." not in axis and len(sizes) == 1:
            add([axis, f"size_{axis}"], np.int32, "size", next(iter(sizes)))
    for operand, tensor in unit.steps[-1].outputs.items():
        add([operand, f"out_{operand}"], program.tensors[tensor].width.dtype, "out", tensor)
    return found


def same_signature(signatures, units):
    """Raises Unsupported where units cannot be called by one prototype."""
    first = [a for a, _ in signatures[0]]
    for unit, other in zip(units, signatures):
        if [a for a, _ in other] != first:
            raise Unsupported(f"units {units[0].name} and {unit.name} take different arguments, which one C function cannot; "
                              "name one kind of unit with --unit")
