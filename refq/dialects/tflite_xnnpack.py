"""LiteRT with its default delegate: XNNPACK for what it takes, which is 8-bit codes; the rest falls to LiteRT's own kernels.

Sums are multiplied by a float32 scale (a float32 product over a float32 unit) and rounded to even. ADD and SUB have two
multipliers of up to 21 bits, one shift and one rounding, half up; MUL is float32. QUANTIZE from 8-bit to 8-bit codes counts
256ths of a unit. MEAN and SUM sum the codes as they are, and fold both zero points into one float32 number. An input is
multiplied by the float32 reciprocal of the scale; the ends of a fused RELU6 or RELU_N1_TO_1 (role bound_fused) are divided by it,
with the zero point inside the rounding.

What XNNPACK leaves to LiteRT's kernels (tflite_ruy): all 16-bit codes (and with them LOGISTIC and TANH at the scales that
tflite_ruy excepts), BATCH_MATMUL whose second operand has a zero point,
convolutions with int4 weights, and FULLY_CONNECTED with int4 weights where k is odd; where it is even XNNPACK keeps the sum
sixteenfold in 32 bits, so that it wraps at 28. Inputs of ADD and
SUB whose scale is not 2**-10 to 2**8 of the result's, and of QUANTIZE outside 2**-8 to 2**7, are left too, and so is LEAKY_RELU
where one of its two factors is outside 2**-8 to 2**7 (the roles <name>_any).
"""
from dataclasses import replace

from refq.dialects import tflite, tflite_ruy
from refq.dialects.base import Check, Role
from refq.ops import add_weighted, dequantize, leaky_relu, mul_float32, quantize, rescale, rescale_float32

SCALED = rescale_float32.Row(ratio="float32")
SUM = "google/XNNPACK src/microparams-init.c, xnn_init_qs8_add_minmax: s .05, .1 to .12"
left = ("rescale_wide", "rescale_linear_wide", "add_wide")
roles = tflite.dialect.roles | {name: tflite_ruy.dialect.roles[name] for name in left} | {
    "rescale": Role("rescale_float32", SCALED),
    "rescale_mean": Role("rescale_float32", rescale_float32.Row(ratio="float32", zero_point="folded")),
    "rescale_sum": Role("rescale_float32", rescale_float32.Row(ratio="float32", zero_point="folded")),
    "requantize": Role("rescale", rescale.Row(multiplier="fixed8", ratio="float32", ties="half_up")),
    "add": Role("add_weighted", add_weighted.Row()),
    "sub": Role("add_weighted", add_weighted.Row(join="minus")),
    "mul": Role("mul_float32", mul_float32.Row(product="float32", quotient="multiple")),
    "quantize": Role("quantize", quantize.Row(quotient="reciprocal_float32", ties="half_even")),
    "bound_fused": Role("quantize", quantize.Row(quotient="float32", zero_point="inside")),
    "bound_fused_wide": tflite.dialect.roles["bound"],
    "dequantize": Role("dequantize", dequantize.Row(product="float32")),
    "leaky_relu": Role("leaky_relu", leaky_relu.Row(multiplier="fraction8", high="none", ties="half_up"), ratios=(2**-8, 2**7)),
    "leaky_relu_any": tflite.dialect.roles["leaky_relu"],
    "softmax": tflite_ruy.dialect.roles["softmax"],
}

dialect = replace(
    tflite.dialect,
    name="tflite_xnnpack",
    title="LiteRT with XNNPACK on x86",
    source="google/XNNPACK src/microparams-init.c, src/operators, commit 75db3c09; ai-edge-litert 2.3, run",
    date="2026-11",
    roles=roles,
    encode="half_even",
    checks=tuple(Check("rescale_float32", SCALED, {"acc": [[acc]], "zin": 0, "scale": [2.0 ** -k], "zp": 0}, [[y]],
                       "google/XNNPACK src/xnnpack/requantization.h, fp32: ties to even")
                 for acc, k, y in ((1, 1, 0), (3, 1, 2), (-3, 1, -2), (5, 1, 2), (10, 2, 2), (-10, 2, -2), (40, 4, 2)))
    + (Check("add_weighted", add_weighted.Row(), {"a": [10], "b": [20], "za": 0, "zb": 3, "ka": 873813, "kb": 1747627,
                                                  "shift": 21, "zo": -1}, [17], SUM),),
)
