"""Images: how convolutions and pools are lowered. They work channels last: (c h w) is turned before and back behind them."""
import numpy as np

from refq import ops
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import zero_of
from refq.graph.moves import moved, turned
from refq.graph.play import fitted
from refq.grids.affine import Affine, same
from refq.ints.width import I32


def first_from(b, node, pixels, out):
    """What lies channels last, turned into the node's result."""
    moved(b, f"{node.name}.channels_first", [pixels], out, b.shape(out), [("transpose", (2, 0, 1))])


def conv(b, node):
    a = node.attributes
    windowed(b, node, "conv2d", padding=tuple(a.get("pads", (0, 0, 0, 0))))


def conv_transpose(b, node):
    top, left, bottom, right = node.attributes["pads"]
    down, across = node.attributes["output_padding"]
    windowed(b, node, "conv_transpose2d", padding=(top, left, bottom - down, right - across))


def windowed(b, node, role, **row):
    """A convolution of images; weights (m d kh kw) are turned into (m kh kw d)."""
    x = b.tensors[b.factor(node.inputs[0])]
    out, a = node.outputs[0], node.attributes
    w, codes, counts, bias = b.weights(node, x, *node.inputs[1:])
    m, oh, ow = b.shape(out)
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    weights = w, codes.transpose(0, 2, 3, 1), counts, bias
    factors = b.product(node, role, x, last.name, weights, (oh, ow, m), stride=tuple(a.get("strides", (1, 1))),
                        dilation=tuple(a.get("dilations", (1, 1))), groups=a.get("group", 1), **row)
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", f"{node.name}.pixels", b.grid_of(out), factors,
              plays=b.behind(role, f"{node.name}.acc", w))
    first_from(b, node, f"{node.name}.pixels", out)


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
    """A window that is the whole image, where the target has no pool, is a mean."""
    x, out, grid = b.tensors[node.inputs[0]], node.outputs[0], b.grid_of(node.outputs[0])
    a, (c, oh, ow) = node.attributes, b.shape(out)
    if "average_pool" not in b.dialect.roles and (oh, ow) == (1, 1) and not any(a["pads"]) and a["kernel_shape"] == x.shape[1:]:
        averaged(b, node, x, [1, 2])
        return
    part, counted = b.part("average_pool"), a.get("counted", (0, 0, 0, 0))
    said = "all" if any(counted) else "valid"
    if any(a["pads"]) and said != getattr(part.row, "counts", said):
        raise Unsupported(f"node {node.name}: an average over {said} places; dialect {b.dialect.name} divides by another count")
    padding = counted if any(counted) else a["pads"]
    beyond = tuple(n - m for n, m in zip(a["pads"][2:], padding[2:]))
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    row = {"q": x.width, "out": grid.width, "padding": padding, "beyond": beyond, **geometry(node)}
    scales = {"s_in": float(x.grid.scale), "zin": zero_of(x), "s_y": float(grid.scale), "zp": int(grid.zero)}
    on, pixels = grid, f"{node.name}.pixels"
    if not takes(part, row, scales):        # one that only averages: onto another grid goes a step of its own
        on, row = x.grid, row | {"out": x.width}
        scales |= {"s_y": scales["s_in"], "zp": scales["zin"]}
    made = pixels if same(on, grid) else f"{node.name}.mean"
    b.step(node.name, "average_pool", {"q": last.name}, [(made, (oh, ow, c), on, "activation")],
           {"x": x.grid.scale, "y": on.scale}, row, **scales)
    if made != pixels:
        b.rescale(f"{node.name}.rescale", made, pixels, grid, (on.scale,), int(on.zero),
                  plays=[b.dialect.fitted("requantize", on.width, grid.width)])
    first_from(b, node, pixels, out)


def takes(part, row, scales):
    """Whether an operation builds its constants from these scales under the row of `part` with these fields."""
    try:
        ops.load(part.op).build(fitted(part.row, row), **scales)
    except IllFormed:
        return False
    return True


def mean(b, node):
    averaged(b, node, b.tensors[node.inputs[0]], [a - 1 for a in node.attributes["axes"]])


def averaged(b, node, x, axes):
    """The mean over axes of one image: a sum, and a rescale that divides. A target with a rescale of its own for means sums the
    codes as they are, in 32 bits; it takes off all zero points at once."""
    out, kept = node.outputs[0], [a for a in range(len(x.shape)) if a not in axes]
    count = int(np.prod([x.shape[a] for a in axes]))
    rest = tuple(x.shape[a] for a in kept)
    lead, last = rest[:-1], rest[-1] if rest else 1
    rows = moved(b, f"{node.name}.rows", [x.name], f"{node.name}.rows", (*lead, count, last),
                 [("transpose", (*kept[:-1], *axes, *kept[-1:])), ("reshape", (*lead, count, last))])
    units, zero, plays = np.float64(x.grid.scale), zero_of(x), b.dialect.fitted("rescale_mean", x.width)
    own = plays in b.dialect.roles
    acc, taken = (I32, zero * count) if own else (b.dialect.accumulator(x.width.bits), 0)
    total = (f"{node.name}.acc", (*lead, last), Affine(acc, units, np.int64(taken)), "accumulator")
    b.step(node.name, "mean", {"q": rows}, [total], {"x": units}, {"q": x.width, "acc": acc}, zq=0 if own else zero)
    how = ((units,), taken, "activation", [plays]) if own else ((units / count,),)
    b.rescale(f"{node.name}.rescale", total[0], f"{node.name}.mean", b.grid_of(out), *how, **{"count": count} if own else {})
    moved(b, f"{node.name}.shape", [f"{node.name}.mean"], out, b.shape(out), [("reshape", b.shape(out))])
