"""Quantize: calibrate, choose grids, lower, and prove that no register overflows. The one call from network to program."""
import numpy as np

from refq import dialects, recipes
from refq.dialects.base import Dialect
from refq.errors import IllFormed
from refq.graph.calibrate import allowed, choose, graph_input, owned, watched
from refq.graph.evaluate import strange_places
from refq.graph.factors import exponents_of, factored, streams
from refq.graph.filed import play
from refq.graph.graph import Graph
from refq.graph.groups import Groups
from refq.graph.lower import lower
from refq.grids.affine import Affine
from refq.grids.channel_factors import ChannelFactors
from refq.grids.levels import Levels
from refq.ints.width import Width
from refq.pruners.mask import Masks
from refq.recipes.base import Recipe


def quantize(network, images=None, recipe="int8", dialect="tflite", grids=None, progress=None, integer_only=False, masks=None):
    """The integer program of a network.

    `network`: what `refq.load` gives; `images`: calibration images (n *shape), float, as the network takes them;
    `recipe`, `dialect`: names, the path of a dialect's .toml file, or values; `grids`: group of tensors to grid, where
    they were chosen before (then no image is needed); `progress(done)` is told of every image calibrated. A network that
    comes quantized (it has `grids` of its own) takes neither images nor recipe: it runs as its file says, and what the
    dialect has no operation of its own for runs in float where it stands; under `integer_only` nothing does. `masks`: the
    Masks (refq.prune) of weights that are pruned behind the choice of grids, which are those of the dense network; give
    `masks.apply(network)` instead to have grids chosen for what is left. Either way a masked code is the zero point.

    Raises IllFormed for images of another shape or dtype, an empty set, an unknown or forbidden recipe, masks of another
    network, and a network whose accumulators could overflow under this dialect; Unsupported for operations that have no
    integer form here.

    >>> import refq
    >>> from refq import embedded
    >>> network = refq.load(embedded.network())
    >>> images = embedded.as_input(embedded.calibration()[:32])
    >>> program = refq.quantize(network, images, recipe="int8", dialect="tosa")
    >>> len(program.steps) > 50, program.dialect
    (True, 'tosa')
    """
    if not isinstance(network, Graph):
        raise IllFormed(f"a network of type {type(network).__name__}; give what refq.load gives")
    dialect = dialect if isinstance(dialect, Dialect) else dialects.load(dialect)
    if masks is not None:
        if not isinstance(masks, Masks):
            raise IllFormed(f"masks of type {type(masks).__name__}; give what refq.prune or refq.pruners.mask.load gives")
        masks.admit(network)
    if network.grids:
        network = network if masks is None else masks.apply(network)        # its grids stay those of the file
        program = play(network, dialect, integer_only)
        program.prove()
        return program
    recipe = recipe if isinstance(recipe, Recipe) else recipes.load(recipe)
    recipe.admit(dialect)
    if grids is None:
        images = admit(network, images)
        grids = choose(network, watched(network, images, recipe, progress, dialect), recipe, dialect)
        grids = factored(network, images, grids, dialect)
    else:
        admit_grids(network, grids, recipe, dialect)
        grids = {group: allowed(affine, dialect) for group, affine in owned(network, grids, recipe, dialect).items()}
    program = lower(network, grids, recipe, dialect, masks and masks.tensors)
    program.prove()
    return program


def admit_grids(network, grids, recipe, dialect):
    """Grids that were chosen before: one per group, per tensor, as wide as the recipe says, and as the dialect allows."""
    groups = Groups(network)
    if lacking := sorted(set(groups.role) - set(grids)):
        raise IllFormed(f"grids: none for {lacking[0]!r}, and {len(lacking) - 1} more are missing; choose them for this network")
    for group, role in groups.role.items():
        grid, bits = grids[group], recipe.bits(role)
        if role == "probabilities" and isinstance(grid, Levels):
            continue
        if isinstance(grid, ChannelFactors) and group in streams(network) and exponents_of(dialect) and grid.width == Width(bits):
            continue
        if not isinstance(grid, Affine) or grid.scale.ndim or grid.width != Width(bits):
            raise IllFormed(f"grids: {group!r} ({role}) takes an affine grid per tensor of i{bits} under recipe {recipe.name}")
        if int(grid.zero) and bits not in dialect.asymmetric:
            raise IllFormed(f"grids: {group!r} has zero point {int(grid.zero)}, which dialect {dialect.name} forbids at "
                            f"{bits} bits")


def admit(network, images):
    """Calibration images (n *shape), in their own dtype; raises IllFormed that says what the network takes."""
    if images is None:
        raise IllFormed("no images: the calibration set is empty; give some, or grids that were chosen before")
    name = graph_input(network)
    shape = tuple(network.inputs[name][1:])
    images = np.asarray(images)
    if images.dtype.kind not in "fiu":
        raise IllFormed(f"images of dtype {images.dtype}; numbers are needed")
    if images.shape[1:] != shape or images.ndim != len(shape) + 1:
        raise IllFormed(f"images of shape {images.shape}; input {name!r} takes (n, {', '.join(map(str, shape))})")
    if not all(np.isfinite(image).all() for image in images):       # one by one: memory does not grow with their number
        raise IllFormed("the images hold NaN or infinite values; clean them first")
    if name in network.places and (wrong := strange_places(network, name, images)):
        raise IllFormed(wrong)
    return images
