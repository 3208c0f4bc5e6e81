"""ONNX's own reference evaluator, onnx.reference, as it computes: NumPy, with the zero point inside the rounding.

It departs from the prose of the standard, which the dialect `onnx` follows, in these places. QLinearMatMul and QLinearConv make
the multiplier (s_x*s_w)/s_y in float32, multiply the int32 sum with it in float64 (NumPy promotes), add the zero point and round
then, so that ties go the other way at odd zero points. QuantizeLinear divides in float32 and converts what it rounded to int32,
where x86 gives the lowest int32 for all that does not fit, infinities and NaN too. Sums of products are exact.
In float64 the product and the sum are exact but for sums beyond 29 bits, and for those within 2**-45 of a tie: the row says
exact, by the 24-bit mantissa of the multiplier as an integer.
"""
from refq.dialects import onnx
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ops import dequantize, quantize, rescale

INSIDE = rescale.Row(multiplier="mantissa24", ratio="float32", ties="half_even", zero_point="inside")
QUANTIZE = quantize.Row(quotient="float32", far="lowest_int32", nan="converted")

BORROWED = ("rescale_wide", "add", "add_wide", "sub", "sub_wide", "mul", "mul_wide", "requantize", "requantize_wide", "gelu",
            "gelu_wide", "table", "softmax", "softmax_wide", "layernorm")

dialect = Dialect(
    name="onnx_reference",
    title="ONNX's reference evaluator (onnx.reference), with NumPy on x86",
    source="onnx/onnx onnx/reference/ops/op_qlinear_matmul.py, op_qlinear_conv.py, op_quantize_linear.py, commit f7546912",
    date="2026-10",
    roles=exact | {
        "rescale": Role("rescale", INSIDE),
        "quantize": Role("quantize", QUANTIZE),
        "dequantize": Role("dequantize", dequantize.Row()),
    } | onnx.dialect.borrow(*BORROWED),
    narrow=False,
    encode="half_even",
    accumulators=onnx.dialect.accumulators,
    checks=tuple(
        Check("rescale", INSIDE, {"acc": [[acc]], "zin": 0, "mult": [1 << 23], "shift": [24], "zp": 1}, [[y]],
              "onnx/onnx onnx/reference/ops/op_qlinear_matmul.py: rint(0.5 * acc + 1)")
        for acc, y in ((1, 2), (3, 2), (5, 4), (-1, 0))),
)
