"""What torch's old and new exporters write: every export of one network has one canonical form and torch's values."""
import contextlib
import io
import logging
import math
import warnings
from collections import Counter

import numpy as np
import pytest

from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.load.onnx import load

EXPECTED = {"Conv": 1, "Reshape": 12, "Transpose": 7, "Concat": 1, "Add": 5, "LayerNormalization": 5, "Linear": 9,
            "Slice": 7,
            "MatMul": 4, "Softmax": 2, "Gelu": 2}


def network(torch, attention, gelu, norm):
    """A vision transformer as timm writes it, in float64; `attention`: fused or plain; `gelu`: none, tanh or plain;
    `norm`: whole or plain."""
    nn, F = torch.nn, torch.nn.functional

    class Norm(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))

        def forward(self, x):
            centred = x - x.mean(-1, keepdim=True)
            return centred / torch.sqrt((centred ** 2).mean(-1, keepdim=True) + 1e-6) * self.weight + self.bias

    class Gelu(nn.Module):
        def forward(self, x):
            return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))

    normed = nn.LayerNorm if norm == "whole" else Norm

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.proj = nn.Linear(32, 96), nn.Linear(32, 32)

        def forward(self, x):
            n, tokens, width = x.shape
            q, k, v = self.qkv(x).reshape(n, tokens, 3, 4, width // 4).permute(2, 0, 3, 1, 4).unbind(0)
            if attention == "fused":
                y = F.scaled_dot_product_attention(q, k, v)
            else:
                y = ((q * (width // 4) ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
            return self.proj(y.transpose(1, 2).reshape(n, tokens, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.attn, self.norm2 = normed(32), Attention(), normed(32)
            self.fc1, self.fc2 = nn.Linear(32, 64), nn.Linear(64, 32)
            self.act = Gelu() if gelu == "plain" else nn.GELU(approximate=gelu)

        def forward(self, x):
            x = x + self.attn(self.norm1(x))
            return x + self.fc2(self.act(self.fc1(self.norm2(x))))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 32, 4, 4)
            self.cls, self.pos = nn.Parameter(torch.randn(1, 1, 32)), nn.Parameter(torch.randn(1, 17, 32))
            self.blocks, self.norm, self.head = nn.ModuleList([Block(), Block()]), normed(32), nn.Linear(32, 5)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)[:, 0])

    torch.manual_seed(0)
    model = Network().double().eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def exported(torch, model, path, exporter, opset, batch):
    """Writes the model; `batch` is "free", or the fixed number of images."""
    images = torch.zeros(2 if batch == "free" and exporter == "new" else 1 if batch == "free" else batch, 3, 16, 16,
                         dtype=torch.float64)
    free = {} if batch != "free" else {"dynamic_axes": {"x": {0: "n"}}} if exporter == "old" else {
        "dynamic_shapes": ({0: torch.export.Dim("n")},)}
    options = {"verbose": False} if exporter == "new" else {"input_names": ["x"]}
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (images,), path, dynamo=exporter == "new", opset_version=opset, **free, **options)
    finally:
        logging.disable(logging.NOTSET)
    return path


@pytest.mark.parametrize("attention, gelu, norm, exporter, opset, batch", [
    ("plain", "none", "plain", "old", 13, "free"),
    ("plain", "tanh", "whole", "old", 13, 1),
    ("fused", "none", "whole", "old", 14, "free"),
    ("fused", "plain", "whole", "old", 17, 2),
    ("plain", "none", "whole", "old", 18, "free"),
    ("fused", "tanh", "plain", "old", 20, 1),
    ("fused", "none", "whole", "new", 18, "free"),
    ("fused", "tanh", "plain", "new", 20, 2),
    ("fused", "none", "whole", "new", 23, "free"),
    ("plain", "plain", "plain", "new", 24, 1),
])
def test_every_export_has_one_canonical_form(need, tmp_path, attention, gelu, norm, exporter, opset, batch):
    """The same operations with the same names whatever was exported how, and torch's own values."""
    torch = need("torch")
    if exporter == "new":
        need("onnxscript")
    model = network(torch, attention, gelu, norm)
    form = canonical(load(exported(torch, model, tmp_path / "m.onnx", exporter, opset, batch)))
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    expected = model(images).numpy()
    got = evaluate(form, images.numpy())[form.outputs[0]]
    # the new exporter writes Python's numbers as float32: the constants of a hand-written Gelu, the scale of q
    tolerance = 1e-7 if exporter == "new" else 1e-9
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert Counter(node.op for node in form.nodes) == EXPECTED
    assert {"patch", "blocks.0.attn.qkv", "blocks.1.attn.proj", "blocks.0.norm1", "blocks.1.fc2", "norm",
            "head"} <= {node.name for node in form.nodes}
    assert [round(node.attributes["alpha"], 6) for node in form.nodes if node.op == "MatMul"] == [0.353553, 1,
                                                                                                  0.353553, 1]


@pytest.mark.parametrize("exporter", ["old", "new"])
def test_torch_s_own_encoder_keeps_its_values(need, tmp_path, exporter):
    """nn.TransformerEncoder, whose attention carries the batch in the middle."""
    torch = need("torch")
    if exporter == "new":
        need("onnxscript")
    torch.manual_seed(1)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        layer = torch.nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        model = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        model = torch.nn.Sequential(torch.nn.Flatten(2), torch.nn.Linear(256, 32), model).double().eval()
        path = exported(torch, model, tmp_path / "m.onnx", exporter, 18, 1)
        images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
        expected = model(images).detach().numpy()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    form = canonical(load(path))
    np.testing.assert_allclose(evaluate(form, images.numpy())[form.outputs[0]], expected, rtol=1e-7, atol=1e-9)
    assert Counter(node.op for node in form.nodes)["MatMul"] == 4
