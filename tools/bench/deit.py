"""DeiT-tiny for the benches: 224x224 pixels, 12 blocks of width 192 with 3 heads, drawn weights, written as ONNX by torch.

What it computes is worth nothing; how long it takes and how much room it needs is that of the real one.
"""
import sys
from pathlib import Path

import numpy as np

SIDE, PATCH, WIDTH, HEADS, BLOCKS, CLASSES = 224, 16, 192, 3, 12, 1000


def export(path, seed=0):
    """Write the network, image (n 3 224 224) -> logits (n 1000), with weights drawn from `seed`; gives the path back."""
    try:
        import torch
        from torch import nn
    except ImportError:
        sys.exit('torch is missing: pip install ".[peers]", or give --model FILE.onnx')

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH, 1e-6), nn.LayerNorm(WIDTH, 1e-6)
            self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            n, tokens, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).reshape(n, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
            shares = (q * (WIDTH // HEADS) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
            x = x + self.proj((shares @ v).transpose(1, 2).reshape(n, tokens, WIDTH))
            return x + self.fc2(nn.functional.gelu(self.fc1(self.norm2(x))))

    class Deit(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
            self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
            self.places = nn.Parameter(torch.randn(1, (SIDE // PATCH) ** 2 + 1, WIDTH))
            self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
            self.norm, self.head = nn.LayerNorm(WIDTH, 1e-6), nn.Linear(WIDTH, CLASSES)

        def forward(self, image):
            x = self.patches(image).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
            return self.head(self.norm(self.blocks(x))[:, 0])

    torch.manual_seed(seed)
    image = torch.randn(1, 3, SIDE, SIDE)
    torch.onnx.export(Deit().eval(), (image,), str(path), dynamo=True, opset_version=18, input_names=["image"],
                      output_names=["logits"], external_data=False, verbose=False)
    return Path(path)


def images(count, seed=1):
    """Drawn images (n 3 224 224), float32, of about the spread of normalised pictures."""
    return np.random.default_rng(seed).standard_normal((count, 3, SIDE, SIDE), np.float32)
