"""assemble: a canonical graph put together by hand, from named tensors, for architectures that come without a graph."""
import numpy as np

from refq.errors import IllFormed
from refq.graph.graph import Node


class Builder:
    """Collects nodes and constants; tensors are taken by name and checked against the shape that they must have."""

    def __init__(self, tensors, name):
        self.tensors, self.name = tensors, name
        self.nodes, self.constants, self.notes = [], {}, []

    def note(self, sentence):
        self.notes.append(sentence)

    def take(self, tensor, *shape):
        value = self.tensors[tensor]
        if value.shape != shape:
            raise IllFormed(f"{self.name}: tensor {tensor} is {value.shape}, the other tensors ask for {shape}.")
        return value

    def constant(self, name, value):
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def add(self, op, name, inputs, **attributes):
        self.nodes.append(Node(name, op, tuple(inputs), (name,), attributes))
        return name

    def linear(self, x, part, m, k, factor=None):
        """x @ weight.T + bias, a missing bias being zero; `factor` (m) multiplies the result."""
        weight, bias = self.take(f"{part}.weight", m, k), f"{part}.bias"
        bias = self.take(bias, m) if bias in self.tensors else np.zeros(m)
        if factor is not None:
            weight, bias = weight * factor[:, None], bias * factor
        weight, bias = self.constant(f"{part}.weight", weight), self.constant(f"{part}.bias", bias)
        return self.add("Linear", part, (x, weight, bias))

    def norm(self, x, part, width, eps):
        weight, bias = (self.constant(f"{part}.{end}", self.take(f"{part}.{end}", width)) for end in ("weight", "bias"))
        return self.add("LayerNormalization", part, (x, weight, bias), epsilon=eps)
