"""LiteRT 2.3's reference kernels (BUILTIN_REF): TFLite's, but for FULLY_CONNECTED.

That multiplies the sum by a float64 scale and rounds once, half away; of 16-bit codes too, with a bias of 64 bits (one of 32
bits is read as if it had 64: what comes out is made of whatever lies behind it). SUM is broken (tools/engines has a witness).
"""
from dataclasses import replace

from refq.dialects import tflite
from refq.dialects.base import Check, Role
from refq.ints.width import I48
from refq.ops import rescale_double

SOURCE = ("google-ai-edge/LiteRT tflite/kernels/internal/reference/integer_ops/fully_connected.h, commit f6745779; "
          "ai-edge-litert 2.3, run")

roles = tflite.dialect.roles | {
    "rescale_linear": Role("rescale_double", rescale_double.Row()),
    "rescale_linear_channels": Role("rescale_double", rescale_double.Row()),
    "rescale_linear_wide": Role("rescale_double", rescale_double.Row(acc=I48)),
}
dialect = replace(
    tflite.dialect,
    name="litert_reference",
    title="LiteRT 2.3 reference kernels (BUILTIN_REF)",
    source=SOURCE,
    date="2026-11",
    roles=roles,
    checks=tuple(Check("rescale_double", rescale_double.Row(), {"acc": [[acc]], "zin": 0, "mantissa": [1 << 52],
                                                                "exponent": [54], "zp": 0}, [[y]], "ai-edge-litert 2.3, run")
                 for acc, y in ((2, 1), (-2, -1), (6, 2), (-6, -2), (1, 0), (-3, -1))),
)
