"""vit: vision transformers (ViT, DeiT, distilled or not) from named tensors, as timm and Hugging Face store them.

    patches -> Linear (as a convolution) -> class token, positions -> blocks -> norm -> class token or mean -> head
    block: x + proj(attention(norm1(x))), then x + fc2(gelu(fc1(norm2(x))))

Left out by some and taken as it comes: the class token (then the tokens are averaged), a distillation token behind it and a
head of its own (then the result is the mean of two heads), biases of qkv, a norm before the blocks, layer scale (folded into
proj and fc2), a norm after the mean. The steps keep the names of the tensors. Source:
Dosovitskiy et al. 2021; timm vision_transformer.py; transformers modeling_vit.py.
"""
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from refq.errors import IllFormed, Unsupported
from refq.graph.assemble import Builder, epsilon, image_size, labels, listed, setting
from refq.graph.graph import Graph
from refq.graph.rewrite import rewrite

depth_by_convention = 64
heads_by_name = {"huge": 16, "giant": 16, "gigantic": 16}
gelu_words = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_fast": "tanh"}


@dataclass(frozen=True)
class Naming:
    """What one project calls the parts; `block` holds {} for the number, parts of a block begin after it."""

    cls: str
    pos: str
    patch: str
    block: str
    norm1: str
    qkv: tuple
    proj: str
    norm2: str
    fc1: str
    fc2: str
    scale1: str
    scale2: str
    norm_pre: str
    norm: str
    fc_norm: str
    head: str
    eps: float
    dist: str = ""
    head2: str = ""


timm = Naming("cls_token", "pos_embed", "patch_embed.proj", "blocks.{}.", "norm1", ("attn.qkv",), "attn.proj", "norm2",
              "mlp.fc1", "mlp.fc2", "ls1.gamma", "ls2.gamma", "norm_pre", "norm", "fc_norm", "head", 1e-6,
              "dist_token", "head_dist")


def hugging_face(root):
    parts = ("attention.attention.query", "attention.attention.key", "attention.attention.value")
    return Naming(f"{root}.embeddings.cls_token", f"{root}.embeddings.position_embeddings",
                  f"{root}.embeddings.patch_embeddings.projection", f"{root}.encoder.layer.{{}}.", "layernorm_before",
                  parts, "attention.output.dense", "layernorm_after", "intermediate.dense", "output.dense", "", "", "",
                  f"{root}.layernorm", "", "classifier", 1e-12, f"{root}.embeddings.distillation_token")


def hugging_face_5(root):
    """The names that transformers 5 uses in memory; what it saves has the older ones."""
    old, parts = hugging_face(root), ("attention.q_proj", "attention.k_proj", "attention.v_proj")
    return replace(old, block=f"{root}.layers.{{}}.", qkv=parts, proj="attention.o_proj", fc1="mlp.fc1", fc2="mlp.fc2")


def taught(naming):
    """The names of a network with a head for each of its two tokens."""
    return replace(naming, head="cls_classifier", head2="distillation_classifier")


plain = hugging_face("vit"), hugging_face("deit"), hugging_face_5("vit"), hugging_face_5("deit")
namings = (timm, *plain, taught(plain[1]), taught(plain[3]))


def blocks(names, naming):
    """The numbers of the blocks that the tensor names speak of."""
    start, end = (re.escape(part) for part in naming.block.split("{}"))
    return {int(m.group(1)) for name in names if (m := re.match(f"{start}(\\d{{1,4}}){end}", name))}


def naming_of(names):
    """The naming that most of the names fit; None where hardly any does."""
    def fits(naming):
        return len(set(names) & expected(naming, names))
    best = max(namings, key=fits)
    return best if fits(best) > len(names) / 2 and blocks(names, best) else None


def recognizes(names):
    return naming_of(names) is not None


def expected(naming, names):
    """The names of all tensors that the network needs, its optional parts as far as any tensor of them is there."""
    wanted = {naming.pos, *(f"{part}.{end}" for part in (naming.patch, naming.head) for end in ("weight", "bias"))}
    wanted |= {naming.cls, naming.dist} & set(names)
    if {f"{naming.head2}.weight", f"{naming.head2}.bias"} & set(names):
        wanted |= {naming.dist, f"{naming.head2}.weight", f"{naming.head2}.bias"}
    if f"{naming.norm_pre}.weight" in names:
        wanted -= {f"{naming.patch}.bias"} - set(names)         # CLIP's networks have none
    for part in (naming.norm, naming.norm_pre, naming.fc_norm):
        if part and ({f"{part}.weight", f"{part}.bias"} & set(names)):
            wanted |= {f"{part}.weight", f"{part}.bias"}
    if naming.fc_norm + ".weight" not in names:
        wanted |= {f"{naming.norm}.weight", f"{naming.norm}.bias"}
    biased = any(name.endswith(f"{naming.qkv[0]}.bias") for name in names)
    scaled = [scale for scale in (naming.scale1, naming.scale2) if scale and any(n.endswith(scale) for n in names)]
    for number in range(max(blocks(names, naming), default=-1) + 1):
        block = naming.block.format(number)
        for part in (naming.norm1, naming.proj, naming.norm2, naming.fc1, naming.fc2):
            wanted |= {f"{block}{part}.weight", f"{block}{part}.bias"}
        ends = ("weight", "bias") if biased else ("weight",)
        wanted |= {f"{block}{part}.{end}" for part in naming.qkv for end in ends}
        wanted |= {block + scale for scale in scaled}
    return wanted


@dataclass(frozen=True)
class Dimensions:
    width: int
    heads: int
    tokens: int
    eps: float


def heads_of(builder, config, width):
    """The number of heads: as the configuration says, else by the architecture's name, else 64 wide each."""
    heads = setting(config, "num_attention_heads", "num_heads")
    if heads is None:
        name = str(config.get("architecture") or "")
        heads = next((n for word, n in heads_by_name.items() if word in name), max(width // depth_by_convention, 1))
        builder.note(f"The number of heads is not written in the file: {heads}, by convention for width "
                     f"{width}.")
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise IllFormed(f"{builder.name}: {heads!r} heads do not divide the width {width}; "
                        f"give num_attention_heads in config.json.")
    return heads


def image_of(builder, config, positions, patch, special):
    """(rows, columns) of patches and whether the class token has a position."""
    size = image_size(config, builder.name)
    if size is None:
        side = math.isqrt(positions)
        if side * side not in (positions, positions - special):
            raise IllFormed(f"{builder.name}: {positions} positions are no square of patches; give "
                            f"image_size in config.json.")
        size = [side * patch[0], side * patch[1]]
        builder.note(f"The image size is not written in the file: {size[0]}x{size[1]}, from {positions} "
                     f"positions.")
    grid = (size[0] // patch[0], size[1] // patch[1])
    if grid[0] * grid[1] not in (positions, positions - special):
        raise IllFormed(f"{builder.name}: images of {size[0]}x{size[1]} give {grid[0] * grid[1]} patches, "
                        f"the positions are for {positions - special}; mend image_size in config.json.")
    return grid, size


def block(builder, x, naming, number, d, approximate):
    """One encoder block on tokens (1 n width)."""
    start = naming.block.format(number)
    attn = start + naming.proj.rpartition(".")[0].removesuffix(".output")
    y = builder.norm(x, start + naming.norm1, d.width, d.eps)
    if len(naming.qkv) == 1:
        joined = builder.linear(y, start + naming.qkv[0], 3 * d.width, d.width)
        parts = [builder.add("Slice", f"{attn}.{word}", (joined,), axis=2, start=at, stop=at + d.width, step=1)
                 for word, at in zip("qkv", range(0, 3 * d.width, d.width))]
    else:
        parts = [builder.linear(y, start + part, d.width, d.width) for part in naming.qkv]
    y = builder.attention(attn, *parts, (1, d.tokens, d.width), d.heads)
    y = builder.linear(y, start + naming.proj, d.width, d.width, layer_scale(builder, start, naming.scale1, d.width))
    x = builder.add("Add", f"{start}add1", (x, y))
    y = builder.norm(x, start + naming.norm2, d.width, d.eps)
    hidden = len(builder.tensors[f"{start}{naming.fc1}.weight"])
    y = builder.linear(y, start + naming.fc1, hidden, d.width)
    y = builder.add("Relu", f"{start}relu", (y,)) if approximate == "relu" else builder.add(
        "Gelu", f"{start}gelu", (y,), approximate=approximate)
    y = builder.linear(y, start + naming.fc2, d.width, hidden, layer_scale(builder, start, naming.scale2, d.width))
    return builder.add("Add", f"{start}add2", (x, y))


def layer_scale(builder, start, name, width):
    return builder.take(start + name, width) if name and start + name in builder.tensors else None


def activation(builder, config):
    word = setting(config, "hidden_act", "act_layer") or "gelu"
    if word != "relu" and word not in gelu_words:
        raise Unsupported(f"{builder.name}: the activation {word!r} of config.json is not supported: "
                          f"relu, {', '.join(gelu_words)} are.")
    return "relu" if word == "relu" else gelu_words[word]


def build(tensors, config, name):
    """The canonical graph of the network. `tensors`: name to float64 array; `config`: the parsed config.json, {} where
    there is none; `name` stands in messages. Raises IllFormed for missing, unexpected and misshapen tensors, all
    named."""
    naming = naming_of(tensors)
    wanted = expected(naming, tensors)
    missing, extra = wanted - set(tensors), set(tensors) - wanted
    if missing or extra:
        both = {"missing": missing, "unexpected": extra}
        said = "; ".join(f"tensors are {word}: {listed(names)}" for word, names in both.items() if names)
        raise IllFormed(f"{name} is not a whole ViT or DeiT (windowed ones with other names are not supported): {said}.")
    builder = Builder(tensors, name)
    kernel, positions = tensors[f"{naming.patch}.weight"], tensors[naming.pos]
    if kernel.ndim != 4 or positions.ndim != 3:
        raise IllFormed(f"{name}: {naming.patch}.weight is {kernel.shape} and {naming.pos} is {positions.shape}, "
                        f"they must have four and three axes.")
    (width, channels, *patch), special, count = kernel.shape, special_of(naming, tensors), positions.shape[1]
    builder.take(naming.pos, 1, count, width)
    heads = heads_of(builder, config, width)
    grid, size = image_of(builder, config, count, patch, len(special))
    patches = grid[0] * grid[1]
    eps = epsilon(config, name)
    if eps is None:
        builder.note(f"The epsilon of the norms is not written in the file: {naming.eps:g}, as its project has "
                     f"it.")
    d = Dimensions(width, heads, patches + len(special), eps or naming.eps)
    x = tokens(builder, naming, d, grid, special, special and count == patches)
    if f"{naming.norm_pre}.weight" in tensors:
        x = builder.norm(x, naming.norm_pre, width, d.eps)
    approximate = activation(builder, config)
    for number in range(max(blocks(tensors, naming)) + 1):
        x = block(builder, x, naming, number, d, approximate)
    output = head(builder, x, naming, d, len(special), config)
    names, classes = labels(config), len(tensors[f"{naming.head}.weight"])
    graph = Graph(name, {"images": (1, channels, *size)}, (output,), tuple(builder.nodes), builder.constants,
                  notes=tuple(builder.notes), labels=names if len(names) == classes else ())
    return rewrite(graph)


def special_of(naming, names):
    """The names of the tokens that stand before those of the patches."""
    return [name for name in (naming.cls, naming.dist) if name and name in names]


def tokens(builder, naming, d, grid, special, positions_first):
    """Patches as tokens, with class token and positions, in the order of the two that the number of positions tells."""
    part, kernel = naming.patch, builder.tensors[f"{naming.patch}.weight"]
    bias = builder.take(f"{part}.bias", d.width) if f"{part}.bias" in builder.tensors else np.zeros(d.width)
    weights = builder.constant(f"{part}.weight", kernel), builder.constant(f"{part}.bias", bias)
    patch = tuple(kernel.shape[2:])
    x = builder.add("Conv", part, ("images", *weights), strides=patch, pads=(0, 0, 0, 0), dilations=(1, 1), group=1)
    x = builder.add("Reshape", f"{part}.flat", (x,), shape=(1, d.width, grid[0] * grid[1]))
    x = builder.add("Transpose", f"{part}.tokens", (x,), perm=(0, 2, 1))
    positions = builder.constant(naming.pos, builder.tensors[naming.pos])
    if positions_first:
        x = builder.add("Add", "positions", (x, positions))
    if special:
        first = [builder.constant(name, builder.take(name, 1, 1, d.width)) for name in special]
        x = builder.add("Concat", "tokens", (*first, x), axis=1)
    return x if positions_first else builder.add("Add", "positions", (x, positions))


def head(builder, x, naming, d, special, config):
    if f"{naming.norm}.weight" in builder.tensors:
        x = builder.norm(x, naming.norm, d.width, d.eps)
    averaged = not special or f"{naming.fc_norm}.weight" in builder.tensors or setting(config, "global_pool") == "avg"
    heads = 2 if f"{naming.head2}.weight" in builder.tensors else 1
    first = special if averaged else 0
    if first or not averaged:
        stop = d.tokens if averaged else heads
        x = builder.add("Slice", "head.tokens", (x,), axis=1, start=first, stop=stop, step=1)
    x = (builder.add("ReduceMean", "head.mean", (x,), axes=(1,), keepdims=0) if averaged
         else builder.add("Reshape", "head.token", (x,), shape=(1, heads * d.width)))
    if f"{naming.fc_norm}.weight" in builder.tensors:
        x = builder.norm(x, naming.fc_norm, d.width, d.eps)
    if heads == 2:
        return two_heads(builder, x, naming, d.width)
    return builder.linear(x, naming.head, len(builder.tensors[f"{naming.head}.weight"]), d.width)


def two_heads(builder, x, naming, width):
    """The mean of what the heads say of the class token and the distillation token, which stand side by side (1 2*width)."""
    classes = len(builder.tensors[f"{naming.head}.weight"])
    weights, biases = ([builder.take(f"{part}.{end}", *shape) for part in (naming.head, naming.head2)]
                       for end, shape in (("weight", (classes, width)), ("bias", (classes,))))
    weight = builder.constant(f"{naming.head}.weight", np.concatenate(weights, 1) / 2)
    return builder.add("Linear", naming.head, (x, weight, builder.constant(f"{naming.head}.bias", sum(biases) / 2)))
