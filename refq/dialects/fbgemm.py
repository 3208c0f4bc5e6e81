"""FBGEMM, as PyTorch's quantized CPU operators use it: float32 scales, half to even, the zero point after the rounding.

A bias stays float32 and joins at the accumulator: divided by s_x*s_w where weights have a scale for each channel, multiplied by
the reciprocal in one rounding with the sum where they have one for the tensor. The multiplier is f32(f32(s_x*s_w) / s_y). A
product beyond 32 bits becomes the lowest int32, so the lowest code. ReLU is a clip at the zero point (role clip). Sums are exact
in 32 bits: its 16-bit accumulation (fbgemm_acc16) is not reached from PyTorch's operators.

A dynamic linear quantizes its input as quantize does and gives fused(acc, f32(s_x*s_w), bias) as float32 (role
dequantize_bias).

Elementwise operators are PyTorch's own, whatever its quantized engine: a sum is made of fused multiply-adds with the
reciprocal of the output scale. What fills no vector of 64 codes (32 with AVX2) at the end of a thread's part, and tensors
that do not lie contiguous, are made of differences and products, with the zero point inside the rounding (role add_scalar). A
function of codes (sigmoid, hard_swish ...) has its zero point inside there as well. A
product is one of integers times one float32 scale, and beyond 32 bits it becomes the lowest code in vectors only (role
mul_scalar). What no row holds: the vectors of AVX-512 add the zero point to that lowest int32 in 32 bits, so that one below 0
wraps, and signed codes become 127, not -128 (codes -127 and -18 of scales 1/8 and 8, zero points 127 and 6, onto 2**-20 and
-84). quantize_per_tensor is fused(x, f32(1/scale), zero point), so the zero
point is inside the rounding; quantize_per_channel (role quantize_channel) rounds that product to float32 first, and gives
a NaN the code 0, which this row refuses. An adaptive pool takes an image of one channel for one whose channels lie last.

How PyTorch chooses grids (nothing of a row; ranges come from observers). ChooseQuantizationParams(min, max): 0 is forced into
the range; scale = f32((max - min) / (qmax - qmin)) by float64, 0.1 where that is 0 or infinite, and at least 6.1e-5, when the
range is widened with it; the zero point comes from the end of the range with the smaller error, rounded half to even. Activations
are quint8 in 0..127 (reduce_range: 7 bits, so that pairs of products stay within 16) and in 0..255 for qnnpack. Weights
are qint8, symmetric, in -128..127 with scale max(|min|, |max|) / 127.5, at least the float32 epsilon: the largest weight is the
tie 127.5, which rounds to 128 and is clipped to 127, and its negative to -128.

FBGEMM has codes of 8 bits only: rows for 16 bits are what its formulas mean there. Softmax, LayerNormalization and GELU run in
float: borrowed.
"""
from dataclasses import replace

from refq.dialects import ivit, onnx
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import (
    add_float32,
    average_pool_float32,
    dequantize,
    dequantize_bias,
    mul_float32,
    quantize,
    rescale_float32,
    rescale_float32_bias,
    table,
)

SOURCE = "pytorch/FBGEMM src/QuantUtilsAvx2.cc and include/fbgemm/QuantUtils.h, commit 71d6f8b2; pytorch/pytorch " \
         "aten/src/ATen/native/quantized/cpu/qlinear.cpp, qconv.cpp and kernels/QuantizedOpKernels.cpp; run in torch 2.13"
X86 = {"ratio": "float32", "far": "lowest_int32"}
ADD = add_float32.Row(product="fused", quotient="reciprocal_float32")
MUL = mul_float32.Row(quotient="multiple", ratio="reciprocal_float32", far="lowest_int32")
BIASED = Role("rescale_float32_bias", rescale_float32_bias.Row(bias="accumulator", **X86))

elementwise = {
    "add": Role("add_float32", ADD),
    "add_wide": Role("add_float32", ADD),
    "mul": Role("mul_float32", MUL),
    "mul_wide": Role("mul_float32", MUL),
    "mul_scalar": Role("mul_float32", replace(MUL, far="saturates")),
    "add_scalar": Role("add_float32", add_float32.Row(quotient="reciprocal_float32", zero_point="inside")),
    "quantize": Role("quantize", quantize.Row(quotient="reciprocal_float32", zero_point="fused", nan="highest")),
    "quantize_channel": Role("quantize", quantize.Row(quotient="reciprocal_float32", zero_point="inside")),
    "dequantize": Role("dequantize", dequantize.Row()),
    "gelu": Role("table", table.Row(ties="half_even")),
    **dict.fromkeys(("table", "sigmoid", "tanh", "hard_swish", "leaky_relu"),
                    Role("table", table.Row(ties="half_even", evaluated="reciprocal_float32"))),
    "average_pool": Role("average_pool_float32", average_pool_float32.Row(ratio="float64", zero_point="inside")),
    "average_pool_channels_last": Role("average_pool_float32", average_pool_float32.Row(ratio="float64", zero_point="after",
                                                                                        block=16)),
    "average_pool_adaptive": Role("average_pool_float32", average_pool_float32.Row(ratio="by_sides", zero_point="kept")),
    "average_pool_adaptive_channels_last": Role("average_pool_float32", average_pool_float32.Row(ratio="float64",
                                                                                                 zero_point="fused", block=8)),
}
"""What PyTorch computes itself under every quantized engine, and a table of 8-bit codes."""

borrowed = ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide")

dialect = Dialect(
    name="fbgemm",
    title="FBGEMM with 32-bit accumulation, as PyTorch's fbgemm engine runs it",
    source=SOURCE,
    date="2026-11",
    roles=exact | elementwise | borrowed | {
        "rescale": Role("rescale_float32", rescale_float32.Row(**X86)),
        "rescale_wide": Role("rescale_float32", rescale_float32.Row(acc=I48, **X86)),
        "rescale_bias": BIASED,
        "rescale_conv2d": BIASED,
        "dequantize_bias": Role("dequantize_bias", dequantize_bias.Row(sum="fused")),
    },
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tuple(
        Check("rescale_float32", rescale_float32.Row(**X86), {"acc": [[acc]], "zin": 0, "scale": [2.0 ** -k], "zp": zp},
              [[y]], "PyTorch 2.13, engine fbgemm: quantized::linear with scales that are powers of two")
        for acc, k, zp, y in ((1, 1, 1, 1), (3, 1, 1, 3), (-3, 1, 1, -1), (5, 1, 0, 2), (10, 2, 0, 2), (-10, 2, 0, -2))),
)
