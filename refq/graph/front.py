"""front: the batch axis of every activation moved to the front, so that axis 0 is the batch and the rest is one image.

Exporters carry the batch through the middle, as in (3 n heads tokens depth), or fold it into others. With one image
its axis is a one, so moving it is renaming: each operation's axes are renumbered, and where an operation sees no batch
axis, or works along it, its inputs get a new one in front.
"""
import math

from refq.graph.graph import Graph, Node
from refq.graph.rewrite import misfit, misfits

last_axis = {"Softmax", "LayerNormalization", "RMSNormalization", "LpNormalization", "ArgMax", "Linear",
             "TopKValues", "TopKPlaces"}


class Front:
    """The walk: `batch` holds, for every activation, the place of its batch axis in the old shape, or None."""

    def __init__(self, graph):
        self.graph, self.old = graph, graph.shapes
        self.batch = dict.fromkeys(graph.inputs, 0)
        self.shapes = dict(graph.inputs)
        self.constants, self.grids, self.nodes = dict(graph.constants), dict(graph.grids), []

    def new_shape(self, name, batch):
        old = self.old[name]
        return (1, *old) if batch is None else (1, *old[:batch], *old[batch + 1:])

    def emit(self, node, inputs, attributes, batch):
        (output,) = node.outputs
        self.nodes.append(Node(node.name, node.op, tuple(inputs), node.outputs, attributes))
        self.batch[output] = batch
        self.shapes[output] = self.new_shape(output, batch)

    def reshaped(self, name, shape):
        """The tensor's name, or that of a Reshape of it where it does not have the shape yet."""
        if tuple(self.shapes[name]) == tuple(shape):
            return name
        free = next(n for i in range(10**6) if (n := f"{name}.front{i or ''}") not in self.shapes | self.constants)
        called = self.graph.producers[name].name if name in self.graph.producers else name
        self.nodes.append(Node(called, "Reshape", (name,), (free,), {"shape": tuple(shape)}))
        self.shapes[free] = tuple(shape)
        return free

    def constant(self, name, value):
        free = next(n for i in range(10**6) if (n := f"{name}.front{i or ''}") not in self.shapes | self.constants)
        self.constants[free] = value
        if (grid := self.graph.grids.get(name)) is not None and grid.axis is None:
            self.grids[free] = grid
        return free


def place(axis, batch):
    """Where an old axis lies in the new shape."""
    return axis + 1 if batch is None or axis < batch else 0 if axis == batch else axis


def batch_after_reshape(old, batch, new):
    """The batch axis of a reshaped tensor: a one with as many elements before it, else any one: they hold the same."""
    before = math.prod(old[:batch]) if batch is not None else 1
    found = [i for i, n in enumerate(new) if n == 1 and math.prod(new[:i]) == before]
    return found[0] if found else list(new).index(1) if 1 in new else None


def moved_axes(node, batch, rank):
    """(axes that the operation works along, attributes for a batch axis at `batch`, batch axis of the result)."""
    a = node.attributes
    if node.op in last_axis:
        return {rank - 1}, a, batch
    if node.op in ("Slice", "Gather", "Concat", "BatchNormalization"):
        return {a["axis"] % rank}, a | {"axis": place(a["axis"] % rank, batch)}, batch
    if node.op in ("ReduceMean", "ReduceSum"):
        axes = {i % rank for i in a["axes"]}
        left = None if batch is None else batch - sum(i < batch for i in axes)
        return axes, a | {"axes": tuple(sorted(place(i, batch) for i in axes))}, left
    if node.op == "Transpose":
        perm = a["perm"]
        rest = [place(i, batch) for i in perm if i != batch]
        return set(), {"perm": (0, *rest)}, None if batch is None else perm.index(batch)
    if node.op == "Pad":
        n = len(a["pads"]) // 2
        order = [i for i in range(n) if i != batch]
        pads = (0, *(a["pads"][i] for i in order), 0, *(a["pads"][n + i] for i in order))
        return {i for i in range(n) if a["pads"][i] or a["pads"][n + i]}, a | {"pads": pads}, batch
    return set(), a, batch


def one_operand(front, node):
    """An operation on one activation, further inputs being weights."""
    x = node.inputs[0]
    batch, rank = front.batch[x], len(front.old[x])
    axes, attributes, result = moved_axes(node, batch, rank)
    if batch in axes:
        axes, attributes, result = moved_axes(node, None, rank)
        x, batch = front.reshaped(x, (1, *front.old[x])), None
    front.emit(node, (x, *node.inputs[1:]), attributes, result)


def reshape(front, node):
    x, (output,) = node.inputs[0], node.outputs
    batch = batch_after_reshape(front.old[x], front.batch[x], front.old[output])
    front.emit(node, (x,), {"shape": front.new_shape(output, batch)}, batch)


def expand(front, node):
    """The batch stays where it is, unless its axis is one of those that are made longer."""
    x, old = node.inputs[0], front.old[node.outputs[0]]
    batch, more = front.batch[x], len(old) - len(front.old[x])
    at = None if batch is None or old[batch + more] != 1 else batch + more
    rest = front.new_shape(x, None if at is None else batch)[1:]
    shape = front.new_shape(node.outputs[0], at)
    front.emit(node, (front.reshaped(x, (1, *(1,) * (len(shape) - 1 - len(rest)), *rest)),), {"shape": shape}, at)


def conv(front, node):
    x = front.reshaped(node.inputs[0], front.old[node.inputs[0]])
    front.emit(node, (x, *node.inputs[1:]), node.attributes, 0)


def concat(front, node):
    rank, axis = len(front.old[node.outputs[0]]), node.attributes["axis"] % len(front.old[node.outputs[0]])
    batches = {front.batch[name] for name in node.inputs if name in front.batch}
    batch = batches.pop() if len(batches) == 1 else None
    batch = None if batch == axis else batch
    inputs = []
    for name in node.inputs:
        if name in front.constants:
            value = front.constants[name]
            shape = (1, *value.shape) if batch is None else (1, *value.shape[:batch], *value.shape[batch + 1:])
            inputs.append(name if value.shape == shape else front.constant(name, value.reshape(shape)))
        else:
            inputs.append(front.reshaped(name, front.new_shape(name, batch)))
    front.emit(node, inputs, moved_axes(node, batch, rank)[1], batch)


def together(front, node):
    """Operations that broadcast: Add, Mul, MatMul of activations. The batch must lie at one place, counted from the
    right."""
    rank = len(front.old[node.outputs[0]])
    acts = [name for name in node.inputs if name in front.batch]
    places = {None if front.batch[name] is None else front.batch[name] + rank - len(front.old[name]) for name in acts}
    batch = places.pop() if len(places) == 1 else None
    fixed = [front.constants[name].shape for name in node.inputs if name in front.constants]
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in fixed]
    rows = node.op in ("MatMul", "Softmax")
    if batch is not None and (any(shape[batch] != 1 for shape in aligned) or rows and batch >= rank - 2):
        batch = None
    inputs = []
    for name in node.inputs:
        if name in front.constants:
            value = front.constants[name]
            own = None if batch is None else batch - (rank - value.ndim)
            keep = own is None or own < 0
            inputs.append(name if keep
                          else front.constant(name, value.reshape(value.shape[:own] + value.shape[own + 1:])))
        else:
            rest = front.new_shape(name, None if batch is None else batch - (rank - len(front.old[name])))[1:]
            full = rank if batch is None else rank - 1
            inputs.append(front.reshaped(name, (1, *(1,) * (full - len(rest)), *rest)))
    front.emit(node, inputs, node.attributes, batch)


def softmax(front, node):
    """A mask is a constant that broadcasts."""
    (together if node.inputs[1:] else one_operand)(front, node)


handlers = {"Reshape": reshape, "Softmax": softmax, "Expand": expand, "Concat": concat,
            **dict.fromkeys(("Conv", "ConvTranspose", "AveragePool", "MaxPool", "GroupNormalization"), conv),
            **dict.fromkeys(("Add", "Sub", "Mul", "MatMul", "Div", "Pow", "Min", "Max", "Where", "Equal", "Less", "Greater",
                             "And", "Or"), together)}


def batch_in_front(graph):
    """The graph with axis 0 of every activation its batch; outputs keep their shape where its first axis is a one."""
    front = Front(graph)
    for node in graph.nodes:
        try:
            handlers.get(node.op, one_operand)(front, node)
        except misfits as error:
            raise misfit(node, graph, error) from None
    outputs = tuple(front.reshaped(name, front.old[name]) if front.old[name][:1] == (1,) else name
                    for name in graph.outputs)
    return Graph(graph.name, graph.inputs, outputs, tuple(front.nodes), front.constants, front.shapes, graph.notes,
                 graph.labels, front.grids)
