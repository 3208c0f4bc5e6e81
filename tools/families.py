"""Small networks of each family of vision networks, weights and images drawn from a seed by NumPy alone: what hashes are kept of.

    from tools.families import NETWORKS, program
    NETWORKS["swin"]()                     its canonical graph
    program("swin", "tflite")              (its int8 program, images)

Grids are chosen in float64; their scales are then rounded to 12 bits, so that no machine's last digits move a hash. `swin` and
`mobilevit` also give the tensors alone, under the names that projects give them.
"""
import math

import numpy as np

from refq import dialects, recipes
from refq.graph.assemble import Builder
from refq.graph.calibrate import choose, observe
from refq.graph.quantize import quantize
from refq.grids.affine import Affine
from refq.networks import llama as llama_of_tensors
from refq.networks import mobilevit as first_mobilevit
from refq.networks import mobilevit2 as second_mobilevit
from refq.networks import swin as swin_of_tensors
from refq.networks import vit as vit_of_tensors

SWIN = {"patch": "swin.embeddings.patch_embeddings.projection", "norm0": "swin.embeddings.norm",
        "block": "swin.encoder.layers.{}.blocks.{}.", "norm1": "layernorm_before",
        "qkv": [f"attention.self.{word}" for word in ("query", "key", "value")],
        "table": "attention.self.relative_position_bias_table", "proj": "attention.output.dense", "norm2": "layernorm_after",
        "fc1": "intermediate.dense", "fc2": "output.dense", "merge": "swin.encoder.layers.{}.downsample",
        "norm": "swin.layernorm", "head": "classifier", "late": 0}
SWIN5 = SWIN | {"qkv": [f"attention.{word}_proj" for word in "qkv"],
                "table": "attention.relative_position_bias.relative_position_bias_table", "proj": "attention.o_proj",
                "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
AUTHORS = {"patch": "patch_embed.proj", "norm0": "patch_embed.norm", "block": "layers.{}.blocks.{}.", "norm1": "norm1",
           "qkv": ["attn.qkv"], "table": "attn.relative_position_bias_table", "proj": "attn.proj", "norm2": "norm2",
           "fc1": "mlp.fc1", "fc2": "mlp.fc2", "merge": "layers.{}.downsample", "norm": "norm", "head": "head", "late": 0}
TIMM = AUTHORS | {"head": "head.fc", "late": 1}
"""timm's newer files; a merge counts to the stage behind it."""


class Drawn:
    """Tensors as they are drawn: the same numbers for the same order of parts."""

    def __init__(self):
        self.draw, self.tensors = np.random.default_rng(0), {}

    def part(self, name, *shape, bias=True):
        self.tensors[f"{name}.weight"] = self.draw.normal(0, 1 / math.sqrt(math.prod(shape[1:])), shape)
        if bias:
            self.tensors[f"{name}.bias"] = self.draw.normal(0, 0.2, shape[:1])

    def norm(self, name, width, batch=False):
        self.tensors[f"{name}.weight"] = self.draw.normal(1, 0.2, width)
        self.tensors[f"{name}.bias"] = self.draw.normal(0, 0.2, width)
        if batch:
            self.tensors[f"{name}.running_mean"] = self.draw.normal(0, 0.2, width)
            self.tensors[f"{name}.running_var"] = self.draw.uniform(0.5, 1.5, width)


def swin(names, width=8, depths=(2, 2), heads=(2, 4), window=2, patch=2, classes=5):
    """Tensors of a Swin of two stages; images are (n 3 16 16), or whatever the windows allow."""
    d = Drawn()
    d.part(names["patch"], width, 3, patch, patch)
    d.norm(names["norm0"], width)
    for stage, (depth, count) in enumerate(zip(depths, heads)):
        for number in range(depth):
            start = names["block"].format(stage, number)
            d.norm(start + names["norm1"], width)
            joined = np.random.default_rng(stage * 10 + number)
            weight, bias = joined.normal(0, 1 / math.sqrt(width), (3 * width, width)), joined.normal(0, 0.2, 3 * width)
            for part, rows in zip(names["qkv"], np.split(np.arange(3 * width), len(names["qkv"]))):
                d.tensors[f"{start}{part}.weight"], d.tensors[f"{start}{part}.bias"] = weight[rows], bias[rows]
            d.tensors[start + names["table"]] = d.draw.normal(0, 1, ((2 * window - 1) ** 2, count))
            d.part(start + names["proj"], width, width)
            d.norm(start + names["norm2"], width)
            d.part(start + names["fc1"], 2 * width, width)
            d.part(start + names["fc2"], width, 2 * width)
        if stage < len(depths) - 1:
            merge = names["merge"].format(stage + names["late"])
            d.norm(f"{merge}.norm", 4 * width)
            d.part(f"{merge}.reduction", 2 * width, 4 * width, bias=False)
            width *= 2
    d.norm(names["norm"], width)
    d.part(names["head"], classes, width)
    return d.tensors


def mobilevit(root="mobilevit", width=8, classes=5):
    """Tensors of a MobileViT, or with the root mobilevitv2 of its second form; images are (n 3 64 64)."""
    d, second = Drawn(), root == "mobilevitv2"

    def conv(name, m, c, k=1, normed=True, bias=False):
        d.part(f"{name}.convolution", m, c, k, k, bias=bias)
        if normed:
            d.norm(f"{name}.normalization", m, batch=True)

    def inverted(name, m, c):
        conv(f"{name}.expand_1x1", 2 * c, c)
        conv(f"{name}.conv_3x3", 2 * c, 1, 3)
        conv(f"{name}.reduce_1x1", m, 2 * c)

    conv(f"{root}.conv_stem", width, 3, 3)
    for number in range(2):
        inverted(f"{root}.encoder.layer.{number}.layer.0", width, width)
    for number in range(2, 5):
        part = f"{root}.encoder.layer.{number}"
        inverted(f"{part}.downsampling_layer", width, width)
        conv(f"{part}.conv_kxk", width, 1 if second else width, 3)
        conv(f"{part}.conv_1x1", width, width, normed=False)
        start = f"{part}.transformer.layer.0."
        d.norm(f"{start}layernorm_before", width)
        d.norm(f"{start}layernorm_after", width)
        if second:
            conv(f"{start}attention.qkv_proj", 1 + 2 * width, width, normed=False, bias=True)
            conv(f"{start}attention.out_proj", width, width, normed=False, bias=True)
            conv(f"{start}ffn.conv1", 2 * width, width, normed=False, bias=True)
            conv(f"{start}ffn.conv2", width, 2 * width, normed=False, bias=True)
        else:
            for word in ("query", "key", "value"):
                d.part(f"{start}attention.attention.{word}", width, width)
            d.part(f"{start}attention.output.dense", width, width)
            d.part(f"{start}intermediate.dense", 2 * width, width)
            d.part(f"{start}output.dense", width, 2 * width)
        d.norm(f"{part}.layernorm", width)
        conv(f"{part}.conv_projection", width, width)
        if not second:
            conv(f"{part}.fusion", width, 2 * width, 3)
    if not second:
        conv(f"{root}.conv_1x1_exp", 2 * width, width)
    d.part("classifier", classes, width if second else 2 * width)
    return d.tensors


def vit(width=12, depth=2, patch=4, classes=5):
    """Tensors of a DeiT with a distillation token, under timm's names; images are (n 3 16 16)."""
    d = Drawn()
    for name, count in (("cls_token", 1), ("dist_token", 1), ("pos_embed", 18)):
        d.tensors[name] = d.draw.normal(0, 0.5, (1, count, width))
    d.part("patch_embed.proj", width, 3, patch, patch)
    for number in range(depth):
        start = f"blocks.{number}."
        for part in ("norm1", "norm2"):
            d.norm(start + part, width)
        for part, m, k in (("attn.qkv", 3 * width, width), ("attn.proj", width, width), ("mlp.fc1", 2 * width, width),
                           ("mlp.fc2", width, 2 * width)):
            d.part(start + part, m, k)
    d.norm("norm", width)
    for head in ("head", "head_dist"):
        d.part(head, classes, width)
    return d.tensors


class Convolutions:
    """A network of convolutions: each layer draws its weights when it is added."""

    def __init__(self):
        self.drawn = Drawn()
        self.b = Builder(self.drawn.tensors, "drawn")

    def conv(self, x, name, c, m, k=3, stride=1, groups=1, act="relu"):
        self.drawn.part(name, m, c // groups, k, k)
        x = self.b.conv(x, name, c, stride=stride, groups=groups)
        return self.b.act(f"{name}.act", x, act) if act else x

    def pool(self, x, name, stride=2):
        return self.b.add("MaxPool", name, (x,), kernel_shape=(3, 3), strides=(stride,) * 2, dilations=(1, 1), pads=(1,) * 4)

    def shuffled(self, x, name, c, side, groups):
        x = self.b.add("Reshape", f"{name}.groups", (x,), shape=(1, groups, c // groups, side, side))
        x = self.b.add("Transpose", f"{name}.turned", (x,), perm=(0, 2, 1, 3, 4))
        return self.b.add("Reshape", name, (x,), shape=(1, c, side, side))

    def excited(self, x, name, c):
        mean = self.b.add("ReduceMean", f"{name}.mean", (x,), axes=(2, 3), keepdims=0)
        mean = self.b.add("Reshape", f"{name}.pixel", (mean,), shape=(1, c, 1, 1))
        gate = self.conv(mean, f"{name}.up", c, c, 1, act=None)
        return self.b.add("Mul", name, (x, self.b.add("HardSigmoid", f"{name}.gate", (gate,), alpha=1 / 6, beta=0.5)))

    def headed(self, x, c):
        """The graph, on images (n 3 16 16)."""
        self.drawn.part("head", 5, c)
        mean = self.b.add("ReduceMean", "mean", (x,), axes=(2, 3), keepdims=0)
        return self.b.graph({"images": (1, 3, 16, 16)}, self.b.linear(mean, "head", 5, c), 5, {})


def resnet():
    n = Convolutions()
    x = n.pool(n.conv("images", "first", 3, 8), "pool")
    y = n.conv(n.conv(x, "a1", 8, 8), "a2", 8, 8, act=None)
    x = n.b.add("Relu", "a", (n.b.add("Add", "a.sum", (y, x)),))
    y = n.conv(n.conv(n.conv(x, "b1", 8, 6, 1), "b2", 6, 6, stride=2), "b3", 6, 12, 1, act=None)
    x = n.b.add("Add", "b.sum", (y, n.conv(x, "b.beside", 8, 12, 1, 2, act=None)))
    return n.headed(n.b.add("Relu", "b", (x,)), 12)


def inception():
    """SqueezeNet's and GoogLeNet's: branches of one image joined along its channels."""
    n = Convolutions()
    x = n.pool(n.conv("images", "first", 3, 8), "pool")
    branches = (n.conv(x, "one", 8, 4, 1), n.conv(n.conv(x, "squeezed", 8, 4, 1), "three", 4, 6),
                n.conv(n.pool(x, "around", 1), "pooled", 8, 3, 1))
    return n.headed(n.conv(n.b.add("Concat", "joined", branches, axis=1), "last", 13, 12, 1), 12)


def shufflenet():
    n = Convolutions()
    x = n.conv("images", "first", 3, 12, stride=2)
    left, right = (n.b.add("Slice", word, (x,), axis=1, start=start, stop=start + 6, step=1)
                   for word, start in (("left", 0), ("right", 6)))
    right = n.conv(n.conv(right, "deep", 6, 6, groups=6, act=None), "mixed", 6, 6, 1)
    x = n.shuffled(n.b.add("Concat", "joined", (left, right), axis=1), "shuffled", 12, 8, 2)
    return n.headed(n.conv(x, "grouped", 12, 24, 1, groups=3), 24)


def mobilenet():
    n = Convolutions()
    x = n.conv("images", "first", 3, 8, stride=2, act="hardswish")
    y = n.conv(n.conv(x, "wide", 8, 16, 1, act="hardswish"), "deep", 16, 16, groups=16, act="hardswish")
    y = n.conv(n.excited(y, "excited", 16), "narrow", 16, 8, 1, act=None)
    return n.headed(n.b.add("Add", "sum", (x, y)), 8)


DECODER = {"model_type": "llama", "hidden_act": "silu", "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 37, "max_position_embeddings": 12,
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True}
"""config.json of a small one."""


def decoder(config, seed=0):
    """The tensors of a decoder of the Llama kind, as Hugging Face names them: float32."""
    rng = np.random.default_rng(seed)
    width, hidden = config["hidden_size"], config["intermediate_size"]
    depth = width // config["num_attention_heads"]
    heads, shared = config["num_attention_heads"] * depth, config["num_key_value_heads"] * depth
    made = {"model.embed_tokens.weight": rng.normal(size=(config["vocab_size"], width)),
            "model.norm.weight": rng.uniform(0.5, 1.5, width)}
    for i in range(config["num_hidden_layers"]):
        start = f"model.layers.{i}."
        for part in ("input_layernorm", "post_attention_layernorm"):
            made[f"{start}{part}.weight"] = rng.uniform(0.5, 1.5, width)
        for part, shape in (("self_attn.q_proj", (heads, width)), ("self_attn.k_proj", (shared, width)),
                            ("self_attn.v_proj", (shared, width)), ("self_attn.o_proj", (width, heads)),
                            ("mlp.gate_proj", (hidden, width)), ("mlp.up_proj", (hidden, width)),
                            ("mlp.down_proj", (width, hidden))):
            made[f"{start}{part}.weight"] = rng.normal(0, 1.5 / shape[1] ** 0.5, shape)
    if not config["tie_word_embeddings"]:
        made["lm_head.weight"] = rng.normal(size=(config["vocab_size"], width))
    return {name: value.astype(np.float32) for name, value in made.items()}


def of_tensors(module, tensors, config):
    return lambda: module.build(tensors(), config, "drawn")


NETWORKS = {
    "deit": of_tensors(vit_of_tensors, vit, {"num_heads": 3, "img_size": 16}),
    "swin": of_tensors(swin_of_tensors, lambda: swin(SWIN), {"image_size": 16}),
    "mobilevit": of_tensors(first_mobilevit, mobilevit, {"image_size": 64, "num_attention_heads": 2}),
    "mobilevit2": of_tensors(second_mobilevit, lambda: mobilevit("mobilevitv2"), {"image_size": 64}),
    "llama": of_tensors(llama_of_tensors, lambda: decoder(DECODER), DECODER),
    "resnet": resnet, "inception": inception, "shufflenet": shufflenet, "mobilenet": mobilenet}
"""Family to a function that gives its canonical graph."""
DIALECTS = ("ivit", "tflite", "tosa")
FORMS = ("fqvit", "ibert", "ivit_tvm", "packqvit", "pulp_ita")
"""Dialects with transformer operations of their own, which those networks run under too."""
TRANSFORMERS = ("deit", "swin", "mobilevit", "mobilevit2", "llama")
PAIRS = tuple((family, dialect) for family in NETWORKS for dialect in DIALECTS + FORMS * (family in TRANSFORMERS))


def drawn_images(graph, count=2):
    (shape,) = graph.inputs.values()
    if graph.places:
        return np.random.default_rng(5).integers(0, min(graph.places.values()), (count, *shape[1:])).astype(np.int32)
    return np.random.default_rng(5).integers(-64, 65, (count, *shape[1:])) / 32


def coarse(grid):
    """An affine grid with 12 bits in its scale; other kinds have no digits that move."""
    if not isinstance(grid, Affine):
        return grid
    fraction, power = np.frexp(np.float64(grid.scale))
    scale = np.ldexp(np.ceil(fraction * 4096) / 4096, power)
    return Affine(grid.width, scale, grid.zero, grid.axis, grid.block, grid.narrow)


def program(family, dialect, recipe="int8"):
    """(the program of that family, images)."""
    graph = NETWORKS[family]()
    images, rules, target = drawn_images(graph), recipes.load(recipe), dialects.load(dialect)
    grids = {g: coarse(grid) for g, grid in choose(graph, observe(graph, images, rules), rules, target).items()}
    return quantize(graph, None, rules, target, grids), images
