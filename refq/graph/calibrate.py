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
from refq.grids import schemes
from refq.grids.affine import Affine
from refq.ints.width import Width
from refq.quantizers.slices import Slices
from refq.reals.floats import seen_by


def observe(graph, images, recipe, progress=None, dialect=None, **functions):
    """Group to (lo, hi): what the calibrator of `recipe` makes of the values that `images` (n *shape) give; see `watched`."""
    return {group: ends(found) for group, found in watched(graph, images, recipe, progress, dialect, **functions).items()}


def ends(found):
    """(lo, hi) of a group: a range, or what a quantizer that saw the values makes of them, which may choose no range."""
    if isinstance(found, tuple):
        return found
    return found.range() if hasattr(found, "range") else (found.least, found.most)


def watched(graph, images, recipe, progress=None, dialect=None, **functions):
    """Group to the quantizer that `recipe` has for it, which saw the values that `images` (n *shape) give; raises IllFormed for
    an empty set and for values that are not finite, naming the tensor. `progress(done)` is told of every image; `dialect`: whose
    grids they are for, where the calibrator looks at the grid (mse)."""
    if not len(images):
        raise IllFormed("the calibration set is empty; give at least one image")
    groups = Groups(graph)
    seen = {}
    watched = {name: group for group, names in groups.seen.items() for name in names}

    def watch(name, values):
        if name in watched:
            if (group := watched[name]) not in seen:
                seen[group] = recipe.quantizer(groups.role[group], dialect)
            try:
                with np.errstate(all="ignore"):
                    seen[group].see(shown(graph, groups.hidden[name], values) if name in groups.hidden else values)
            except IllFormed as e:          # quantizers look for what is not finite: here a sweep would cost as much again
                if np.isfinite(values).all():
                    raise IllFormed(f"tensor {name}: {e}") from None
                raise IllFormed(f"tensor {name}: the float network gives values that are not finite on the calibration images; "
                                "give others") from None

    for name in graph.constants:
        if name in watched:
            watch(name, np.asarray(graph.constants[name], np.float64))
    for done, image in enumerate(images):
        with np.errstate(all="ignore"):     # `watch` refuses what is not finite, and names the tensor
            evaluate(graph, {graph_input(graph): image[None]}, watch=watch, **functions)
        if progress:
            progress(done + 1)
    return seen


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
    """Group to grid: of the bits and by the scheme that `recipe` gives its role, and what enters a nonlinear operation on a scale
    that suits it. `ranges`: what `observe` or `watched` gives."""
    chosen, groups = {}, Groups(graph)
    for group, role in groups.role.items():
        if group in ranges:
            if role == "probabilities" and (other := unequal(graph, groups, group, ranges[group], recipe, dialect)):
                chosen[group] = other
                continue
            try:
                range_, bits = ends(ranges[group]), recipe.bits(role)
                affine = allowed(of_scheme(recipe.scheme_of(bits, dialect), range_, bits), dialect)
            except IllFormed as e:
                raise IllFormed(f"tensor {group}: {e}") from None
            chosen[group] = suited(affine, ENTERS.get(role), dialect, range_)
    return chosen


CARRY = MOVES - CUTS - {"MaxPool", "Pad"}
"""Moves that carry codes of any grid, whatever their order and whether 0 has one."""


def unequal(graph, groups, group, found, recipe, dialect):
    """The grid of what leaves softmax where it is not an affine one: that of which the target's softmax gives codes, or the kind
    that the recipe says, as the quantizer chose it where `found` is one that chooses grids; None where it is an affine one, and
    where something else than a softmax and moves makes its codes."""
    if any(n.op not in CARRY | {"Softmax"} and groups.of[n.outputs[0]] == group for n in graph.nodes):
        return None
    part = dialect.roles.get(dialect.fitted("softmax", Width(recipe.logits)))
    module = ops.load(part.op) if part else None
    if hasattr(module, "grid"):
        return module.grid(part.row)
    if recipe.probabilities_grid == "affine":
        return None
    if not isinstance(found, tuple) and not hasattr(found, "range"):
        return found.grid()
    return grids.load(recipe.probabilities_grid).covering(recipe.probabilities, float(ends(found)[1]))


def owned(graph, grids, recipe, dialect):
    """Grids that were chosen before, without those of probabilities where the target or the recipe has other ones."""
    groups = Groups(graph)
    for group, role in groups.role.items():
        held = grids[group]
        if role == "probabilities" and isinstance(held, Affine):
            range_ = tuple(held.decode([held.lo, held.hi]).tolist())
            grids = grids | {group: unequal(graph, groups, group, range_, recipe, dialect) or held}
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
    return allowed(of_scheme("asymmetric" if bits in dialect.asymmetric else "symmetric_full", range_, bits), dialect)


def of_scheme(name, range_, bits):
    """The grid that the scheme of that name makes of a range, for a tensor whose codes saturate at the ends of their width."""
    made = schemes.load(name).grid(*range_, bits)
    return replace(made, narrow=False) if made.narrow else made


def of_weights(weight, least, bits, recipe, dialect):
    """The grid of weights (m ...) of `bits`, as `recipe` says; its range reaches at least `least` (m)."""
    scheme, axis = recipe.weights_scheme_of(dialect), None if recipe.granularity == "tensor" else 0
    named, options = recipe.weights_calibrator, {"bits": bits, "scheme": scheme}
    seer = quantizers.load(named, **options) if axis is None else Slices(named, axis, **options)
    seer.see(weight)
    lo, hi = seer.range()
    made = schemes.load(scheme).grid(lo, np.maximum(hi, least.max() if axis is None else least), bits, axis)
    if dialect.narrow and not made.narrow:
        made = Affine(made.width, made.scale, made.zero, made.axis, narrow=True)
    return allowed(made, dialect)


def of_groups(weight, size, bits, recipe, dialect):
    """The grid of weights (m k) of `bits` with a scale for every `size` along k, as `recipe` says."""
    scheme = recipe.weights_scheme_of(dialect)
    seer = Slices(recipe.weights_calibrator, 1, size, bits=bits, scheme=scheme)
    seer.see(weight)
    made = seer.grid()
    return allowed(replace(made, narrow=True) if dialect.narrow and not made.narrow else made, dialect)


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
