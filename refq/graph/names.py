"""names: every node of a canonical graph gets a name that a person knows it by, from its weights or its module.

`blocks.0.attn.qkv` is the node, `blocks.0.attn.qkv.weight` and `.bias` its constants, and its output has the node's
name.
"""
import re
from dataclasses import replace

from refq.graph.graph import Graph, Node

operands = {"Linear": ("x", "weight", "bias"), "Conv": ("x", "weight", "bias"),
            "LayerNormalization": ("x", "weight", "bias"), "RMSNormalization": ("x", "weight"),
            "GroupNormalization": ("x", "weight", "bias"), "BatchNormalization": ("x", "weight", "bias"), "Mul": ("x", "factor")}
WEIGHTED = ("Linear", "Conv", "LayerNormalization", "RMSNormalization", "GroupNormalization", "BatchNormalization")
own_word = re.compile(r"(node_)?[A-Z][A-Za-z]*(Fusion)?([_.]\w+)?")


parameter = re.compile(r"(?!onnx|val_|Constant|zeros|minus)[A-Za-z_]\w*(\.\w+)*(?<!folded)")


def word(node, place):
    """What the constant at this place is to the node."""
    return operands[node.op][place] if node.op in operands else "constant"


def module(name):
    """The module part of an exporter's node name: /blocks.0/attn/qkv/MatMul is in blocks.0.attn.qkv, /Add in the
    network itself, ""; None where the name says nothing."""
    if "/" not in name:
        return None
    parts = [part for part in name.split("/") if part]
    while parts and own_word.fullmatch(parts[-1]):
        parts.pop()
    inner = parts[1:] + [""]
    # /blocks/blocks.0
    return ".".join(part for part, below in zip(parts, inner) if not below.startswith(f"{part}."))


def owner(constants):
    """The module that owns the constants, by the first name that looks like a parameter's."""
    for name in constants:
        head, _, tail = name.rpartition(".")
        if head and "::" not in name and "/" not in name and re.match(r"(weight|bias|gamma|beta|kernel|scale)", tail):
            return head
    return ""


def best(said, owned):
    """The module that the node's name says, or the owner of its weights where that is more exact, or the only one
    known."""
    return owned if not said or owned.startswith(f"{said}.") else said


def plain_word(name):
    """A name without the punctuation of paths."""
    return re.sub(r"[^\w.\-]+", ".", name).strip("._") or "node"


def kept(graph, outputs):
    """The graph with its tensors as its file names them, every node called after what it makes; its outputs get these names."""
    called = {old: new for old, new in zip(graph.outputs, outputs) if old not in graph.inputs}
    taken = {*graph.inputs, *graph.shapes, *graph.constants}
    for old, new in list(called.items()):
        if new in taken and new != old and new not in called:       # an inner tensor has the name: they change places
            called[new] = old
    nodes = tuple(Node(called.get(n.outputs[0], n.outputs[0]), n.op, tuple(called.get(t, t) for t in n.inputs),
                       tuple(called.get(t, t) for t in n.outputs), n.attributes) for n in graph.nodes)
    moved = {name: {called.get(t, t): v for t, v in getattr(graph, name).items()} for name in ("constants", "shapes", "grids")}
    return replace(graph, nodes=nodes, outputs=tuple(called.get(t, t) for t in graph.outputs), **moved)


def named(graph, outputs):
    """The graph with nodes, tensors and constants renamed; its inputs keep their names, its outputs get these."""
    taken = {*graph.inputs, *outputs}
    tensors = {name: name for name in graph.inputs} | dict(zip(graph.outputs, outputs))
    homes, constants, nodes = {}, {}, []

    def free(name):
        result, count = name, 1
        while result in taken:
            count += 1
            result = f"{name}_{count}"
        taken.add(result)
        return result

    for node in graph.nodes:
        weighted = node.op in WEIGHTED
        fixed = [name for name in node.inputs if name in graph.constants]
        inherited = next((homes[name] for name in node.inputs if homes.get(name)), "")
        said = module(node.name)
        home = (best(said or "", owner(fixed)) if weighted else inherited if said is None else said)
        stem = plain_word(home) if weighted and home else plain_word(".".join(filter(None, (home, node.op.lower()))))
        output = node.outputs[0]
        name = output if tensors.get(output) == stem else free(stem)
        tensors.setdefault(output, name)
        homes[output] = home.rpartition(".")[0] if weighted else home
        inputs = []
        for place, old in enumerate(node.inputs):
            if old in graph.constants:
                own = re.sub(r"\.front\d*$", "", old)
                new = free(own if not weighted and parameter.fullmatch(own) else f"{name}.{word(node, place)}")
                constants[new] = graph.constants[old]
                inputs.append(new)
            else:
                inputs.append(tensors[old])
        nodes.append(Node(name, node.op, tuple(inputs), (tensors[output],), node.attributes))
    shapes = {tensors[name]: tuple(shape) for name, shape in graph.shapes.items() if name in tensors}
    return Graph(graph.name, graph.inputs, tuple(tensors[name] for name in graph.outputs), tuple(nodes), constants,
                 shapes, graph.notes, graph.labels)
