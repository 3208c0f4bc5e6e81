"""sparsity: which weights of a network are pruned, and the one call from a network to its masks.

The weights are those of linear layers and convolutions in the canonical network; depthwise filters among them.
"""
from fnmatch import fnmatchcase

from refq import pruners
from refq.errors import IllFormed, nearest
from refq.graph.builder import edges
from refq.graph.graph import Graph
from refq.pruners.mask import Mask, Masks, weights_of

EDGES = "edges"
"""Stands for the first and the last layers where patterns on the names of layers do."""


def prune(network, method="magnitude", layers=("*",), **parameters):
    """The Masks of a network (what `refq.load` gives) that the pruner `method` chooses, by its `parameters`.

    `layers`: glob patterns on the names of layers, one or several; those that begin with ! leave layers out, and the word edges
    stands for the first and the last layers. Every weight that a layer reads is of one layer; a weight that anything else reads
    too (a tied embedding) is refused. Nothing is changed: `masks.apply(network)` is the pruned network, to be quantized, and
    refq.quantize(network, ..., masks=masks) prunes after the grids are chosen.

    Raises IllFormed for an unknown pruner or parameter, for a pattern that no layer matches, and for weights that are not
    finite.

    >>> import refq
    >>> from refq import embedded
    >>> masks = refq.prune(refq.load(embedded.network()), "n_m", pattern="2:4")
    >>> masks["blocks.0.mlp.fc1.weight"].pattern, masks.pruned * 2 == masks.count
    ('2:4 along k', True)
    """
    if not isinstance(network, Graph):
        raise IllFormed(f"a network of type {type(network).__name__}; give what refq.load gives")
    pruner = pruners.load(method, **parameters)
    chosen = selected(network, layers)
    kept = pruner.choose({name: network.constants[name] for name in chosen})
    return Masks({name: Mask(kept[name], pruner.says, readers) for name, readers in chosen.items()})


def selected(network, layers):
    """Name of each weight whose layers the patterns take, to the names of these layers."""
    found, first_and_last = weights_of(network), edges(network)
    readers = {layer: name for name, names in found.items() for layer in names}
    tied = {n.name: n.inputs[1] for n in network.nodes if n.op in ("Linear", "Conv") and n.inputs[1] in network.constants
            and n.inputs[1] not in found}
    patterns = (layers,) if isinstance(layers, str) else tuple(layers)
    if not patterns:
        raise IllFormed("layers: no pattern; give one on the names of layers, * for all")
    taken = [] if not patterns[0].startswith("!") else [*readers, *tied]
    for pattern in patterns:
        glob = pattern.removeprefix("!")
        hit = {n for n in (*readers, *tied) if (n in first_and_last if glob == EDGES else fnmatchcase(n, glob))}
        if not hit:
            raise IllFormed(f"{network.name}: no layer matches {glob!r}; {nearest(glob, (*readers, *tied, EDGES))}")
        taken = [n for n in taken if n not in hit] if pattern != glob else [*taken, *(n for n in hit if n not in taken)]
    if refused := [n for n in tied if n in taken]:
        raise IllFormed(f"{network.name}: layer {refused[0]} reads {tied[refused[0]]!r}, which something else reads too; leave "
                        f"it out with '!{refused[0]}'")
    if not taken:
        raise IllFormed(f"{network.name}: the patterns {', '.join(patterns)} leave no layer; take one away")
    if halves := [name for name, names in found.items() if 0 < sum(n in taken for n in names) < len(names)]:
        raise IllFormed(f"{network.name}: {halves[0]!r} is the weight of {', '.join(found[halves[0]])}; take all of them or none")
    return {name: names for name, names in found.items() if names[0] in taken}
