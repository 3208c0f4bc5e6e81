"""ONNX Runtime on x86 with VNNI: float32 multipliers made of float32 products and quotients, and its own add.

Products of 8-bit codes are exact here; the same wheel on a processor without VNNI is `ort_avx2`. QuantizeLinear divides in
float32. QLinearAdd, which also replaces DequantizeLinear-Add-QuantizeLinear of 8-bit codes when a model is optimized, is a sum
of ratios by fused multiply-adds with the zero points inside the rounding; QLinearMul, likewise, multiplies the product of the
differences with s_a*s_b/s_y in float32 and has its zero point inside. Of 16-bit codes, and unoptimized, the three stay float32
operations one by one, as the standard words them. The rounding of 4-bit codes converts to int32 in the heads and tails of its
loops, so that there a quotient beyond 2**31 gives the other end.
"""
from refq.dialects import onnx
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import (
    add_float32,
    add_ratio_float32,
    average_pool_float32,
    average_pool_values,
    dequantize,
    mul_float32,
    quantize,
    requantize_float32,
    rescale_float32,
    softmax_table,
    table,
)

RESCALE = rescale_float32.Row(ratio="float32")

dialect = Dialect(
    name="ort_x86",
    title="ONNX Runtime's CPU provider on x86 with VNNI",
    source="microsoft/onnxruntime onnxruntime/core/mlas/lib/{quantize,qladd,qgemm}.cpp, core/providers/cpu/quantization, 1.31.1",
    date="2026-10",
    roles=exact | {
        "rescale": Role("rescale_float32", RESCALE),
        "rescale_wide": Role("rescale_float32", rescale_float32.Row(ratio="float32", acc=I48)),
        "add": Role("add_ratio_float32", add_ratio_float32.Row()),
        "add_wide": Role("add_float32", add_float32.Row()),
        "sub": Role("add_float32", add_float32.Row(join="minus")),
        "sub_wide": Role("add_float32", add_float32.Row(join="minus")),
        "mul": Role("mul_float32", mul_float32.Row(quotient="multiple", zero_point="inside")),
        "mul_wide": Role("mul_float32", mul_float32.Row()),
        "requantize": Role("requantize_float32", requantize_float32.Row()),
        "requantize_wide": Role("requantize_float32", requantize_float32.Row()),
        "quantize": Role("quantize", quantize.Row(quotient="float32", nan="lowest")),
        "dequantize": Role("dequantize", dequantize.Row()),
        **dict.fromkeys(("sigmoid", "leaky_relu"), Role("table", table.Row(evaluated="float32"))),
        "average_pool": Role("average_pool_values", average_pool_values.Row()),
        "average_pool_all": Role("average_pool_values", average_pool_values.Row(counts="all")),
        "average_pool_global": Role("average_pool_float32", average_pool_float32.Row()),
        "softmax": Role("softmax_table", softmax_table.Row(normalized="quotient", ties="half_even", exponentials="raised")),
    } | onnx.dialect.borrow("gelu", "gelu_wide", "table", "softmax_wide", "layernorm"),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=(
        Check("quantize", quantize.Row(quotient="float32", nan="lowest"),
              {"x": [[0.75], [-0.75]], "scale": [0.1], "zp": [0]}, [[8], [-8]],
              "onnxruntime 1.31.1, run: 0.75 / float32(0.1) is 7.49999988, a tie in float32"),
        Check("rescale_float32", RESCALE, {"acc": [[5]], "zin": 0, "scale": [float.fromhex("0x1.99999cp-4")], "zp": 0}, [[1]],
              "onnxruntime 1.31.1, run: QLinearMatMul of sum 5 at 0.01 * 0.1 / 0.01, of which float32 makes 0.1 and a step"),
    ),
)
