"""qonnx: the nodes Quant (also called IntQuant), Trunc and BipolarQuant of QONNX, said as tensors on grids.

    Quant   y = s * (round(clip(x / s + z)) - z)
    Trunc   of codes q = round_half_even(x / s + z):
            opset 1, five inputs:  y = s * (round(q / 2**(bits in - bits out)) - z), clipped nowhere
            opset 2, six inputs:   y = s_out * (round(clip(q / T)) - z / T), T the power of two nearest to s_out / s

The zero point joins before the rounding. What rounds half to even rounds as the dialect does; any other rounding of an activation
is the file's own and goes with its grid (grids/rounded.py). Constants are rounded here, in float32, as qonnx computes them.
Source: fastmachinelearning/qonnx 1.0.0 src/qonnx/custom_op/general/{intquant,trunc,bipolar_quant}.py.
"""
import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.graph import Node
from refq.grids.affine import Affine
from refq.grids.rounded import Rounded
from refq.ints import rounding
from refq.ints.width import Width

ROUNDINGS = {"ROUND": "half_even", "HALF_EVEN": "half_even", "CEIL": "ceil", "FLOOR": "floor", "UP": "away", "DOWN": "trunc",
             "HALF_UP": "half_away", "HALF_DOWN": "half_zero"}
"""QONNX's words for roundings, as refq calls them."""
ABOVE_ZERO = {"away": "ceil", "trunc": "floor", "half_away": "half_up", "half_zero": "half_down"}
"""Words that look at the sign, and what they are where nothing is negative."""


def quant(r, node):
    """A real is rounded onto a grid and stays a real. `r`: the Reader of codes.py."""
    x, scale, zero, bits = of(node, 4)
    a = node.attributes
    width = Width(count(r, node, bits), bool(a.get("signed", 1)))
    whole_zero(r, node, zero)
    scales = np.asarray(r.number(node, scale, "scale"), np.float64)
    axes = [i - max(scales.ndim, 1) for i, n in enumerate(scales.shape) if n > 1]
    if len(axes) > 1:
        raise Unsupported(f"node {node.name} ({node.op}): scales of shape {scales.shape}; refq takes one, or one for each "
                          "slice of an axis")
    rank = np.ndim(r.graph.constants[x]) if x in r.graph.constants else 0
    grid = r.grid(node, scale, zero, width, axes[0] + rank if axes and rank else axes[0] if axes else None)
    grid, lost = narrowed(node, grid)
    ties = mode(node, "ROUND")
    if x in r.graph.constants:
        value = grid.decode(encoded(r.graph.constants[x], grid, ties, grid.hi - lost))
        free = next(n for i in range(10**6) if (n := f"{x}_{i}" if i else x) not in r.grids)
        r.constants[free], r.grids[free], r.called[node.outputs[0]] = value, grid, free
        return
    grid, made = rounded(node, grid, ties), full(node, lost)
    r.rounded(made, x, grid)
    del r.widths[made.outputs[0]]               # what comes out is a real
    cut(r, node, made, grid)


def trunc(r, node):
    """Codes lose their lowest bits: opset 1 divides what they mean too, opset 2 keeps it."""
    if len(node.inputs) not in (5, 6):
        raise IllFormed(f"node {node.name} (Trunc): {len(node.inputs)} inputs; it has 5 (opset 1) or 6 (opset 2)")
    x, scale, zero, before = node.inputs[:4]
    if x in r.graph.constants:
        raise Unsupported(f"node {node.name} (Trunc): {x!r} is a constant; fold it before")
    bits, after, ties = count(r, node, before), count(r, node, node.inputs[-1]), mode(node, "FLOOR")
    point, first = whole_zero(r, node, zero), r.grid(node, scale, "", Width(bits))
    shifted = len(node.inputs) == 5
    signed = bool(node.attributes.get("signed", 1))
    if first.scale.ndim or point.size != 1:
        raise Unsupported(f"node {node.name} (Trunc): {max(first.scale.size, point.size)} scales or zero points; refq takes one")
    unit, point = float(first.scale), int(point.flat[0])
    # opset 1 does not say whether its codes have a sign: one more bit holds both
    source = counted(r, node, x, unit, point, Width(bits + 1) if shifted else Width(bits, signed))
    if shifted:
        grid, by, lost = shortened(node, source, bits - after, after, ties), 2.0 ** (after - bits), 0
    else:
        given = r.grid(node, node.inputs[4], "", Width(after, signed))
        (grid, lost), by = narrowed(node, coarser(node, given, unit, point)), 1.0
    grid, made = rounded(node, grid, ties), full(node, lost)
    r.emit(made, "Requantize", (r.now(source[0]),), {"by": by})
    r.grids[made.outputs[0]] = grid
    cut(r, node, made, grid)


def bipolar(r, node):
    raise Unsupported(f"node {node.name} (BipolarQuant): codes -1 and +1, of which none means 0; refq takes codes of 2 to 32 "
                      "bits, so give that tensor a Quant of 2 bits")


def counted(r, node, x, unit, point, width):
    """(name, grid) of the tensor whose codes are truncated: that of `x`, which gets a grid where it has none."""
    tensor = r.now(x)
    held = r.grids.get(tensor)
    if held is not None and not held.scale.ndim and (float(held.scale), int(held.zero)) == (unit, point):
        return tensor, held
    if not width.lo <= point <= width.hi:
        raise IllFormed(f"node {node.name} (Trunc): zero point {point}; {width} holds {width.lo} to {width.hi}")
    grid = Affine(width, np.float64(unit), np.int64(point))
    free = held is None and len(r.graph.consumers.get(x, ())) == 1 and x not in r.graph.outputs and tensor not in r.graph.inputs
    name = tensor if free else f"{node.outputs[0]}.whole"
    if not free:
        r.emit(node, "Requantize", (tensor,), outputs=(name,))
    r.grids[name] = grid
    return name, grid


def shortened(node, source, lost, after, ties):
    """The grid behind a Trunc of opset 1, wide enough that nothing is ever clipped."""
    _, held = source
    if lost < 0:
        raise IllFormed(f"node {node.name} (Trunc): {after + lost} bits become {after}; it takes bits away")
    if int(held.zero):
        raise Unsupported(f"node {node.name} (Trunc): opset 1 takes off zero point {int(held.zero)} without dividing it; export "
                          "the model with qonnx 1.0 and opset 2, or a zero point of 0")
    ends = [int(rounding.word(ties)(code, lost)) for code in (held.lo, held.hi)]
    signed = held.width.signed
    holds = (w for b in range(after, 34) if (w := Width(b, signed)).lo <= ends[0] and ends[1] <= w.hi)
    return Affine(next(holds), held.scale, np.int64(0))


def coarser(node, given, unit, point):
    """The grid behind a Trunc of opset 2."""
    if given.scale.ndim:
        raise Unsupported(f"node {node.name} (Trunc): {given.scale.size} scales of the result; refq takes one")
    scale = float(given.scale)
    times = 2.0 ** float(np.round(np.log2(scale / unit)))
    if unit * times != scale:
        raise Unsupported(f"node {node.name} (Trunc): scales {unit!r} and {scale!r}, whose quotient is no power of two; refq "
                          "moves bits only")
    zero = point / times
    if zero != int(zero) or not given.width.lo <= zero <= given.width.hi:
        raise Unsupported(f"node {node.name} (Trunc): zero point {point} becomes {zero!r}; refq takes a whole code of "
                          f"{given.width}")
    return Affine(given.width, given.scale, np.int64(zero))


def narrowed(node, grid):
    """(the grid, how many codes are lost at its upper end) of a node that may be narrow: then signed codes leave out the lowest,
    as refq's grids do, and unsigned ones the highest."""
    narrow = bool(node.attributes.get("narrow", 0))
    return Affine(grid.width, grid.scale, grid.zero, grid.axis, None, narrow and grid.width.signed), \
        int(narrow and not grid.width.signed)


def full(node, lost):
    """The node, of another result where that is cut afterwards."""
    return Node(node.name, node.op, node.inputs, (f"{node.outputs[0]}.full",), node.attributes) if lost else node


def cut(r, node, made, grid):
    """The highest code is left out where the result was given another name for that."""
    if made is node:
        return
    (result,), most = node.outputs, f"{node.outputs[0]}.most"
    r.constants[most] = np.asarray(float(grid.decode(np.array(grid.hi - 1))))
    r.emit(node, "Clip", (r.now(made.outputs[0]), "", most))
    r.grids[result] = grid


def of(node, size):
    if len(node.inputs) != size:
        raise IllFormed(f"node {node.name} ({node.op}): {len(node.inputs)} inputs; it has {size}")
    return node.inputs


def count(r, node, name):
    """A number of bits."""
    bits = np.asarray(r.number(node, name, "bit width")).reshape(-1)
    if bits.size != 1 or bits[0] != int(bits[0]) or not 2 <= bits[0] <= 32:
        raise Unsupported(f"node {node.name} ({node.op}): a bit width of {bits.tolist()}; refq takes one whole number, 2 to 32")
    return int(bits[0])


def whole_zero(r, node, name):
    zeros = np.asarray(r.number(node, name, "zero point"), np.float64)
    if (odd := zeros[zeros != np.round(zeros)]).size:
        raise IllFormed(f"node {node.name} ({node.op}): zero point {name!r} holds {float(odd.flat[0])!r}; it is a whole number")
    return zeros


def mode(node, otherwise):
    said = str(node.attributes.get("rounding_mode", otherwise))
    if said.upper() not in ROUNDINGS:
        raise Unsupported(f"node {node.name} ({node.op}): rounding mode {said}; QONNX has {', '.join(ROUNDINGS)}")
    return ROUNDINGS[said.upper()]


def rounded(node, grid, ties):
    """The grid of an activation, with its rounding where that is not half to even. The zero point is inside the rounding, which
    words that look at the sign notice: of unsigned codes nothing below 0 is left, and there they are words that do not."""
    if ties == "half_even":
        return grid
    if grid.zero.any() and ties in ABOVE_ZERO:
        if grid.width.signed:
            raise Unsupported(f"node {node.name} ({node.op}): signed codes with zero point {int(grid.zero.flat[0])} that are "
                              f"rounded by the sign ({ties}); take a zero point of 0, or a rounding without regard to "
                              "the sign")
        ties = ABOVE_ZERO[ties]
    return Rounded(grid.width, grid.scale, grid.zero, grid.axis, None, grid.narrow, ties)


def encoded(x, grid, ties, most):
    """The codes of a constant, up to `most`: the quotient and the sum with the zero point in float32, clipped, then rounded."""
    scale, zero = (np.asarray(part, np.float32) for part in grid.over(x.shape))
    with np.errstate(over="ignore", under="ignore"):
        real = np.clip((x.astype(np.float32) / scale + zero).astype(np.float64), grid.lo, most)
    low = np.floor(real)
    rest = real - low
    quarters = 4 * low.astype(np.int64) + 2 * (rest >= 0.5) + ((rest != 0) & (rest != 0.5))
    return rounding.word(ties)(quarters, 2).astype(grid.width.dtype)
