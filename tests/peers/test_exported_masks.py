"""Attention under masks as torch exports it: each way of writing becomes the mask of the Softmax, with torch's values."""
import numpy as np
import pytest

from refq.graph.evaluate import evaluate
from refq.load.network import load

torch = pytest.importorskip("torch")
FORMS = ("add", "fill", "least", "where", "windows", "causal", "boolean")


class Attention(torch.nn.Module):
    """Two heads of 6 tokens; `form`: how what is hidden is written."""

    def __init__(self, form):
        super().__init__()
        self.form, self.qkv, self.out = form, torch.nn.Linear(16, 48), torch.nn.Linear(16, 16)
        self.register_buffer("seen", torch.tril(torch.ones(6, 6, dtype=torch.bool)))
        self.register_buffer("little", torch.where(self.seen, 0.0, -100.0))

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(1, 6, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        attend = torch.nn.functional.scaled_dot_product_attention
        if self.form in ("causal", "boolean"):
            y = attend(q, k, v, is_causal=True) if self.form == "causal" else attend(q, k, v, attn_mask=self.seen)
        else:
            y = self.masked(q @ k.transpose(-1, -2) * 8 ** -0.5).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(1, 6, 16))

    def masked(self, logits):
        if self.form == "add":
            return logits + self.little
        if self.form == "windows":
            return (logits.view(1, 1, 2, 6, 6) + self.little[None, None, None]).view(1, 2, 6, 6)
        if self.form == "where":
            return torch.where(self.seen, logits, -1e9)
        least = float("-inf") if self.form == "fill" else torch.finfo(torch.float32).min
        return logits.masked_fill(~self.seen, least)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMS)
def test_torch_writes_masks_in_many_ways(form, tmp_path):
    """The values within float32's rounding; nothing is added to the logits any more; hidden keys are those above the diagonal."""
    torch.manual_seed(0)
    network, x = Attention(form).eval(), torch.randn(1, 6, 16)
    path = tmp_path / "net.onnx"
    torch.onnx.export(network, (x,), str(path), opset_version=17, dynamo=False, input_names=["x"])
    graph = load(path)
    (made,) = evaluate(graph, x.numpy()).values()
    np.testing.assert_allclose(made, network(x).detach().numpy(), atol=1e-6)
    (softmax,) = [n for n in graph.nodes if n.op == "Softmax"]
    seen = np.broadcast_to(graph.constants[softmax.inputs[1]], (1, 2, 6, 6))
    assert softmax.attributes == {"mask": "given"} and np.array_equal(seen, np.broadcast_to(np.tri(6), (1, 2, 6, 6)))
    assert not {"Add", "Where"} & {n.op for n in graph.nodes}
