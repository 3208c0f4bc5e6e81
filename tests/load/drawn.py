"""Small ONNX models written by hand, for tests of loading: a vision transformer of two blocks with random weights."""
import math

import numpy as np
from onnx import helper, numpy_helper

WIDTH, HEADS, SIDE, PATCH, CLASSES = 12, 3, 8, 4, 5


class Sketch:
    """Collects nodes and initializers of one model; every method that adds a node returns its output's name."""

    def __init__(self, opset=17, dtype=np.float64, seed=0):
        self.opset, self.dtype, self.draw = opset, dtype, np.random.default_rng(seed)
        self.nodes, self.initializers = [], []

    def constant(self, name, value):
        value = np.asarray(value)
        value = value.astype(self.dtype) if value.dtype.kind == "f" else value
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name, *shape):
        return self.constant(name, self.draw.normal(0, 1 / math.sqrt(shape[-1]), shape))

    def ints(self, *values):
        return self.constant(f"ints_{len(self.initializers)}", np.array(values, np.int64))

    def number(self, value):
        return self.constant(f"number_{len(self.initializers)}", np.array(value, float))

    def add(self, op, *inputs, name=None, domain="", outputs=1, **attributes):
        name = name or f"/{op}_{len(self.nodes)}"
        results = [f"{name}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), results, name, domain=domain, **attributes))
        return results[0] if outputs == 1 else results

    def model(self, output, shape=("n", 3, SIDE, SIDE), extra=(), functions=()):
        self.nodes.append(helper.make_node("Identity", [output], ["logits"], "out"))
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        graph = helper.make_graph(self.nodes, "drawn", [helper.make_tensor_value_info("images", kind, shape)],
                                  [helper.make_tensor_value_info("logits", kind, ("n", "classes"))], self.initializers)
        opsets = [helper.make_opsetid("", self.opset), *extra]
        return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)

    def norm(self, x, name):
        """LayerNormalization, taken apart before opset 17."""
        gamma, beta = self.weight(f"{name}.weight", WIDTH), self.weight(f"{name}.bias", WIDTH)
        if self.opset >= 17:
            return self.add("LayerNormalization", x, gamma, beta, axis=-1, epsilon=1e-5)
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        square = self.add("Pow", centred, self.number(2.0))
        variance = self.add("Add", self.add("ReduceMean", square, axes=[-1]), self.number(1e-5))
        y = self.add("Div", centred, self.add("Sqrt", variance))
        return self.add("Add", self.add("Mul", y, gamma), beta)

    def gelu(self, x):
        """Gelu, taken apart before opset 20."""
        if self.opset >= 20:
            return self.add("Gelu", x)
        erf = self.add("Erf", self.add("Div", x, self.number(math.sqrt(2))))
        return self.add("Mul", self.add("Mul", x, self.add("Add", erf, self.number(1.0))), self.number(0.5))

    def dense(self, x, name, m, k):
        y = self.add("MatMul", x, self.weight(f"{name}.weight.T", k, m), name=f"/{name.replace('.', '/')}/MatMul")
        return self.add("Add", self.weight(f"{name}.bias", m), y)

    def attention(self, x, name):
        """One Attention node from opset 23 on, else products around a softmax, with torch's guard against NaN."""
        count, depth = (SIDE // PATCH) ** 2 + 1, WIDTH // HEADS
        parts = self.add("Split", self.dense(x, f"{name}.qkv", 3 * WIDTH, WIDTH), self.ints(*(WIDTH,) * 3), outputs=3,
                         axis=2)
        if self.opset >= 23:
            y = self.add("Attention", *parts, q_num_heads=HEADS, kv_num_heads=HEADS)
            return self.dense(y, f"{name}.proj", WIDTH, WIDTH)
        shape = self.ints(-1, count, HEADS, depth)
        q, k, v = (self.add("Transpose", self.add("Reshape", part, shape), perm=perm)
                   for part, perm in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])))
        root = self.number(depth ** -0.25)
        p = self.add("Softmax", self.add("MatMul", self.add("Mul", q, root), self.add("Mul", k, root)), axis=-1)
        p = self.add("Where", self.add("IsNaN", p), self.number(0.0), p)
        y = self.add("Transpose", self.add("MatMul", p, v), perm=[0, 2, 1, 3])
        return self.dense(self.add("Reshape", y, self.ints(-1, count, WIDTH)), f"{name}.proj", WIDTH, WIDTH)


def vit(opset=17, dtype=np.float64):
    """A vision transformer on images (n 3 8 8): five tokens of width 12, three heads, two blocks, five classes."""
    s = Sketch(opset, dtype)
    kernel, bias = s.weight("patch.weight", WIDTH, 3, PATCH, PATCH), s.weight("patch.bias", WIDTH)
    x = s.add("Conv", "images", kernel, bias, kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
    rows = s.add("Gather", s.add("Shape", x), s.constant("zero", np.array(0)), axis=0)
    rows = s.add("Unsqueeze", rows, s.ints(0))
    x = s.add("Reshape", x, s.add("Concat", rows, s.ints(WIDTH, -1), axis=0))
    x = s.add("Transpose", x, perm=[0, 2, 1])
    cls = s.add("Expand", s.weight("cls_token", 1, 1, WIDTH), s.add("Concat", rows, s.ints(1, WIDTH), axis=0))
    x = s.add("Add", s.add("Concat", cls, x, axis=1), s.weight("pos_embed", 1, 5, WIDTH))
    for i in range(2):
        x = s.add("Add", x, s.attention(s.norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn"))
        y = s.gelu(s.dense(s.norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.fc1", 2 * WIDTH, WIDTH))
        x = s.add("Add", x, s.dense(y, f"blocks.{i}.fc2", WIDTH, 2 * WIDTH))
    x = s.add("Gather", s.norm(x, "norm"), s.constant("first", np.array(0)), axis=1)
    y = s.add("Gemm", x, s.weight("head.weight", CLASSES, WIDTH), s.weight("head.bias", CLASSES), transB=1)
    return s.model(y)


def written(model, folder, name="model.onnx"):
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path
