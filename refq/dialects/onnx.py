"""ONNX: the prose of the standard's quantized operators; scales are float32 and every product with one is rounded to it.

y = saturate(round_half_even(acc * scale) + zero point). A function of one code (Gelu) is what DequantizeLinear, the
function and QuantizeLinear make of it. Softmax and LayerNormalization have no integer form in the standard: borrowed.

QuantizeLinear divides in the type of its scale, float32: the standard's own node test test_dynamicquantizelinear tells it from an
exact quotient. Where the prose leaves room, this dialect is exact: a multiplier s_x*s_w/s_y is rounded to float32 once (ONNX
Runtime rounds the product and the quotient), and the images of a float network are encoded by the exact quotient. So beside a
tie ONNX Runtime can differ by one; tests/peers holds the witnesses. What ONNX Runtime computes is `ort_x86`, what
the standard's own evaluator computes is `onnx_reference`.
"""
from refq.dialects import ivit
from refq.dialects.base import Check, Dialect, Role, exact
from refq.ints.width import I32, I48
from refq.ops import add_float32, dequantize, mul_float32, quantize, requantize_float32, rescale_float32, table

dialect = Dialect(
    name="onnx",
    title="ONNX QLinear operators, as the standard words them",
    source="onnx/onnx docs/Operators.md, QuantizeLinear, QLinearMatMul, QLinearConv, MatMulInteger, commit f7546912",
    date="2026-10",
    roles=exact | {
        "rescale": Role("rescale_float32", rescale_float32.Row(ties="half_even", zero_point="after")),
        "rescale_wide": Role("rescale_float32", rescale_float32.Row(ties="half_even", zero_point="after", acc=I48)),
        "add": Role("add_float32", add_float32.Row()),
        "add_wide": Role("add_float32", add_float32.Row()),
        "sub": Role("add_float32", add_float32.Row(join="minus")),
        "sub_wide": Role("add_float32", add_float32.Row(join="minus")),
        "mul": Role("mul_float32", mul_float32.Row()),
        "mul_wide": Role("mul_float32", mul_float32.Row()),
        "requantize": Role("requantize_float32", requantize_float32.Row()),
        "requantize_wide": Role("requantize_float32", requantize_float32.Row()),
        "quantize": Role("quantize", quantize.Row(quotient="float32")),
        "dequantize": Role("dequantize", dequantize.Row(product="exact")),
        "gelu": Role("table", table.Row(ties="half_even")),
        "gelu_wide": Role("table", table.Row(ties="half_even")),
        "table": Role("table", table.Row(ties="half_even")),
    } | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm"),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tuple(
        Check("rescale_float32", rescale_float32.Row(), {"acc": [[acc]], "zin": 0, "scale": [2.0 ** -k], "zp": 0}, [[y]],
              "onnx/onnx QuantizeLinear: ties to even")
        for acc, k, y in ((1, 1, 0), (3, 1, 2), (-3, 1, -2), (5, 1, 2), (10, 2, 2), (-10, 2, -2), (40, 4, 2), (-24, 4, -2))),
)
