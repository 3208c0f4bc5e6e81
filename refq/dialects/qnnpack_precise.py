"""QNNPACK's precise requantization: one rounding, half away from zero, of the exact product with a 24-bit mantissa.

The same as XNNPACK's rndna. Scales and what is borrowed are as in qnnpack.
"""
from dataclasses import replace

from refq.dialects import qnnpack
from refq.dialects.base import Role, tied
from refq.ops import rescale

SOURCE = "pytorch/QNNPACK src/requantization/precise-scalar.c, commit 7d2a4e9"

rescaled = Role("rescale", rescale.Row(multiplier="mantissa24", ratio="float32", below=1, ties="half_away"))
dialect = replace(
    qnnpack.dialect,
    name="qnnpack_precise",
    title="QNNPACK, precise: one rounding, half away from zero",
    source=SOURCE,
    roles=qnnpack.dialect.roles | {"rescale": rescaled},
    checks=tied(rescaled, "half_away", SOURCE),
)
