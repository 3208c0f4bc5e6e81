"""weight_groups: products with weights that have a scale for each group of codes along k: they come so, or a recipe says so.

Groups of neighbours are summed as they lie. Where the codes of a group lie apart (act-order), the activations are put into the
order of groups first, and the weights with them: sums do not mind.
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.calibrate import of_groups
from refq.graph.moves import moved
from refq.grids.affine import Affine
from refq.ints.width import I24, I48
from refq.ops import matmul_groups


@dataclass(frozen=True, eq=False)
class Groups:
    """`codes` (m k) in groups of `block`; `scale`, `zero` (m groups); `order`: the places that the codes come from, or None."""

    codes: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    block: int
    order: tuple | None


def grouped(b, node):
    """Whether the weights of a Linear have a scale for each group of inputs: they come so, or the recipe says so."""
    kept = b.graph.kept.get(node.inputs[1])
    return type(b.recipe.granularity) is int if kept is None else kept.block is not None


def grid_of(b, node):
    """The grid with blocks along k on which the weights (m k) of such a Linear lie."""
    weight = node.inputs[1]
    if (kept := b.graph.kept.get(weight)) is not None:
        return b.coming(node, kept, weight)
    bits = b.recipe.weight_bits(node.name, node.name in b.edges)
    try:
        return of_groups(b.graph.constants[weight], b.recipe.granularity, bits, b.recipe, b.dialect)
    except IllFormed as e:
        raise IllFormed(f"weights of node {node.name}, recipe {b.recipe.name}: {e}") from None


def of(node, grid, values, ties):
    """The Groups of weights (m k) on a grid with blocks along k; raises Unsupported for groups of different sizes."""
    codes = grid.encode(values, ties)
    if grid.block > 1:
        return Groups(codes, grid.scale, grid.zero, grid.block, None)
    said = np.concatenate([grid.scale, grid.zero])
    _, first, place, sizes = np.unique(said, True, True, True, axis=1)
    if len(set(sizes.tolist())) != 1:
        raise Unsupported(f"weights of node {node.name}: their groups hold {sizes.min()} to {sizes.max()} codes of a row; groups "
                          "of one size are supported")
    order = np.argsort(place.reshape(-1), kind="stable")
    return Groups(np.ascontiguousarray(codes[:, order]), grid.scale[:, first], grid.zero[:, first], int(sizes[0]),
                  tuple(order.tolist()))


def product(b, node, x):
    """Steps from the tensor `x` to the result of such a Linear."""
    grid = grid_of(b, node)
    weight, bias = (b.graph.constants[name] for name in node.inputs[1:])
    if (mask := b.masks.get(node.inputs[1])) is not None:
        weight = np.where(mask.kept, weight, 0.0)
    word = b.dialect.encode_weights or b.dialect.encode
    held, row = of(node, grid, weight, word), b.dialect.role("matmul_groups").row
    if held.order:
        moved(b, f"{node.name}.groups", [x.name], f"{node.name}.groups", x.shape, [("gather", len(x.shape) - 1, held.order)])
        x = b.tensors[f"{node.name}.groups"]
    out, unit = node.outputs[0], matmul_groups.unit(row, held.scale)
    counts = Affine(I48, np.float64(x.grid.scale) * unit, np.zeros(len(unit), np.int64), axis=-1)
    first = Affine(I48, counts.scale, counts.zero, axis=0)
    joins = counts.encode(bias, word)
    b.step(node.name, "matmul_groups", {"x": x.name}, [(f"{node.name}.acc", b.shape(out), counts, "accumulator")],
           {"x": x.grid.scale, "w": held.scale}, {"x": x.width, "w": grid.width, "acc": counts.width, "block": held.block,
            "part": I24 if x.width.bits + grid.width.bits + (held.block - 1).bit_length() < 24 else I48},
           {"w": (Affine(grid.width, held.scale, held.zero, 1, held.block), "weight"), "bias": (first, "bias")}, w=held.codes,
           bias=joins, zx=int(x.grid.zero), zw=held.zero, scale=held.scale)
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", out, b.grid_of(out), (x.grid.scale, unit))
