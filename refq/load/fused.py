"""fused: what onnxruntime's optimizers write in the domain com.microsoft, said again in ONNX's own operations.

Each function gets the node and returns those that it stands for. Source: onnxruntime docs/ContribOperators.md.
"""
from refq.errors import Unsupported
from refq.graph.graph import Node


def only(node, allowed):
    """Refuses inputs and outputs beyond these numbers, and attributes that are not listed."""
    inputs, outputs, attributes = allowed
    extra = [*(name for name in node.inputs[inputs:] if name), *(name for name in node.outputs[outputs:] if name),
             *(word for word, value in node.attributes.items() if word not in attributes and value)]
    if extra:
        raise Unsupported(f"node {node.name} ({node.op} of com.microsoft) uses {', '.join(extra)}, which refq does not "
                          f"do: give the model as it was before onnxruntime optimized it.")


def gelu(node):
    only(node, (1, 1, ()))
    return [Node(node.name, "Gelu", node.inputs, node.outputs)]


def bias_gelu(node, approximate="none"):
    only(node, (2, 1, ()))
    attributes, biased = {"approximate": approximate}, f"{node.outputs[0]}.biased"
    if len(node.inputs) < 2:
        return [Node(node.name, "Gelu", node.inputs, node.outputs, attributes)]
    return [Node(f"{node.name}/Add", "Add", node.inputs, (biased,)),
            Node(node.name, "Gelu", (biased,), node.outputs, attributes)]


def fast_gelu(node):
    return bias_gelu(node, "tanh")


def quick_gelu(node):
    only(node, (1, 1, ("alpha",)))
    return [Node(node.name, "Swish", node.inputs, node.outputs, {"alpha": node.attributes.get("alpha", 1.702)})]


def matmul(node):
    only(node, (2, 1, ("alpha", "transB")))
    attributes = {"alpha": node.attributes.get("alpha", 1.0), "transpose_b": bool(node.attributes.get("transB"))}
    return [Node(node.name, "MatMul", node.inputs, node.outputs, attributes)]


def skip_layer_norm(node):
    """The sum of two tensors (and a bias) normalized; the sum itself may be asked for as fourth output."""
    only(node, (5, 4, ("epsilon",)))
    inputs, out = (*node.inputs, "", ""), node.outputs[0]
    x, skip, gamma, beta, bias = inputs[:5]
    total = node.outputs[3] if len(node.outputs) > 3 and node.outputs[3] else f"{out}.sum"
    first = f"{out}.skipped" if bias else total
    nodes = [Node(f"{node.name}/Add", "Add", (x, skip), (first,))]
    if bias:
        nodes.append(Node(f"{node.name}/Add_1", "Add", (first, bias), (total,)))
    attributes = {"axis": -1, "epsilon": node.attributes.get("epsilon", 1e-12)}
    return [*nodes, Node(node.name, "LayerNormalization", (total, gamma, beta)[:3 if beta else 2], (out,), attributes)]


def skip_rms_norm(node):
    """As skip_layer_norm, without a mean and a beta."""
    only(node, (4, 4, ("epsilon",)))
    x, skip, gamma, *bias = node.inputs
    nodes = skip_layer_norm(Node(node.name, node.op, (x, skip, gamma, "", *bias), node.outputs, node.attributes))
    return [*nodes[:-1], Node(node.name, "RMSNormalization", nodes[-1].inputs[:2], nodes[-1].outputs, nodes[-1].attributes)]


def attention(node):
    """q, k and v from one product with joined weights, then Attention."""
    only(node, (3, 1, ("num_heads", "scale")))
    x, weight, bias = node.inputs[:3]
    name, out, heads = node.name, node.outputs[0], node.attributes["num_heads"]
    parts = tuple(f"{out}.{word}" for word in "qkv")
    scale = {"scale": node.attributes["scale"]} if node.attributes.get("scale") else {}
    return [Node(f"{name}/MatMul", "MatMul", (x, weight), (f"{out}.joined",)),
            Node(f"{name}/Add", "Add", (f"{out}.joined", bias), (f"{out}.biased",)),
            Node(f"{name}/Split", "Split", (f"{out}.biased",), parts, {"axis": 2, "num_outputs": 3}),
            Node(name, "Attention", parts, (out,), {"q_num_heads": heads, "kv_num_heads": heads} | scale)]


def several_heads(node):
    only(node, (3, 1, ("num_heads", "scale")))
    heads = node.attributes["num_heads"]
    scale = {"scale": node.attributes["scale"]} if node.attributes.get("scale") else {}
    attributes = {"q_num_heads": heads, "kv_num_heads": heads} | scale
    return [Node(node.name, "Attention", node.inputs[:3], node.outputs, attributes)]


table = {"Gelu": gelu, "BiasGelu": bias_gelu, "FastGelu": fast_gelu, "QuickGelu": quick_gelu, "FusedMatMul": matmul,
         "SkipLayerNormalization": skip_layer_norm, "SkipSimplifiedLayerNormalization": skip_rms_norm,
         "Attention": attention, "MultiHeadAttention": several_heads}
"""The operation of com.microsoft to the function that takes it apart."""


def apart(node, domain):
    """The node itself, or what it stands for where its domain is com.microsoft."""
    return table[node.op](node) if domain == "com.microsoft" else [node]
