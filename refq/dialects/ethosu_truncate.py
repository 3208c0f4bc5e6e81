"""Arm Ethos-U as Vela programs it, rounding mode TRUNCATE.

Towards zero, after the one multiplication. Registers of 16-bit activations take the multiplier without its low 16 bits, not
capped. Sums of two tensors are TFLite's by Vela's intent: borrowed, as are softmax and normalization.
"""
from refq.dialects import ivit, onnx, tflite
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import average_pool, rescale, table

SOURCE = "nxp-imx/ethos-u-vela ethosu/vela/{scaling,fp_math,high_level_command_to_npu_op}.py, commit a6f6566"

rescaled = Role("rescale", rescale.Row(multiplier="dyadic", ties="trunc"))
dialect = Dialect(
    name="ethosu_truncate",
    title="Arm Ethos-U, TRUNCATE: toward zero",
    source=SOURCE,
    date="2024-06",
    roles=exact | {
        "average_pool": Role("average_pool", average_pool.Row(multiplier="reciprocal31", zero_point="taken", ties="half_up")),
        "rescale": rescaled,
        "rescale_wide": Role("rescale", rescale.Row(multiplier="dyadic15", ties="trunc", acc=I48)),
        "table": Role("table", table.Row(ties="half_away")), "gelu": Role("table", table.Row(ties="half_away")),
    } | tflite.dialect.borrow("add", "add_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    encode="half_away",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "trunc", SOURCE),
)
