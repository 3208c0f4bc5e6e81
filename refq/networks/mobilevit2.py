"""mobilevit2: MobileViT v2 from named tensors, as Hugging Face stores them.

    stem -> inverted residuals -> three MobileViT blocks, each halving the image -> mean -> head
    block: inverted residual, 3x3 for each channel alone, 1x1, unfold, transformer blocks, norm, fold, 1x1

Its attention is linear in the number of tokens: one score for each token, a softmax over the patches, keys weighted by it and
summed to one context for all, which multiplies the rectified values:

    out(relu(v) * sum over patches of k * softmax(score))

Norms are group norms of one group, over all that one image holds. Source: Mehta and Rastegari 2022 (2206.02680); transformers
modeling_mobilevitv2.py.
"""
from refq.graph.assemble import Builder
from refq.networks.mobilevit import COUNTERS, Images, backbone, headed, numbers, settings

ROOT = "mobilevitv2"


def recognizes(names):
    return f"{ROOT}.conv_stem.convolution.weight" in names and "classifier.weight" in names


def group_norm(builder, x, part, width, eps):
    weight, bias = (builder.constant(f"{part}.{end}", builder.take(f"{part}.{end}", width)) for end in ("weight", "bias"))
    return builder.add("GroupNormalization", part, (x, weight, bias), num_groups=1, epsilon=eps)


def pixelwise(builder, x, part, c):
    """A 1x1 convolution with a bias: (tensor, its channels)."""
    return builder.conv(x, f"{part}.convolution", c), builder.size(f"{part}.convolution.weight", 0, 4)


def attention(builder, x, part, shape):
    """Separable attention of tokens (1 width places patches)."""
    width = shape[1]
    joined, _ = pixelwise(builder, x, f"{part}.qkv_proj", width)
    score, key, value = (builder.add("Slice", f"{part}.{word}", (joined,), axis=1, start=start, stop=stop, step=1)
                         for word, start, stop in (("score", 0, 1), ("key", 1, 1 + width), ("value", 1 + width, 1 + 2 * width)))
    weights = builder.add("Softmax", f"{part}.softmax", (score,))
    weighted = builder.add("Mul", f"{part}.weighted", (key, weights))
    context = builder.add("ReduceSum", f"{part}.sum", (weighted,), axes=(3,), keepdims=0)
    context = builder.add("Reshape", f"{part}.context", (context,), shape=(*shape[:3], 1))
    gated = builder.add("Mul", f"{part}.gated", (builder.add("Relu", f"{part}.relu", (value,)), context))
    return pixelwise(builder, gated, f"{part}.out_proj", width)[0]


def transformer(builder, x, start, shape, eps, act):
    """One transformer block on tokens (1 width places patches)."""
    width = shape[1]
    y = attention(builder, group_norm(builder, x, f"{start}layernorm_before", width, eps), f"{start}attention", shape)
    x = builder.add("Add", f"{start}add1", (y, x))
    y = group_norm(builder, x, f"{start}layernorm_after", width, eps)
    y, hidden = pixelwise(builder, y, f"{start}ffn.conv1", width)
    y, _ = pixelwise(builder, builder.act(f"{start}act", y, act), f"{start}ffn.conv2", hidden)
    return builder.add("Add", f"{start}add2", (y, x))


def block(images, part, patch, eps):
    """A MobileViT v2 block."""
    b = images.builder
    images.inverted(f"{part}.downsampling_layer", 2)
    images.conv(f"{part}.conv_kxk", groups=images.c)
    images.conv(f"{part}.conv_1x1", normed=False, active=False)
    high, wide = images.parts(patch, part)
    shape = (1, images.c, patch * patch, high * wide)
    x = b.add("Reshape", f"{part}.tokens", (images.unfolded(part, patch, (0, 1, 3, 5, 2, 4)),), shape=shape)
    for number in numbers(b.tensors, f"{part}.transformer.layer."):
        x = transformer(b, x, f"{part}.transformer.layer.{number}.", shape, eps, images.act)
    x = group_norm(b, x, f"{part}.layernorm", images.c, eps)
    images.folded(part, patch, x, (1, images.c, patch, patch, high, wide), (0, 1, 4, 2, 5, 3))
    images.conv(f"{part}.conv_projection", active=False)


def build(tensors, config, name):
    """The canonical graph of the network. `tensors`: name to float64 array; `config`: the parsed config.json, {} where there is
    none; `name` stands in messages. Raises IllFormed for missing, unexpected and misshapen tensors and for patches that do not
    divide a block's image; Unsupported for dilated backbones."""
    builder = Builder(tensors, name)
    size, patch, act, eps = settings(builder, config)
    channels = builder.size(f"{ROOT}.conv_stem.convolution.weight", 1, 4)
    images = Images(builder, channels, size, act)
    backbone(images, ROOT, lambda images, part: block(images, part, patch, eps))
    output, classes = headed(images, config)
    return builder.graph({"images": (1, channels, *size)}, output, classes, config, COUNTERS)
