"""Images: how convolutions and means are lowered. Images lie channels last: (c h w) is turned before and back behind them."""
import numpy as np

from refq.errors import Unsupported
from refq.graph.builder import zero_of
from refq.graph.moves import moved, turned
from refq.grids.affine import Affine
from refq.ints.width import I16, I32


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
    """A convolution of images; weights (m d kh kw) are turned into (m kh kw d). One filter for each channel, with one zero point
    for all, may have a role of its own, depthwise_<role>."""
    x = b.tensors[b.factor(node.inputs[0])]
    out, a = node.outputs[0], node.attributes
    w, codes, counts, bias = b.weights(node, x, *node.inputs[1:])
    m, oh, ow = b.shape(out)
    last = turned(b, f"{node.name}.channels_last", x, (1, 2, 0))
    weights = w, codes.transpose(0, 2, 3, 1), counts, bias
    groups = a.get("group", 1)
    alone = groups == m == x.shape[0] and np.unique(w.zero).size == 1 and b.has(f"depthwise_{role}")
    factors = b.product(node, f"depthwise_{role}" if alone else role, x, last.name, weights, (oh, ow, m),
                        stride=tuple(a.get("strides", (1, 1))), dilation=tuple(a.get("dilations", (1, 1))), groups=groups, **row)
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", f"{node.name}.pixels", b.grid_of(out), factors,
              plays=b.behind(role, f"{node.name}.acc", w))
    first_from(b, node, f"{node.name}.pixels", out)


def mean(b, node):
    averaged(b, node, b.tensors[node.inputs[0]], [a - 1 for a in node.attributes["axes"]])


def averaged(b, node, x, axes):
    """The mean over axes of one image: a sum, and a rescale that divides. A target with a rescale of its own for means sums the
    codes as they are, in 32 bits; it takes off all zero points at once."""
    out, (codes, lead, count, last) = node.outputs[0], rows(b, node, x, axes)
    units, zero, plays = np.float64(x.grid.scale), zero_of(x), b.dialect.fitted("rescale_mean", x.width)
    own = plays in b.dialect.roles
    acc, taken = (I32, zero * count) if own else (b.dialect.accumulator(x.width.bits), 0)
    total = (f"{node.name}.acc", (*lead, last), Affine(acc, units, np.int64(taken)), "accumulator")
    b.step(node.name, "mean", {"q": codes}, [total], {"x": units}, {"q": x.width, "acc": acc}, zq=0 if own else zero)
    if own and of_image(b, node, x, axes):
        carried(b, node, b.tensors[total[0]], count, zero)
    else:
        how = ((units,), taken, "activation", [plays]) if own else ((units / count,),)
        b.rescale(f"{node.name}.rescale", total[0], f"{node.name}.mean", b.grid_of(out), *how, **{"count": count} if own else {})
    moved(b, f"{node.name}.shape", [f"{node.name}.mean"], out, b.shape(out), [("reshape", b.shape(out))])


def rows(b, node, x, axes):
    """What is summed over axes of one image, as rows: (tensor (lead count last), lead, count, last)."""
    kept = [a for a in range(len(x.shape)) if a not in axes]
    count, rest = int(np.prod([x.shape[a] for a in axes])), tuple(x.shape[a] for a in kept)
    lead, last = rest[:-1], rest[-1] if rest else 1
    name = moved(b, f"{node.name}.rows", [x.name], f"{node.name}.rows", (*lead, count, last),
                 [("transpose", (*kept[:-1], *axes, *kept[-1:])), ("reshape", (*lead, count, last))])
    return name, lead, count, last


def of_image(b, node, x, axes):
    """Whether it is a mean over both axes of an image, which the network keeps, of a target with a kernel for that."""
    image = len(x.shape) == 3 and axes in ([0, 1], [1, 2]) and x.width.bits <= 8
    return image and bool(node.attributes.get("kept")) and b.has("rescale_mean_image")


def carried(b, node, total, count, zero):
    """Such a sum of `count` codes on the result's grid, in 16 bits and then clipped: its multiplier is made of one float32
    quotient, and the zero point of the codes, in steps of the result and rounded half away, joins behind it."""
    grid, unit = b.grid_of(node.outputs[0]), np.float32(total.grid.scale)
    step = np.float32(grid.scale)
    less, divisor = np.float32(zero) * unit / step, float(np.float32(count) * step)
    zp = int(grid.zero) - int(np.trunc(less + np.copysign(np.float32(0.5), less)))
    if not I16.lo <= zp <= I16.hi:
        raise Unsupported(f"node {node.name}: a zero point of {zp} in steps of its result; coarsen the grid of the result")
    wide = (f"{node.name}.wide", total.shape, Affine(I16, grid.scale, grid.zero), "activation")
    b.step(f"{node.name}.rescale", "rescale_mean_image", {"acc": total.name}, [wide], {"scale": float(unit) / divisor},
           {"acc": total.width, "out": I16}, factors=[np.broadcast_to(np.float64(unit), total.shape[-1:])], unit=divisor,
           zin=0, zp=zp)
    b.rescale(f"{node.name}.clip", wide[0], f"{node.name}.mean", grid, (grid.scale,), int(grid.zero),
              plays=[b.dialect.fitted("requantize", I16, grid.width)])
