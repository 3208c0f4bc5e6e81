"""Train the embedded network: a small pre-norm vision transformer on the UCI handwritten digits.

    python tools/train_digits.py [--out refq/embedded] [--report]

Writes digits.safetensors (timm's tensor names), config.json, digits.onnx and images.npz, and prints the accuracy on the
held-out images: of the float network, and of simulations of its int8 and 4-bit-weight forms. `--report` trains nothing
and prints the same of the files that are there.

The 1,797 images are those that scikit-learn ships; 1,437 train and 360 test, stratified, seed 0. The test images choose
nothing: the number of epochs is fixed, and the weights are the average over the last epochs. In the second half of the
training each batch is also seen through coarse grids (4-bit weights, 8-bit activations, GELU and softmax as I-ViT
computes them), so that small weights carry no outliers and rounding costs little.

One thread and one seed: the same machine and torch give the same bytes. Needs torch 2.13.0, onnxscript, onnxruntime,
scikit-learn and safetensors.
"""
import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from coarse import Calibrated, Coarse, Exact, Watched
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

CONFIG = {
    "architecture": "vit", "image_size": 8, "patch_size": 2, "in_chans": 1, "embed_dim": 64, "depth": 4, "num_heads": 4,
    "mlp_ratio": 2.0, "num_classes": 10, "layer_norm_eps": 1e-6, "pixels": [0, 16], "mean": [8.0], "std": [8.0],
}
EPOCHS, AVERAGED, BATCH, RATE, SEED = 160, 40, 64, 1.5e-3, 0
CALIBRATION = 256


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim = c["embed_dim"]
        self.norm1, self.attn = nn.LayerNorm(dim, c["layer_norm_eps"]), Attention(dim, c["num_heads"])
        self.norm2, self.mlp = nn.LayerNorm(dim, c["layer_norm_eps"]), Mlp(dim, int(dim * c["mlp_ratio"]))


class PatchEmbed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Conv2d(c["in_chans"], c["embed_dim"], c["patch_size"], c["patch_size"])


class Vit(nn.Module):
    """timm's VisionTransformer with the class token as pool; `forward` takes normalised images (n 1 8 8)."""

    def __init__(self, c):
        super().__init__()
        dim, tokens = c["embed_dim"], (c["image_size"] // c["patch_size"]) ** 2 + 1
        self.cls_token, self.pos_embed = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, tokens, dim))
        self.patch_embed = PatchEmbed(c)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["depth"]))
        self.norm, self.head = nn.LayerNorm(dim, c["layer_norm_eps"]), nn.Linear(dim, c["num_classes"])
        for name, p in self.named_parameters():
            if p.ndim > 1:
                nn.init.trunc_normal_(p, std=0.02 if "token" in name or "pos" in name else p[0].numel() ** -0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x, seen=None):
        seen = seen or Exact()
        proj = self.patch_embed.proj
        x = F.conv2d(seen.code("image", x), seen.weight("patch", proj.weight), proj.bias, proj.stride)
        x = seen.code("patches", x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        x = seen.code("embedded stream", x)
        for i, block in enumerate(self.blocks):
            at = f"blocks.{i}."
            x = seen.code(f"{at}1 stream", x + self.attend(block, x, seen, at))
            x = seen.code(f"{at}2 stream", x + self.mix(block, x, seen, at))
        return F.linear(seen.code("norm", self.norm(x)[:, 0]), seen.weight("head", self.head.weight), self.head.bias)

    @staticmethod
    def linear(layer, x, seen, name):
        return seen.code(name, F.linear(x, seen.weight(name, layer.weight), layer.bias))

    def attend(self, block, x, seen, at):
        n, t, d = x.shape
        heads = block.attn.heads
        qkv = self.linear(block.attn.qkv, seen.code(f"{at}norm1", block.norm1(x)), seen, f"{at}qkv")
        q, k, v = qkv.reshape(n, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = seen.code(f"{at}scores", q @ k.transpose(-2, -1) * (d // heads) ** -0.5)
        mixed = seen.code(f"{at}mixed", seen.code(f"{at}weights", seen.softmax(scores)) @ v)
        return self.linear(block.attn.proj, mixed.transpose(1, 2).reshape(n, t, d), seen, f"{at}proj")

    def mix(self, block, x, seen, at):
        hidden = self.linear(block.mlp.fc1, seen.code(f"{at}norm2", block.norm2(x)), seen, f"{at}fc1")
        return self.linear(block.mlp.fc2, seen.code(f"{at}gelu", seen.gelu(hidden)), seen, f"{at}fc2")


def split():
    """Pixels 0..16 as uint8 (n 8 8) and labels: of 1,437 training images, then of 360 test images."""
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    a, b, c, d = train_test_split(images, labels, test_size=360, stratify=labels, random_state=0)
    return a, c, b, d


def normal(images):
    """uint8 (n 8 8) -> float32 (n 1 8 8)."""
    return (torch.from_numpy(np.ascontiguousarray(images)).float()[:, None] - CONFIG["mean"][0]) / CONFIG["std"][0]


def varied(x):
    """Each image turned by up to about 8 degrees, scaled by up to 8 % and moved by up to a pixel, with a little noise;
    outside the image lies background."""
    n = len(x)
    turn, size = torch.randn(n) * 0.07, 1 + torch.randn(n) * 0.04
    move = torch.rand(n, 2) * 0.5 - 0.25                        # of half an image: one pixel
    cos, sin = torch.cos(turn) * size, torch.sin(turn) * size
    theta = torch.stack([torch.stack([cos, -sin, move[:, 0]], 1), torch.stack([sin, cos, move[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    x = F.grid_sample(x + 1, grid, align_corners=False) - 1     # -1 is background
    return x + torch.randn_like(x) * 0.05


def train(images, labels):
    torch.manual_seed(SEED)
    net, x, y = Vit(CONFIG), normal(images), torch.from_numpy(labels).long()
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim == 1]
    adam = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], RATE)
    batches = len(x) // BATCH
    steps, mean, taken, start = EPOCHS * batches, copy.deepcopy(net), 0, time.time()
    for epoch in range(EPOCHS):
        order, total = torch.randperm(len(x)), 0.0
        for b in range(batches):
            step = epoch * batches + b
            rate = min(1.0, step / 200) * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)
            for group in adam.param_groups:
                group["lr"] = RATE * rate
            batch = order[b * BATCH:(b + 1) * BATCH]
            seen, wanted = varied(x[batch]), y[batch]
            loss = F.cross_entropy(net(seen), wanted, label_smoothing=0.05)
            if epoch >= EPOCHS // 2:
                loss = (loss + F.cross_entropy(net(seen, Coarse(4)), wanted, label_smoothing=0.05)) / 2
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            adam.step()
            total += loss.item()
        if epoch >= EPOCHS - AVERAGED:
            taken += 1
            with torch.no_grad():
                for m, p in zip(mean.parameters(), net.parameters(), strict=True):
                    m += (p - m) / taken
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}  loss {total / batches:.4f}  {time.time() - start:.0f} s", flush=True)
    return mean.eval()


@torch.no_grad()
def report(net, calibration, images, labels):
    watched = Watched()
    net(normal(calibration), watched)
    forms = {"float": None, "int8": Calibrated(watched.ranges, 8), "w4a8": Calibrated(watched.ranges, 4),
             "int8, 8-bit stream": Calibrated(watched.ranges, 8, stream=8),
             "w4a8, 8-bit stream": Calibrated(watched.ranges, 4, stream=8)}
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    exact = net(normal(images))
    for name, seen in forms.items():
        logits = net(normal(images), seen)
        right = int((logits.argmax(1).numpy() == labels).sum())
        ratio = 10 * torch.log10(exact.square().mean() / (logits - exact).square().mean())
        print(f"{name:18}  {right} of {len(labels)} right, {right / len(labels):.2%}   signal to noise {ratio:.1f} dB")


def export(net, path):
    """The same network as ONNX with a dynamic batch; checked against torch with onnxruntime."""
    x = normal(split()[2])
    program = torch.onnx.export(net, (x[:2],), dynamo=True, opset_version=18, input_names=["image"],
                                output_names=["logits"], dynamic_shapes={"x": {0: torch.export.Dim("n")}})
    model = program.model_proto
    bare(model)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    got = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"image": x.numpy()})[0]
    apart = np.abs(got - net(x).detach().numpy()).max()
    if apart > 1e-4:
        raise SystemExit(f"{path}: onnxruntime's logits differ from torch's by {apart}")


def bare(model):
    """Take off what the exporter notes about the machine it ran on: stack traces with paths, on every node."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "refq" / "embedded")
    parser.add_argument("--report", action="store_true", help="train nothing; measure the files that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels, test_images, test_labels = split()
    weights = options.out / "digits" / "digits.safetensors"
    if options.report:
        net = Vit(CONFIG).eval()
        net.load_state_dict(load_file(weights))
        return report(net, images[:CALIBRATION], test_images, test_labels)
    net = train(images, labels)
    report(net, images[:CALIBRATION], test_images, test_labels)
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights, {"format": "pt"})
    weights.chmod(0o644)
    (options.out / "digits" / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    np.savez_compressed(options.out / "images.npz", images=test_images, labels=test_labels,
                        calibration=images[:CALIBRATION])
    export(net, options.out / "digits" / "digits.onnx")


if __name__ == "__main__":
    main()
