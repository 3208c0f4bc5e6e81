"""evaluate: the float64 values of a graph on images, the reference that grids are chosen by.

Images are evaluated one after another, so that the values of one do not depend on its neighbours and memory does not
grow with their number. What a network that comes quantized has on a grid is rounded onto it, and saturates there: its file may
leave out a ReLU because the grid does it.
"""
import numpy as np

from refq.errors import IllFormed
from refq.reals.floats import numpy_functions, table


def run_node(node, values, functions=numpy_functions):
    """The outputs of one node, as a tuple, from `values`: tensor name to array."""
    inputs = [values[name] if name else None for name in node.inputs]
    result = table[node.op](functions, node.attributes, *inputs)
    return result if isinstance(result, tuple) else (result,)


def checked(graph, inputs):
    """The inputs as arrays (n *shape), n the same for all, or a refusal that names the input."""
    if isinstance(inputs, dict) and set(inputs) != set(graph.inputs):
        raise IllFormed(f"{graph.name} takes the inputs {', '.join(graph.inputs)}, not "
                        f"{', '.join(inputs) or 'nothing'}.")
    if not isinstance(inputs, dict):
        if len(graph.inputs) != 1:
            raise IllFormed(f"{graph.name} takes the inputs {', '.join(graph.inputs)}: give a dict from name to array.")
        inputs = {next(iter(graph.inputs)): inputs}
    arrays = {name: np.asarray(inputs[name]) for name in graph.inputs}
    for name, array in arrays.items():
        shape = graph.inputs[name]
        if array.shape[1:] != tuple(shape[1:]) or array.ndim != len(shape):
            raise IllFormed(f"Input {name} of {graph.name} is (n {' '.join(map(str, shape[1:]))}), "
                            f"the array given is {array.shape}.")
        if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
            raise IllFormed(f"Input {name} of {graph.name} holds numbers, the array given is {array.dtype}.")
        if name in graph.places and (wrong := strange_places(graph, name, array)):
            raise IllFormed(f"{graph.name}: {wrong}.")
    if len({len(array) for array in arrays.values()}) > 1:
        raise IllFormed(f"The inputs of {graph.name} hold different numbers of images.")
    return arrays


def strange_places(graph, name, values):
    """What is wrong with tokens or positions (n ...), as a part of a sentence, or None."""
    count = graph.places[name]
    if values.size and not (0 <= values.min() and values.max() < count and (values == np.floor(values)).all()):
        return (f"input {name!r} reaches from {values.min():g} to {values.max():g}; it takes whole numbers from 0 to "
                f"{count - 1}")
    return None


def evaluate(graph, inputs, functions=numpy_functions, watch=None):
    """Run the graph on n images and return its outputs: name to float64 array (n *shape of one).

    `inputs`: one array (n *shape), or a dict from input name to such; integers are taken as they are, not scaled.
    `functions`: an array namespace with NumPy's names and `erf`. `watch(name, value)` is called for every activation of
    every image, inputs included, as it is made; value has a batch axis of 1. Raises IllFormed for a wrong shape or
    dtype.
    """
    arrays = checked(graph, inputs)
    last = {name: node for node in graph.nodes for name in node.inputs}
    collected = {name: [] for name in graph.outputs}
    for image in range(len(next(iter(arrays.values())))):
        values = dict(graph.constants)
        for name, array in arrays.items():
            values[name] = rounded(graph, name, functions.asarray(array[image:image + 1], dtype=np.float64))
            if watch:
                watch(name, values[name])
        for node in graph.nodes:
            for name, value in zip(node.outputs, run_node(node, values, functions)):
                value = values[name] = rounded(graph, name, value)
                if watch and name:
                    watch(name, value)
            for name in dict.fromkeys(node.inputs):
                if last[name] is node and name not in collected and name not in graph.constants:
                    values.pop(name, None)
        for name in collected:
            collected[name].append(values[name])
    empty = {name: np.zeros((0, *graph.shapes.get(name, (1,))[1:])) for name in collected}
    return {name: functions.concat(parts) if parts else empty[name] for name, parts in collected.items()}


def rounded(graph, name, value):
    """The value on the tensor's grid, where it has one."""
    grid = graph.grids.get(name)
    return value if grid is None else grid.decode(grid.encode(value))


def activations(graph, inputs, functions=numpy_functions):
    """Every activation of the graph on n images: name to array (n *shape of one); memory grows with n."""
    collected = {}
    evaluate(graph, inputs, functions, watch=lambda name, value: collected.setdefault(name, []).append(value))
    return {name: functions.concat(parts) if parts[0].shape[:1] == (1,) else functions.stack(parts)
            for name, parts in collected.items()}
