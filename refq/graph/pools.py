"""Pools: how MaxPool and AveragePool are lowered, channels last as in images.py.

Padding that counts, for a target whose pool divides by the pixels alone, becomes pixels before it. A target without a pool sums
each window by its convolution with weights of 1, and the rescale divides: as it does for a mean.
"""
import numpy as np

from refq import ops
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import counting, zero_of
from refq.graph.images import averaged, first_from
from refq.graph.moves import moved, turned
from refq.graph.play import fitted
from refq.grids.affine import Affine, same
from refq.ints.width import I8


def geometry(node):
    a = node.attributes
    return {"kernel": a["kernel_shape"], "stride": a["strides"], "dilation": a["dilations"]}


def max_pool(b, node):
    out = node.outputs[0]
    x = b.tensors[b.aligned(node, node.inputs[0], b.grid_of(out))]
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    c, oh, ow = b.shape(out)
    b.step(node.name, "max_pool", {"q": last.name}, [(f"{node.name}.pixels", (oh, ow, c), x.grid, "activation")], {},
           {"q": x.width, "padding": node.attributes["pads"], **geometry(node)})
    first_from(b, node, f"{node.name}.pixels", out)


def average_pool(b, node):
    """A window that is the whole image, where the target has no pool, is a mean. One that the network calls global may have a
    role of its own, average_pool_global, and one that counts its padding, average_pool_all."""
    x, out, grid = b.tensors[node.inputs[0]], node.outputs[0], b.grid_of(node.outputs[0])
    a, (c, oh, ow) = node.attributes, b.shape(out)
    if "average_pool" not in b.dialect.roles and (oh, ow) == (1, 1) and not any(a["pads"]) and a["kernel_shape"] == x.shape[1:]:
        averaged(b, node, x, [1, 2])
        return
    pads, counted = a["pads"], a.get("counted", (0, 0, 0, 0))
    said = "all" if any(counted) else "valid"
    special = ["average_pool_global"] * bool(a.get("whole")) + ["average_pool_all"] * any(counted)
    role = next((name for name in special if b.has(name)), "average_pool")
    if role not in b.dialect.roles and (said == "all" or not any(pads)) and pads in (counted, (0, 0, 0, 0)):
        summed(b, node, x, counted)
        return
    part = b.part(role)
    if said == "all" and getattr(part.row, "counts", said) != "all":
        x, said = surrounded(b, node, x, counted), "valid"
        pads, counted = tuple(n - m for n, m in zip(pads, counted)), (0, 0, 0, 0)
    if any(pads) and said != getattr(part.row, "counts", said):
        raise Unsupported(f"node {node.name}: an average over {said} places; dialect {b.dialect.name} divides by another count")
    padding = counted if any(counted) else pads
    beyond = tuple(n - m for n, m in zip(pads[2:], padding[2:]))
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    row = {"q": x.width, "out": grid.width, "padding": padding, "beyond": beyond, **geometry(node)}
    scales = {"s_in": float(x.grid.scale), "zin": zero_of(x), "s_y": float(grid.scale), "zp": int(grid.zero)}
    on, pixels = grid, f"{node.name}.pixels"
    if not takes(part, row, scales):        # one that only averages: onto another grid goes a step of its own
        on, row = x.grid, row | {"out": x.width}
        scales |= {"s_y": scales["s_in"], "zp": scales["zin"]}
    made = pixels if same(on, grid) else f"{node.name}.mean"
    b.step(node.name, role, {"q": last.name}, [(made, (oh, ow, c), on, "activation")],
           {"x": x.grid.scale, "y": on.scale}, row, **scales)
    if made != pixels:
        b.rescale(f"{node.name}.rescale", made, pixels, grid, (on.scale,), int(on.zero),
                  plays=[b.dialect.fitted("requantize", on.width, grid.width)])
    first_from(b, node, pixels, out)


def surrounded(b, node, x, padding):
    """The image `x` (c h w) with pixels of 0 around it: top, left, bottom, right."""
    top, left, bottom, right = padding
    c, h, w = x.shape
    name = f"{node.name}.padded"
    moved(b, name, [x.name], name, (c, top + h + bottom, left + w + right), [("pad", ((0, 0), (top, bottom), (left, right)))])
    return b.tensors[name]


def summed(b, node, x, padding):
    """Averages as sums of the codes of each window, by a convolution with weights of 1, and a rescale that divides."""
    a, out = node.attributes, node.outputs[0]
    c, oh, ow = b.shape(out)
    ones, acc = Affine(I8, np.float64(1.0), np.int64(0), None), b.dialect.accumulator(x.width.bits)
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    weights = ones, np.ones((c, *a["kernel_shape"], 1), np.int64), counting(acc, x.grid, ones, c), np.zeros(c, np.int64)
    factors = b.product(node, "average_pool_sums", x, last.name, weights, (oh, ow, c), stride=tuple(a["strides"]), groups=c,
                        dilation=tuple(a["dilations"]), padding=tuple(padding))
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", f"{node.name}.pixels", b.grid_of(out),
              (*factors, 1 / np.prod(a["kernel_shape"])), plays=b.behind("conv2d", f"{node.name}.acc", None))
    first_from(b, node, f"{node.name}.pixels", out)


def takes(part, row, scales):
    """Whether an operation builds its constants from these scales under the row of `part` with these fields."""
    try:
        ops.load(part.op).build(fitted(part.row, row), **scales)
    except IllFormed:
        return False
    return True
