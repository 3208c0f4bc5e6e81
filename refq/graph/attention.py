"""Attention: how softmax, with a mask or without, and products of its codes are lowered, on whatever grid the codes lie.

A softmax gives codes of a grid of its own (`grid(row)` in its file: logarithms), or of units of its own (`result`), or of the
grid that its constants are made for. What is not yet on the grid of the node's result is rescaled onto it where both are affine,
and recoded where one is not. A mask wraps the same operation (refq.ops.softmax_masked).
"""
from dataclasses import replace
from inspect import signature

import numpy as np

from refq import ops
from refq.dialects.base import exact
from refq.errors import IllFormed, Unsupported
from refq.graph.builder import zero_of
from refq.graph.calibrate import grid as affine_over
from refq.graph.groups import MOVES
from refq.graph.moves import moved
from refq.graph.play import fitted
from refq.grids import zero_code
from refq.grids.affine import Affine, same
from refq.grids.levels import Levels
from refq.ints.width import I48


def softmax(b, node):
    """Rows whose sum the dialect's softmax cannot hold go to the one for wide codes."""
    x, out, mask = b.tensors[node.inputs[0]], node.outputs[0], masked(b, node)
    role, asked = role_of(b.dialect, x.width, float(x.grid.scale), x.shape[-1]), b.grid_of(out)
    part = b.part(role)
    row, made, plain = gives(b, part, x, asked)
    shape, source = x.shape, x.name
    if mask and len(shape) < 3:                         # heads are an axis of their own
        shape = (1, *shape)
        moved(b, f"{node.name}.heads", [source], f"{source}.heads", shape, [("reshape", shape)])
        source = f"{source}.heads"
    own = not plain and isinstance(made, Affine)        # units of its own: always rescaled
    direct, raw = same(made, asked) and not own, f"{node.name}.raw"
    scales = {"x": x.grid.scale} | ({"y": made.scale} if plain else {})
    facts = known(part.op, x, made, count=x.shape[-1])
    result = out if direct and shape == x.shape else raw
    results = [(result, shape, made, "accumulator" if own else "activation")]
    if mask:
        b.used[role] = part
        b.step(node.name, "softmax_masked", {"q": source} | mask.inputs, results, scales,
               {"inner": part.op, "row": row} | mask.row, masked=zero_code(made), **mask.build, **facts)
    else:
        b.step(node.name, role, {"q": source}, results, scales, {"q": x.width, "out": made.width}, **facts)
    if shape != x.shape:
        flat = out if direct else f"{node.name}.flat"
        moved(b, f"{node.name}.flat", [raw], flat, x.shape, [("reshape", x.shape)])
        raw = flat
    if not direct:
        carry(b, f"{node.name}.rescale", raw, out, asked)


def role_of(dialect, width, scale, count):
    """softmax, or softmax_wide for wide codes and for rows whose sum the former does not hold."""
    role = dialect.fitted("softmax", width)
    part = dialect.role(role)
    module = ops.load(part.op)
    return role if not hasattr(module, "holds") or module.holds(part.row, scale, count) else "softmax_wide"


def gives(b, part, x, asked):
    """(row, grid, plain): the row fitted to its operand, the grid on which the operation gives its codes, and whether that is one
    of the program's affine ones, for which its constants are made."""
    module, row = ops.load(part.op), fitted(part.row, {"q": x.width})
    if hasattr(module, "grid"):
        return row, module.grid(part.row), False
    if hasattr(module, "result"):
        (declared,) = row.gives.values()
        zero = module.zero(row) if hasattr(module, "zero") else 0
        return row, Affine(declared.width, module.result(row, float(x.grid.scale)), np.int64(zero)), False
    if isinstance(asked, Affine):
        return fitted(row, {"out": asked.width}), asked, True
    for bits in sorted(b.dialect.activations, reverse=True):           # the finest codes from which logarithms can be read
        fine = affine_over((0.0, 1.0), bits, b.dialect)
        try:
            held = fitted(row, {"out": fine.width})
            module.build(held, **known(part.op, x, fine, count=x.shape[-1]))
        except IllFormed:
            continue
        return held, fine, True
    raise Unsupported(f"operation {part.op} of dialect {b.dialect.name} gives codes of no width that it has for probabilities")


def known(op, x, grid, **facts):
    """What the operation builds its constants from, of what a node of one operand knows: by the names that its `build` gives
    them."""
    facts |= {"scale": float(x.grid.scale), "zero": zero_of(x), "s_in": float(x.grid.scale), "z_in": zero_of(x)}
    if isinstance(grid, Affine):
        facts |= {"s_out": float(grid.scale), "z_out": int(grid.zero)}
    return {k: facts[k] for k in signature(ops.load(op).build).parameters if k in facts}


def carry(b, name, source, result, grid):
    """The tensor `source` onto another grid: a rescale between affine ones, else codes by thresholds."""
    held = b.tensors[source]
    if isinstance(held.grid, Affine) and isinstance(grid, Affine):
        b.rescale(name, source, result, grid, (held.grid.scale,), zero_of(held))
        return result
    if not isinstance(held.grid, (Affine, Levels)) or held.width.bits > 16:
        raise Unsupported(f"step {name}: codes of {held.width} on a grid of kind {held.grid.kind} onto one of kind {grid.kind}; "
                          "rescale them to at most 16 bits per tensor first")
    b.step(name, "recode", {"q": source}, [(result, held.shape, grid, "activation")], {}, {"q": held.width, "out": grid.width},
           source=held.grid, target=grid)
    return result


class Mask:
    """`inputs`: operands that are tensors; `build`: those that are constants; `row`: fields of the row."""

    def __init__(self, form, inputs=None, build=None, **row):
        self.inputs, self.build, self.row = inputs or {}, build or {}, {"mask": form, **row}


def masked(b, node):
    """The Mask of a Softmax, or None: causal, of positions, or given, where it hides something; a given one that is causal is."""
    if (form := node.attributes.get("mask")) is None:
        return None
    *lead, r, k = b.tensors[node.inputs[0]].shape
    if form == "causal":
        return Mask(form, offset=k - r)
    if form == "positions":
        if len(lead) > 1:
            raise Unsupported(f"node {node.name}: positions of queries for logits of {len(lead) + 2} axes; refq takes heads, "
                              "queries and keys")
        return Mask(form, {"positions": node.inputs[1]}, last=k - 1)
    seen = np.broadcast_to(b.graph.constants[node.inputs[1]] != 0, (1, *lead, r, k))[0]
    if seen.all():
        return None
    offset = int(seen.reshape(-1, r, k)[0, 0].sum()) - 1
    if (seen == (np.arange(k) <= np.arange(r)[:, None] + offset)).all():
        return Mask("causal", offset=offset)
    seen = seen.reshape(*(lead or (1,)), r, k)
    alike = (seen == seen[..., :1, :, :]).all()
    return Mask("given", build={"seen": seen[..., :1, :, :] if alike else seen})


def matmul(b, node):
    """A product of two activations, the left one on a grid of any kind that has a product of its own."""
    x, w = (b.tensors[b.factor(name)] for name in node.inputs)
    if x.shape[:-2] != w.shape[:-2]:
        raise Unsupported(f"node {node.name}: a product of {x.shape} with {w.shape}, whose leading axes differ")
    if isinstance(x.grid, Levels):
        role = f"batch_matmul_{x.grid.kind}"
        module = ops.load(b.part(role).op)
        widths, unit = module.geometry(x.grid)
        build = {"zw": zero_of(w), **module.constants(x.grid)}
        acc = accumulator(b, role, x, w, widths, build)
    else:
        role, widths, unit, acc = "batch_matmul", {}, x.grid.scale, b.dialect.accumulator(max(x.width.bits, w.width.bits))
        build = {"zx": zero_of(x), "zw": zero_of(w)}
    scale = np.float64(unit) * np.float64(w.grid.scale)
    b.step(node.name, role, {"x": x.name, "w": w.name},
           [(f"{node.name}.acc", b.shape(node.outputs[0]), Affine(acc, scale, np.int64(0)), "accumulator")],
           {"x": unit, "w": w.grid.scale}, {"x": x.width, "w": w.width, "acc": acc, **widths}, **build)
    b.rescale(f"{node.name}.rescale", f"{node.name}.acc", node.outputs[0], b.grid_of(node.outputs[0]),
              (unit, w.grid.scale, node.attributes.get("alpha", 1.0)), plays=b.behind("batch_matmul", f"{node.name}.acc", None))


def accumulator(b, role, x, w, widths, build):
    """The register of a product of logarithmic codes: the row's own, else the first of the dialect's, and of 48 bits, that holds
    the sum whatever the codes; the widest where none does (bounds refuses it)."""
    part = b.part(role)
    if part.row.accumulate is not None:
        return part.row.accumulate.result
    module, held = ops.load(part.op), sorted({*b.dialect.accumulators.values(), I48}, key=lambda width: width.bits)
    ends, sizes = {"x": (x.grid.lo, x.grid.hi), "w": (w.width.lo, w.width.hi)}, {"k": x.shape[-1]}
    for acc in held:
        row = fitted(part.row, {"x": x.width, "w": w.width, "acc": acc, **widths})
        constants = {k: np.asarray(v) for k, v in module.build(row, **build).items()}
        if all(lo >= width.lo and hi <= width.hi for _, width, lo, hi in module.registers(row, ends, sizes, constants)):
            return acc
    return held[-1]


def plain_codes(b, node):
    """The node, its operands on affine grids where it cannot read the codes of another kind: only moves can, and the left side
    of a product that there is for the kind."""
    inputs = []
    for place, name in enumerate(node.inputs):
        held = b.tensors.get(name)
        if held is None or not isinstance(held.grid, Levels) or node.op in MOVES or (
                node.op == "MatMul" and place == 0 and f"batch_matmul_{held.grid.kind}" in exact):
            inputs.append(name)
            continue
        plain = f"{name}.affine"
        if plain not in b.tensors:
            ends = held.grid.levels.min(), held.grid.levels.max()
            carry(b, plain, name, plain, affine_over(ends, b.recipe.activations, b.dialect))
        inputs.append(plain)
    return node if tuple(inputs) == tuple(node.inputs) else replace(node, inputs=tuple(inputs))
