"""Groups: tensors of the float graph that must share one grid, and the role that each group plays.

A move of data (transpose, reshape, slice, gather, concat, pad, max pool) and a cut (ReLU, Clip) give codes on the grid of their
input, so what they join is one group. What only cuts read is not seen: its range is what they leave of it. The role
decides the bits (recipes/base.py): it is read off the nodes that make and use a group.
"""
CUTS = frozenset({"Relu", "Clip"})
MOVES = CUTS | frozenset({"Transpose", "Reshape", "Slice", "Gather", "Expand", "Concat", "Pad", "MaxPool", "Append",
                          "TopKValues"})
TURNS = frozenset({"RotaryEmbedding"})
"""Give codes on the grid of their input too, but values of their own: both ends are seen."""


class Groups:
    """`of[tensor]` is the name of its group; `role[group]` one of input, output, stream, logits, gelu, probabilities,
    activations; `seen[group]`: the tensors whose values tell its range; `hidden[tensor]`: the masked Softmax that reads it, of
    whose logits those that it hides do not count."""

    def __init__(self, graph):
        self.of = {}
        for node in graph.nodes:
            if node.op in MOVES | TURNS:
                ends = [*moved(node), *node.outputs]
                for name in ends[1:]:
                    self.join(ends[0], name)
        every = [*(t for t in graph.inputs if t not in graph.places), *(t for n in graph.nodes for t in n.outputs)]
        self.of = {name: self.root(name) for name in [*self.of, *every]}
        self.role = {g: "activations" for g in self.of.values()}
        self.seen = {g: [] for g in self.of.values()}
        self.name_roles(graph)
        made = {t: n.op for n in graph.nodes for t in n.outputs}
        for name, group in self.of.items():
            readers = [n.op for n in graph.consumers.get(name, ())]
            cut = readers and set(readers) <= CUTS and name not in graph.outputs
            if not cut and made.get(name) not in MOVES - CUTS:
                self.seen[group].append(name)
        self.hidden = {}
        for node in graph.nodes:
            name = node.inputs[0] if node.op == "Softmax" and node.attributes.get("mask") else None
            if name and all(n.op in MOVES | {"Softmax"} for t, g in self.of.items() if g == self.of[name]
                            for n in graph.consumers.get(t, ())):
                self.seen[self.of[name]], self.hidden[name] = [name], node

    def root(self, name):
        while self.of.get(name, name) != name:
            name = self.of[name]
        return name

    def join(self, a, b):
        a, b = self.root(a), self.root(b)
        self.of.setdefault(a, a)
        self.of[b] = a

    def name_roles(self, graph):
        """Later lines win: what the stream adds stays in the stream's width, what a softmax reads in its logits', behind the sum
        with a bias too, and what leaves the network in the output's."""
        marks = [("Gelu", "inputs", "gelu"), ("Softmax", "outputs", "probabilities"),
                 ("LayerNormalization", "inputs", "stream"), ("RMSNormalization", "inputs", "stream"),
                 ("GroupNormalization", "inputs", "stream"), ("Add", "inputs", "stream"), ("Add", "outputs", "stream"),
                 ("Softmax", "inputs", "logits")]
        for op, side, role in marks:
            for node in graph.nodes:
                if node.op == op:
                    for name in getattr(node, side):
                        if name in self.of:
                            self.role[self.of[name]] = role
        for name in graph.inputs:
            if name in self.of:
                self.role[self.of[name]] = "input"
        for name in graph.outputs:
            self.role[self.of[name]] = "output"


def moved(node):
    """The operands of a move that carry values (not its axes, indices or shapes)."""
    return node.inputs if node.op == "Concat" else node.inputs[:2] if node.op == "Append" else node.inputs[:1]
