"""Normalizations as torch's exporters write them: one canonical form, torch's own values, and integers near them."""
from collections import Counter

import numpy as np
import pytest

import refq
from refq.graph.canonical import canonical
from refq.graph.evaluate import evaluate
from refq.load.onnx import load
from tests.peers.test_torch_exports import exported


def networks(torch):
    """Name to (module, the canonical operations that it becomes), on images (n 3 16 16)."""
    nn, F = torch.nn, torch.nn.functional

    class Rows(nn.Module):
        """`part` over the last axis of (n 12 64)."""

        def __init__(self, part):
            super().__init__()
            self.part, self.first = part, nn.Linear(64, 24)

        def forward(self, x):
            return self.part(self.first(x.reshape(-1, 12, 64)))

    class Plain(nn.Module):
        """RMSNorm as language models write it."""

        def __init__(self, width):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(width))

        def forward(self, x):
            return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))

    class Unit(nn.Module):
        def forward(self, x):
            return F.normalize(x, dim=-1)

    class Columns(nn.Module):
        def forward(self, x):
            return F.normalize(x, dim=1)

    class Added(nn.Module):
        """BatchNorm of a sum, as in networks that normalize before their convolutions."""

        def __init__(self):
            super().__init__()
            self.one, self.two, self.norm = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)

        def forward(self, x):
            return F.relu(self.norm(self.one(x) + self.two(x)))

    def images(part):
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), part)

    drawn = {
        "group": (images(nn.GroupNorm(4, 8)), {"Conv": 1, "GroupNormalization": 1}),
        "one group": (images(nn.GroupNorm(1, 8, affine=False)), {"Conv": 1, "GroupNormalization": 1}),
        "instance": (images(nn.InstanceNorm2d(8, affine=True)), {"Conv": 1, "GroupNormalization": 1}),
        "rms": (Rows(nn.RMSNorm(24, eps=1e-6)), {"Linear": 1, "RMSNormalization": 1, "Reshape": 1}),
        "rms in parts": (Rows(Plain(24)), {"Linear": 1, "RMSNormalization": 1, "Reshape": 1}),
        "unit": (Rows(Unit()), {"Linear": 1, "LpNormalization": 1, "Reshape": 1}),
        "columns": (Rows(Columns()), {"Linear": 1, "LpNormalization": 1, "Reshape": 1, "Transpose": 2}),
        "batch": (Added(), {"Conv": 2, "Add": 1, "BatchNormalization": 1, "Relu": 1}),
    }
    torch.manual_seed(4)
    for module, _ in drawn.values():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point():
                value.data = torch.rand_like(value) + 0.3 if "var" in name else torch.randn_like(value) * 0.6
    return {name: (module.double().eval(), found) for name, (module, found) in drawn.items()}


NAMES = ("group", "one group", "instance", "rms", "rms in parts", "unit", "columns", "batch")
EXPORTS = [*((name, "old", 17) for name in NAMES if name != "rms"), *((name, "new", 18) for name in NAMES),
           *((name, "new", 23) for name in ("group", "rms"))]
"""The old exporter does not know nn.RMSNorm."""


@pytest.mark.parametrize("name, exporter, opset", EXPORTS)
def test_every_export_of_a_norm_has_one_form_and_runs_in_integers(need, tmp_path, name, exporter, opset):
    """The canonical operations, torch's values to 1e-9, and codes of the default recipe within 3 % of the largest."""
    torch = need("torch")
    if exporter == "new":
        need("onnxscript")
    module, expected = networks(torch)[name]
    form = canonical(load(exported(torch, module, tmp_path / "m.onnx", exporter, opset, 1)))
    assert Counter(node.op for node in form.nodes) == expected
    torch.manual_seed(5)
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    theirs = np.stack([module(image[None]).detach().numpy()[0] for image in x])
    (out,), most = form.outputs, np.abs(theirs).max()
    np.testing.assert_allclose(evaluate(form, x.numpy())[out], theirs, rtol=0, atol=1e-9 * most)
    program = refq.quantize(form, x.numpy(), dialect="tosa")
    codes = program.run(program.encode(x.numpy()))[out]
    assert np.abs(program.tensors[out].grid.decode(codes) - theirs).max() < 0.03 * most
