"""Spread: how values that are repeated along axes, and their counterpart, sums over axes, are lowered."""
import numpy as np

from refq.errors import Unsupported
from refq.graph.builder import zero_of
from refq.graph.images import rows
from refq.graph.moves import moved
from refq.grids.affine import Affine
from refq.ints.width import I32


def expand(b, node):
    """Codes are repeated: the result lies on the grid of the input."""
    out = node.outputs[0]
    source = b.tensors[b.aligned(node, node.inputs[0], b.grid_of(out))]
    moved(b, node.name, [source.name], out, b.shape(out), repeats(source.shape, b.shape(out)))


def repeats(shape, whole):
    """The moves that make `shape` into `whole`, which it broadcasts to."""
    start = (*(1,) * (len(whole) - len(shape)), *shape)
    first = [("reshape", start)] if start != tuple(shape) else []
    return first + [("repeat", axis, n) for axis, (m, n) in enumerate(zip(start, whole)) if m != n]


def broadcast(b, node, x, shape):
    """The tensor `x` in `shape`: itself, or a repeated copy of it."""
    if x.shape == tuple(shape):
        return x
    try:
        fits = np.broadcast_shapes(x.shape, shape) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise Unsupported(f"node {node.name}: joins {x.shape} into {shape}, to which it does not broadcast")
    name = f"{node.name}.{x.name}"
    moved(b, name, [x.name], name, shape, repeats(x.shape, shape))
    return b.tensors[name]


def reduce_sum(b, node):
    """A sum over axes of one image, in 32 bits, of the codes as they are; the rescale takes off all zero points at once."""
    x, out = b.tensors[node.inputs[0]], node.outputs[0]
    codes, lead, count, last = rows(b, node, x, [a - 1 for a in node.attributes["axes"]])
    units, taken = np.float64(x.grid.scale), zero_of(x) * count
    total = (f"{node.name}.acc", (*lead, last), Affine(I32, units, np.int64(taken)), "accumulator")
    b.step(node.name, "sum", {"q": codes}, [total], {"x": units}, {"q": x.width, "acc": I32}, zq=0)
    b.rescale(f"{node.name}.rescale", total[0], f"{node.name}.sum", b.grid_of(out), (units,), taken,
              plays=[b.dialect.fitted("rescale_sum", x.width)])
    moved(b, f"{node.name}.shape", [f"{node.name}.sum"], out, b.shape(out), [("reshape", b.shape(out))])
