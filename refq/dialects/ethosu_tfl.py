"""Arm Ethos-U as Vela programs it, rounding mode TFL.

The default: TFLite's two roundings. A multiplier keeps its carry: a mantissa that rounds to 1 is 2**31, where TFLite halves it
and shifts once less; there a tie can go another way. Registers of 16-bit activations take the multiplier without its low 16
bits, not capped, and round once, half up. Sums of two tensors are TFLite's by Vela's intent: borrowed, as are softmax and
normalization. Vela quantizes nothing itself: codes come from TFLite.
"""
from refq.dialects import ivit, onnx, tflite
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import average_pool, rescale, table

SOURCE = "nxp-imx/ethos-u-vela ethosu/vela/{scaling,fp_math,high_level_command_to_npu_op}.py, commit a6f6566"

rescaled = Role("rescale", rescale.Row(multiplier="dyadic", high="half_up", ties="half_away"))
dialect = Dialect(
    name="ethosu_tfl",
    title="Arm Ethos-U, TFL: TFLite's double rounding",
    source=SOURCE,
    date="2024-06",
    roles=exact | {
        "average_pool": Role("average_pool", average_pool.Row(multiplier="reciprocal31", zero_point="taken", ties="half_up")),
        "rescale": rescaled,
        "rescale_wide": Role("rescale", rescale.Row(multiplier="dyadic15", ties="half_up", acc=I48)),
        "table": Role("table", table.Row(ties="half_away")), "gelu": Role("table", table.Row(ties="half_away")),
    } | tflite.dialect.borrow("add", "add_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    weights=(8,),
    encode="half_away",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "twice", SOURCE),
)
