"""Decode: a language model a few tokens at a time, beside a cache of keys and values, in the very codes of the whole context.

The program of a whole context and the one beside a cache have the same tensors by name, so they lie on the same grids, hold the
same constants, and give the same bits: tokens one after the other, and all at once.
"""
from dataclasses import replace

import numpy as np

from refq import dialects, recipes
from refq.dialects.base import Dialect
from refq.errors import IllFormed
from refq.graph.groups import Groups
from refq.graph.lower import lower
from refq.pruners.mask import weights_of
from refq.recipes.base import Recipe


def decoder(network, program, tokens=1, recipe=None, dialect=None, masks=None):
    """The Program that takes `tokens` tokens at once, their positions, and a cache for the keys and values of each layer.

    Its inputs are `tokens`, `positions` and the caches by name; its outputs the logits and, for each cache, `<cache>.next`, which
    has the new rows in it. `network`: a language model as `refq.load` gives it, over the context that the cache is to hold;
    `program`: what `refq.quantize` made of it, whose grids, recipe and dialect are taken; the last two are given where they have
    no name. The weights are those of `network`, a pruned one too; `masks` are given where the program was made with them. Raises
    IllFormed for a network that is no language model, and for a program of another network."""
    if network.family is None:
        raise IllFormed(f"{network.name}: no language model, so nothing can be kept in a cache; give one that refq.load makes of "
                        "config.json and .safetensors")
    context = network.inputs["tokens"][1]
    if masks is not None:
        masks.admit(network)
    graph = network.family.stepwise(context, tokens)
    weights = {name: network.constants[name] for name in weights_of(graph) if name in network.constants}
    graph = replace(graph, constants=graph.constants | weights)
    recipe = recipe if isinstance(recipe, Recipe) else recipes.load(recipe or program.recipe)
    dialect = dialect if isinstance(dialect, Dialect) else dialects.load(dialect or program.dialect)
    made = lower(graph, grids_of(graph, program), recipe, dialect, masks and masks.tensors)
    made.prove()
    return made


def grids_of(graph, program):
    """Group of the graph to the grid on which the tensor of that group lies in `program`."""
    found = {}
    for name, group in Groups(graph).of.items():
        tensor = program.tensors.get(name)
        if tensor is not None and tensor.grid is not None and tensor.role not in ("weight", "accumulator"):
            found[group] = tensor.grid
    if lacking := sorted(set(Groups(graph).role) - set(found)):
        raise IllFormed(f"{graph.name}: the program has no tensor {lacking[0]}; give the program that was made of this network")
    return found


def empty(decoder, sequences=1):
    """The inputs of a decoder that has seen no token yet: every cache, its codes those of 0, for so many sequences."""
    caches = (decoder.tensors[name] for name in decoder.inputs if name not in ("tokens", "positions"))
    return {t.name: np.full((sequences, *t.shape), int(t.grid.zero), t.width.dtype) for t in caches}


def step(decoder, tokens, position, caches, **how):
    """(codes of the logits (n tokens vocabulary), the caches of the next step) of `tokens` (n tokens), the first of them at
    `position`; `how`: what Program.run takes. Raises IllFormed for a context longer than the cache."""
    tokens = np.asarray(tokens, np.int32)
    positions = np.broadcast_to(position + np.arange(tokens.shape[1], dtype=np.int32), tokens.shape)
    made = decoder.run({"tokens": tokens, "positions": positions, **caches}, **how)
    return made[decoder.outputs[0]], {name: made[f"{name}.next"] for name in caches}
