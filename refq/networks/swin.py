"""swin: Swin transformers from named tensors, as Hugging Face (old and new names), timm and the authors store them.

    patches -> norm -> stages of blocks, between two of them patches merge four to one -> norm -> mean -> head
    block: x + attention(norm1(x)) inside windows, then x + fc2(gelu(fc1(norm2(x)))); every second block shifts its windows

Windows partition the image by moves alone; a shift is two slices joined the other way round, and tokens that it brings together
from opposite borders do not see each other (a mask). Each head adds a constant bias for every pair of places. Where a window does
not divide the image, zeros are added at its right and lower ends before the partition and cut off behind, as Hugging Face does
it; they take part in attention. Source: Liu et al. 2021; transformers modeling_swin.py; timm swin_transformer.py.
"""
import math
import re
from dataclasses import dataclass

import numpy as np

from refq.errors import IllFormed
from refq.graph.assemble import Builder, epsilon, image_size, setting

SIDE = 224
"""The images that Swin is trained on, where nothing says it."""
FIXED = 1e-5
"""The epsilon of the norms behind the patches and before a merge, whatever the configuration says."""
IGNORED = ("relative_position_index", "attn_mask", "mask_token")


@dataclass(frozen=True)
class Naming:
    """What one project calls the parts; {} {} are the numbers of stage and block, parts of a block begin after them."""

    patch: str
    norm0: str
    pos: str
    block: str
    norm1: str
    qkv: tuple
    table: str
    proj: str
    norm2: str
    fc1: str
    fc2: str
    merge: str
    norm: str
    head: str


def hugging_face(qkv, table, proj, fc1, fc2):
    return Naming("swin.embeddings.patch_embeddings.projection", "swin.embeddings.norm", "swin.embeddings.position_embeddings",
                  "swin.encoder.layers.{}.blocks.{}.", "layernorm_before", qkv, table, proj, "layernorm_after", fc1, fc2,
                  "swin.encoder.layers.{}.downsample", "swin.layernorm", "classifier")


def timm(head):
    return Naming("patch_embed.proj", "patch_embed.norm", "absolute_pos_embed", "layers.{}.blocks.{}.", "norm1", ("attn.qkv",),
                  "attn.relative_position_bias_table", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2", "layers.{}.downsample", "norm",
                  head)


namings = (
    hugging_face(tuple(f"attention.self.{word}" for word in ("query", "key", "value")),
                 "attention.self.relative_position_bias_table", "attention.output.dense", "intermediate.dense", "output.dense"),
    hugging_face(tuple(f"attention.{word}_proj" for word in "qkv"),
                 "attention.relative_position_bias.relative_position_bias_table", "attention.o_proj", "mlp.fc1", "mlp.fc2"),
    timm("head.fc"), timm("head"))


def naming_of(names):
    """The naming that the names fit; None where none does."""
    def told(naming):
        return {f"{naming.block.format(0, 0)}{naming.table}", f"{naming.patch}.weight", f"{naming.head}.weight"}
    return next((naming for naming in namings if told(naming) <= set(names)), None)


def recognizes(names):
    return naming_of(names) is not None


def depths(names, naming):
    """How many blocks each stage has."""
    pattern = re.compile(re.escape(naming.block).replace(r"\{\}", r"(\d{1,3})"))
    found = {tuple(map(int, m.groups())) for name in names if (m := pattern.match(name))}
    return [1 + max(block for stage, block in found if stage == number) if any(s == number for s, _ in found) else 0
            for number in range(1 + max(stage for stage, _ in found))]


@dataclass(frozen=True)
class Block:
    """`grid`: rows and columns of tokens; `window`: its side; `shift`: by how many places it is moved."""

    grid: tuple
    width: int
    heads: int
    window: int
    shift: int
    eps: float
    act: str


def places(window):
    """Which row of the table belongs to each pair of places of a window: (w*w, w*w)."""
    at = np.stack(np.meshgrid(np.arange(window), np.arange(window), indexing="ij")).reshape(2, -1)
    down, across = at[:, :, None] - at[:, None, :] + window - 1
    return down * (2 * window - 1) + across


def seen(grid, window, shift):
    """For each window, whether two of its places lay beside each other before the shift: (windows, w*w, w*w) of 0 and 1."""
    parts = [(np.arange(n) >= n - window).astype(int) + (np.arange(n) >= n - shift) for n in grid]
    region = parts[0][:, None] * 3 + parts[1][None, :]
    high, wide = (n // window for n in grid)
    mine = region.reshape(high, window, wide, window).transpose(0, 2, 1, 3).reshape(high * wide, -1)
    return (mine[:, :, None] == mine[:, None, :]).astype(np.float64)


def rolled(builder, name, x, grid, by):
    """The image of tokens (1 rows columns width) moved by so many places towards its upper left, what leaves enters opposite."""
    for axis, n in ((1, grid[0]), (2, grid[1])):
        first, second = (builder.add("Slice", f"{name}.{word}{axis}", (x,), axis=axis, start=start, stop=stop, step=1)
                         for word, start, stop in (("near", by % n, n), ("far", 0, by % n)))
        x = builder.add("Concat", f"{name}.rolled{axis}", (first, second), axis=axis)
    return x


def windows_of(builder, start, x, b, whole):
    """Tokens (1 n width) as windows (1 windows w*w width): padded to `whole` windows and shifted."""
    x = builder.add("Reshape", f"{start}image", (x,), shape=(1, *b.grid, b.width))
    if whole != b.grid:
        ends = (0, whole[0] - b.grid[0], whole[1] - b.grid[1], 0)
        x = builder.add("Pad", f"{start}padded", (x,), pads=(0, 0, 0, 0, *ends), value=0.0)
    if b.shift:
        x = rolled(builder, f"{start}shift", x, whole, b.shift)
    high, wide = (n // b.window for n in whole)
    x = builder.add("Reshape", f"{start}parts", (x,), shape=(1, high, b.window, wide, b.window, b.width))
    x = builder.add("Transpose", f"{start}parts.windows", (x,), perm=(0, 1, 3, 2, 4, 5))
    return builder.add("Reshape", f"{start}windows", (x,), shape=(1, high * wide, b.window ** 2, b.width))


def image_of(builder, start, x, b, whole):
    """The way back: windows as tokens."""
    high, wide = (n // b.window for n in whole)
    x = builder.add("Reshape", f"{start}joined.parts", (x,), shape=(1, high, wide, b.window, b.window, b.width))
    x = builder.add("Transpose", f"{start}joined.rows", (x,), perm=(0, 1, 3, 2, 4, 5))
    x = builder.add("Reshape", f"{start}joined.image", (x,), shape=(1, *whole, b.width))
    if b.shift:
        x = rolled(builder, f"{start}back", x, whole, -b.shift)
    for axis, (n, m) in enumerate(zip(b.grid, whole), 1):
        if n != m:
            x = builder.add("Slice", f"{start}cut{axis}", (x,), axis=axis, start=0, stop=n, step=1)
    return builder.add("Reshape", f"{start}tokens", (x,), shape=(1, b.grid[0] * b.grid[1], b.width))


def block(builder, x, naming, start, b):
    """One block on tokens (1 n width)."""
    whole = tuple(-(-n // b.window) * b.window for n in b.grid)
    count, tokens = math.prod(n // b.window for n in whole), b.window ** 2
    attn = start + naming.table.rpartition(".")[0].split(".")[0]
    y = windows_of(builder, start, builder.norm(x, start + naming.norm1, b.width, b.eps), b, whole)
    if len(naming.qkv) == 1:
        joined = builder.linear(y, start + naming.qkv[0], 3 * b.width, b.width)
        parts = [builder.add("Slice", f"{attn}.{word}", (joined,), axis=3, start=at, stop=at + b.width, step=1)
                 for word, at in zip("qkv", range(0, 3 * b.width, b.width))]
    else:
        parts = [builder.linear(y, start + part, b.width, b.width) for part in naming.qkv]
    table = builder.take(start + naming.table, (2 * b.window - 1) ** 2, b.heads)
    masked = {"bias": table[places(b.window)].transpose(2, 0, 1)[None, None]}
    if b.shift:
        masked["mask"] = seen(whole, b.window, b.shift)[None, :, None]
    y = builder.attention(attn, *parts, (1, count, tokens, b.width), b.heads, **masked)
    y = builder.linear(y, start + naming.proj, b.width, b.width)
    x = builder.add("Add", f"{start}add1", (x, image_of(builder, start, y, b, whole)))
    y = builder.norm(x, start + naming.norm2, b.width, b.eps)
    hidden = builder.size(f"{start}{naming.fc1}.weight", 0, 2)
    y = builder.act(f"{start}act", builder.linear(y, start + naming.fc1, hidden, b.width), b.act)
    return builder.add("Add", f"{start}add2", (x, builder.linear(y, start + naming.fc2, b.width, hidden)))


def merged(builder, x, part, grid, width):
    """Four neighbours become one token: (tokens (1 n/4 2*width), their grid); odd sides get a row or column of zeros."""
    even = tuple(n + n % 2 for n in grid)
    x = builder.add("Reshape", f"{part}.image", (x,), shape=(1, *grid, width))
    if even != grid:
        x = builder.add("Pad", f"{part}.padded", (x,), pads=(0, 0, 0, 0, 0, grid[0] % 2, grid[1] % 2, 0), value=0.0)
    corners = []
    for column in range(2):
        for row in range(2):
            rows = builder.add("Slice", f"{part}.rows{row}{column}", (x,), axis=1, start=row, stop=even[0], step=2)
            corners.append(builder.add("Slice", f"{part}.part{row}{column}", (rows,), axis=2, start=column, stop=even[1], step=2))
    half = (even[0] // 2, even[1] // 2)
    x = builder.add("Concat", f"{part}.joined", tuple(corners), axis=3)
    x = builder.add("Reshape", f"{part}.tokens", (x,), shape=(1, half[0] * half[1], 4 * width))
    x = builder.norm(x, f"{part}.norm", 4 * width, FIXED)
    return builder.linear(x, f"{part}.reduction", builder.size(f"{part}.reduction.weight", 0, 2), 4 * width), half


def windowed(builder, table, grid, odd):
    """(side of the windows, heads, shift) of a block, from its table of biases; a grid of one window is not shifted."""
    rows, heads = builder.size(table, 0, 2), builder.size(table, 1, 2)
    window = (math.isqrt(rows) + 1) // 2
    if (2 * window - 1) ** 2 != rows:
        raise IllFormed(f"{builder.name}: tensor {table} has {rows} rows; a window of w x w takes (2w-1) x (2w-1).")
    if window > min(grid):
        raise IllFormed(f"{builder.name}: tensor {table} is for windows of {window}x{window}, and its stage has "
                        f"{grid[0]}x{grid[1]} tokens; mend image_size in config.json.")
    return window, heads, window // 2 if odd and min(grid) > window else 0


def build(tensors, config, name):
    """The canonical graph of the network. `tensors`: name to float64 array; `config`: the parsed config.json, {} where there is
    none; `name` stands in messages. Raises IllFormed for missing, unexpected and misshapen tensors, heads that do not divide a
    width, and windows larger than the image."""
    builder, naming = Builder(tensors, name), naming_of(tensors)
    eps = epsilon(config, name) or 1e-5
    act = setting(config, "hidden_act") or "gelu"
    size = image_size(config, name)
    if size is None:
        size = [SIDE, SIDE]
        builder.note(f"The image size is not written in the file: {SIDE}x{SIDE}, by convention.")
    width, patch = builder.size(f"{naming.patch}.weight", 0, 4), builder.size(f"{naming.patch}.weight", 3, 4)
    channels = builder.size(f"{naming.patch}.weight", 1, 4)
    grid = tuple(-(-n // patch) for n in size)
    x = builder.conv("images", naming.patch, channels, stride=patch, pads=(0, 0, *(m * patch - n for m, n in zip(grid, size))))
    x = builder.add("Reshape", f"{naming.patch}.flat", (x,), shape=(1, width, grid[0] * grid[1]))
    x = builder.add("Transpose", f"{naming.patch}.tokens", (x,), perm=(0, 2, 1))
    x = builder.norm(x, naming.norm0, width, FIXED)
    if naming.pos in tensors:
        positions = builder.constant(naming.pos, builder.take(naming.pos, 1, grid[0] * grid[1], width))
        x = builder.add("Add", "positions", (x, positions))
    later = f"{naming.merge.format(0)}.reduction.weight" not in tensors     # timm's newer files: the stage behind a merge has it
    for stage, depth in enumerate(depths(tensors, naming)):
        for number in range(depth):
            start = naming.block.format(stage, number)
            window, heads, shift = windowed(builder, start + naming.table, grid, number % 2)
            if width % heads:
                raise IllFormed(f"{name}: {heads} heads of {start}{naming.table} do not divide the width {width}.")
            x = block(builder, x, naming, start, Block(grid, width, heads, window, shift, eps, act))
        part = naming.merge.format(stage + later)
        if f"{part}.reduction.weight" in tensors:
            x, grid = merged(builder, x, part, grid, width)
            width = builder.size(f"{part}.reduction.weight", 0, 2)
    x = builder.add("ReduceMean", "head.mean", (builder.norm(x, naming.norm, width, eps),), axes=(1,), keepdims=0)
    classes = builder.size(f"{naming.head}.weight", 0, 2)
    output = builder.linear(x, naming.head, classes, width)
    return builder.graph({"images": (1, channels, *size)}, output, classes, config, IGNORED)
