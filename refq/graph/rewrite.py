"""rewrite: a graph walked once in order, its nodes replaced by what a rule says; shapes are kept known on the way.

A rule is a function (node, draft) -> list of nodes that make the same outputs, or None to leave the node. Patterns are
matched from their last node backwards, through `draft.maker`, and never across a tensor on a grid: what lies there was
rounded. Nodes that nobody reads any more are dropped afterwards.
"""
import numpy as np

from refq.errors import IllFormed, RefqError
from refq.graph.evaluate import run_node
from refq.graph.graph import Graph, Node
from refq.grids.affine import same
from refq.reals.windows import conv_size

norms = ("RMSNormalization", "SimplifiedLayerNormalization", "GroupNormalization", "InstanceNormalization", "LpNormalization")
same_shape = {"Gelu", "Erf", "Tanh", "Sigmoid", "Swish", "HardSwish", "HardSigmoid", "Relu", "Clip", "Softmax", "Sqrt",
              "Exp", "LayerNormalization", "BatchNormalization", *norms, "Identity", "Neg", "Abs", "Requantize", "LeakyRelu",
              "RotaryEmbedding", "Append"}


class Draft:
    """The graph while it is rewritten: `constants`, `shapes` (of activations), and the nodes made so far."""

    def __init__(self, graph):
        self.graph, self.name = graph, graph.name
        self.constants, self.grids = dict(graph.constants), dict(graph.grids)
        self.shapes = dict(graph.inputs) | dict(graph.shapes)
        self.nodes, self.makers, self.renamed = [], {}, {}
        self.taken = set(self.constants) | set(self.shapes) | {name for node in graph.nodes for name in node.outputs}

    def maker(self, name):
        """The node that makes the tensor, or None for inputs, constants, and tensors that are rounded onto a grid."""
        return None if name in self.grids else self.makers.get(name)

    def made_by(self, name, op):
        """The node that makes the tensor where its operation is `op`, else None."""
        node = self.maker(name)
        return node if node is not None and node.op == op else None

    def readers(self, name):
        """How many nodes of the graph, as it was before this pass, read the tensor; being an output counts."""
        return len(self.graph.consumers.get(name, ())) + self.graph.outputs.count(name)

    def is_constant(self, *names):
        return all(name in self.constants for name in names)

    def scalar(self, name):
        """The number that a constant of one element holds, or None for everything else."""
        value = self.constants.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def fresh(self, name):
        """A tensor name that is not taken, this one if possible."""
        free, count = name, 0
        while free in self.taken:
            count += 1
            free = f"{name}_{count}"
        self.taken.add(free)
        return free

    def constant(self, name, value, grid=None):
        """Adds a constant, on a grid or none; returns its name. In a network that comes quantized the constant of that name is
        replaced where one node alone reads it: names are kept."""
        name = name if self.graph.grids and name in self.graph.constants and self.readers(name) <= 1 else self.fresh(name)
        self.grids.pop(name, None)
        value = np.asarray(value)
        if grid is not None:
            self.grids[name] = grid
        self.constants[name] = value.astype(np.float64) if value.dtype.kind == "f" else value
        return name

    def rename(self, old, new):
        """From here on, nodes that read `old` read `new`."""
        self.renamed[old] = new

    def current(self, name):
        while name in self.renamed:
            name = self.renamed[name]
        return name

    def replaced(self, node):
        """The nodes that `node` leaves where its outputs were renamed: a tensor on a grid hands that to what it is another
        name of, or stays, where that lies on another one or is read as it is."""
        left = []
        for name in node.outputs:
            source, grid = self.current(name), self.grids.get(name)
            if grid is None or source in self.constants or source == name or same(grid, self.grids.get(source)):
                continue
            if source not in self.grids and self.readers(source) <= 1 and source not in self.graph.inputs:
                self.grids[source] = grid
            else:
                del self.renamed[name]
                left.append(Node(node.name, "Requantize", (source,), (name,)))
        return left

    def emit(self, node):
        self.nodes.append(node)
        for name, shape in zip(node.outputs, output_shapes(node, self)):
            self.shapes[name] = shape
            self.makers[name] = node


def output_shapes(node, draft):
    """The shapes of a node's outputs, from those of its inputs; data-dependent shapes cannot occur, inputs are
    fixed."""
    shapes = [draft.shapes.get(name) if name not in draft.constants else draft.constants[name].shape
              for name in node.inputs]
    if node.op in same_shape:
        return [shapes[0]]
    if node.op in ("Add", "Sub", "Mul", "Div", "Pow") and None not in shapes:
        return [np.broadcast_shapes(*shapes)]
    if node.op == "Gemm" and len(shapes[0]) == len(shapes[1]) == 2:
        (n, k), (m, depth) = (shape[::-1] if node.attributes.get(turned) else shape
                              for shape, turned in ((shapes[0], "transA"), (shapes[1][::-1], "transB")))
        if k == depth:
            return [(n, m)]
    if node.op == "Linear":
        return [(*shapes[0][:-1], shapes[1][0])]
    if node.op == "MatMul" and min(len(shapes[0]), len(shapes[1])) >= 2:
        m, k = shapes[1][-2:] if node.attributes.get("transpose_b") else shapes[1][:-3:-1]
        if k == shapes[0][-1]:
            return [(*np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2]), shapes[0][-2], m)]
    if node.op == "Conv":
        return [(shapes[0][0], shapes[1][0], *conv_size(node.attributes, shapes[0][2:], shapes[1][2:]))]
    values = {name: draft.constants[name] if name in draft.constants else np.broadcast_to(np.float64(1), shape)
              for name, shape in zip(node.inputs, shapes) if name}
    with np.errstate(all="ignore"):
        results = [np.shape(value) for value in run_node(node, values)]
    if len(results) < len(node.outputs):
        raise IllFormed(f"{draft.graph.name}: node {node.name} ({node.op}) has {len(node.outputs)} outputs, refq makes "
                        f"{len(results)} of them.")
    return results


misfits = (ValueError, IndexError, TypeError, KeyError, AttributeError, ArithmeticError, MemoryError, StopIteration)


def misfit(node, graph, error):
    """The refusal of a node that cannot be computed on inputs of these shapes; `graph` is a Graph or a Draft."""
    known = {name: value.shape for name, value in graph.constants.items() if name in node.inputs} | graph.shapes
    sizes = ", ".join(str(tuple(known[name])) if known.get(name) is not None else "?" for name in node.inputs if name)
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return IllFormed(f"{graph.name}: node {node.name} ({node.op}) does not fit its inputs {sizes}, at a batch of one "
                     f"image ({said}); mend the model, or export it with a batch of 1.")


def rewrite(graph, *rules):
    """The graph after one walk: at every node the first rule that answers replaces it."""
    draft = Draft(graph)
    for node in graph.nodes:
        queue = [node]
        while queue:
            node = queue.pop(0)
            node = Node(node.name, node.op, tuple(draft.current(name) for name in node.inputs), node.outputs,
                        node.attributes)
            try:
                answer = next((new for rule in rules if (new := rule(node, draft)) is not None), None)
                if answer is None:
                    draft.emit(node)
                else:
                    queue = (answer or draft.replaced(node)) + queue
            except RefqError:
                raise
            except misfits as error:
                raise misfit(node, draft, error) from None
    outputs = tuple(draft.current(name) for name in graph.outputs)
    return pruned(Graph(graph.name, graph.inputs, outputs, tuple(draft.nodes), draft.constants, draft.shapes,
                        graph.notes, graph.labels, draft.grids, graph.family, graph.kept))


def pruned(graph):
    """The graph without nodes, constants and shapes that no output needs."""
    needed, nodes = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    nodes.reverse()
    alive = {name for node in nodes for name in (*node.inputs, *node.outputs)} | set(graph.inputs) | set(graph.outputs)
    return Graph(graph.name, graph.inputs, graph.outputs, tuple(nodes),
                 {name: value for name, value in graph.constants.items() if name in alive},
                 {name: shape for name, shape in graph.shapes.items() if name in alive and name not in graph.constants},
                 graph.notes, graph.labels, {name: grid for name, grid in graph.grids.items() if name in alive},
                 graph.family, graph.kept)


def settled(graph, *rules):
    """The graph rewritten until a walk changes nothing."""
    while True:
        before = [(node.op, node.inputs, node.outputs) for node in graph.nodes]
        graph = rewrite(graph, *rules)
        if [(node.op, node.inputs, node.outputs) for node in graph.nodes] == before:
            return graph
