"""batch: a graph exported for a fixed batch of several images, made to take one.

Exporters write such a batch into the targets of Reshape and Expand and repeat constants along it. Those are set to
one, and whether the result computes the same is tried on numbers: images by themselves against the whole batch.
"""
from dataclasses import replace

import numpy as np

from refq.errors import IllFormed, RefqError
from refq.graph.evaluate import evaluate, run_node

shaped = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}
closeness = 1e-6


def together(graph, batches):
    """The outputs of the graph on a whole batch at once."""
    values = dict(graph.constants) | batches
    for node in graph.nodes:
        values.update(zip(node.outputs, run_node(node, values)))
    return {name: values[name] for name in graph.outputs}


def repeated(value, batch):
    return value.ndim > 1 and len(value) == batch and bool((value == value[:1]).all())


def one_of(graph, batch):
    """The graph for one image, or IllFormed where the batch cannot be taken out of it."""
    try:
        single = without_batch(graph, batch)
        random = np.random.default_rng(0)
        images = {name: random.standard_normal((batch, *shape[1:])) for name, shape in graph.inputs.items()}
        same = agree(together(graph, images), evaluate(replace(single, grids={}), images))
    except (ValueError, IndexError, TypeError, KeyError, AttributeError, ArithmeticError, RefqError):
        same = False
    if not same:
        raise IllFormed(f"{graph.name} was exported for a batch of {batch} images, which cannot be taken out of it: "
                        f"export it with a batch of 1, or with a batch axis of free size.")
    return single


def without_batch(graph, batch):
    """The graph with constants folded, and targets of shapes and repeated constants set to one image."""
    constants, nodes = dict(graph.constants), []
    for node in graph.nodes:
        if all(name in constants for name in node.inputs if name):
            constants.update(zip(node.outputs, run_node(node, constants)))
            continue
        inputs = list(node.inputs)
        for i, name in enumerate(inputs):
            value = constants.get(name)
            single = None
            if value is not None and i == shaped.get(node.op) and value.size and value.reshape(-1)[0] == batch:
                single = np.concatenate([[1], value.reshape(-1)[1:]])
            elif value is not None and node.op == "Concat" and repeated(value, batch):
                single = value[:1]
            if single is not None:
                inputs[i] = f"{name}.one_image"
                constants[inputs[i]] = single
        nodes.append(replace(node, inputs=tuple(inputs)))
    return replace(graph, nodes=tuple(nodes), constants=constants)


def agree(left, right):
    return all(left[name].shape == right[name].shape and np.allclose(left[name], right[name], closeness, closeness)
               for name in left)
