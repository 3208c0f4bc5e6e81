"""Small vision networks in torch's modules, weights drawn from a seed: each name in NETWORKS makes one, ready for export.

Those that transformers has are its own classes with a small configuration; the others are written here from their papers:
SqueezeNet (1602.07360), GoogLeNet (1409.4842), ShuffleNet (1707.01083) and its second form (1807.11164), MobileNet
(1704.04861), its second form (1801.04381) and third (1905.02244), ResNet with both kinds of block (1512.03385).
"""
import contextlib
import io
import logging
import math
import warnings


def modules(torch):
    """The classes of the networks written here, by name."""
    nn, F = torch.nn, torch.nn.functional

    def conv(c, m, k=3, stride=1, groups=1, act=nn.ReLU):
        parts = [nn.Conv2d(c, m, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(m)]
        return nn.Sequential(*parts, *([act()] if act else []))

    def pooled(x):
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    class Fire(nn.Module):
        def __init__(self, c, squeezed, m):
            super().__init__()
            self.squeeze, self.one = nn.Conv2d(c, squeezed, 1), nn.Conv2d(squeezed, m, 1)
            self.three = nn.Conv2d(squeezed, m, 3, padding=1)

        def forward(self, x):
            x = F.relu(self.squeeze(x))
            return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)

    class SqueezeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.pool = nn.Conv2d(3, 16, 3, 2), nn.MaxPool2d(3, 2, ceil_mode=True)
            self.fires, self.last = nn.ModuleList([Fire(16, 8, 12), Fire(24, 8, 16)]), nn.Conv2d(32, 10, 1)

        def forward(self, x):
            x = self.pool(F.relu(self.first(x)))
            for fire in self.fires:
                x = fire(x)
            return pooled(F.relu(self.last(self.pool(x))))

    class Inception(nn.Module):
        def __init__(self, c, one, three, five, pool):
            super().__init__()
            self.one = conv(c, one, 1)
            self.three = nn.Sequential(conv(c, three[0], 1), conv(*three))
            self.five = nn.Sequential(conv(c, five[0], 1), conv(*five, 5))
            self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(c, pool, 1))

        def forward(self, x):
            return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)

    class GoogLeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.pool = conv(3, 16, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True)
            self.a, self.b = Inception(16, 8, (8, 12), (4, 6), 6), Inception(32, 8, (8, 12), (4, 6), 6)
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            return self.head(F.dropout(pooled(self.b(self.pool(self.a(self.pool(self.first(x)))))), training=self.training))

    def shuffled(x, groups):
        n, c, h, w = x.shape
        return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)

    class Grouped(nn.Module):
        """ShuffleNet's unit: grouped 1x1, shuffle, depthwise, grouped 1x1; halving ones join the averaged image."""

        def __init__(self, c, m, stride, groups=3):
            super().__init__()
            self.groups, self.halves = groups, stride == 2
            self.first, self.deep = conv(c, 12, 1, groups=groups), conv(12, 12, 3, stride, 12, None)
            self.last = conv(12, m - c if self.halves else m, 1, groups=groups, act=None)

        def forward(self, x):
            y = self.last(self.deep(shuffled(self.first(x), self.groups)))
            return F.relu(torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1) if self.halves else x + y)

    class ShuffleNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.pool = conv(3, 12, 3, 2), nn.MaxPool2d(3, 2, 1)
            self.units = nn.Sequential(Grouped(12, 24, 2), Grouped(24, 24, 1))
            self.head = nn.Linear(24, 10)

        def forward(self, x):
            return self.head(pooled(self.units(self.pool(self.first(x)))))

    class Halved(nn.Module):
        """ShuffleNet v2's unit: one half goes by, or through a depthwise convolution of its own where the image halves."""

        def __init__(self, c, m, stride):
            super().__init__()
            half, given = m // 2, c if stride == 2 else c // 2
            self.beside = nn.Sequential(conv(c, c, 3, 2, c, None), conv(c, half, 1)) if stride == 2 else None
            self.along = nn.Sequential(conv(given, half, 1), conv(half, half, 3, stride, half, None), conv(half, half, 1))

        def forward(self, x):
            left, right = (self.beside(x), x) if self.beside is not None else x.chunk(2, 1)
            return shuffled(torch.cat([left, self.along(right)], 1), 2)

    class ShuffleNet2(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.pool = conv(3, 12, 3, 2), nn.MaxPool2d(3, 2, 1)
            self.units, self.last = nn.Sequential(Halved(12, 24, 2), Halved(24, 24, 1)), conv(24, 32, 1)
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            return self.head(self.last(self.units(self.pool(self.first(x)))).mean([2, 3]))

    class MobileNet(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [conv(3, 8, 3, 2, act=nn.ReLU6)]
            for c, m, stride in ((8, 16, 1), (16, 24, 2), (24, 24, 1)):
                layers += [conv(c, c, 3, stride, c, nn.ReLU6), conv(c, m, 1, act=nn.ReLU6)]
            self.layers, self.head = nn.Sequential(*layers), nn.Linear(24, 10)

        def forward(self, x):
            return self.head(pooled(self.layers(x)))

    class Excite(nn.Module):
        """Squeeze and excite: a factor for each channel out of its mean."""

        def __init__(self, c):
            super().__init__()
            self.down, self.up = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

        def forward(self, x):
            return x * F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))

    class Inverted(nn.Module):
        def __init__(self, c, m, stride, act, excites):
            super().__init__()
            wide = 4 * c
            middle = [Excite(wide)] if excites else []
            self.layers = nn.Sequential(conv(c, wide, 1, act=act), conv(wide, wide, 3, stride, wide, act), *middle,
                                        conv(wide, m, 1, act=None))
            self.adds = stride == 1 and c == m

        def forward(self, x):
            return x + self.layers(x) if self.adds else self.layers(x)

    class MobileNet2(nn.Module):
        def __init__(self, act=nn.ReLU6, excites=False):
            super().__init__()
            units = [Inverted(c, m, stride, act, excites) for c, m, stride in ((8, 12, 1), (12, 16, 2), (16, 16, 1))]
            self.layers = nn.Sequential(conv(3, 8, 3, 2, act=act), *units, conv(16, 32, 1, act=act))
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            return self.head(pooled(self.layers(x)))

    class Residual(nn.Module):
        """`widths`: (3x3 3x3) of the basic block, or (1x1 3x3 1x1) of the bottleneck."""

        def __init__(self, c, widths, stride):
            super().__init__()
            kernels = (3, 3) if len(widths) == 2 else (1, 3, 1)
            parts, before = [], c
            for i, (m, k) in enumerate(zip(widths, kernels)):
                last = i == len(widths) - 1
                parts.append(conv(before, m, k, stride if i == len(widths) - 2 else 1, act=None if last else nn.ReLU))
                before = m
            self.layers = nn.Sequential(*parts)
            self.beside = conv(c, before, 1, stride, act=None) if stride > 1 or c != before else nn.Identity()

        def forward(self, x):
            return F.relu(self.layers(x) + self.beside(x))

    class ResNet(nn.Module):
        def __init__(self, blocks):
            super().__init__()
            self.first, self.pool = conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1)
            self.blocks = nn.Sequential(*(Residual(*block) for block in blocks))
            self.head = nn.Linear(blocks[-1][1][-1], 10)

        def forward(self, x):
            return self.head(pooled(self.blocks(self.pool(self.first(x)))))

    return {"squeezenet": SqueezeNet, "googlenet": GoogLeNet, "shufflenet": ShuffleNet, "shufflenet_v2": ShuffleNet2,
            "mobilenet_v1": MobileNet, "mobilenet_v2": MobileNet2,
            "mobilenet_v3": lambda: MobileNet2(nn.Hardswish, True),
            "resnet_basic": lambda: ResNet(((8, (8, 8), 1), (8, (12, 12), 2), (12, (12, 12), 1))),
            "resnet_bottleneck": lambda: ResNet(((8, (4, 4, 16), 1), (16, (6, 6, 24), 2), (24, (6, 6, 24), 1)))}


def vit_like(transformers, name, head="ForImageClassification"):
    config = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48, "image_size": 32,
              "patch_size": 8, "num_labels": 10}
    named = {"deit": "DeiT", "vit": "ViT"}[name]
    return getattr(transformers, f"{named}{head}")(getattr(transformers, f"{named}Config")(**config))


def swin(transformers, **changed):
    config = {"image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 4,
              "num_labels": 10}
    return transformers.SwinForImageClassification(transformers.SwinConfig(**config | changed))


def mobilevit(transformers, **changed):
    config = {"image_size": 64, "hidden_sizes": [12, 16, 20], "neck_hidden_sizes": [8, 8, 12, 12, 16, 16, 24],
              "num_attention_heads": 2, "expand_ratio": 2.0, "num_labels": 10}
    return transformers.MobileViTForImageClassification(transformers.MobileViTConfig(**config | changed))


def mobilevit_v2(transformers, **changed):
    config = {"image_size": 64, "width_multiplier": 0.25, "n_attn_blocks": [1, 1, 1], "base_attn_unit_dims": [32, 48, 64],
              "num_labels": 10}
    return transformers.MobileViTV2ForImageClassification(transformers.MobileViTV2Config(**config | changed))


TRANSFORMERS = {"deit": lambda t: vit_like(t, "deit"), "vit": lambda t: vit_like(t, "vit"),
                "deit taught": lambda t: vit_like(t, "deit", "ForImageClassificationWithTeacher"), "swin": swin,
                "mobilevit": mobilevit, "mobilevit_v2": mobilevit_v2}
NETWORKS = ("squeezenet", "googlenet", "shufflenet", "shufflenet_v2", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3",
            "resnet_basic", "resnet_bottleneck", "deit", "vit", "swin", "mobilevit", "mobilevit_v2")
SIDE = {name: 64 if name.startswith("mobilevit") else 32 for name in NETWORKS}
"""The side of the images that each takes."""


def drawn(torch, model, seed=0):
    """The model in float64 and for inference, its weights large enough that every layer matters, its statistics drawn."""
    draw = torch.Generator().manual_seed(seed)

    def normal(like, spread, middle=0.0):
        return torch.randn(like.shape, generator=draw) * spread + middle

    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if not value.is_floating_point():
                continue
            if value.dim() < 2 or "running" in name:
                unit = name.endswith("running_var") or name.endswith("weight")
                value.copy_(normal(value, 0.2, 1.0).abs() if unit else normal(value, 0.2))
            else:
                fan = math.prod(value.shape[1:])
                table = "position" in name or "cls_token" in name
                value.copy_(normal(value, 0.5 if table else math.sqrt(2 / fan)))
    return model.double().eval().requires_grad_(False)


def network(torch, name, transformers=None, seed=0):
    """The network `name` of NETWORKS; what TRANSFORMERS has needs that library."""
    torch.manual_seed(seed)
    model = TRANSFORMERS[name](transformers) if name in TRANSFORMERS else modules(torch)[name]()
    return drawn(torch, model, seed)


def logits(model, images):
    """What the network says of images (n c h w), as an array (n classes)."""
    result = model(images)
    return getattr(result, "logits", result).detach().numpy()


def exported(torch, model, path, exporter="old", side=32, opset=18, count=1):
    """Writes the model as ONNX by torch's `old` or `new` exporter, for `count` images (3 side side)."""
    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            result = self.model(x)
            return getattr(result, "logits", result)

    if exporter == "old" and hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation("eager")          # its form of fused attention takes no mask in float64
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            images = torch.zeros(count, 3, side, side, dtype=next(model.parameters()).dtype)
            torch.onnx.export(Logits().eval(), (images,), path, dynamo=exporter == "new", opset_version=opset)
    finally:
        logging.disable(logging.NOTSET)
    return path
