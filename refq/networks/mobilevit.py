"""mobilevit: MobileViT from named tensors, as Hugging Face stores them.

    stem -> inverted residuals -> three MobileViT blocks, each halving the image -> 1x1 convolution -> mean -> head
    inverted residual: 1x1 to more channels, 3x3 for each channel alone, 1x1 back; added to its input where the shapes agree
    MobileViT block: inverted residual, 3x3 and 1x1 convolutions, unfold, transformer blocks, norm, fold, 1x1, then a 3x3
    convolution of the block's input and that, one behind the other

Unfolding turns an image into as many rows of tokens as a patch has pixels: the token at place (i, j) of every patch sees those at
(i, j) of the others. It is moves alone. Batch norms are folded into the convolutions. Source: Mehta and Rastegari 2021
(2110.02178); transformers modeling_mobilevit.py.
"""
import re

from refq.errors import IllFormed, Unsupported
from refq.graph.assemble import Builder, epsilon, image_size, setting

ROOT = "mobilevit"
SIDE = 256
"""The images that MobileViT is trained on, where nothing says it."""
COUNTERS = ("num_batches_tracked",)


def recognizes(names):
    return f"{ROOT}.conv_stem.convolution.weight" in names and "classifier.weight" in names


class Images:
    """Builds on images (1 c h w): `x` the tensor, `c` its channels, `size` its height and width."""

    def __init__(self, builder, channels, size, act):
        self.builder, self.x, self.c, self.size, self.act = builder, "images", channels, tuple(size), act

    def conv(self, part, stride=1, normed=True, active=True, groups=1):
        """A convolution, its batch norm folded in, and the activation."""
        b = self.builder
        name = f"{part}.convolution"
        self.x = b.conv(self.x, name, self.c, f"{part}.normalization" if normed else "", stride, groups)
        self.c, self.size = b.size(f"{name}.weight", 0, 4), tuple(-(-n // stride) for n in self.size)
        if active:
            self.x = b.act(f"{part}.activation", self.x, self.act)

    def inverted(self, part, stride):
        """An inverted residual block."""
        before, c = self.x, self.c
        self.conv(f"{part}.expand_1x1")
        self.conv(f"{part}.conv_3x3", stride, groups=self.c)
        self.conv(f"{part}.reduce_1x1", active=False)
        if stride == 1 and self.c == c:
            self.x = self.builder.add("Add", f"{part}.add", (before, self.x))

    def parts(self, patch, part):
        """(rows, columns) of patches; raises IllFormed where they do not fill the image."""
        if any(n % patch for n in self.size):
            raise IllFormed(f"{self.builder.name}: patches of {patch}x{patch} do not divide the image of {part}, which is "
                            f"{self.size[0]}x{self.size[1]}; mend image_size in config.json, so that they divide every block's.")
        return tuple(n // patch for n in self.size)

    def unfolded(self, part, patch, order):
        """The image as patches (1 c rows patch columns patch), its axes then in `order`."""
        high, wide = self.parts(patch, part)
        x = self.builder.add("Reshape", f"{part}.patches", (self.x,), shape=(1, self.c, high, patch, wide, patch))
        return self.builder.add("Transpose", f"{part}.unfolded", (x,), perm=order)

    def folded(self, part, patch, x, shape, order):
        """The way back, from `shape`, whose axes in `order` are (1 c rows patch columns patch)."""
        x = self.builder.add("Reshape", f"{part}.rows", (x,), shape=shape)
        x = self.builder.add("Transpose", f"{part}.folded", (x,), perm=order)
        self.x = self.builder.add("Reshape", f"{part}.image", (x,), shape=(1, self.c, *self.size))


def numbers(names, start):
    """The numbers that follow `start` in names, in order."""
    pattern = re.compile(re.escape(start) + r"(\d{1,3})\.")
    return sorted({int(m.group(1)) for name in names if (m := pattern.match(name))})


def transformer(builder, x, start, shape, heads, eps, act):
    """One transformer block on rows of tokens (1 rows n width)."""
    width, attn = shape[-1], f"{start}attention"
    if width % heads:
        raise IllFormed(f"{builder.name}: {heads} heads do not divide the width {width} of {attn}; mend num_attention_heads in "
                        "config.json.")
    y = builder.norm(x, f"{start}layernorm_before", width, eps)
    parts = [builder.linear(y, f"{attn}.attention.{word}", width, width) for word in ("query", "key", "value")]
    y = builder.attention(attn, *parts, shape, heads)
    x = builder.add("Add", f"{start}add1", (builder.linear(y, f"{attn}.output.dense", width, width), x))
    y = builder.norm(x, f"{start}layernorm_after", width, eps)
    hidden = builder.size(f"{start}intermediate.dense.weight", 0, 2)
    y = builder.act(f"{start}act", builder.linear(y, f"{start}intermediate.dense", hidden, width), act)
    return builder.add("Add", f"{start}add2", (builder.linear(y, f"{start}output.dense", width, hidden), x))


def block(images, part, patch, heads, eps):
    """A MobileViT block."""
    b = images.builder
    images.inverted(f"{part}.downsampling_layer", 2)
    before, c = images.x, images.c
    images.conv(f"{part}.conv_kxk")
    images.conv(f"{part}.conv_1x1", normed=False, active=False)
    (high, wide), width = images.parts(patch, part), images.c
    shape = (1, patch * patch, high * wide, width)
    x = b.add("Reshape", f"{part}.tokens", (images.unfolded(part, patch, (0, 3, 5, 2, 4, 1)),), shape=shape)
    for number in numbers(b.tensors, f"{part}.transformer.layer."):
        x = transformer(b, x, f"{part}.transformer.layer.{number}.", shape, heads, eps, images.act)
    x = b.norm(x, f"{part}.layernorm", width, eps)
    images.folded(part, patch, x, (1, patch, patch, high, wide, width), (0, 5, 3, 1, 4, 2))
    images.conv(f"{part}.conv_projection")
    images.x, images.c = b.add("Concat", f"{part}.joined", (before, images.x), axis=1), c + images.c
    images.conv(f"{part}.fusion")


def settings(builder, config):
    """(image size, patch, activation, epsilon of the norms); raises Unsupported for a backbone that is dilated."""
    size = image_size(config, builder.name)
    if size is None:
        size = [SIDE, SIDE]
        builder.note(f"The image size is not written in the file: {SIDE}x{SIDE}, by convention.")
    patch = setting(config, "patch_size") or 2
    if type(patch) is not int or patch < 1:
        raise IllFormed(f"{builder.name}: the patch_size {patch!r} in config.json is not a positive integer.")
    if (stride := setting(config, "output_stride") or 32) != 32:
        raise Unsupported(f"{builder.name}: output_stride {stride} in config.json is not supported; 32 is: classifiers have it.")
    return size, patch, setting(config, "hidden_act") or "silu", epsilon(config, builder.name) or 1e-5


def backbone(images, root, layer):
    """The stem and the layers of the encoder; those with a transformer are built by `layer(images, part)`."""
    b = images.builder
    images.conv(f"{root}.conv_stem", 2)
    for number in numbers(b.tensors, f"{root}.encoder.layer."):
        part = f"{root}.encoder.layer.{number}"
        if inside := numbers(b.tensors, f"{part}.layer."):
            for i in inside:
                images.inverted(f"{part}.layer.{i}", 2 if number and not i else 1)
        else:
            layer(images, part)


def headed(images, config):
    """The mean of the image and the head, as the graph."""
    b = images.builder
    mean = b.add("ReduceMean", "head.mean", (images.x,), axes=(2, 3), keepdims=0)
    classes = b.size("classifier.weight", 0, 2)
    return b.linear(mean, "classifier", classes, images.c), classes


def build(tensors, config, name):
    """The canonical graph of the network. `tensors`: name to float64 array; `config`: the parsed config.json, {} where there is
    none; `name` stands in messages. Raises IllFormed for missing, unexpected and misshapen tensors, heads that do not divide a
    width, and patches that do not divide a block's image; Unsupported for dilated backbones."""
    builder = Builder(tensors, name)
    size, patch, act, eps = settings(builder, config)
    heads = setting(config, "num_attention_heads")
    if heads is None:
        heads = 4
        builder.note("The number of heads is not written in the file: 4, as all published networks have it.")
    channels = builder.size(f"{ROOT}.conv_stem.convolution.weight", 1, 4)
    images = Images(builder, channels, size, act)
    backbone(images, ROOT, lambda images, part: block(images, part, patch, heads, eps))
    images.conv(f"{ROOT}.conv_1x1_exp")
    output, classes = headed(images, config)
    return builder.graph({"images": (1, channels, *size)}, output, classes, config, COUNTERS)
