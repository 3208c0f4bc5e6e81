"""island: a few operations of a network that compute in float, between codes that become reals and reals that become codes.

    y0, y1 ... = what the nodes of the row make of x0, x1 ... and of the constants c0, c1 ...

A network that comes quantized may leave operations in float; and where a target has none of its own for one, it runs them in
float too. Around the island lie `dequantize` and `quantize`, whose rounding is the target's.

    nodes      ((operation, inputs, outputs, ((attribute, value), ...)), ...): names as above, or t... for what lies between
    shapes     of one image of each operand;   constants, results: shapes of these

units    x, c and y count 1
R1       the nodes compute one after the other, in float64, what refq/reals says
R2       a result is rounded to float32 once, ties to even; what lies between is not
R3       an image knows nothing of the others
error    float64's own, and one float32 rounding: what else rounds to float32 between the nodes may be more off
source   ONNX, the operators by their prose
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import last_tile_lost, previous_case
from refq.reals.floats import numpy_functions, table


@dataclass(frozen=True)
class Row(Base):
    nodes: tuple = decided((("Abs", ("x0",), ("t0",), ()), ("Softmax", ("t0",), ("y0",), ())))
    shapes: tuple = decided(((4,),))
    constants: tuple = decided(())
    results: tuple = decided(((4,),))

    def __post_init__(self):
        super().__post_init__()
        for name in ("nodes", "shapes", "constants", "results"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        known = {f"x{i}" for i in range(len(self.shapes))} | {f"c{i}" for i in range(len(self.constants))} | {""}
        for op, inputs, outputs, _ in self.nodes:
            if op not in table:
                raise IllFormed(f"island: an operation {op!r}, which refq does not compute in float")
            if lost := [name for name in inputs if name not in known]:
                raise IllFormed(f"island: {op} reads {lost[0]!r}, which nothing before it makes")
            known.update(outputs)
        if lost := [f"y{i}" for i in range(len(self.results)) if f"y{i}" not in known]:
            raise IllFormed(f"island: no node makes {lost[0]}")

    @property
    def takes(self):
        images = {f"x{i}": F32(("n " + axes(f"x{i}", shape)).strip()) for i, shape in enumerate(self.shapes)}
        return images | {f"c{i}": F32(axes(f"c{i}", shape)) for i, shape in enumerate(self.constants)}

    @property
    def gives(self):
        return {f"y{i}": F32(("n " + axes(f"y{i}", shape, "{}")).strip()) for i, shape in enumerate(self.results)}

    def sizes(self, found):
        for kind, shapes in (("x", self.shapes), ("c", self.constants)):
            for i, shape in enumerate(shapes):
                given = tuple(found[name.strip("[]")] for name in axes(f"{kind}{i}", shape).split())
                if given != shape:
                    raise IllFormed(f"island: {kind}{i} is {given}, and the row takes {shape}")
        return {name: size for i, shape in enumerate(self.results)
                for name, size in zip(axes(f"y{i}", shape, "{}").split(), shape)}


def axes(name, shape, form="[{}]"):
    """Names of axes: `[x0a] [x0b]`."""
    return " ".join(form.format(f"{name}{chr(ord('a') + i)}") for i in range(len(shape)))


def frozen(value):
    return tuple(frozen(v) for v in value) if isinstance(value, (list, tuple)) else value


def build(row, **constants):
    """The constants of a step, as float32: `c0`, `c1` ..."""
    return {name: np.asarray(value, np.float32) for name, value in constants.items()}


def computed(row, operands):
    """The results, in float64, of one image."""
    values = {"": None} | {name: np.asarray(x, np.float64)[None] if name[0] == "x" else np.asarray(x, np.float64)
                           for name, x in zip(row.takes, operands)}
    with np.errstate(all="ignore"):
        for op, inputs, outputs, attributes in row.nodes:                                     # R1
            made = table[op](numpy_functions, dict(attributes), *(values[name] for name in inputs))
            values.update(zip(outputs, made if isinstance(made, tuple) else (made,)))
    return [np.asarray(values[name], np.float64).reshape(shape) for name, shape in zip(row.gives, row.results)]


def images(row, operands):
    """The operands of one image after the other."""
    count = len(row.shapes)
    for image in zip(*operands[:count]):                                                      # R3
        yield (*image, *operands[count:])


def spec(*operands, row, at=unwatched):
    results = [np.empty((len(operands[0]), *shape)) for shape in row.results]
    for n, image in enumerate(images(row, operands)):                                         # R3
        for y, value in zip(results, computed(row, image)):                                   # R1
            y[n] = value
    with np.errstate(over="ignore"):
        single = tuple(at(name, y.astype(np.float32), F32) for name, y in zip(row.gives, results))     # R2
    return single if len(single) > 1 else single[0]


@cache
def kernel(row):
    def island(*operands):
        operands, results = operands[:len(row.takes)], operands[len(row.takes):]
        for n, image in enumerate(images(row, operands)):                                     # R3
            for y, value in zip(results, computed(row, image)):                               # R1
                with np.errstate(over="ignore"):
                    y[n] = value                                                              # R2

    return island


def real(*operands, row):
    """The results of one image, in float64."""
    return computed(row, operands)


def last_node_forgotten(run, operands, row):
    """A result of the last node's shape is what that node takes."""
    op, inputs, outputs, _ = row.nodes[-1]
    alone = Row(nodes=(*row.nodes[:-1], ("Identity", inputs[:1], outputs, ())), shapes=row.shapes, constants=row.constants,
                results=row.results)
    try:
        return run(operands, row=alone)
    except ValueError:
        return run(operands)


slips = (last_node_forgotten, previous_case("x0"), last_tile_lost("y0", 2))


def r3_images_do_not_meet(*operands, row):
    turned = [x[::-1] if name[0] == "x" else x for name, x in zip(row.takes, operands)]
    forth, back = (y if isinstance(y, tuple) else (y,) for y in (spec(*operands, row=row), spec(*turned, row=row)))
    return np.concatenate([(a == b[::-1]).ravel() for a, b in zip(forth, back)])
