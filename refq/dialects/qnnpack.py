"""QNNPACK: the fixed-point requantization of its matrix products (q31): TFLite's two roundings of a float32 mantissa of 24 bits.

A scale is a float32 below 1, its products and quotient rounded to float32; its mantissa, widened by 7 bits, is the multiplier.
Scales from 1 on, registers over 32 bits, sums and what a transformer needs besides are borrowed. PyTorch's engine of that name
multiplies in float32 instead.
"""
from refq.dialects import ivit, onnx, tflite, tvm
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import average_pool, rescale, softmax_table_integer, table

SOURCE = "pytorch/QNNPACK src/requantization/q31-scalar.c, src/qnnpack/requantization.h, commit 7d2a4e9"

rescaled = Role("rescale", rescale.Row(ratio="float32", below=1, high="half_up", ties="half_away"))
dialect = Dialect(
    name="qnnpack",
    title="QNNPACK, q31: two roundings of a 24-bit mantissa",
    source=SOURCE,
    date="2019-10",
    roles=exact | {"rescale": rescaled, "table": Role("table", table.Row(ties="half_even")),
                   "softmax": Role("softmax_table_integer", softmax_table_integer.Row()),
                   "average_pool": Role("average_pool", average_pool.Row(multiplier="mantissa24", ratio="float32", counts="all",
                                                                         zero_point="taken", ties="half_away")),
                   "gelu": Role("table", table.Row(ties="half_even"))}
    | tflite.dialect.borrow("rescale_wide", "add", "add_wide") | tvm.dialect.borrow("rescale_any")
    | ivit.dialect.borrow("softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    narrow=False,
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "twice", SOURCE),
)
