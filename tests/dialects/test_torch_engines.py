"""The dialects of PyTorch's engines: FBGEMM's 16-bit sums against its reference's formula, witnesses, and which conv is whose."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refq import dialects
from refq.graph.play import play
from refq.ints.width import I8, I32, U8


def accumulated(x, w, wide):
    """FBGEMM's reference in plain integers: pairs saturate at 16 bits; their sum does too and is emptied after 256 products, or
    it has 32 bits (`wide`)."""
    total, short = 0, 0
    for k in range(0, len(x), 2):
        pair = max(-32768, min(32767, sum(a * b for a, b in zip(x[k:k + 2], w[k:k + 2]))))
        short = pair if wide else max(-32768, min(32767, short + pair))
        if wide or k % 256 == 254:
            total, short = total + short, 0
    return total + short


def summed(dialect, x, w, zx=0, zw=0):
    """A role's sum of one row and one column of codes."""
    x, w = np.array([x], np.uint8), np.array([w], np.int8)
    part, widths = dialects.load(dialect).role("matmul"), {"x": U8, "w": I8, "acc": I32}
    return play(part, widths, {"x": x}, w=w, bias=None, zx=zx, zw=zw).item()


@pytest.mark.parametrize("dialect, wide", [("fbgemm_acc16", False), ("fbgemm_avx2", True)])
@given(st.data())
def test_short_sums_follow_the_reference(dialect, wide, data):
    """Codes as they are, of lengths around the block of 256; zero points join afterwards."""
    k = data.draw(st.sampled_from([1, 2, 3, 7, 255, 256, 257, 258, 511, 600]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x, w = rng.choice([0, 1, 127, 200, 255], k).tolist(), rng.choice([-128, -1, 1, 100, 127], k).tolist()
    zx, zw = data.draw(st.sampled_from([0, 7, 255])), data.draw(st.sampled_from([0, -128, 5]))
    offsets = sum((a - zx) * (b - zw) - a * b for a, b in zip(x, w))
    assert summed(dialect, x, w, zx, zw) == accumulated(x, w, wide) + offsets


@pytest.mark.parametrize("dialect", ["fbgemm_acc16", "fbgemm_avx2"])
def test_reduced_range_is_exact(dialect):
    """With activations of 7 bits, or weights within -64..63, no pair saturates; with all 8 bits the first one does."""
    assert summed(dialect, [127, 127], [-128, -128]) == -32512
    assert summed(dialect, [255, 255], [64, 64]) == 32640
    assert summed(dialect, [255, 255], [127, 127]) == 32767 != 64770 == summed("fbgemm", [255, 255], [127, 127])


def test_the_zero_point_and_the_tie():
    """acc 1, scale 1/2, zero point 1: FBGEMM and QNNPACK give 1, oneDNN 2."""
    def code(dialect, role="rescale"):
        return play(dialects.load(dialect).role(role), {"acc": I32, "out": U8}, {"acc": np.array([[1]], np.int32)},
                    factors=[0.5, 1.0], unit=1.0, zin=0, zp=1).item()
    assert [code(d) for d in ("fbgemm", "torch_qnnpack", "torch_x86", "onednn")] == [1, 1, 1, 2]
    assert [code(d, "rescale_conv2d") for d in ("fbgemm", "torch_x86", "onednn")] == [1, 2, 2]


def test_quantize_has_the_zero_point_inside():
    """0.5 with zero point 1 is 2 in torch.quantize_per_tensor and per_channel; FBGEMM's own header says 1."""
    for role in ("quantize", "quantize_channel"):
        part = dialects.load("fbgemm").role(role)
        assert play(part, {"out": U8}, {"x": np.array([[0.5]], np.float32)}, scale=1.0, zp=1).item() == 2
