"""LiteRT 2.3's fast kernels for x86 without XNNPACK (BUILTIN_WITHOUT_DEFAULT_DELEGATES; ruy does the matrix products).

Sums of 8-bit codes round twice, half up both times: negative ties of the second rounding go up, where TFLite's reference sends
them away. The multiplier of a FULLY_CONNECTED with one scale is made of the float32 product of the two input scales; with one
for each channel all is float64, as in CONV_2D. ADD, SUB, MUL, MEAN and BATCH_MATMUL are the reference's, but ADD
of 16-bit codes rounds each operand once. A MEAN of 8-bit codes over both axes of an image, which it keeps, is another kernel
(role rescale_mean_image): a multiplier made of float32(s_x / float32(count * s_y)), two roundings half up, and behind them the
zero point of x as a rounded number of steps of y. FULLY_CONNECTED of 16-bit codes is the reference's too, with a bias of 64
bits; without one, or with 32 bits, it sums in 32 bits and rounds as for 8-bit codes. QUANTIZE multiplies
by the reciprocal and rounds to even. LOGISTIC of 16-bit codes at the scale 2**-12, and TANH at 2**-12 and 2**-11 (and what lies
within 2**0.001 of them), are computed in gemmlowp's 16-bit fixed point, which no row has: up to 7 and 12 codes off.

Vectors end: QUANTIZE from 8-bit to 8-bit codes takes 16 codes at a time as here, DEQUANTIZE 8, DEPTHWISE_CONV_2D and
TRANSPOSE_CONV 8 channels, that MEAN 16, and the rest at the end (the size mod 16 or 8, the channels mod 16 or 8) is rounded as
by the reference. SUM adds its zero points in float32, which is one code off beside some ties.
"""
from dataclasses import replace

from refq.dialects import litert_reference, tflite
from refq.dialects.base import Check, Role
from refq.ops import add, dequantize, quantize, rescale, softmax_table

UP = {"high": "half_up", "ties": "half_up"}
roles = tflite.dialect.roles | {
    "rescale": Role("rescale", rescale.Row(**UP)),
    "rescale_linear": Role("rescale", rescale.Row(ratio="product_float32", **UP)),
    "rescale_linear_channels": Role("rescale", rescale.Row(**UP)),
    "rescale_mean_image": Role("rescale", rescale.Row(ratio="float32", **UP)),
    "requantize": Role("rescale", rescale.Row(**UP)),
    "add_wide": Role("add", add.Row(left=15, alone="half_up", **tflite.DOUBLE)),
    "quantize": Role("quantize", quantize.Row(quotient="reciprocal_float32", ties="half_even", far="lowest_int32")),
    "dequantize": Role("dequantize", dequantize.Row(product="spread")),
    "softmax": Role("softmax_table", softmax_table.Row()),
    "rescale_linear_wide": litert_reference.dialect.roles["rescale_linear_wide"],
}

dialect = replace(
    tflite.dialect,
    name="tflite_ruy",
    title="LiteRT 2.3's fast kernels for x86 without XNNPACK",
    source="google-ai-edge/LiteRT tflite/kernels/{fully_connected,conv,quantize}.cc, google/ruy ruy/apply_multiplier.cc; "
           "ai-edge-litert 2.3, run",
    date="2026-11",
    roles=roles,
    encode="half_even",
    checks=tuple(Check("rescale", rescale.Row(**UP), {"acc": [[acc]], "zin": 0, "mult": [1 << 30], "shift": [31 - s], "zp": 0},
                       [[y]], "ruy's two roundings: NEON's VQRDMULH and VRSHL, as ai-edge-litert 2.3 computes on x86")
                 for acc, s, y in ((1, 0, 1), (-1, 0, 0), (-10, -1, -2), (-6, -1, -1), (-24, -3, -1), (-40, -3, -2),
                                   (40, -3, 3))),
)
