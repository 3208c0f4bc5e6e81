"""assemble: a canonical graph put together by hand, from named tensors, for architectures that come without a graph.

`setting`, `listed` and `labels` read what stands beside the tensors, a configuration as Hugging Face and timm write it.
"""
import math

import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.graph import Graph, Node
from refq.graph.rewrite import rewrite

ACTIVATIONS = {"relu": ("Relu", {}), "silu": ("Swish", {"alpha": 1.0}), "swish": ("Swish", {"alpha": 1.0}),
               "gelu": ("Gelu", {"approximate": "none"}), "gelu_new": ("Gelu", {"approximate": "tanh"}),
               "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}), "gelu_fast": ("Gelu", {"approximate": "tanh"}),
               "hardswish": ("HardSwish", {}), "hard_swish": ("HardSwish", {})}
"""What a configuration calls an activation, and what it is."""


class Builder:
    """Collects nodes and constants; tensors are taken by name and checked against the shape that they must have."""

    def __init__(self, tensors, name):
        self.tensors, self.name = tensors, name
        self.nodes, self.constants, self.notes, self.taken = [], {}, [], set()

    def note(self, sentence):
        self.notes.append(sentence)

    def take(self, tensor, *shape):
        if tensor not in self.tensors:
            raise IllFormed(f"{self.name}: tensor {tensor} is missing; give the whole network.")
        value = self.tensors[tensor]
        if value.shape != shape:
            raise IllFormed(f"{self.name}: tensor {tensor} is {value.shape}, the other tensors ask for {shape}.")
        self.taken.add(tensor)
        return value

    def size(self, tensor, axis, axes):
        """The length of an axis of a tensor, which has so many."""
        if tensor not in self.tensors:
            raise IllFormed(f"{self.name}: tensor {tensor} is missing; give the whole network.")
        if self.tensors[tensor].ndim != axes:
            raise IllFormed(f"{self.name}: tensor {tensor} is {self.tensors[tensor].shape}; it must have {axes} axes.")
        return self.tensors[tensor].shape[axis]

    def constant(self, name, value):
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def add(self, op, name, inputs, **attributes):
        self.nodes.append(Node(name, op, tuple(inputs), (name,), attributes))
        return name

    def act(self, name, x, word):
        """The activation that a configuration calls `word`."""
        if word not in ACTIVATIONS:
            raise Unsupported(f"{self.name}: the activation {word!r} of config.json is not supported: "
                              f"{', '.join(ACTIVATIONS)} are.")
        op, attributes = ACTIVATIONS[word]
        return self.add(op, name, (x,), **attributes)

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

    def conv(self, x, part, c, normed="", stride=1, groups=1, pads=None, eps=1e-5):
        """A convolution of images of c channels, padded to keep their size or by `pads`, with the batch norm `normed` folded in;
        a missing bias is zero."""
        m, side = self.size(f"{part}.weight", 0, 4), self.size(f"{part}.weight", 3, 4)
        weight, bias = self.take(f"{part}.weight", m, c // groups, side, side), f"{part}.bias"
        bias = self.take(bias, m) if bias in self.tensors else np.zeros(m)
        if normed:
            gamma, beta, mean, variance = (self.take(f"{normed}.{end}", m)
                                           for end in ("weight", "bias", "running_mean", "running_var"))
            factor = gamma / np.sqrt(variance + eps)
            weight, bias = weight * factor[:, None, None, None], (bias - mean) * factor + beta
        weight, bias = self.constant(f"{part}.weight", weight), self.constant(f"{part}.bias", bias)
        return self.add("Conv", part, (x, weight, bias), strides=(stride, stride), pads=pads or (side // 2,) * 4,
                        dilations=(1, 1), group=groups)

    def attention(self, name, q, k, v, shape, heads, **masked):
        """Attention of rows of tokens (1 ... n width), the projections done; `masked`: `bias`, a constant that is added to the
        logits, and `mask`, a constant of 0 and 1 (seen) for them."""
        *lead, n, width = shape
        axes, depth = len(lead), width // heads
        order, turned = (*range(axes), axes + 1, axes, axes + 2), (*range(axes), axes + 1, axes + 2, axes)
        rows = {}
        for part, word, perm in zip((q, k, v), "qkv", (order, order, turned)):
            split = self.add("Reshape", f"{name}.{word}.heads", (part,), shape=(*lead, n, heads, depth))
            rows[word] = self.add("Transpose", f"{name}.{word}.rows", (split,), perm=perm)
        logits = self.add("MatMul", f"{name}.logits", (rows["q"], rows["k"]), transpose_b=True, alpha=depth ** -0.5)
        if "bias" in masked:
            logits = self.add("Add", f"{name}.biased", (logits, self.constant(f"{name}.bias", masked["bias"])))
        if "mask" in masked:
            given = self.constant(f"{name}.mask", masked["mask"])
            weights = self.add("Softmax", f"{name}.softmax", (logits, given), mask="given")
        else:
            weights = self.add("Softmax", f"{name}.softmax", (logits,))
        mixed = self.add("MatMul", f"{name}.mixed", (weights, rows["v"]), transpose_b=True, alpha=1.0)
        tokens = self.add("Transpose", f"{name}.mixed.tokens", (mixed,), perm=order)
        return self.add("Reshape", f"{name}.joined", (tokens,), shape=shape)

    def graph(self, inputs, output, classes, config, ignored=()):
        """The canonical graph; raises IllFormed for tensors that nothing took, but for those whose names end in `ignored`."""
        if extra := {n for n in self.tensors if n not in self.taken and not n.endswith(tuple(ignored))}:
            raise IllFormed(f"{self.name}: tensors are unexpected: {listed(extra)}; give the network alone.")
        names = labels(config)
        return rewrite(Graph(self.name, inputs, (output,), tuple(self.nodes), self.constants, notes=tuple(self.notes),
                             labels=names if len(names) == classes else ()))


def listed(names):
    names = sorted(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def setting(config, *keys):
    """The first of these keys that the configuration or its nested parts hold, or None."""
    for part in (config, config.get("model_args") or {}, config.get("pretrained_cfg") or {}):
        for key in keys:
            if part.get(key) is not None:
                return part[key]
    return None


def image_size(config, name):
    """[height, width] as the configuration says, or None; raises IllFormed, which begins with `name`, for no such numbers."""
    said = setting(config, "image_size", "img_size", "input_size")
    if said is None:
        return None
    size = list(said)[-2:] if isinstance(said, (list, tuple)) else [said, said]
    if len(size) != 2 or not all(type(n) is int and n > 0 for n in size):
        raise IllFormed(f"{name}: the image size {said!r} in config.json is not two positive integers.")
    return size


def epsilon(config, name):
    """The epsilon of LayerNorm as the configuration says, or None; raises IllFormed for what is no finite number above 0."""
    eps = setting(config, "layer_norm_eps", "norm_eps")
    if eps is None:
        return None
    if type(eps) not in (int, float) or not 0 < eps < math.inf:
        raise IllFormed(f"{name}: the epsilon {eps!r} of LayerNorm in config.json is not a finite number above 0.")
    return float(eps)


def labels(config):
    """The names of the classes in order, or () where they are only numbers."""
    named = config.get("id2label") or {}
    if not isinstance(named, dict) or sorted(named) != sorted(map(str, range(len(named)))):
        return tuple(map(str, config.get("label_names") or ()))
    names = tuple(str(named[str(i)]) for i in range(len(named)))
    return () if names == tuple(f"LABEL_{i}" for i in range(len(names))) else names
