"""activations: GELU, as codes of its input or, where a target's reads the sums behind a linear layer, of its accumulator."""
import numpy as np

from refq import ops
from refq.grids.affine import Affine


def source(b, node, x):
    """The accumulator of the linear layer that makes `x` for this node alone, whose rescale is taken back; else `x` itself, as
    where the network's file says the grid of `x`."""
    maker = next((n for n in b.graph.nodes if x.name in n.outputs), None)
    readers = [n for n in b.graph.nodes if x.name in n.inputs]
    acc = f"{maker.name}.acc" if maker else None
    if b.graph.grids or acc not in b.tensors or maker.op != "Linear" or len(readers) > 1 or x.name in b.graph.outputs:
        return x
    b.steps = [step for step in b.steps if x.name not in step.outputs.values()]
    return b.tensors[acc]


def behind_sums(b, node, role, x, out):
    """A GELU whose constants are made for each channel of a register, and a rescale of each onto the grid of `out`."""
    part, x = b.part(role), source(b, node, x)
    module, count = ops.load(part.op), x.shape[-1]
    scales = np.broadcast_to(np.asarray(x.grid.scale, np.float64), (count,))
    units = module.result(part.row, scales)
    raw = f"{node.name}.raw"
    b.step(node.name, role, {"q": x.name}, [(raw, x.shape, None, "accumulator")], {"x": x.grid.scale}, {"q": x.width},
           scale=scales, zero=int(np.max(x.grid.zero)), count=count)
    b.tensor(raw, x.shape, Affine(b.tensors[raw].width, units, np.zeros(count, np.int64), -1), "accumulator")
    b.rescale(f"{node.name}.rescale", raw, out, b.grid_of(out), (units,))
