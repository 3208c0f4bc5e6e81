"""block_scales, quantize_blocks, dequantize_blocks: transcriptions of what others publish; zeros, ends, refusals."""
import numpy as np
import pytest

from refq.errors import IllFormed
from refq.ints import blocks
from refq.ops import block_scales, dequantize_blocks, quantize_blocks
from refq.ops.quantize_blocks import PUBLISHED
from tests import oracle_formats as oracle

F = np.float32


def drawn(row, seed, count=40):
    """Blocks of all magnitudes; multiples of a half and a quarter, which tie; zeros, ends, and none where there may be."""
    rng = np.random.default_rng(seed)
    n = row.shared
    x = rng.normal(size=(count, n)) * 2.0 ** rng.integers(-20, 20, (count, 1))
    x[::4] = rng.integers(-24, 25, x[::4].shape) / 4 * 2.0 ** rng.integers(-6, 6, (len(x[::4]), 1))
    x[1::8] *= 2.0 ** -120
    x[2::8] = rng.integers(-255, 256, x[2::8].shape) / 128
    x[3] = 0
    x[5] = -0.0
    x[6, 1:] = np.minimum(np.abs(x[6, 1:]), 1) * 2.0 ** -149
    x[7, :2] = 3.0, -3.0
    x[9, :2] = -3.4e38, 3.4e38
    if row.rule in blocks.POWERS:
        x[10, 3], x[11, 2] = np.nan, -np.inf
    return x.astype(F)


def computed(row, x, g):
    """(scale codes, element codes) by spec, after making sure that the kernels give them too."""
    alone = block_scales.Row(row.rule, row.element, row.shared)
    s = np.empty((len(x), x.shape[1] // row.shared), alone.gives["s"].width.dtype)
    q = np.empty(x.shape, row.gives["q"].width.dtype)
    block_scales.kernel(alone)(x, g, s)
    quantize_blocks.kernel(row)(x, g, q)
    np.testing.assert_array_equal(block_scales.spec(x, g, alone), s)
    np.testing.assert_array_equal(quantize_blocks.spec(x, g, row), q)
    return s, q


@pytest.mark.parametrize("name", PUBLISHED)
def test_oracle_agrees(name):
    """Every block by a transcription in plain Python."""
    row = PUBLISHED[name]
    x = drawn(row, len(name))
    g = F(0.02) if row.rule == "tensor" else F(1)
    s, q = computed(row, x, g)
    for block, code, elements in zip(x, s[:, 0].tolist(), q.tolist()):
        if name == "mxfp4_ggml":
            if not np.isfinite(block).all():            # C leaves it open
                continue
            expected = oracle.mxfp4_ggml(block)
        elif row.rule in blocks.POWERS:
            expected = oracle.mx(block, row.rule, row.element, row.ties)
        else:
            expected = oracle.nvfp4(block, g) if row.rule == "tensor" else getattr(oracle, row.rule)(block)
        assert (code, elements) == expected, block


@pytest.mark.parametrize("rule", blocks.POWERS)
@pytest.mark.parametrize("element", blocks.TOP)
def test_every_rule_of_scales(rule, element):
    """Around every power of two, and where each rule switches, beside it too."""
    mantissas = [1, 1.25, 1.5, 1.75, 1.875, 1.9375, 1.96875, 1.984375, 1.9921875, 1.99609375, 2 - 2.0 ** -23]
    x = np.array([m * 2.0 ** k for k in (-149, -140, -127, -126, -125, -3, 0, 1, 7, 100, 126, 127) for m in mantissas]).astype(F)
    x = np.concatenate([x, np.nextafter(x, F(0)), np.nextafter(x, F(3.4e38))]).reshape(-1, 1)
    row = block_scales.Row(rule, element, 1)
    expected = [oracle.e8m0([v], rule, element) for v in x[:, 0]]
    assert block_scales.spec(x, F(1), row)[:, 0].tolist() == expected


@pytest.mark.parametrize("name", dequantize_blocks.PUBLISHED)
def test_every_element_under_every_scale(name):
    """All scale codes of 8 bits, and a sample of those of 16, against the product of two numbers; kernels give the same."""
    row = dequantize_blocks.PUBLISHED[name]
    elements = len(dequantize_blocks.elements(row))
    lowest = row.takes["q"].lo
    row = dequantize_blocks.Row(row.rule, row.element, elements)
    s = np.arange(0, row.takes["s"].hi + 1, 1 if row.takes["s"].hi == 255 else 97).astype(row.takes["s"].width.dtype)[:, None]
    q = np.repeat(np.arange(lowest, lowest + elements).astype(row.takes["q"].width.dtype)[None], len(s), 0)
    g = F(0.3) if row.rule == "tensor" else F(1)
    y = np.empty(q.shape, np.uint32)
    dequantize_blocks.kernel(row)(q, s, g, y)
    np.testing.assert_array_equal(dequantize_blocks.spec(q, s, g, row), y)
    with np.errstate(all="ignore"):
        product = (dequantize_blocks.elements(row).astype(F) * (dequantize_blocks.scales(row)[s.astype(int)] * g)).astype(F)
    assert np.array_equal(np.isnan(product), y == 0x7FC00000)
    assert np.array_equal(product.view(np.uint32)[~np.isnan(product)], y[~np.isnan(product)])


def test_check_values():
    """By hand: 6 under MXFP4 has the scale 1; 7 saturates under floor and not under even; q4_0 takes the largest to -8."""
    def block(*some):
        return np.array([[*some, *[0] * (32 - len(some))]], F)
    assert [v[0, :2].tolist() for v in computed(PUBLISHED["mxfp4"], block(6, -7), F(1))] == [[127], [7, 15]]
    assert [v[0, :2].tolist() for v in computed(PUBLISHED["mxfp4_even"], block(6, -7), F(1))] == [[128], [5, 14]]
    assert [v[0, :3].tolist() for v in computed(PUBLISHED["q4_0"], block(-4, 3.75, 1), F(1))] == [[0x3800], [0, 15, 10]]
    assert [v[0, :3].tolist() for v in computed(PUBLISHED["q8_0"], block(127, -126.5, 0.5), F(1))] == [[0x3C00], [127, -127, 1]]
    assert [v[0, :3].tolist() for v in computed(PUBLISHED["mxfp4_ggml"], block(4, 2.5, -0.25), F(1))] == [[127], [6, 4, 0]]
    assert [v[0, :3].tolist() for v in computed(PUBLISHED["nvfp4"], block(6, 2.5, -0.1), F(1))] == [[56, 56], [7, 4, 8]]
    assert computed(PUBLISHED["q4_0"], block(0), F(1))[0].tolist() == [[0x8000]]        # 0 / -8


def test_bad_blocks_are_refused():
    row = PUBLISHED["mxfp4"]
    with pytest.raises(IllFormed, match="40 numbers in blocks of 32"):
        row.sizes({"n": 1, "c": 40})
    with pytest.raises(IllFormed, match="one for each block"):
        dequantize_blocks.PUBLISHED["mxfp4"].sizes({"n": 1, "c": 64, "b": 1})
    with pytest.raises(IllFormed, match="it is defined for"):
        block_scales.Row("q4_0", "e4m3fn")
    with pytest.raises(IllFormed, match="at least one number"):
        block_scales.Row(shared=0)
    with pytest.raises(IllFormed, match="tensor scale"):
        block_scales.build(PUBLISHED["nvfp4"], 0.0)
    with pytest.raises(IllFormed, match="tensor scale"):
        block_scales.build(row, 2.0)
