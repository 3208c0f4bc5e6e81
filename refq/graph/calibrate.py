"""Calibrate: the range of every group of tensors, from the float values of real images, and the grids that follow.

The float network is evaluated in float64 and scales are rounded to float32, so that the order of a sum or the last bit
of an exponential does not move a grid.
"""
from dataclasses import replace

import numpy as np

from refq import grids, ops, quantizers
from refq.errors import IllFormed
from refq.graph.evaluate import evaluate
from refq.graph.groups import CUTS, MOVES, Groups
from refq.grids.affine import Affine, asymmetric, symmetric
from refq.ints.width import Width
from refq.reals.floats import seen_by


def observe(graph, images, recipe, progress=None, **functions):
    """Group to (lo, hi): what the calibrator of `recipe` makes of the values that `images` (n *shape) give; raises
    IllFormed for an empty set and for values that are not finite, naming the tensor. `progress(done)` is told of every image."""
    if not len(images):
        raise IllFormed("the calibration set is empty; give at least one image")
    groups = Groups(graph)
    seen = {}
    watched = {name: group for group, names in groups.seen.items() for name in names}

    def watch(name, values):
        if name in watched:
            if not np.isfinite(values).all():
                raise IllFormed(f"tensor {name}: the float network gives values that are not finite on the calibration images; "
                                "give others")
            if (group := watched[name]) not in seen:
                seen[group] = quantizers.load(recipe.calibrator_of(groups.role[group]))
            seen[group].see(shown(graph, groups.hidden[name], values) if name in groups.hidden else values)

    for name in graph.constants:
        if name in watched:
            watch(name, np.asarray(graph.constants[name], np.float64))
    for done, image in enumerate(images):
        with np.errstate(all="ignore"):     # `watch` refuses what is not finite, and names the tensor
            evaluate(graph, {graph_input(graph): image[None]}, watch=watch, **functions)
        if progress:
            progress(done + 1)
    return {group: quantizer.range() for group, quantizer in seen.items()}


def shown(graph, softmax, logits):
    """Those of the logits that a masked Softmax does not hide."""
    mask = graph.constants[softmax.inputs[1]] if len(softmax.inputs) > 1 else None
    seen = np.broadcast_to(seen_by(np, softmax.attributes["mask"], logits.shape, mask), logits.shape)
    if not seen.any():
        raise IllFormed(f"node {softmax.name}: its mask hides every key from every query; leave one to be seen")
    return logits[seen]


def graph_input(graph):
    if len(graph.inputs) != 1:
        raise IllFormed(f"the network has inputs {', '.join(graph.inputs)}; refq runs networks of one image input")
    return next(iter(graph.inputs))


def choose(graph, ranges, recipe, dialect):
    """Group to Affine grid: the bits that `recipe` gives its role, asymmetric where `dialect` can, and what enters a
    nonlinear operation on a scale that suits it."""
    chosen, groups = {}, Groups(graph)
    for group, role in groups.role.items():
        if group in ranges:
            if role == "probabilities" and (other := unequal(graph, groups, group, ranges[group], recipe, dialect)):
                chosen[group] = other
                continue
            try:
                affine = grid(ranges[group], recipe.bits(role), dialect)
            except IllFormed as e:
                raise IllFormed(f"tensor {group}: {e}") from None
            chosen[group] = suited(affine, ENTERS.get(role), dialect, ranges[group])
    return chosen


CARRY = MOVES - CUTS - {"MaxPool", "Pad"}
"""Moves that carry codes of any grid, whatever their order and whether 0 has one."""


def unequal(graph, groups, group, range_, recipe, dialect):
    """The grid of what leaves softmax where it is not an affine one: that of which the target's softmax gives codes, or the kind
    that the recipe says; None where it is, and where something else than a softmax and moves makes its codes."""
    if any(n.op not in CARRY | {"Softmax"} and groups.of[n.outputs[0]] == group for n in graph.nodes):
        return None
    part = dialect.roles.get(dialect.fitted("softmax", Width(recipe.logits)))
    module = ops.load(part.op) if part else None
    if hasattr(module, "grid"):
        return module.grid(part.row)
    if recipe.probabilities_grid == "affine":
        return None
    return grids.load(recipe.probabilities_grid).covering(recipe.probabilities, float(range_[1]))


def owned(graph, grids, recipe, dialect):
    """Grids that were chosen before, without those of probabilities where the target or the recipe has other ones."""
    groups = Groups(graph)
    for group, role in groups.role.items():
        held = grids[group]
        if role == "probabilities" and isinstance(held, Affine):
            ends = held.decode([held.lo, held.hi])
            grids = grids | {group: unequal(graph, groups, group, ends, recipe, dialect) or held}
    return grids


ENTERS = {"logits": "softmax", "gelu": "gelu"}


def suited(affine, role, dialect, range_):
    """The grid on a scale that the operation which reads it asks for (`fitting`), as little coarser as can be."""
    part = dialect.roles.get(dialect.fitted(role, affine.width))
    fitting = getattr(ops.load(part.op), "fitting", None) if part else None
    if fitting is None:
        return affine
    return allowed(rescaled(affine, fitting(float(affine.scale)), dialect, -min(range_[0], 0.0)), dialect)


def rescaled(affine, scale, dialect, below):
    """The grid (per tensor) on another scale; its zero point, where it can have one, lets codes reach `below` under 0."""
    zero = int(affine.zero)
    if affine.width.bits in dialect.asymmetric:
        zero = int(Affine(affine.width, scale, affine.width.lo).encode(np.array(below)))
    return Affine(affine.width, scale, zero, narrow=affine.narrow)


def grid(range_, bits, dialect):
    """The grid of `bits` for values in `range_`."""
    lo, hi = range_
    if bits in dialect.asymmetric:
        return allowed(asymmetric(Width(bits), lo, hi), dialect)
    return allowed(symmetric(Width(bits), max(-lo, hi), narrow=False), dialect)


def allowed(affine, dialect):
    """The grid per tensor or per slice itself, or where the dialect holds powers of two only, on the next coarser one."""
    if dialect.scales == "any" or not isinstance(affine, Affine):
        return affine
    scale = power_of_two(affine.scale)
    if (scale == affine.scale).all():
        return affine
    if affine.scale.ndim:
        return replace(affine, scale=scale)
    return rescaled(affine, scale, dialect, float(affine.scale * (affine.zero - affine.lo)))


def power_of_two(scale):
    """The least power of two that is not below each scale."""
    mantissa, exponent = np.frexp(np.asarray(scale, np.float64))
    return np.ldexp(1.0, exponent - (mantissa == 0.5))
