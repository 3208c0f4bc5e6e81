"""XNNPACK's rndnu requantization (per-tensor kernels on NEON): one rounding, half up, of a 24-bit mantissa's exact product.

A scale is a float32 from 2**-32 to below 256. Most of XNNPACK's kernels of today multiply in float32 (tflite_xnnpack).
"""
from refq.dialects import ivit, onnx, tflite
from refq.dialects.base import Dialect, Role, exact, tied
from refq.ints.width import I32, I48
from refq.ops import rescale, table

SOURCE = "google/XNNPACK src/xnnpack/requantization.h, xnn_qs8_requantize_rndnu, commit 75db3c09"

rescaled = Role("rescale", rescale.Row(multiplier="mantissa24", ratio="float32", below=256, ties="half_up"))
dialect = Dialect(
    name="xnnpack_rndnu",
    title="XNNPACK, rndnu: one rounding, half up, of a 24-bit mantissa",
    source=SOURCE,
    date="2024-01",
    roles=exact | {"rescale": rescaled, "table": Role("table", table.Row(ties="half_even")),
                   "gelu": Role("table", table.Row(ties="half_even"))}
    | tflite.dialect.borrow("rescale_wide", "add", "add_wide")
    | ivit.dialect.borrow("softmax", "softmax_wide", "layernorm") | onnx.dialect.borrow("gelu_wide"),
    encode="half_even",
    accumulators={8: I32, 16: I48},
    checks=tied(rescaled, "half_up", SOURCE),
)
